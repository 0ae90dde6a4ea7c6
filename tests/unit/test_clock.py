"""Only clock.py reads the machine's clock and random numbers. The simulation could not control other readers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import wardround

ROOT = Path(wardround.__file__).parent
# Functions that return the time of day, or random numbers that are not secrets.
FORBIDDEN = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("random", "random"),
    ("random", "uniform"),
}


def uses(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in FORBIDDEN:
                yield f"{path.relative_to(ROOT)}: {module}.{name}"


def test_only_the_clock_module_reads_the_time_of_day_and_random_numbers() -> None:
    all_uses = [use for path in sorted(ROOT.rglob("*.py")) for use in uses(path)]
    assert all_uses == ["clock.py: datetime.now", "clock.py: random.random"]
