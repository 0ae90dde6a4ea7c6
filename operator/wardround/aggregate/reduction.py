"""Reduces opened updates to a result, segment by segment, in two threads; knows no store, no keys and no upload.

One step opens a block of participants' segments and adds them, so memory grows neither with the participants nor with
the model. Participants are added in their order whatever the blocks and threads are, so the result is the same to the
last bit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from wardround.aggregate.buffers import Buffers
from wardround.aggregate.slices import Run, SegmentReduction, within
from wardround.aggregate.updates import SealedFile
from wardround.sealing.body import segment_count, segment_span
from wardround.tensors import Layout
from wardround.threads import beside

T = TypeVar("T")

THREADS = 2
# Participants whose segments are open at once in each thread.
BLOCK = 4


@dataclass(frozen=True)
class Weighted:
    """An update and its share (see `strategies.Rule.add`)."""

    file: SealedFile
    share: float


class Reduction:
    """Reduces updates of one layout. `base`: the model to which their mean difference is added, if there is one."""

    def __init__(
        self,
        updates: Sequence[Weighted],
        base: SealedFile | None,
        layout: Layout,
        all_runs: Sequence[Run],
        buffers: Buffers,
        *,
        threads: int = THREADS,
        block: int = BLOCK,
    ) -> None:
        self._blocks = [updates[start : start + block] for start in range(0, len(updates), block)]
        self._base = base
        self._layout = layout
        self._runs = all_runs
        self._threads = threads
        self._buffers = buffers

    async def segments(self) -> AsyncGenerator[bytes, None]:
        """Yield the result's segments in order. Raises Refused("Altered"), StoreError, strategies.Differs and
        slices.NotFinite."""
        jobs = (self._job(index) for index in range(segment_count(self._layout.length)))
        async with aclosing(ordered(jobs, self._threads)) as results:
            async for segment in results:
                yield segment

    def _job(self, index: int) -> Callable[[], Awaitable[bytes]]:
        return lambda: self._segment(index)

    async def _segment(self, index: int) -> bytes:
        start, size = segment_span(index, self._layout.length)
        reduction = SegmentReduction(list(within(self._runs, start, start + size)))
        with self._buffers.lent(1 + max(map(len, self._blocks))) as (sealed, *plain):
            opened = [each[:size] for each in plain]
            for block in self._blocks:
                files = [each.file for each in block]
                fetched = await asyncio.gather(*(file.fetch(index) for file in files))
                await beside(_open, files, index, fetched, opened, sealed)
                await beside(reduction.add, opened[: len(block)], [each.share for each in block])
            if self._base is not None:
                await beside(_open, [self._base], index, [await self._base.fetch(index)], opened, sealed)
            head, base = self._layout.header[start : start + size], opened[0] if self._base else None
            return await beside(reduction.result, head, base)


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
