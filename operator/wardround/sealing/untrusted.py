"""Parses data from outside with the wire's codec. For every fault it raises Refused with a reason and the place.

The data's author chooses the keys of maps, so a place that is not a plain word is left out.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, TypeVar

from wardround.api.times import parse_time
from wardround.sealing.refused import Refused
from wardround.wire import canonical, codec

T = TypeVar("T")
PLACE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,128}", re.ASCII)


def loads(data: bytes, reason: str) -> Any:
    """Parse canonical JSON. Raises Refused(reason)."""
    try:
        return canonical.loads(data)
    except ValueError:
        raise Refused(reason) from None


def decode(text: str, reason: str) -> bytes:
    """Parse canonical base64. Raises Refused(reason)."""
    try:
        return canonical.decode(text)
    except ValueError:
        raise Refused(reason) from None


def time(text: str, reason: str) -> datetime:
    """Parse a time of api/times.py. Raises Refused(reason)."""
    try:
        return parse_time(text)
    except ValueError:
        raise Refused(reason) from None


def parse(cls: type[T], value: object, reason: str) -> T:
    """Parse a document as `cls`. Raises Refused(reason)."""
    try:
        return codec.parse_document(cls, value)
    except codec.Malformed as malformed:
        raise Refused(reason, place(malformed.place)) from None


def place(text: str) -> str:
    """The place in a document as it may be shown, or nothing."""
    return text if PLACE.fullmatch(text) else ""
