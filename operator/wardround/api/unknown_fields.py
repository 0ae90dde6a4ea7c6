"""Finds a field that a kind does not have: a misspelt field must not be ignored where no API server refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def unknown_fields(given: Any, known: Any, place: str) -> Iterator[str]:
    """One sentence for each field of `given` that `known` lacks. `known`: the same object, parsed and dumped.

    `place`: of the object, such as `spec`.
    """
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for name, value in given.items():
            if name not in known and value is not None:
                yield f"{place} has the unknown field {name}"
            yield from unknown_fields(value, known.get(name), f"{place}.{name}")
    elif isinstance(given, list) and isinstance(known, list):
        for number, (value, parsed) in enumerate(zip(given, known, strict=False)):
            yield from unknown_fields(value, parsed, f"{place}[{number}]")
