"""A Dataset's spec as the one text that `prepare` is told; knows nothing of Jobs, files or rows.

The site chart's admission policy (policies/training-dataset.yaml) writes the same text from the object itself and
admits no Job that tells another, so both have to agree to the letter. CEL writes no JSON, so keys stand in the order in
which they are listed here and there, and strings are quoted as CEL's `strings.quote` does it: as JSON would, but for
\\a, \\v and the control characters that have no such escape, which stand as they are.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Linux starts no program with a longer variable: 32 pages of 4 KiB (MAX_ARG_STRLEN), less what its name takes.
MOST_BYTES = (128 << 10) - 64

_ESCAPES = str.maketrans(
    {
        "\a": r"\a",
        "\b": r"\b",
        "\f": r"\f",
        "\n": r"\n",
        "\r": r"\r",
        "\t": r"\t",
        "\v": r"\v",
        "\\": r"\\",
        '"': r"\"",
    }
)
_NOT_JSON = {r"\a": r"\u0007", r"\v": r"\u000b"}


def dump(spec: Mapping[str, Any]) -> str:
    """Of Dataset.spec as it stands in the API, all but its claim. What is absent is left out."""
    return _object(SPEC, spec)


def load(text: str) -> dict[str, Any]:
    """What `dump` wrote, or any JSON object. Raises ValueError."""
    spec = json.loads(re.sub(r"\\.", lambda found: _NOT_JSON.get(found[0], found[0]), text), strict=False)
    if not isinstance(spec, dict):
        raise ValueError("not an object")
    return spec


def fault(spec: Mapping[str, Any]) -> str:
    """Why `prepare` cannot be told of this Dataset, for the people who wrote it, or nothing."""
    text = dump(spec)
    size = len(text.encode())
    if size > MOST_BYTES:
        return (
            f"spec makes {size} bytes of text, and a container can be told {MOST_BYTES}: "
            "leave out fields, descriptions or values of enums"
        )
    if "\0" in text:
        return "spec has a character NUL, which no container can be told: take it out"
    return ""


def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _list(write: Callable[[Any], str], values: Sequence[Any]) -> str:
    return f"[{','.join(map(write, values))}]"


def _object(members: Mapping[str, Callable[[Any], str]], value: Mapping[str, Any]) -> str:
    return "{" + ",".join(f'"{key}":{write(value[key])}' for key, write in members.items() if key in value) + "}"


_texts = functools.partial(_list, _text)
CONSTRAINTS: Mapping[str, Callable[[Any], str]] = {
    "required": _truth,
    "minimum": _text,
    "maximum": _text,
    "enum": _texts,
}
FIELD: Mapping[str, Callable[[Any], str]] = {
    "name": _text,
    "type": _text,
    "unit": _text,
    "description": _text,
    "constraints": functools.partial(_object, CONSTRAINTS),
}
SCHEMA: Mapping[str, Callable[[Any], str]] = {
    "fields": functools.partial(_list, functools.partial(_object, FIELD)),
    "target": _text,
    "identifier": _text,
    "missingValues": _texts,
}
SPLIT: Mapping[str, Callable[[Any], str]] = {"key": _text, "validation": _text, "test": _text}
SPEC: Mapping[str, Callable[[Any], str]] = {
    "path": _text,
    "format": _text,
    "schema": functools.partial(_object, SCHEMA),
    "split": functools.partial(_object, SPLIT),
}
