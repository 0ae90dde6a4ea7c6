"""Decides whether a round's parameters are on a Site's list and within its bounds; knows no trainer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from wardround.api.site import AllowedParameter

# As JSON writes one (RFC 8259), so that every trainer reads the same: no blanks, no leading zero that some take for
# octal, no other digits, NaN or infinity; and no power of ten that a float has no room for.
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", re.ASCII)
# As the RoundTask takes it.
PLAIN_BOUND = re.compile(r"[A-Za-z0-9 ,._+-]{1,128}", re.ASCII)
LONGEST_NUMBER = 64
LONGEST_SHOWN = 64


def outside(task: str, given: Mapping[str, object], allowed: Iterable[AllowedParameter]) -> tuple[str, ...]:
    """What is not allowed, each with why, for people; nothing if all are. Names and values are the hub's words: as JSON
    they cannot steer a terminal. For Statistics nothing is outside: our own code computes them, and takes none."""
    found = _outside(task, given, allowed)
    return tuple(f"{_shown(name)}: {_shown(given[name])}, {why}" for name, why in found)


def first_outside(task: str, given: Mapping[str, object], allowed: Iterable[AllowedParameter]) -> tuple[str, str]:
    """Name and bound of the first that is not allowed, for the round's author. The name is one that the round has
    written; "" where it is no plain word. The bound is "" where the list does not have the name, or it is not plain."""
    known = {each.name: each for each in allowed}
    for name, _ in _outside(task, given, known.values()):
        if PLAIN.fullmatch(name):
            bound = _bound(known[name]) if name in known else ""
            return name, bound if PLAIN_BOUND.fullmatch(bound) else ""
    return "", ""


def _bound(allowed: AllowedParameter) -> str:
    """In words: `minimum 1, maximum 1000`, `one of Adam, SGD`."""
    if allowed.enum is not None:
        return f"one of {', '.join(allowed.enum)}"
    ends = {"minimum": allowed.minimum, "maximum": allowed.maximum}
    return ", ".join(f"{name} {value}" for name, value in ends.items() if value is not None)


def _outside(task: str, given: Mapping[str, object], allowed: Iterable[AllowedParameter]) -> Iterator[tuple[str, str]]:
    """Names in order, each with why."""
    known = {each.name: each for each in allowed}
    for name in sorted(given) if task != "Statistics" else ():
        if why := _against(given[name], known.get(name)):
            yield name, why


def _against(value: object, allowed: AllowedParameter | None) -> str:
    if allowed is None:
        return "which is not listed"
    if not isinstance(value, str):
        return "which is no text, as all parameters are"
    if allowed.enum is not None and value not in allowed.enum:
        return f"which is none of {_shown(allowed.enum)}"
    if allowed.minimum is None and allowed.maximum is None:
        return ""
    number = _number(value)
    if number is None:
        return f"which is not a plain number, as its {_bounds(allowed)} asks for"
    if allowed.minimum is not None and not _at_most(_number(allowed.minimum), number):
        return f"which is not at least the minimum {_shown(allowed.minimum)}"
    if allowed.maximum is not None and not _at_most(number, _number(allowed.maximum)):
        return f"which is not at most the maximum {_shown(allowed.maximum)}"
    return ""


def _bounds(allowed: AllowedParameter) -> str:
    told = {"minimum": allowed.minimum, "maximum": allowed.maximum}
    return " and ".join(f"{name} {_shown(value)}" for name, value in told.items() if value is not None)


def _at_most(low: Decimal | None, high: Decimal | None) -> bool:
    """A bound that is no number bounds nothing, so nothing is within it."""
    return low is not None and high is not None and low <= high


def _number(text: str) -> Decimal | None:
    """Exactly: a float would round what lies just outside a bound onto it."""
    return Decimal(text) if len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
