"""Reduces opened updates to a result, segment by segment, in two threads; knows no store, no keys and no upload.

One step opens a participant's segment and adds it, so memory grows neither with the participants nor with the model
(memory.py). Participants are added in their order whatever the blocks and threads are, so the result is the same to the
last bit. Rules that need all participants at once, and distances, open small slices of all of them instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from wardround.aggregate import memory
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.distances import Measuring
from wardround.aggregate.rules import RULES, Rules
from wardround.aggregate.sealed_file import SealedFile
from wardround.aggregate.slices import Run, SegmentReduction, within
from wardround.parallel import run_all
from wardround.sealing.body import SEGMENT, segment_count, segment_span
from wardround.tensors import Array, Layout
from wardround.threads import beside

T = TypeVar("T")


@dataclass(frozen=True)
class WeightedFile:
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
    `moments`: those of the optimizer in `rules`, if there is one. `fetched`: how many updates each thread fetches at
    once if scratch does not have them; by default, as many as memory.py allows."""

    def __init__(
        self,
        updates: Sequence[WeightedFile],
        base: SealedFile | None,
        layout: Layout,
        all_runs: Sequence[Run],
        buffers: Buffers,
        *,
        rules: Rules = RULES,
        moments: Moments = NO_MOMENTS,
        threads: int = memory.THREADS,
        fetched: int | None = None,
    ) -> None:
        self._others = [*([base] if base is not None else []), *moments.before]
        others = len(self._others)
        if all(each.file.kept for each in updates):
            block, self._rooms = len(updates), memory.rooms(0, others)
        else:
            block = memory.fetched_at_once(others) if fetched is None else fetched
            self._rooms = memory.rooms(block, others)
        self._blocks = [updates[start : start + block] for start in range(0, len(updates), block)]
        self._base = base
        self._layout = layout
        self._runs = all_runs
        self._moments = moments
        self._threads = threads
        self._buffers = buffers
        self._idle = _Idle(rules)

    async def segments(self) -> AsyncGenerator[list[memoryview], None]:
        """Yield the result's segments in order, each with the segment of each moment. The next step overwrites them.
        Raises Refused("Altered"), StoreError, rules.Differs and slices.NotFinite."""
        jobs = (self._job(index) for index in range(segment_count(self._layout.length)))
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for segment in results:
                yield [each.content for each in segment]
                self._buffers.give_back([each.buffer for each in segment])

    def _job(self, index: int) -> Callable[[], Awaitable[list[_Made]]]:
        return lambda: self._segment(index)

    async def _segment(self, index: int) -> list[_Made]:
        start, size = segment_span(index, self._layout.length)
        reduction = self._idle.reduction_for(list(within(self._runs, start, start + size)))
        others = self._others
        made = [_Made(each, size) for each in self._buffers.lend(1 + self._moments.count)]
        with self._buffers.lent(self._rooms + memory.opened(len(others))) as lent:
            rooms, plain = lent[: self._rooms], [each[:size] for each in lent[self._rooms :]]
            for block in self._blocks:
                await _fetch([each.file for each in block], index, rooms)
                await beside(_add, reduction, block, index, plain[0], rooms)
            await _fetch(others, index, rooms)
            await beside(self._finish, reduction, index, plain, rooms, [each.content for each in made])
        self._idle.add(reduction)
        return made

    def _finish(
        self,
        reduction: SegmentReduction,
        index: int,
        plain: Sequence[memoryview],
        rooms: Sequence[memoryview],
        into: Sequence[memoryview],
    ) -> None:
        """Open the other files, and write the result."""
        for file, opened, room in zip(self._others, plain, rooms, strict=False):
            file.open_fetched(index, opened, room)
        start, size = segment_span(index, self._layout.length)
        base = plain[0] if self._base else None
        reduction.result(self._layout.header[start : start + size], base, into, plain[1 : len(self._others)])


