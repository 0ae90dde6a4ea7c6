"""Reduces many updates to one: pure arithmetic over slices in float64; knows no files, keys or participants.

A rule is for one tensor, or for neighbours of one dtype. `strategies` decides which rules a round has.

Participants come in a fixed order, because floating-point sums depend on it, and a few at a time, so memory does not
grow with their number. A rule adds the values of these few slice by slice: a slice's sum stays in the processor's
cache. Neither the size of a slice nor that of a block changes a bit of the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from wardround.aggregate import sorting, weighted
from wardround.tensors import DTYPES, FLOATS, HALF_PRECISION, Array, narrow_into, widen, widen_into

RuleName = Literal["Delta", "Mean", "Sum", "Pairs", "Equal", "Largest", "KeepBase"]
# The tensor of an evaluation whose elements are over pairs of people: pairs, pairs in order, and the variance term.
PAIRS = "pairs"
# Elements. Sum and product of a slice, both of float64, take 512 KiB: they stay in the caches of a processor, and the
# calls of numpy take less time than the work.
SLICE = 1 << 15
# Elements of all participants that are copied at once to be sorted, 1 MiB or 2 MiB. And the fewest of one participant:
# with fewer, the calls take longer than the work.
_COPIED, _LEAST_COPIED = 1 << 18, 1 << 9
_PAIR_POWERS = np.array([2.0, 2.0, 4.0])


class Differs(Exception):
    """Slices that must be equal at all participants differ."""


class Rule(ABC):
    """Reduces values of one dtype. Call `add` for blocks of participants, in their order, then `result` once. After
    `restart`, the rule reduces other values in the same memory: fresh memory costs more time than the sum."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype = dtype
        self.size = size

    @abstractmethod
    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        """Add the values of some participants, each in the file's dtype, of shape (size,). Keep none of the arrays.

        `shares`: for means, the participants' weights (the weights of all sum to 1). For sums, scales in (0, 1], below
        1 only for a participant that reported more rows or people than it may count for.
        """

    @abstractmethod
    def result(self, base: Array | None) -> Array:
        """Return the reduced values, in the file's dtype. The array may change after `restart`."""

    def moved(self, base: Array | None, before: Sequence[Array] | None) -> list[Array]:
        """Return the result, and then each moment of a server optimizer, if the rule has one (optimizers.py). `before`:
        the moments of the round before; None begins anew."""
        return [self.result(base)]

    @abstractmethod
    def restart(self) -> None:
        """Forget the values that were added."""


class WeightedSum(Rule):
    """The sum of share x value in float64. Each participant's product is rounded, and then the sum."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._add = weighted.adding()
        self._sum = np.zeros(size, np.float64)
        self._product = np.empty(min(size, SLICE), np.float64)
        self._reduced = np.empty(size, DTYPES[dtype])

    def restart(self) -> None:
        self._sum.fill(0.0)

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        # A sum that overflows is refused when it is complete.
        with np.errstate(over="ignore", invalid="ignore"):
            for values, share in zip(block, shares, strict=True):
                self._add(self._sum, values, self.dtype, share, self._product)

    def result(self, base: Array | None) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, self.size, SLICE):
                part = slice(start, start + SLICE)
                self._reduce(self._sum[part], part, None if base is None else base[part])
        return self._reduced

    def _reduce(self, total: Array, part: slice, base: Array | None) -> None:
        """Write one slice of the result. New arrays would cost more time: the kernel has to clear their pages."""
        narrow_into(total, self.dtype, self._reduced[part])


class Mean(WeightedSum):
    """Weighted mean, rounded once to the dtype: FedAvg (McMahan et al., AISTATS 2017)."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._first = np.empty(size, DTYPES[dtype])
        self._same = np.ones(size, np.bool_)
        self._begun = False

    def restart(self) -> None:
        super().restart()
        self._same.fill(True)
        self._begun = False

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        super().add(block, shares)
        self._compare(block)

    def _compare(self, block: Sequence[Array]) -> None:
        if not self._begun:
            self._first[:] = block[0]
            self._begun = True
        for values in block:
            self._same &= values == self._first

    def _reduce(self, total: Array, part: slice, base: Array | None) -> None:
        super()._reduce(total, part, base)
        # If all agree, take that value: shares sum to 1 only approximately, and must not change a frozen tensor.
        np.copyto(self._reduced[part], self._first[part], where=self._same[part])


class Delta(WeightedSum):
    """Base plus the weighted mean of differences. If the mean is 0, the base bit by bit (-0.0 plus 0.0 is 0.0)."""

    def _reduce(self, total: Array, part: slice, base: Array | None) -> None:
        assert base is not None
        moved = self._product[: total.size]
        widen_into(base, self.dtype, moved)
        np.add(moved, total, out=moved)
        narrow_into(moved, self.dtype, self._reduced[part])
        np.copyto(self._reduced[part], base, where=total == 0)


class TrimmedMean(Mean):
    """The mean without the `trimmed` lowest and highest values of each element, added in ascending order and divided
    once (Yin et al., ICML 2018). Each participant counts once. `trimmed` None: the coordinate median, which is the
    middle value, or the mean of the two middle ones. `add` takes all participants at once. It overwrites the arrays."""

    def __init__(self, dtype: str, size: int, *, trimmed: int | None) -> None:
        super().__init__(dtype, size)
        self._trimming = _Trimming(dtype, trimmed)

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        self._compare(block)
        self._trimming.write_mean(block, self._sum)


