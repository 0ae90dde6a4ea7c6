"""Our processes have one real clock and one real source of jitter. No test can play what asks the machine elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import wardround

ROOT = Path(wardround.__file__).parent
# What tells the time of day, and what draws numbers that are no secret.
ASKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("random", "random"),
    ("random", "uniform"),
}


def asked(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in ASKS:
            yield f"{path.relative_to(ROOT)}: {node.value.id}.{node.attr}"


def test_only_the_clock_asks_the_machine_for_the_time_of_day_or_for_chance() -> None:
    found = [each for path in sorted(ROOT.rglob("*.py")) for each in asked(path)]
    assert found == ["clock.py: datetime.now", "clock.py: random.random"]
