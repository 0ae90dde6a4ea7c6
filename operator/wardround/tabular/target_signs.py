"""Decides whether a file's target means the opposite of what it meant in an earlier reading; knows no file.

An export may exchange the labels of the target. The share of each label shows nothing if both are equally frequent. But
the columns that went up with the target now go down with it. A new case mix weakens or strengthens the correlations,
and does not turn nearly all of the strong ones round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# With fewer people, Wardround measures no correlation.
FEWEST_PEOPLE = 20
# So many standard errors (1/sqrt(people)) a correlation has to be away from 0 in both readings.
STRONG = 5.0
# So many columns need a strong correlation.
FEWEST_COLUMNS = 3
# The share of the strongly correlated columns that must have the other sign.
TURNED = 0.9
# A reading is near if the correlation has moved by no more than this.
NEAR = 0.25
DIGITS = 2


@dataclass(frozen=True)
class Correlation:
    """The rank correlation of a column with the target, over `people` (Spearman, ties have their mean rank)."""

    people: int
    value: float

    @property
    def errors(self) -> float:
        """How many standard errors the correlation is away from 0."""
        return self.value * math.sqrt(self.people)


def measured(columns: Mapping[str, npt.NDArray[np.float64]], target: str) -> dict[str, Correlation]:
    """The correlation of each column but the target, by name. A column with one value has none, and so has a file of
    too few people."""
    if len(columns.get(target, ())) < FEWEST_PEOPLE:
        return {}
    aim = _standardised(columns[target])
    correlations = {}
    for name, values in columns.items():
        value = float(np.mean(_standardised(values) * aim))
        if name != target and math.isfinite(value) and value != 0:
            correlations[name] = Correlation(len(values), round(value, DIGITS))
    return correlations


def turned(before: Mapping[str, Correlation], now: Mapping[str, Correlation]) -> bool:
    """Whether nearly all columns that are strongly correlated in both readings have the other sign."""
    both = [(before[name].errors, now[name].errors) for name in now if name in before]
    strong = [old * new for old, new in both if min(abs(old), abs(new)) >= STRONG]
    return len(strong) >= FEWEST_COLUMNS and sum(each < 0 for each in strong) >= TURNED * len(strong)


def near(before: Correlation, now: Correlation) -> bool:
    """Whether the correlation may replace the earlier one as the one that a hospital remembers. A file in which some
    rows have the other label weakens it."""
    return abs(now.value - before.value) <= NEAR


def _standardised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The ranks, with mean 0 and standard deviation 1. All 0 if the values are equal."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    deviation = float(np.std(ranks))
    centred: npt.NDArray[np.float64] = ranks - np.mean(ranks)
    return centred / deviation if deviation else centred * 0
