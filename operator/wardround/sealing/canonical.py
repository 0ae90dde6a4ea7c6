"""The one spelling of JSON, base64 and digests that is signed or hashed; knows nothing of what they say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from wardround.sealing.refused import Refused


def dumps(value: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8. Floats are not part of it and raise TypeError."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def loads(data: bytes, reason: str) -> Any:
    """Parse JSON that must be spelt exactly as `dumps` spells it, else raise Refused(reason).

    Comparing with our own spelling settles duplicate keys, floats, NaN, lone surrogates and trailing bytes at once.
    """
    try:
        value = json.loads(data)
        if dumps(value) != data:
            raise Refused(reason)
    except (ValueError, TypeError, RecursionError):
        raise Refused(reason) from None
    return value


def encode(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str, reason: str) -> bytes:
    """Parse standard base64 in its one canonical form (padding, no stray bits), else raise Refused(reason)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(reason) from None
    if encode(data) != text:
        raise Refused(reason)
    return data


def digest(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


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
