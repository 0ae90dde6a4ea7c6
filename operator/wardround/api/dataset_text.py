"""The text of a Dataset's spec in WARDROUND_DATASET, from which `prepare` reads it; knows no Jobs, files or rows.

The site chart's admission policy (policies/training-dataset.yaml) writes the same text from the Dataset and rejects a
Job with another text, so both must write equal bytes. CEL cannot write JSON. So keys have the order listed in both
places, and strings are quoted like CEL's `strings.quote`: as in JSON, except for \\a, \\v and control characters
without such an escape, which stay as they are.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Linux starts no program with a longer variable: 32 pages of 4 KiB (MAX_ARG_STRLEN), minus room for the name.
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
    """The text of Dataset.spec, an object of the API, without its claim. Absent fields are left out."""
    return _object(SPEC, spec)


def load(text: str) -> dict[str, Any]:
    """Reads the text of `dump`, or any JSON object. Raises ValueError."""
    spec = json.loads(re.sub(r"\\.", lambda match: _NOT_JSON.get(match[0], match[0]), text), strict=False)
    if not isinstance(spec, dict):
        raise ValueError("not an object")
    return spec


def fault(spec: Mapping[str, Any]) -> str:
    """Why no environment variable can hold this Dataset, for the hospital's data team; empty if one can."""
    text = dump(spec)
    size = len(text.encode())
    if size > MOST_BYTES:
        return (
            f"spec is {size} bytes as text. A training pod gets it in an environment variable, which holds at most "
            f"{MOST_BYTES}: leave out fields, descriptions or values of enums"
        )
    if "\0" in text:
        return "spec has a NUL character, which an environment variable cannot hold: remove it"
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
