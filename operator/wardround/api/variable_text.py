"""The texts in which `prepare` gets objects of the hospital in its environment; knows no object, Job or file.

The site chart's admission policies write the same text from the object and reject a Job with another text, so both
must write equal bytes. CEL cannot write JSON. So keys have the order listed in both places, and strings are quoted like
CEL's `strings.quote`: as in JSON, except for \\a, \\v and control characters without such an escape, which stay as they
are.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Linux starts no program with a longer variable: 32 pages of 4 KiB (MAX_ARG_STRLEN), minus room for the name.
MOST_BYTES = (128 << 10) - 64

Members = Mapping[str, Callable[[Any], str]]

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


def load(text: str) -> dict[str, Any]:
    """Reads a text of these writers, or any JSON object. Raises ValueError."""
    value = json.loads(re.sub(r"\\.", lambda match: _NOT_JSON.get(match[0], match[0]), text), strict=False)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def fault(text: str, advice: str) -> str:
    """Why no environment variable can hold this text of a spec; empty if one can. `advice`: how to shorten the spec."""
    size = len(text.encode())
    if size > MOST_BYTES:
        return (
            f"the spec has {size} bytes as text. A training pod gets this text in an environment variable, which holds "
            f"at most {MOST_BYTES}: {advice}"
        )
    if "\0" in text:
        return "spec has a NUL character, which an environment variable cannot hold: remove it"
    return ""


def quoted(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'


def truth(value: bool) -> str:
    return "true" if value else "false"


def items(write: Callable[[Any], str], values: Sequence[Any]) -> str:
    return f"[{','.join(map(write, values))}]"


def members(writers: Members, value: Mapping[str, Any]) -> str:
    """The text of an object. Absent members are left out, and so are members that have no writer."""
    return "{" + ",".join(f'"{key}":{write(value[key])}' for key, write in writers.items() if key in value) + "}"


quoted_items = functools.partial(items, quoted)
