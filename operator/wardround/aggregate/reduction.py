"""Reduces opened updates to a result, segment by segment, in two threads; knows no store, no keys and no upload.

One step opens a block of participants' segments and adds them, so memory grows neither with the participants nor with
the model. Participants are added in their order whatever the blocks and threads are, so the result is the same to the
last bit. Rules that need all participants at once, and distances, open small slices of all of them instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from wardround.aggregate.buffers import Buffers
from wardround.aggregate.distances import squared_distances
from wardround.aggregate.rules import RULES, Rules
from wardround.aggregate.sealed_file import SealedFile
from wardround.aggregate.slices import Run, SegmentReduction, within
from wardround.sealing.body import SEGMENT, segment_count, segment_span
from wardround.tensors import Array, Layout
from wardround.threads import beside

T = TypeVar("T")

THREADS = 2
# Participants whose segments are open at once in each thread.
BLOCK = 4


@dataclass(frozen=True)
class Weighted:
    """An update and its share (see `rules.Rule.add`)."""

    file: SealedFile
    share: float


@dataclass(frozen=True)
class Moments:
    """The moments of a server optimizer: how many there are, and the files `before` this round; none to begin anew."""

    count: int = 0
    before: Sequence[SealedFile] = ()


NO_MOMENTS = Moments()


class Reduction:
    """Reduces updates of one layout. `base`: the model to which their mean difference is added, if there is one.
    `moments`: those of the optimizer in `rules`, if there is one."""

    def __init__(
        self,
        updates: Sequence[Weighted],
        base: SealedFile | None,
        layout: Layout,
        all_runs: Sequence[Run],
        buffers: Buffers,
        *,
        rules: Rules = RULES,
        moments: Moments = NO_MOMENTS,
        threads: int = THREADS,
        block: int = BLOCK,
    ) -> None:
        self._blocks = [updates[start : start + block] for start in range(0, len(updates), block)]
        self._base = base
        self._layout = layout
        self._runs = all_runs
        self._rules = rules
        self._moments = moments
        self._threads = threads
        self._buffers = buffers

    async def segments(self) -> AsyncGenerator[list[bytes], None]:
        """Yield the result's segments in order, each with the segment of each moment. Raises Refused("Altered"),
        StoreError, rules.Differs and slices.NotFinite."""
        jobs = (self._job(index) for index in range(segment_count(self._layout.length)))
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for segment in results:
                yield segment

    def _job(self, index: int) -> Callable[[], Awaitable[list[bytes]]]:
        return lambda: self._segment(index)

    async def _segment(self, index: int) -> list[bytes]:
        start, size = segment_span(index, self._layout.length)
        reduction = SegmentReduction(list(within(self._runs, start, start + size)), self._rules)
        last = [*([self._base] if self._base is not None else []), *self._moments.before]
        with self._buffers.lent(1 + max(len(last), *map(len, self._blocks))) as (sealed, *plain):
            opened = [each[:size] for each in plain]
            for block in self._blocks:
                files = [each.file for each in block]
                fetched = await asyncio.gather(*(file.fetch(index) for file in files))
                await beside(_open, files, index, fetched, opened, sealed)
                await beside(reduction.add, opened[: len(block)], [each.share for each in block])
            fetched = await asyncio.gather(*(file.fetch(index) for file in last))
            await beside(_open, last, index, fetched, opened, sealed)
            head, base = self._layout.header[start : start + size], opened[0] if self._base else None
            return await beside(reduction.results, head, base, opened[1 : len(last)], self._moments.count)


class SliceReduction:
    """Reduces updates that were sealed again in scratch, slice by slice, with all participants at once.

    `slice_size`: see sealing.slices.slice_bytes. It changes no bit of a result.
    """

    def __init__(
        self,
        updates: Sequence[Weighted],
        base: SealedFile | None,
        layout: Layout,
        all_runs: Sequence[Run],
        buffers: Buffers,
        slice_size: int,
        *,
        rules: Rules = RULES,
        threads: int = THREADS,
    ) -> None:
        self._updates = updates
        self._base = base
        self._layout = layout
        self._runs = all_runs
        self._rules = rules
        self._buffers = buffers
        self._slice = slice_size
        self._threads = threads

    async def segments(self) -> AsyncGenerator[list[bytes], None]:
        """Yield the result's segments in order, each in a list of its own. See Reduction.segments."""
        jobs = (self._job(self._segment, index) for index in range(segment_count(self._layout.length)))
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for segment in results:
                yield [segment]

    async def distances(self) -> Array:
        """Return the squared distances between all updates. Raises Refused("Altered")."""
        count = len(self._updates)
        total = np.zeros((count, count))
        jobs = (self._job(self._apart, index) for index in range(segment_count(self._layout.length)))
        # Sums of floats depend on their order, so segments are added in theirs.
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for squared in results:
                total += squared
        return total

    def _job(self, work: Callable[[int], Awaitable[T]], index: int) -> Callable[[], Awaitable[T]]:
        return lambda: work(index)

    async def _apart(self, index: int) -> Array:
        with self._buffers.lent(1 + self._needed()) as (room, *plain):
            return await beside(self._measured, index, plain, room)

    def _measured(self, index: int, plain: Sequence[memoryview], room: memoryview) -> Array:
        total = np.zeros((len(self._updates), len(self._updates)))
        for start, stop, block in self._opened(index, plain, room):
            total += squared_distances(block, list(within(self._runs, start, stop)))
        return total

    async def _segment(self, index: int) -> bytes:
        base = await self._base.fetch(index) if self._base is not None else None
        with self._buffers.lent(2 + self._needed()) as (room, old, *plain):
            return await beside(self._reduced, index, base, old, plain, room)

    def _reduced(
        self, index: int, fetched: bytes | None, old: memoryview, plain: Sequence[memoryview], room: memoryview
    ) -> bytes:
        first, size = segment_span(index, self._layout.length)
        if self._base is not None:
            self._base.open_fetched(index, fetched, old[:size], room)
        shares = [each.share for each in self._updates]
        pieces = []
        for start, stop, block in self._opened(index, plain, room):
            reduction = SegmentReduction(list(within(self._runs, start, stop)), self._rules)
            reduction.add(block, shares)
            base = old[start - first : stop - first] if self._base is not None else None
            pieces.append(reduction.result(self._layout.header[start:stop], base))
        return b"".join(pieces)

    def _opened(
        self, index: int, plain: Sequence[memoryview], room: memoryview
    ) -> Iterator[tuple[int, int, list[memoryview]]]:
        """Yield (start, stop, the slice of each participant) for the slices of a segment. The next step overwrites
        them."""
        first, size = segment_span(index, self._layout.length)
        cut = [buffer[start : start + self._slice] for buffer in plain for start in range(0, SEGMENT, self._slice)]
        for start in range(first, first + size, self._slice):
            stop = min(start + self._slice, first + size)
            block = [each[: stop - start] for each in cut[: len(self._updates)]]
            for update, into in zip(self._updates, block, strict=True):
                update.file.open_slice(start, into, room)
            yield start, stop, block

    def _needed(self) -> int:
        """Buffers for the slices of all participants."""
        return -(-len(self._updates) * self._slice // SEGMENT)


def _open(
    files: Sequence[SealedFile],
    index: int,
    fetched: Sequence[bytes | None],
    opened: Sequence[memoryview],
    sealed: memoryview,
) -> None:
    for file, ciphertext, into in zip(files, fetched, opened, strict=False):
        file.open_fetched(index, ciphertext, into, sealed)


async def ordered(jobs: Iterable[Callable[[], Awaitable[T]]], window: int) -> AsyncGenerator[T, None]:
    """Yield the results of `jobs` in order, with at most `window` of them started and not yet taken."""
    running: deque[asyncio.Future[T]] = deque()
    try:
        for job in jobs:
            running.append(asyncio.ensure_future(job()))
            if len(running) == window:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)
