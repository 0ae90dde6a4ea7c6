"""Changed documents and random bytes, as a hostile site or store may send them. Seeds are fixed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from wardround.sealing.refused import Refused

TIMES = 1500
ODD: list[Any] = [
    *[None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**400, "", "x", "\x00", "é", "sha256:" + "0" * 64],
    *["0", "-0", "1e999", "nan", "1_0", "９", "2026-01-01T24:00:00Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00Z"],
    *["2026-01-01T00:00:00+25:00Z", "Z", "2026-W01Z", "AA==", "AA", "====", "A" * 70_000],
    *[[], {}, [[]], [{}], {"": ""}, {"a": []}, [None], {"min": 1}, [1, [2, [3]]]],
]


def altered(dice: random.Random, value: Any) -> Any:
    """The document with one change, at any depth."""
    if not isinstance(value, dict | list) or not value or dice.random() < 0.25:
        return dice.choice(ODD)
    if isinstance(value, list):
        place = dice.randrange(len(value))
        return [altered(dice, item) if index == place else item for index, item in enumerate(value)]
    name = dice.choice(sorted(value))
    draw = dice.random()
    if draw < 0.15:
        return {key: item for key, item in value.items() if key != name}
    if draw < 0.3:
        return value | {dice.choice(["", "more", name + "s", name.upper()]): dice.choice(ODD)}
    return value | {name: altered(dice, value[name])}


def documents(seed: int, good: dict[str, Any]) -> Iterator[dict[str, Any]]:
    dice = random.Random(seed)
    for _ in range(TIMES):
        document: Any = good
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            document = altered(dice, document)
        if isinstance(document, dict):
            yield document


def noise(seed: int, good: bytes) -> Iterator[bytes]:
    """Variants of `good` (changed, cut, partly doubled), and random bytes."""
    dice = random.Random(seed)
    for _ in range(TIMES):
        data = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        start = dice.randrange(len(data))
        yield dice.choice([bytes(data), bytes(data[:start]), bytes(data[start:]), bytes(data) + bytes(data[start:])])
        yield dice.randbytes(dice.randrange(64))


def refuses(read: Callable[[], object]) -> bool:
    """Whether `read` raises Refused. Any other error fails the test."""
    try:
        read()
    except Refused:
        return True
    return False
