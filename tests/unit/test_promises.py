"""Each sentence of docs/security.md with "cannot" has tests that attack it, or is a limit that the page admits."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from lab.topology import ROOT
from tests.unit.promises import LIMITS, PROMISES

PAGE = " ".join((ROOT / "docs" / "security.md").read_text("utf-8").split())
# "nobody can", "no other mount can", but not "can no longer".
CANNOT = re.compile(r"cannot|can neither|can never|\b[Nn]o(?:body)?(?: [\w']+){0,6} can\b(?! no)")


@cache
def functions(module: str) -> frozenset[str]:
    """Names of a module's functions, which is not imported: tests on clusters start clusters."""
    tree = ast.parse((ROOT / "tests" / module).read_text("utf-8"))
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_part_of_the_page_that_says_cannot_is_in_a_row() -> None:
    rest = PAGE
    for part in (*PROMISES, *LIMITS):
        rest = rest.replace(part, "…")
    assert [rest[each.start() - 60 : each.end() + 60] for each in CANNOT.finditer(rest)] == []


@pytest.mark.parametrize("part", [*PROMISES, *LIMITS])
def test_a_row_is_about_one_part_of_the_page(part: str) -> None:
    assert CANNOT.search(part)
    assert PAGE.count(part) == 1


@pytest.mark.parametrize("part", PROMISES)
def test_a_promise_has_tests_that_exist(part: str) -> None:
    assert PROMISES[part]
    for test in PROMISES[part]:
        module, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions(module), f"{module} has no {name}"


def test_no_row_is_both_a_promise_and_a_limit() -> None:
    assert PROMISES.keys().isdisjoint(LIMITS)
    assert all(LIMITS.values())
