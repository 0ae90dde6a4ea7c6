"""Decides whether a column of a file has another scale than in an earlier reading; knows no file, round or hospital.

An export may begin to write another unit. The values are then still valid numbers, and training code learns from them.
A new case mix, slow drift, the next year or version, or a small hospital is no change of scale: `changed` is True only
beyond doubt. A column that grows with each export, such as days until the export, cannot be told from one in another
unit. docs/figures.md has the rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# With fewer people on one of both sides, nothing is beyond doubt.
FEWEST_PEOPLE = 20
# The smallest factor between two units that shows in the quantiles alone. 1 kg is 2.2 lb.
LEAST_FACTOR = 2.0
# The smallest factor between two middles whose ranges are apart: one export's drift is less. Below the factors of units
# (1.8 and 2 mEq are 1 mmol of phosphate and calcium), because patients come and leave. With an offset, the middles of
# clinical values differ by more than the unit's factor (37 and 98.6 degrees).
LEAST_FACTOR_APART = 1.5
# The quantiles' factors may differ by so much, because patients come and leave.
ALIKE = 1.15
# The quantiles are kept in steps of at most these shares: of the range from the first to the last quantile, and of the
# quantile itself, because some are close to 0 in a wide range.
STEP_OF_RANGE, STEP_OF_VALUE = 1 / 64, 1 / 16
# A reading is near if no quantile has moved by more than this share of that range.
NEAR = 0.25


@dataclass(frozen=True)
class Scale:
    """The quantiles QUANTILES over `people` with a value other than 0. A unit's factor does not change a 0, so a column
    that is mostly 0 shows its scale too. They are rounded to steps, so that they are no patient's exact value."""

    people: int
    quantiles: tuple[float, ...]

    @property
    def middle(self) -> float:
        return self.quantiles[len(self.quantiles) // 2]

    @property
    def width(self) -> float:
        return self.quantiles[-1] - self.quantiles[0]

    def holds(self, value: float) -> bool:
        """Whether the value is between the first and the last quantile."""
        return self.quantiles[0] <= value <= self.quantiles[-1]


def measured(values: npt.NDArray[np.float64]) -> Scale | None:
    """The scale of a column, one value for each person. None: too few people."""
    others = values[values != 0]
    if len(others) < FEWEST_PEOPLE:
        return None
    quantiles = [float(each) for each in np.quantile(others, QUANTILES)]
    return Scale(len(others), tuple(_rounded(each, quantiles[-1] - quantiles[0]) for each in quantiles))


def changed(before: Scale, now: Scale) -> bool:
    """Whether the two are scales of different units.

    1. Neither middle lies in the other's range, and the middles differ by a factor or in their sign. Most people's
       values are where before hardly any value was. The factor excludes narrow columns that drift: their range is a
       small share of their values.
    2. Or all quantiles have grown by one factor. This shows in columns whose range is wider than the factor.
    """
    apart = not before.holds(now.middle) and not now.holds(before.middle)
    return (apart and _far(before.middle, now.middle)) or _by_one_factor(before.quantiles, now.quantiles)


def near(before: Scale, now: Scale) -> bool:
    """Whether the scale may replace the earlier one as the one that a hospital remembers.

    A file in which some rows have another unit widens the range. If such a file replaced the earlier one, the next
    file, with the other unit in all rows, would pass.
    """
    most = NEAR * before.width
    return all(abs(new - old) <= most for old, new in zip(before.quantiles, now.quantiles, strict=True))


def _far(before: float, now: float) -> bool:
    """Whether the middles differ by LEAST_FACTOR_APART, or in their sign."""
    smaller, larger = sorted((abs(before), abs(now)))
    return before * now <= 0 or larger >= LEAST_FACTOR_APART * smaller


def _by_one_factor(before: Sequence[float], now: Sequence[float]) -> bool:
    if any(old * new <= 0 for old, new in zip(before, now, strict=True)):
        return False
    factors = [new / old for old, new in zip(before, now, strict=True)]
    alike = max(factors) <= ALIKE * min(factors)
    return alike and (min(factors) >= LEAST_FACTOR or max(factors) <= 1 / LEAST_FACTOR)


def _rounded(quantile: float, width: float) -> float:
    """To steps of a power of two, so that quantiles that have not moved are rounded alike although the range has."""
    largest = min(width * STEP_OF_RANGE, abs(quantile) * STEP_OF_VALUE)
    if largest == 0:
        return quantile
    step = 2.0 ** math.floor(math.log2(largest))
    return round(quantile / step) * step
