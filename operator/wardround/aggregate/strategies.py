"""How many updates become one: pure arithmetic over slices in float64; knows no files, keys or participants.

Each rule takes one participant's slice after the other instead of a (participants x slice) block, so that memory does
not grow with their number. Participants come in one fixed order: floating-point sums depend on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from wardround.tensors import FLOATS, Array, narrow, widen

RuleName = Literal["Delta", "Mean", "Sum", "Equal", "Largest", "Base"]


class Differs(Exception):
    """Slices that must be equal everywhere are not."""


class Rule(ABC):
    """Reduces one slice of one dtype. `add` once a participant, then `result` once."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype = dtype
        self.size = size

    @abstractmethod
    def add(self, values: Array, share: float) -> None:
        """Take a participant's slice as it lies in the file, and how much it counts: its share of the whole, or of
        sums how much of them is taken (1 for all but those that say too much)."""

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
        # Where all agree the mean is that very value: shares that sum to 1 only nearly must not move a frozen tensor.
        assert self._first is not None
        return np.where(self._same, self._first, narrow(self._sum, self.dtype))


class Delta(Mean):
    """Base plus the weighted mean of differences. Where that mean is 0, the base to the bit (-0.0 plus 0.0 is 0.0)."""

    def result(self, base: Array | None) -> Array:
        assert base is not None
        moved = narrow(widen(base, self.dtype) + self._sum, self.dtype)
        return np.where(self._sum == 0, base, moved)


class Sum(Rule):
    """Sum of floats: statistics and counts. Plain where all of them count: 1.0 times a float is that float."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._sum = np.zeros(size, np.float64)

    def add(self, values: Array, share: float) -> None:
        self._sum += share * widen(values, self.dtype)

    def result(self, base: Array | None) -> Array:
        return narrow(self._sum, self.dtype)


class Equal(Rule):
    """The value that all have. Raises Differs: sums about different centres do not add up."""

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
    """The largest value, for integers: they count things, and a mean of counters is no counter."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._value: Array | None = None

    def add(self, values: Array, share: float) -> None:
        self._value = values if self._value is None else np.maximum(values, self._value)

    def result(self, base: Array | None) -> Array:
        assert self._value is not None
        return self._value


class Base(Rule):
    """The base's value, for integers of a model: what updates say of them is ignored."""

    def add(self, values: Array, share: float) -> None:
        return

    def result(self, base: Array | None) -> Array:
        assert base is not None
        return base


RULES: dict[RuleName, type[Rule]] = {
    "Delta": Delta,
    "Mean": Mean,
    "Sum": Sum,
    "Equal": Equal,
    "Largest": Largest,
    "Base": Base,
}


def rule_of(task: str, initial: bool, name: str, dtype: str) -> RuleName:
    """Return how a tensor is reduced (docs/contracts.md, section 5)."""
    if task != "Train":
        return "Equal" if name == "shift" else "Sum"
    if dtype in FLOATS:
        return "Mean" if initial else "Delta"
    return "Largest" if initial else "Base"


def finite(values: Array, dtype: str) -> bool:
    """Whether all elements are numbers."""
    if dtype == "BF16":
        return bool(np.all((values & 0x7F80) != 0x7F80))
    return dtype not in FLOATS or bool(np.all(np.isfinite(values)))
