"""Reduces many updates to one: pure arithmetic over slices in float64; knows no files, keys or participants.

Each rule takes one participant's slice after another, not a (participants, slice) block, so memory does not grow with
the number of participants. Participants come in a fixed order, because floating-point sums depend on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from wardround.tensors import FLOATS, Array, narrow, widen

RuleName = Literal["Delta", "Mean", "Sum", "Pairs", "Equal", "Largest", "Base"]
# The tensor of an evaluation whose elements are over pairs of people: pairs, pairs in order, and the variance term.
PAIRS = "pairs"
_PAIR_POWERS = np.array([2.0, 2.0, 4.0])


class Differs(Exception):
    """Slices that must be equal at all participants differ."""


class Rule(ABC):
    """Reduces one slice of one dtype. Call `add` once for each participant, then `result` once."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype = dtype
        self.size = size

    @abstractmethod
    def add(self, values: Array, share: float) -> None:
        """Add a participant's slice, in the file's dtype, of shape (size,).

        `share`: for means, the participant's weight (weights sum to 1). For sums, a scale in (0, 1], below 1 only if
        the participant reported more rows than its `maxSamples`.
        """

    @abstractmethod
    def result(self, base: Array | None) -> Array:
        """Return the reduced slice, in the file's dtype."""


class Mean(Rule):
    """Weighted mean in float64, rounded once to the dtype: FedAvg (McMahan et al., AISTATS 2017)."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._sum = np.zeros(size, np.float64)
        self._first: Array | None = None
        self._same = np.ones(size, np.bool_)

    def add(self, values: Array, share: float) -> None:
        if self._first is None:
            self._first = values
        else:
            self._same &= values == self._first
        self._sum += share * widen(values, self.dtype)

    def mean(self) -> Array:
        """The mean in float64."""
        return self._sum

    def result(self, base: Array | None) -> Array:
        # If all agree, take that value: shares sum to 1 only approximately, and must not change a frozen tensor.
        assert self._first is not None
        return np.where(self._same, self._first, narrow(self._sum, self.dtype))


class Delta(Mean):
    """Base plus the weighted mean of differences. If the mean is 0, the base bit by bit (-0.0 plus 0.0 is 0.0)."""

    def result(self, base: Array | None) -> Array:
        assert base is not None
        moved = narrow(widen(base, self.dtype) + self._sum, self.dtype)
        return np.where(self._sum == 0, base, moved)


class Sum(Rule):
    """Scaled sum of floats, for statistics and counts. A scale of 1 is exact."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._sum = np.zeros(size, np.float64)

    def add(self, values: Array, share: float) -> None:
        self._sum += share * widen(values, self.dtype)

    def result(self, base: Array | None) -> Array:
        return narrow(self._sum, self.dtype)


class Pairs(Sum):
    """Scaled sum of the three elements of PAIRS. If a participant counts as a share of its people, pairs of them count
    as the square of that share. The third element is the square of pairs, times a variance."""

    def add(self, values: Array, share: float) -> None:
        self._sum += scaled(PAIRS, widen(values, self.dtype), share)


class Equal(Rule):
    """The value that all participants have. `add` raises Differs: sums about different centres must not be added."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._value: Array | None = None

    def add(self, values: Array, share: float) -> None:
        if self._value is None:
            self._value = values
        elif not np.array_equal(values, self._value):
            raise Differs

    def result(self, base: Array | None) -> Array:
        assert self._value is not None
        return self._value


class Largest(Rule):
    """The largest value, for integers: a mean of counters is not a counter."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._value: Array | None = None

    def add(self, values: Array, share: float) -> None:
        self._value = values if self._value is None else np.maximum(values, self._value)

    def result(self, base: Array | None) -> Array:
        assert self._value is not None
        return self._value


class Base(Rule):
    """The base's value, for integers of a model. The updates' values are ignored."""

    def add(self, values: Array, share: float) -> None:
        return

    def result(self, base: Array | None) -> Array:
        assert base is not None
        return base


RULES: dict[RuleName, type[Rule]] = {
    "Delta": Delta,
    "Mean": Mean,
    "Sum": Sum,
    "Pairs": Pairs,
    "Equal": Equal,
    "Largest": Largest,
    "Base": Base,
}


def rule_for(task: str, initial: bool, name: str, dtype: str) -> RuleName:
    """Return the rule that reduces a tensor (docs/contracts.md, section 5)."""
    if task == "Evaluate":
        return "Pairs" if name == PAIRS else "Sum"
    if task == "Statistics":
        return "Equal" if name == "shift" else "Sum"
    if dtype in FLOATS:
        return "Mean" if initial else "Delta"
    return "Largest" if initial else "Base"


def scaled(name: str, sums: Array, scale: float) -> Array:
    """Return the sums of one tensor of an evaluation as they count at this scale, in (0, 1]. A scale of 1 is exact."""
    return sums * (scale**_PAIR_POWERS if name == PAIRS else scale)


def finite(values: Array, dtype: str) -> bool:
    """Whether no element is NaN or infinite."""
    if dtype == "BF16":
        return bool(np.all((values & 0x7F80) != 0x7F80))
    return dtype not in FLOATS or bool(np.all(np.isfinite(values)))
