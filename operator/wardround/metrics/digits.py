"""Writes a metric's value as text. Fewer people give fewer digits, so that the text reveals less about each."""

from __future__ import annotations

import math
from decimal import Decimal


def text(value: float, people: float) -> str:
    """The text of a metric over `people` people. Raises ValueError if the value is not finite."""
    if not math.isfinite(value):
        raise ValueError("a metric must be finite")
    short = f"{value:.{digits(people)}g}"
    return format(Decimal(short), "f") if value == 0 or 1e-6 <= abs(value) < 1e12 else short


def digits(people: float) -> int:
    """Significant digits of a metric over `people` people."""
    if people < 100:
        return 2
    return 3 if people < 1000 else 4
