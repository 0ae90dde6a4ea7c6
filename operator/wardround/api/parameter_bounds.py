"""Decides whether a round's parameters are on a Site's list and within its bounds; knows no trainer."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from wardround.api.nearest import nearest
from wardround.api.site import AllowedParameter

# A JSON number (RFC 8259), so that every trainer reads the same value: no blanks, no leading zero (octal for some), no
# digits outside ASCII, no NaN or infinity. The exponent has two digits at most, so that the number fits a float.
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", re.ASCII)
# The pattern of `failure.bound` in the RoundTask CRD.
PLAIN_BOUND = re.compile(r"[A-Za-z0-9 ,._+-]{1,128}", re.ASCII)
# Letters and symbols that are blank: fillers of Hangul, empty patterns and hieroglyphs, spaces of SignWriting.
BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\U00013441\U00013442\U0001d159\U0001da7f\U0001da80")
# Letters, numbers, punctuation and symbols: the major classes of Unicode's general category that people see. A mark (M)
# counts only on one of these, because many marks show nothing.
SEEN = frozenset("LNPS")
LONGEST_NUMBER = 64
LONGEST_SHOWN = 64
INVISIBLE = "which a Train round must set to a value with at least one visible character"


def outside(task: str, given: Mapping[str, object], allowed: Iterable[AllowedParameter]) -> tuple[str, ...]:
    """The refused parameters, each with its cause, for people; empty if all are allowed.

    The hub chose names and values, so they are quoted as JSON, which cannot control a terminal. A Statistics task
    refuses none: our own code runs it and reads no parameter. Only a Train task has to set required parameters.
    """
    known = {each.name: each for each in allowed}
    refused = _outside(task, given, known)
    wrong = tuple(f"{_shown(name)}: {_shown(given[name])}, {cause}" for name, cause in refused)
    required = [name for name in sorted(known) if task == "Train" and known[name].required]
    missing = tuple(f"{_shown(name)}, which a Train round must set" for name in required if name not in given)
    unseen = (name for name in required if name in given and not _is_visible(str(given[name])))
    return wrong + missing + tuple(f"{_shown(name)}: {_shown(given[name])}, {INVISIBLE}" for name in unseen)


def _is_visible(value: str) -> bool:
    """Training code may take its default also for a value without a character that people see.

    The limits: a character that is newer than Python's copy of Unicode (`unicodedata.unidata_version`) does not count,
    a blank letter or symbol that is not in BLANK does, and no rule knows what a font shows.
    """
    return any(unicodedata.category(each)[0] in SEEN and each not in BLANK for each in value)


def first_outside(task: str, given: Mapping[str, object], allowed: Iterable[AllowedParameter]) -> tuple[str, str]:
    """Name and bound of the first refused parameter with a plain name, for the round's author; ("", "") if there is
    none. If the site's list lacks the name, the bound is the name on the list that the author probably meant, if there
    is one. The bound is "" if it does not match PLAIN_BOUND. A required parameter that is missing has no name here:
    only names that the round itself has written, or nearly written, leave the hospital."""
    known = {each.name: each for each in allowed}
    for name, _ in _outside(task, given, known):
        if PLAIN.fullmatch(name):
            bound = _bound(known[name]) if name in known else _meant(name, known)
            return name, bound if PLAIN_BOUND.fullmatch(bound) else ""
    return "", ""


def _meant(name: str, known: Collection[str]) -> str:
    """The name on the site's list that is nearly `name`, in words; "" if there is none."""
    near = nearest(name, known)
    return f"the name {near}" if near else ""


def _bound(allowed: AllowedParameter) -> str:
    """The bound in words: `minimum 1, maximum 1000`, or `one of Adam, SGD`."""
    if allowed.enum is not None:
        return f"one of {', '.join(allowed.enum)}"
    ends = {"minimum": allowed.minimum, "maximum": allowed.maximum}
    return ", ".join(f"{name} {value}" for name, value in ends.items() if value is not None)


def _outside(
    task: str, given: Mapping[str, object], known: Mapping[str, AllowedParameter]
) -> Iterator[tuple[str, str]]:
    """Names of refused parameters that the round sets, in order, each with the cause."""
    for name in sorted(given) if task != "Statistics" else ():
        if cause := _refusal(given[name], known[name]) if name in known else _unlisted(name, known):
            yield name, cause


def _unlisted(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f"which is not listed (the list has {_shown(near)})" if near else "which is not listed"


def _refusal(value: object, allowed: AllowedParameter) -> str:
    if not isinstance(value, str):
        return "which is not a string, as every parameter must be"
    if allowed.enum is not None and value not in allowed.enum:
        return f"which is none of {_shown(allowed.enum)}"
    if allowed.minimum is None and allowed.maximum is None:
        return ""
    number = _number(value)
    if number is None:
        return f"which is not a plain number, as {_bounds(allowed)} requires"
    if allowed.minimum is not None and not _at_most(_number(allowed.minimum), number):
        return f"which is below the minimum {_shown(allowed.minimum)}"
    if allowed.maximum is not None and not _at_most(number, _number(allowed.maximum)):
        return f"which is above the maximum {_shown(allowed.maximum)}"
    return ""


def _bounds(allowed: AllowedParameter) -> str:
    bounds = {"minimum": allowed.minimum, "maximum": allowed.maximum}
    return " and ".join(f"{name} {_shown(value)}" for name, value in bounds.items() if value is not None)


def _at_most(low: Decimal | None, high: Decimal | None) -> bool:
    """False if one of them is None: a bound that is not a number allows no value."""
    return low is not None and high is not None and low <= high


def _number(text: str) -> Decimal | None:
    """The exact value: a float could round a number just outside a bound onto the bound."""
    return Decimal(text) if len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
