"""Reads a compressed update as the file that was compressed: expands it once, and keeps it in scratch, sealed again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from wardround.aggregate.buffers import Buffers
from wardround.aggregate.resealed import Resealing
from wardround.aggregate.sealed_file import SealedFile
from wardround.compression import Expansion, Unpackable
from wardround.ports import Store
from wardround.sealing.body import SEGMENT, Body
from wardround.sealing.refused import Refused
from wardround.wire import digests


class ExpandedFile(SealedFile):
    """A sealed, compressed file in the store. All segments but those of `body` are of the expanded file.

    `sent`: digest of the compressed file, as far as it was read.
    """

    def __init__(
        self, store: Store, urls: Sequence[str], body: Body, resealing: Resealing, length: int, expansion: Expansion
    ) -> None:
        """`length`: bytes of the expanded file."""
        super().__init__(store, urls, body, None)
        self.sent = digests.Digest()
        self._expansion = expansion
        self._expanded = resealing.file(length)
        self._length = length
        self._written = 0

    async def read_through(
        self, take: Callable[[memoryview], None], buffers: Buffers, turns: asyncio.Semaphore
    ) -> None:
        """See SealedFile.read_through. `take` gets the segments of the expanded file. Raises
        Refused("CompressionInvalid") for bytes that no compression writes."""
        with buffers.lent(1) as (segment,):
            await super().read_through(partial(self._expand, take, segment), buffers, turns)
        if not self._expansion.complete:
            raise Refused("CompressionInvalid")
        self._resealed = self._expanded

    def _expand(self, take: Callable[[memoryview], None], segment: memoryview, sent: memoryview) -> None:
        """Fill `segment` again and again, and pass it on."""
        self.sent.update(sent)
        try:
            for expanded in self._expansion.feed(sent):
                rest = expanded
                while rest:
                    filled = self._written % SEGMENT
                    count = min(len(rest), SEGMENT - filled)
                    segment[filled : filled + count] = rest[:count]
                    rest, self._written = rest[count:], self._written + count
                    if filled + count == SEGMENT or self._written == self._length:
                        whole = segment[: filled + count]
                        self._expanded.write(self._written - len(whole), whole)
                        take(whole)
        except Unpackable:
            raise Refused("CompressionInvalid") from None
