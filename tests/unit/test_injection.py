"""Time and random numbers are given: no function of ours takes the system's by default."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM = {"system_clock", "system_draw", "system_random_bytes"}


def defaults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the name of each default of a parameter or of a dataclass's field that is a name."""
    for node in ast.walk(tree):
        match node:
            case ast.arguments(defaults=positional, kw_defaults=named):
                values = [*positional, *named]
            case ast.AnnAssign(value=value):
                values = [value]
            case _:
                continue
        yield from ((each.lineno, each.id) for each in values if isinstance(each, ast.Name))


def test_nothing_has_the_systems_clock_or_random_numbers_by_default() -> None:
    modules = sorted((ROOT / "operator").rglob("*.py"))
    assert modules
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name} is a default. Let the process pass it."
        for path in modules
        for line, name in defaults(ast.parse(path.read_text("utf-8")))
        if name in SYSTEM
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "def f(draw=system_draw): pass",
        "async def f(*, clock: Clock = system_clock): pass",
        "f = lambda clock=system_clock: clock()",
        "class A:\n    draw: Draw = system_draw",
    ],
)
def test_all_kinds_of_defaults_are_seen(code: str) -> None:
    assert [name in SYSTEM for _, name in defaults(ast.parse(code))] == [True]