class SliceReduction:
    """Reduces updates that were sealed again in scratch, slice by slice, with all participants at once.

    `slice_size`: see sealing.slices.slice_bytes. It changes no bit of a median or a trimmed mean. Distances are sums
    over slices, so it changes their last bits.
    """

    def __init__(
        self,
        updates: Sequence[WeightedFile],
        base: SealedFile | None,
        layout: Layout,
        all_runs: Sequence[Run],
        buffers: Buffers,
        slice_size: int,
        *,
        rules: Rules = RULES,
        threads: int = memory.THREADS,
    ) -> None:
        self._updates = updates
        self._base = base
        self._layout = layout
        self._runs = all_runs
        self._buffers = buffers
        self._slice = slice_size
        self._threads = threads
        self._idle = _Idle(rules)
        # At most one for each thread.
        self._idle_measuring: list[Measuring] = []

    async def segments(self) -> AsyncGenerator[list[memoryview], None]:
        """Yield the result's segments in order, each in a list of its own. See Reduction.segments."""
        jobs = (self._job(self._segment, index) for index in range(segment_count(self._layout.length)))
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for segment in results:
                yield [segment.content]
                self._buffers.give_back([segment.buffer])

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
        await self._wait_for(index)
        with self._buffers.lent(1 + self._needed()) as (room, *plain):
            return await beside(self._measured, index, plain, room)

    async def _wait_for(self, index: int) -> None:
        """Wait until scratch has a segment of all updates."""
        for each in self._updates:
            await each.file.arrived(index)

    def _measured(self, index: int, plain: Sequence[memoryview], room: memoryview) -> Array:
        count = len(self._updates)
        total = np.zeros((count, count))
        try:
            measuring = self._idle_measuring.pop()
        except IndexError:
            measuring = Measuring(count)
        for start, stop, block in self._opened(index, plain, room):
            total += measuring.squared_distances(block, list(within(self._runs, start, stop)))
        self._idle_measuring.append(measuring)
        return total

    async def _segment(self, index: int) -> _Made:
        _, size = segment_span(index, self._layout.length)
        await self._wait_for(index)
        [buffer] = self._buffers.lend(1)
        made = _Made(buffer, size)
        with self._buffers.lent(1 + self._needed()) as (room, *plain):
            if self._base is not None:
                await self._base.fetch(index, room)
            await beside(self._reduce, index, plain, room, made.content)
        return made

    def _reduce(self, index: int, plain: Sequence[memoryview], room: memoryview, into: memoryview) -> None:
        """Write the result over the base, slice by slice."""
        first, _ = segment_span(index, self._layout.length)
        if self._base is not None:
            self._base.open_fetched(index, into, room)
        shares = [each.share for each in self._updates]
        for start, stop, block in self._opened(index, plain, room):
            reduction = self._idle.reduction_for(list(within(self._runs, start, stop)))
            reduction.add(block, shares)
            place = slice(start - first, stop - first)
            base = into[place] if self._base is not None else None
            reduction.result(self._layout.header[start:stop], base, [into[place]])
            self._idle.add(reduction)

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


class _Idle:
    """Reductions that have ended. Nearly all segments of a model have equal pieces, and so do slices, so these
    reductions can begin again. Threads may share it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        # At most one for each thread.
        self._ended: list[SegmentReduction] = []

    def reduction_for(self, pieces: list[Run]) -> SegmentReduction:
        """Return a reduction that has nothing yet."""
        with suppress(IndexError):  # another thread may take the last one
            while True:
                reduction = self._ended.pop()
                if reduction.pieces == pieces:
                    reduction.restart()
                    return reduction
        return SegmentReduction(pieces, self._rules)

    def add(self, reduction: SegmentReduction) -> None:
        """Keep a reduction whose result has been copied."""
        self._ended.append(reduction)


@dataclass(frozen=True)
class _Made:
    """A buffer with `size` bytes of a result."""

    buffer: memoryview
    size: int

    @property
    def content(self) -> memoryview:
        """The bytes of the result."""
        return self.buffer[: self.size]


async def _fetch(files: Sequence[SealedFile], index: int, rooms: Sequence[memoryview]) -> None:
    """Wait until scratch has a segment of the files that it keeps, and fetch it of the other files, at once. After an
    error, no fetch uses a room."""
    for file in files:
        if file.kept:
            await file.arrived(index)
    missing = [(file, room) for file, room in zip(files, rooms, strict=False) if not file.kept]
    if missing:
        await run_all([partial(file.fetch, index, room) for file, room in missing], len(missing))


def _add(
    reduction: SegmentReduction,
    block: Sequence[WeightedFile],
    index: int,
    into: memoryview,
    rooms: Sequence[memoryview],
) -> None:
    """Open a segment of each update and add it. A plaintext that is added at once is still in the processor's cache.
    An update that scratch has can be opened with any room."""
    for number, each in enumerate(block):
        each.file.open_fetched(index, into, rooms[number % len(rooms)])
        reduction.add([into], [each.share])


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
