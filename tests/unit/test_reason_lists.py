"""A fact about reasons stands at the reason, in the registry: no other module lists reasons by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.unit.plans_hub.test_reasons import CONDITIONS
from wardround.reasons.registry import REASONS

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "operator" / "wardround" / "reasons"
FOLDERS = ("operator", "trainer_image", "lab", "bench", "examples")
FEWEST = 3
# Words that are conditions of objects or stages of a timeline, too.
OTHER_WORDS = CONDITIONS | {"Dispatched"}
# The name of a list that may stand elsewhere, and why.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("operator/wardround/plans/assignment.py", "ASKED"): "For each refusal, the function that quotes the assignment. "
    "The registry imports no other package, so it cannot hold functions over assignments.",
}


def faults(tree: ast.Module, place: str) -> list[str]:
    """Lists of reasons in a module. `place`: its path."""
    constants, named, allowed = _constants(tree), _names_of_values(tree), set(_allowed(tree))
    listed = [
        (node.lineno, named.get(id(node), ""), reasons)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.pattern) and id(node) not in allowed
        if len(reasons := {*_words(node, constants)} & REASONS.keys() - OTHER_WORDS) >= FEWEST
    ]
    return [
        f"{place}:{line}: {name or 'a value'} lists reasons: {', '.join(sorted(reasons))}. Make this a fact of each "
        "Reason in operator/wardround/reasons, such as a value of one of its fields, and derive the list."
        for line, name, reasons in listed
        if (place, name) not in EXCEPTIONS
    ]


def _words(node: ast.AST, constants: Mapping[str, str]) -> Iterator[str]:
    """The texts that a literal lists: elements, keys of a dict, words of a text, or alternatives of a pattern."""
    match node:
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            yield from _texts(elements, constants)
        case ast.Dict(keys=keys):
            yield from _texts([key for key in keys if key is not None], constants)
        case ast.Constant(value=str(text)) if {*text.split()} <= REASONS.keys():
            yield from text.split()
        case ast.MatchOr(patterns=patterns):
            yield from _texts([each.value for each in patterns if isinstance(each, ast.MatchValue)], constants)


def _texts(elements: Sequence[ast.expr], constants: Mapping[str, str]) -> Iterator[str]:
    for each in elements:
        match each:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Name(id=name) if name in constants:
                yield constants[name]
            case ast.Starred(value=inner):
                yield from _words(inner, constants)


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts of a module that have a name."""
    constants = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                constants[name] = text
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = zip(targets, values, strict=False)
                constants |= {
                    target.id: value.value
                    for target, value in pairs
                    if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)
                }
    return constants


def _names_of_values(tree: ast.Module) -> dict[int, str]:
    """By each part of a value of the module: the name that the value gets."""
    names: dict[int, str] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                names |= {id(part): name for part in ast.walk(value)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names |= {id(part): name for part in ast.walk(value)}
    return names


def _allowed(tree: ast.Module) -> Iterator[int]:
    """A tuple that gives each of its texts a name is no list. Of a type, mypy compares each use."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Tuple() as names], value=ast.Tuple() as value):
                yield from (id(names), id(value))
            case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
                yield id(values)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_beside_the_registry_lists_reasons(folder: str) -> None:
    modules = [path for path in sorted((ROOT / folder).rglob("*.py")) if not path.is_relative_to(REGISTRY)]
    assert modules
    wrong = [
        fault
        for path in modules
        for fault in faults(ast.parse(path.read_text("utf-8")), path.relative_to(ROOT).as_posix())
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "LATE = frozenset({'Queued', 'Starting', 'Evicted'})",
        "LATE = ['Queued', 'Starting', 'Evicted']",
        "LATE = {'Queued': 1, 'Starting': 2, 'Evicted': 3}",
        "LATE = {*('Queued', 'Starting'), *('Evicted', 'NodeLost')}",
        "LATE = 'Queued Starting Evicted'.split()",
        "QUEUED, STARTING = 'Queued', 'Starting'\nLATE = (QUEUED, STARTING, 'Evicted')",
        "def late(reason): return reason in ('Queued', 'Starting', 'Evicted')",
        "def late(reason):\n match reason:\n  case 'Queued' | 'Starting' | 'Evicted': return True",
    ],
)
def test_a_list_of_three_reasons_is_refused(code: str) -> None:
    [fault] = faults(ast.parse(code), "a.py")
    assert "lists reasons: Evicted, " in fault


@pytest.mark.parametrize(
    "code",
    [
        "LATE = ('Queued', 'Starting')",
        "QUEUED, STARTING, EVICTED = 'Queued', 'Starting', 'Evicted'",
        "State = Literal['Queued', 'Starting', 'Evicted']",
        "BY_STAGE = {1: 'Queued', 2: 'Starting', 3: 'Evicted'}",
        "CONDITIONS = ('Accepted', 'Trained', 'Sent', 'Complete')",
        "MEANING = 'Queued or Starting or Evicted'",
    ],
)
def test_names_types_and_other_words_are_no_lists_of_reasons(code: str) -> None:
    assert faults(ast.parse(code), "a.py") == []


def test_each_exception_is_still_there() -> None:
    for path, name in EXCEPTIONS:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert faults(tree, "elsewhere.py"), f"{path}: {name} is no list of reasons any more"
