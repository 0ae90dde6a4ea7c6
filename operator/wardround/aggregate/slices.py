"""Cuts a canonical tensor file into runs, and reduces one segment; pure, knows no keys and no store.

The moments of a server optimizer are files with the layout of the model. So a number of the model and its moments lie
at one offset.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wardround.aggregate.rules import RULES, SLICE, Rule, RuleName, Rules, finite
from wardround.tensors import DTYPES, FLOATS, Array, Layout, widen_into


class NotFinite(Exception):
    """A float of a result is infinite or NaN."""


@dataclass(frozen=True)
class Run:
    """Bytes of one dtype, from `start` to `stop`, that one rule reduces."""

    start: int
    stop: int
    dtype: str
    rule: RuleName


def runs(layout: Layout, rule_for: Callable[[str, str], RuleName]) -> list[Run]:
    """Return the runs of a file. Neighbouring tensors of one dtype and rule are one run."""
    joined: list[Run] = []
    for tensor, start, stop in layout.places:
        run = Run(start, stop, tensor.dtype, rule_for(tensor.name, tensor.dtype))
        if joined and (joined[-1].dtype, joined[-1].rule) == (run.dtype, run.rule):
            joined[-1] = replace(joined[-1], stop=stop)
        elif start < stop:
            joined.append(run)
    return joined


def within(all_runs: Sequence[Run], start: int, stop: int) -> Iterator[Run]:
    """Yield the parts of runs between two offsets. Their own offsets count from `start`.

    `start` must be a multiple of 8: then the cut splits no element of a canonical file.
    """
    first = bisect_right(all_runs, start, key=lambda run: run.stop)
    for run in all_runs[first:]:
        if run.start >= stop:
            return
        yield replace(run, start=max(run.start, start) - start, stop=min(run.stop, stop) - start)


def values(data: bytes | memoryview, run: Run) -> Array:
    """Return the elements of a segment's run, of shape (elements,), without a copy."""
    item = np.dtype(DTYPES[run.dtype])
    return np.frombuffer(data, item, count=(run.stop - run.start) // item.itemsize, offset=run.start)


def all_finite(data: bytes | memoryview, pieces: Sequence[Run]) -> bool:
    """Whether no float of the segment is infinite or NaN."""
    return all(finite(values(data, run), run.dtype) for run in pieces)


def squares(data: bytes | memoryview, pieces: Sequence[Run]) -> float:
    """Return the sum of squares of the segment's floats, infinite if it overflows."""
    total = 0.0
    wide = np.empty(SLICE, np.float64)
    with np.errstate(over="ignore"):
        for run in pieces:
            if run.dtype not in FLOATS:
                continue
            every = values(data, run)
            for start in range(0, every.size, SLICE):
                narrow = every[start : start + SLICE]
                widen_into(narrow, run.dtype, wide[: narrow.size])
                total += float(np.dot(wide[: narrow.size], wide[: narrow.size]))
    return total


class SegmentReduction:
    """Reduces one segment or a slice of one. Call `add` for blocks of participants, in their order, then `result`.
    After `restart`, it reduces another one with the same `pieces`, in the same memory."""

    def __init__(self, pieces: Sequence[Run], rules: Rules = RULES) -> None:
        self.pieces = pieces
        self._rules: list[tuple[Run, Rule]] = [
            (run, rules[run.rule](run.dtype, (run.stop - run.start) // np.dtype(DTYPES[run.dtype]).itemsize))
            for run in pieces
        ]

    def restart(self) -> None:
        """Forget the segment that was reduced."""
        for _, rule in self._rules:
            rule.restart()

    def add(self, block: Sequence[bytes | memoryview], shares: Sequence[float]) -> None:
        """Add the opened segments of some participants. The buffers may change afterwards. Raises
        rules.Differs."""
        for run, rule in self._rules:
            rule.add([values(data, run) for data in block], shares)

    def result(
        self,
        head: bytes,
        base: bytes | memoryview | None,
        into: Sequence[memoryview],
        before: Sequence[bytes | memoryview] = (),
    ) -> None:
        """Fill the first buffer with the reduced segment, and each other one with the segment of a moment of a server
        optimizer. `head`: the part of the file's header in this segment, which comes first in all of them. `before`:
        the moments of the round before; empty if the optimizer begins anew. Tensors that the optimizer does not touch
        have moments of zero bytes.

        Raises NotFinite if a number of the model or of a moment overflows the dtype.
        """
        for each in into:
            each[: len(head)] = head
        for run, rule in self._rules:
            old = None if base is None else values(base, run)
            made = rule.moved(old, [values(each, run) for each in before] if before else None)
            for place, each in enumerate(into):
                room = values(each, run)
                np.copyto(room, made[place] if place < len(made) else 0, casting="same_kind")
                if not finite(room, run.dtype):
                    raise NotFinite
