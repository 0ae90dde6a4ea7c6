"""Decides to which side of the split a patient belongs, by a keyed hash of the identifier; knows no file and no row.

A patient never moves to another side. The key belongs to the Dataset and stays in `prepare`: without it, an identifier
does not reveal its side.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")
RANGE = 1 << 64
# A shorter key could be guessed.
LEAST_KEY_BYTES = 16
FINGERPRINT_DIGITS = 12
_FINGERPRINT = b"wardround fingerprint of a split key"


class SplitInvalid(ValueError):
    """The Dataset's split is invalid."""


@dataclass(frozen=True)
class Split:
    """Positions below `test_below` are test, from there to `validation_below` validation, the rest training.

    Test comes first, so that another share of validation moves no patient into or out of the test side.
    """

    key: bytes = field(repr=False)
    test_below: int
    validation_below: int

    def position(self, patient: str) -> int:
        """The patient's position, uniform in [0, 2^64). Distinct patients are counted by their positions."""
        return int.from_bytes(hmac.digest(self.key, patient.encode(), "sha256")[:8], "big")

    def side(self, patient: str) -> Side:
        return self.side_at(self.position(patient))

    def side_at(self, position: int) -> Side:
        if position < self.test_below:
            return "test"
        return "validation" if position < self.validation_below else "train"


def fingerprint(key: bytes) -> str:
    """12 hexadecimal digits that tell one key from another, and nothing of a random key."""
    return hmac.digest(key, _FINGERPRINT, "sha256").hex()[:FINGERPRINT_DIGITS]


def parse(document: Mapping[str, Any], key: bytes) -> Split:
    """The split that a Dataset's `spec.split` describes. Raises SplitInvalid."""
    test = _fraction(document, "test")
    validation = _fraction(document, "validation")
    if test + validation >= 1:
        raise SplitInvalid("split.test and split.validation together leave no training rows")
    return Split(key, int(test * RANGE), int((test + validation) * RANGE))


def _fraction(document: Mapping[str, Any], name: str) -> Decimal:
    try:
        fraction = Decimal(str(document.get(name, "0")))
    except InvalidOperation as error:
        raise SplitInvalid(f"split.{name} must be a fraction, such as 0.2") from error
    if not fraction.is_finite() or not 0 <= fraction < 1:
        raise SplitInvalid(f"split.{name} must be at least 0 and below 1")
    return fraction
