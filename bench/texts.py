"""Draws texts for a fresh reader, who says of each text who has to do what: `python -m bench.texts --seed 7`.

It draws equally from the pages of the documentation, the reasons, the messages of the code, and the descriptions of the
kinds. Each text has its place: a page and heading, a kind and field, or a module. A sentence of a page also has the
sentence before it in its paragraph, because nobody reads a page from the middle of a paragraph.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import yaml

from wardround.reasons import registry

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
CODE = (ROOT / "operator" / "wardround", ROOT / "trainer_image" / "wardround_trainer")
# The glossary goes to the reader whole, and the page of reasons is made from the reasons.
GIVEN = {"glossary.md", "reasons.md"}
LEAST_WORDS = 7
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z`*\[(])")
_ITEM = re.compile(r"\s*(?:-|\d+\.) ")


def sentences() -> Iterator[str]:
    """The sentences of the pages, without tables and code."""
    for page in PAGES:
        if page.name in GIVEN:
            continue
        heading, paragraph, in_code = page.stem, "", False
        for line in [*page.read_text().splitlines(), ""]:
            is_fence = line.lstrip().startswith("```")
            in_code ^= is_fence
            if not is_fence and (in_code or line.lstrip().startswith("|")):
                continue
            if line.startswith("#"):
                heading = line.lstrip("# ")
            elif is_fence or not line.strip() or _ITEM.match(line):
                before = ""
                for each in _SENTENCE.split(paragraph):
                    if _is_long(each):
                        yield f"[{page.name}, {heading}] {f'({before}) ' if before else ''}{each}"
                    before = each
                paragraph = "" if is_fence else _ITEM.sub("", line, count=1).strip()
            else:
                paragraph = f"{paragraph} {line.strip()}".strip()


def reasons() -> Iterator[str]:
    """Each reason with its meaning, its owner and its action."""
    for reason in registry.REASONS.values():
        yield f"[reason {reason.name}; who acts: {reason.owner or 'nobody'}] {reason.meaning} | {reason.action}"


def messages() -> Iterator[str]:
    """The sentences that the code tells people, with the names of their values in braces, and constants spelled out."""
    for folder in CODE:
        for path in sorted(folder.rglob("*.py")):
            place = path.relative_to(ROOT / "operator") if folder == CODE[0] else path.name
            if "reasons" not in path.parts:
                yield from (f"[message, {place}] {text}" for text in _messages(path))


def _messages(path: Path) -> Iterator[str]:
    """The texts of one module that are sentences, without its docstrings."""
    tree = ast.parse(path.read_text())
    constants, skipped = _constants(path, tree), {*_docstrings(tree), *_parts(tree)}
    for node in ast.walk(tree):
        text = "" if id(node) in skipped else _spelled(node, constants)
        if text.rstrip().endswith(".") and _is_long(text):
            yield text


def _docstrings(tree: ast.Module) -> Iterator[int]:
    """The identities of the nodes that are docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr):
                yield id(first.value)


def _parts(tree: ast.Module) -> Iterator[int]:
    """The identities of the nodes that are parts of an f-string."""
    return (id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values)


def descriptions() -> Iterator[str]:
    """The descriptions of the kinds and their fields."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        yield from (each for each in _described(schema, crd["spec"]["names"]["kind"]) if _is_long(each))


def _described(schema: object, place: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("description"), str):
        yield f"[field {place}] {' '.join(schema['description'].split())}"
    for name, child in (schema.get("properties") or {}).items():
        yield from _described(child, f"{place}.{name}")
    for key in ("items", "additionalProperties"):
        yield from _described(schema.get(key), f"{place}[]")


@functools.cache
def _assigned(path: Path) -> Mapping[str, str]:
    """The names in capitals to which a module assigns a text."""
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _constants(path: Path, tree: ast.Module) -> Mapping[str, str]:
    """The module's own texts, and those that it imports by name from another module of ours."""
    imported: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        sources = (folder.parent.joinpath(*node.module.split(".")).with_suffix(".py") for folder in CODE)
        texts = next((_assigned(source) for source in sources if source.is_file()), {})
        imported |= {each.asname or each.name: texts[each.name] for each in node.names if each.name in texts}
    return {**imported, **_assigned(path)}


def _spelled(node: ast.AST, constants: Mapping[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(
                str(each.value) if isinstance(each, ast.Constant) else _name(each, constants) for each in values
            )
        case _:
            return ""


def _name(value: ast.expr, constants: Mapping[str, str]) -> str:
    if not isinstance(value, ast.FormattedValue):
        return ""
    name = ast.unparse(value.value)
    return constants.get(name, f"{{{name}}}")


def _is_long(text: str) -> bool:
    return len(text.split()) >= LEAST_WORDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=50)
    chosen = parser.parse_args()
    dice = np.random.default_rng(chosen.seed)
    sources = [list(dict.fromkeys(source())) for source in (sentences, reasons, messages, descriptions)]
    share = -(-chosen.count // len(sources))
    drawn = [str(text) for source in sources for text in dice.choice(source, share, replace=False)]
    for number, text in enumerate(dice.permutation(drawn)[: chosen.count], 1):
        print(f"{number}. {text}")


if __name__ == "__main__":
    main()
