"""Functions of our code and of its tests are small enough to be read at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("operator", "trainer_image", "lab", "bench", "tests")
MOST_LINES = 60


def faults(tree: ast.AST, place: str) -> list[str]:
    """Functions with more lines than a reader sees at once, from `def` to the end."""
    sizes = [
        (node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        f"{place}:{line}: {name} has {lines} lines, more than {MOST_LINES}. Split it along the decisions that it makes."
        for line, name, lines in sizes
        if lines > MOST_LINES
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_has_more_than_sixty_lines(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    wrong = [fault for path in modules for fault in faults(ast.parse(path.read_text("utf-8")), str(path))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("lines", "refused"), [(MOST_LINES, False), (MOST_LINES + 1, True)])
@pytest.mark.parametrize("head", ["def f():", "async def f():"])
def test_a_method_counts_from_its_head_to_its_last_line(head: str, lines: int, refused: bool) -> None:
    body = "\n".join(["        pass"] * (lines - 1))
    code = f"class A:\n    {head}\n{body}\n"
    assert bool(faults(ast.parse(code), "a.py")) is refused
