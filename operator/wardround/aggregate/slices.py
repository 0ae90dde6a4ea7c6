"""Cuts a canonical tensor file into the runs of each segment and reduces one segment; pure, no keys and no store."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wardround.aggregate.strategies import RULES, Rule, RuleName, finite
from wardround.tensors import DTYPES, Array, Layout


class NotFinite(Exception):
    """A float is infinite or no number."""


@dataclass(frozen=True)
class Run:
    """Neighbouring bytes of one dtype that are reduced alike, from `start` to `stop` in the file."""

    start: int
    stop: int
    dtype: str
    rule: RuleName


def runs(layout: Layout, rule_of: Callable[[str, str], RuleName]) -> list[Run]:
    """Return the runs of a file: neighbouring tensors are joined, as arithmetic does not care for names."""
    found: list[Run] = []
    for tensor, start, stop in layout.places:
        run = Run(start, stop, tensor.dtype, rule_of(tensor.name, tensor.dtype))
        if found and (found[-1].dtype, found[-1].rule) == (run.dtype, run.rule):
            found[-1] = replace(found[-1], stop=stop)
        elif start < stop:
            found.append(run)
    return found


def within(all_runs: Sequence[Run], start: int, stop: int) -> Iterator[Run]:
    """Yield the pieces of runs that lie between two offsets, with offsets counted from `start`.

    In a canonical file no element straddles the cut when `start` is a multiple of 8.
    """
    first = bisect_right(all_runs, start, key=lambda run: run.stop)
    for run in all_runs[first:]:
        if run.start >= stop:
            return
        yield replace(run, start=max(run.start, start) - start, stop=min(run.stop, stop) - start)


def values(data: bytes, run: Run) -> Array:
    """Return the elements of a run of a segment, without a copy."""
    item = np.dtype(DTYPES[run.dtype])
    return np.frombuffer(data, item, count=(run.stop - run.start) // item.itemsize, offset=run.start)


def check_finite(data: bytes, pieces: Sequence[Run]) -> None:
    """Raise NotFinite where a float of the segment is infinite or no number."""
    if not all(finite(values(data, run), run.dtype) for run in pieces):
        raise NotFinite


class SegmentReduction:
    """One segment of the result: `add` once a participant in order, then `result`."""

    def __init__(self, pieces: Sequence[Run]) -> None:
        self._rules: list[tuple[Run, Rule]] = [
            (run, RULES[run.rule](run.dtype, (run.stop - run.start) // np.dtype(DTYPES[run.dtype]).itemsize))
            for run in pieces
        ]

    def add(self, data: bytes, share: float) -> None:
        """Take a participant's opened segment. Raises strategies.Differs."""
        for run, rule in self._rules:
            rule.add(values(data, run), share)

    def result(self, head: bytes, base: bytes | None) -> bytes:
        """Return the reduced segment behind `head`, the part of the file's header that lies in it.

        Raises NotFinite where finite updates add up to something that the dtype cannot hold.
        """
        pieces = [head]
        for run, rule in self._rules:
            reduced = rule.result(None if base is None else values(base, run))
            if not finite(reduced, run.dtype):
                raise NotFinite
            pieces.append(reduced.astype(DTYPES[run.dtype], copy=False).tobytes())
        return b"".join(pieces)