class TrimmedDelta(Delta):
    """Base plus the trimmed mean of differences. See TrimmedMean: `add` overwrites the arrays."""

    def __init__(self, dtype: str, size: int, *, trimmed: int | None) -> None:
        super().__init__(dtype, size)
        self._trimming = _Trimming(dtype, trimmed)

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        self._trimming.write_mean(block, self._sum)


class _Trimming:
    """Trimmed means of one slice after another, in the same memory."""

    def __init__(self, dtype: str, trimmed: int | None) -> None:
        self._dtype = dtype
        self._trimmed = trimmed
        self._spare = np.empty(0)

    def write_mean(self, block: Sequence[Array], into: Array) -> None:
        """Write the trimmed mean of each element into an array of float64. A zero has no sign. If the network of
        comparators can sort the values where they are, they are not copied."""
        half = self._dtype in HALF_PRECISION
        step = into.size
        if half or len(block) > sorting.MOST_ROWS:
            step = min(step, max(_LEAST_COPIED, _COPIED // len(block)))
        if self._spare.size != step:
            self._spare = np.empty(step, "<f8" if self._dtype == "F64" else "<f4")
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, into.size, max(1, step)):
                part = slice(start, start + step)
                rows = [_single(each[part], self._dtype) if half else each[part] for each in block]
                self._write(rows, self._spare[: into[part].size], into[part])

    def _write(self, rows: Sequence[Array], spare: Array, into: Array) -> None:
        cut = (len(rows) - 1) // 2 if self._trimmed is None else self._trimmed
        lowest, *others = sorting.between(rows, cut, spare)
        np.add(lowest, 0.0, out=into)
        for values in others:
            np.add(into, values, out=into)
        if others:
            np.divide(into, 1 + len(others), out=into)
            # Equal values are their own mean, though their sum may be rounded.
            if (same := lowest == others[-1]).any():
                np.add(lowest, 0.0, out=into, where=same)


def _single(values: Array, dtype: str) -> Array:
    """Return a copy of a file's floats of 16 bits as float32, which is exact."""
    return widen(values, dtype).astype("<f4")


class Sum(WeightedSum):
    """Scaled sum of floats, for statistics and counts. A scale of 1 is exact."""


class Pairs(Sum):
    """Scaled sum of the three elements of PAIRS. If a participant counts as a share of its people, pairs of them count
    as the square of that share. The third element is the square of pairs, times a variance."""

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        for values, share in zip(block, shares, strict=True):
            self._sum += scaled(PAIRS, widen(values, self.dtype), share)


class Equal(Rule):
    """The value that all participants have. `add` raises Differs: sums about different centres must not be added."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._value: Array | None = None

    def restart(self) -> None:
        self._value = None

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        if self._value is None:
            self._value = block[0].copy()
        if not all(np.array_equal(values, self._value) for values in block):
            raise Differs

    def result(self, base: Array | None) -> Array:
        assert self._value is not None
        return self._value


class Largest(Rule):
    """The largest value, for integers: a mean of counters is not a counter."""

    def __init__(self, dtype: str, size: int) -> None:
        super().__init__(dtype, size)
        self._value: Array | None = None

    def restart(self) -> None:
        self._value = None

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        if self._value is None:
            self._value = block[0].copy()
        for values in block:
            np.maximum(values, self._value, out=self._value)

    def result(self, base: Array | None) -> Array:
        assert self._value is not None
        return self._value


class KeepBase(Rule):
    """The base's value, for integers of a model. The updates' values are ignored."""

    def restart(self) -> None:
        return

    def add(self, block: Sequence[Array], shares: Sequence[float]) -> None:
        return

    def result(self, base: Array | None) -> Array:
        assert base is not None
        return base


Rules = Mapping[RuleName, Callable[[str, int], Rule]]

RULES: Rules = {
    "Delta": Delta,
    "Mean": Mean,
    "Sum": Sum,
    "Pairs": Pairs,
    "Equal": Equal,
    "Largest": Largest,
    "KeepBase": KeepBase,
}


def rule_for(task: str, initial: bool, name: str, dtype: str) -> RuleName:
    """Return the rule that reduces a tensor (docs/contracts.md, section 5)."""
    if task == "Evaluate":
        return "Pairs" if name == PAIRS else "Sum"
    if task == "Statistics":
        return "Equal" if name == "shift" else "Sum"
    if dtype in FLOATS:
        return "Mean" if initial else "Delta"
    return "Largest" if initial else "KeepBase"


def scaled(name: str, sums: Array, scale: float) -> Array:
    """Return the sums of one tensor of an evaluation as they count at this scale, in (0, 1]. A scale of 1 is exact."""
    return sums * (scale**_PAIR_POWERS if name == PAIRS else scale)


def finite(values: Array, dtype: str) -> bool:
    """Whether no element is NaN or infinite."""
    if dtype not in FLOATS:
        return True
    slices = (values[start : start + SLICE] for start in range(0, values.size, SLICE))
    if dtype == "BF16":
        return all(bool(np.all((each & 0x7F80) != 0x7F80)) for each in slices)
    return all(bool(np.all(np.isfinite(each))) for each in slices)
