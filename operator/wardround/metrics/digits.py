"""Writes the numbers of a result as text, rounded so that the text reveals little about each person behind them.

Significant digits alone are not enough: a share near 0 shows a single person among 100,000 with one digit. So the
number of decimals is bounded too, by the number of people alone. `people`: those without the largest hospital
(`disclosure.without_largest`).
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from wardround.metrics import intervals, registry


def metric_text(name: str, value: float, people: float) -> str:
    """The text of the metric of this name over `people` people. Raises ValueError if the value is not finite."""
    known = registry.METRICS.get(name)
    if known and known.number == "Count":
        return str(rounded_count(value))
    if known and known.number == "Edge":
        return edge_text(value, people)
    return text(value, people)


def text(value: float, people: float) -> str:
    """The text of a share, a mean or a ratio over `people` people. Raises ValueError if the value is not finite."""
    short = _short(value, people)
    if abs(value) >= _LARGEST_PLAIN:
        return short
    fixed = f"{value:.{decimals(people)}f}"
    # Each has as many digits as it may have, but for zeros at the end. The coarser one obeys both limits.
    return _plain(max(Decimal(short), Decimal(fixed), key=_last_place))


def end_text(value: float, people: float, *, upper: bool) -> str:
    """The text of an end of an interval, rounded outwards: a decision by this text is never surer than by the value."""
    exact = Decimal(value)
    place = max(-decimals(people), exact.adjusted() - significant_digits(people) + 1)
    return _plain(exact.quantize(Decimal(1).scaleb(place), ROUND_CEILING if upper else ROUND_FLOOR))


def share_ends(value: float, denominator: float, people: float) -> tuple[str, str]:
    """The two ends of the 95 % interval of a share over `denominator` people.

    The interval is the widest one of all shares and denominators that a result shows like these. So it holds the exact
    interval, and tells nothing that the share and the number of people beside it do not tell. The ends of exact
    intervals, together with several shares, determined the confusion table of some hundred people.
    """
    shown, half = float(text(value, people)), 0.5 * 10.0 ** -decimals(people)
    least = _least_alike(denominator)
    low, _ = intervals.wilson(max(0.0, shown - half), least)
    _, high = intervals.wilson(min(1.0, shown + half), least)
    return end_text(low, people, upper=False), end_text(high, people, upper=True)


def norm_text(norm: float) -> str:
    """The text of the norm of an update, with two digits. Without an exponent where aggregation.parameters takes it."""
    short = f"{norm:.2g}"
    return _plain(Decimal(short)) if _LEAST_PARAMETER <= float(short) < _LARGEST_PARAMETER else short


def edge_text(value: float, people: float) -> str:
    """The text of an edge of the bins. The edges are the same in every round, so only significant digits count.

    Above the middle, they are those of the distance from 1. So an edge below 1 never becomes 1, from which on no
    probability would be positive.
    """
    if value <= MIDDLE_EDGE:
        return format(Decimal(_short(value, people)), "f")
    return _plain(1 - Decimal(_short(1 - value, people)))


def rounded_count(count: float) -> int:
    """A number of people as a result tells it: with as many significant digits as a share over them has decimals.

    With the exact number of people, a rounded share would give the exact number of hits. All people count here: people
    that a hospital adds never make this rounding finer.
    """
    return int(Decimal(f"{count:.{decimals(count)}g}"))


def fewest(count: float) -> int:
    """The fewest people that a result may tell like this number of people, or fewer."""
    return math.ceil(_least_alike(count))


def most(count: float) -> int:
    """The most people that a result may tell like this number of people, or more."""
    return math.floor(rounded_count(count) + _half_step(count))


def _least_alike(count: float) -> float:
    """The least number of people that has the same text as `count`, or less."""
    return rounded_count(count) - _half_step(count)


def _half_step(count: float) -> float:
    """Half of the last digit that a result tells of this number of people."""
    rounded = rounded_count(count)
    return 0.5 * 10.0 ** (Decimal(rounded).adjusted() - decimals(rounded) + 1)


def decimals(people: float) -> int:
    """The most digits after the point of a number over `people` people."""
    if people < 1000:
        return 2
    return 3 if people < 10_000 else 4


def significant_digits(people: float) -> int:
    """The most significant digits of a number over `people` people."""
    if people < 100:
        return 2
    return 3 if people < 1000 else 4


# The edge in the middle of the bins, which lie symmetrically around it.
MIDDLE_EDGE = 0.5
# A larger number is written with an exponent.
_LARGEST_PLAIN = 1e12
# Parameters of strategies have at most six digits before and after the point (wire/strategy_terms.py).
_LEAST_PARAMETER, _LARGEST_PARAMETER = 1e-5, 1e6


def _short(value: float, people: float) -> str:
    if not math.isfinite(value):
        raise ValueError("a metric must be finite")
    return f"{value:.{significant_digits(people)}g}"


def _plain(number: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    if number == 0:
        return "0"  # also for a tiny negative number, whose sign would tell on which side of 0 it lies
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _last_place(number: Decimal) -> int:
    """The power of ten of the last digit."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "the number is finite"
    return exponent
