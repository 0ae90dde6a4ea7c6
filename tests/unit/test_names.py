"""Names in our code are nouns of the field, so a few words are refused as names of values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("operator", "trainer_image", "lab", "bench", "tests", "examples")
INSTEAD = {
    "found": "what was searched for, such as `matches` or `datasets`",
    "said": "the text or document, such as `message`, `cause` or `report`",
    "told": "the text or document, such as `message`, `report` or `verdicts`",
    "what": "the thing itself, such as `kind` or `difference`",
    "who": "the person or process, such as `author` or `participant`",
    "to": "the receiver, such as `recipient` or `target`",
    "of": "the thing itself, such as `round` or `site`",
}


def bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each line that gives a name to a value, a function, a class, a parameter or an import, and the name."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.alias(name=imported, asname=name):
                yield node.lineno, name or imported


def faults(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {name} is no noun. Write {INSTEAD[word]}."
        for line, name in bindings(ast.parse(path.read_text("utf-8")))
        if (word := name.strip("_").lower()) in INSTEAD
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_is_a_verb_or_a_preposition(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    wrong = [fault for path in modules for fault in faults(path)]
    assert not wrong, "\n".join(wrong)


def test_all_ways_to_bind_a_name_are_seen() -> None:
    code = """
import a as of, to
def told(who, *, _what): self.said = found = [TOLD for TOLD in ()]
class Of: to: int
try: pass
except OSError as found: pass
match 1:
    case {"a": said}: pass
    case [*told]: pass
"""
    assert sorted(name for _, name in bindings(ast.parse(code)) if name.strip("_").lower() in INSTEAD) == sorted(
        ["of", "to", "told", "who", "_what", "said", "found", "TOLD", "Of", "to", "found", "said", "told"]
    )
