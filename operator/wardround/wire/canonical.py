"""The canonical spelling of JSON and base64, for all that is signed or hashed; knows nothing of the content."""

from __future__ import annotations

import base64
import json
from typing import Any


def dumps(value: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8. Raises TypeError for floats."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def loads(data: bytes) -> Any:
    """Parse JSON. Raises ValueError unless it is spelt exactly as `dumps` spells it.

    So duplicate keys, floats, NaN, lone surrogates and trailing bytes are refused.
    """
    try:
        value = json.loads(data)
        spelt = dumps(value)
    except (TypeError, RecursionError):
        raise ValueError("not canonical JSON") from None
    if spelt != data:
        raise ValueError("not canonical JSON")
    return value


def encode(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Parse standard base64 in canonical form (padding, no stray bits). Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if encode(data) != text:
        raise ValueError("not canonical base64")
    return data


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON has no floats: write fractions as strings")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("canonical JSON has text keys only")
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
