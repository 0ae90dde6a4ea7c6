"""95 % intervals of shares, means and areas, from sums. Each function gives its source. No numpy."""

from __future__ import annotations

import math
from statistics import NormalDist

Interval = tuple[float, float]

Z = NormalDist().inv_cdf(0.975)
# So few people say nothing about a share, and their reciprocal could overflow.
_NEARLY_NOBODY = 1e-100
# math.exp raises OverflowError from 710 on.
_LARGEST_EXPONENT = 700.0


def wilson(share: float, people: float) -> Interval:
    """The interval of a share over `people` (Wilson, JASA 1927). It stays within 0 to 1, and is not empty at
    a share of 0 or 1."""
    if people < _NEARLY_NOBODY:
        return 0.0, 1.0
    square = Z * Z / people
    centre = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / people + square / people / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def normal(total: float, squares: float, people: float, highest: float) -> Interval | None:
    """The interval of a mean, from the sum and the sum of squares over people. None for fewer than two people."""
    if people < 2:
        return None
    mean = total / people
    variance = max(0.0, squares - total * mean) / (people - 1)
    half = Z * math.sqrt(variance / people)
    return max(0.0, mean - half), min(highest, mean + half)


def area(value: float, variance: float) -> Interval | None:
    """The interval of an AUC with this variance. None without a variance: an AUC that no pair contradicts is not known
    exactly."""
    if variance <= 0:
        return None
    half = Z * math.sqrt(variance)
    return max(0.0, value - half), min(1.0, value + half)


def ratio(observed: float, expected: float, people: float) -> Interval | None:
    """The interval of observed over expected cases, on the logarithm (Debray et al., BMJ 2017, total O:E ratio). None
    if no or every person is a case, or if the cases weigh so little that no float holds the interval."""
    if not 0 < observed < people:
        return None
    half = Z * math.sqrt((1 - observed / people) / observed)
    if half > _LARGEST_EXPONENT:
        return None
    value = observed / expected
    high = value * math.exp(half)
    return (value * math.exp(-half), high) if math.isfinite(high) else None
