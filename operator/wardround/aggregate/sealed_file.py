"""Reads one sealed file from the store segment by segment, and then again; decides nothing about its content."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wardround.aggregate.buffers import Buffers
from wardround.aggregate.memory import ARRIVING, STRETCH
from wardround.aggregate.resealed import Resealed, Resealing
from wardround.aggregate.scratch import Region, Scratch
from wardround.ports import Store
from wardround.sealing.body import (
    SEALED_SEGMENT,
    SEGMENT,
    TAG,
    Body,
    ciphertext_length,
    sealed_place,
    segment_span,
)
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.refused import Refused
from wardround.threads import beside


@dataclass(frozen=True)
class HashesOnly:
    """Scratch that has no room for ciphertext: it keeps the hash of each segment, and the store is read twice."""

    scratch: Scratch


# What scratch keeps of a file: its ciphertext, its plaintext sealed again, or hashes.
Keeping = Scratch | Resealing | HashesOnly


class SealedFile:
    """A sealed file in the store. It is read through once, and then its segments again, in any order.

    `keeping` says where the second reading finds them. A site that holds a file's key can seal two different segments
    for one place, and with the store's help swap them between two readings of the store. So the second reading compares
    the hash of each ciphertext segment with that of the first.
    """

    def __init__(
        self, store: Store, urls: Sequence[str], body: Body, keeping: Keeping | None, hashes: bytes | None = None
    ) -> None:
        """`hashes`: SHA-256 of each ciphertext segment, if known before the first read. `keeping`: None for a file with
        known hashes that is read once."""
        self.body = body
        self._store = store
        self._urls = _Urls(urls)
        self._known = hashes
        self._region: Region | None = None
        self._resealed: Resealed | None = None
        self._hashes: Region | None = None
        if isinstance(keeping, Resealing):
            self._resealed = keeping.file(body.length)
        elif isinstance(keeping, Scratch):
            self._region = keeping.region(ciphertext_length(body.length))
        elif keeping is not None and hashes is None:
            self._hashes = keeping.scratch.region(HASH_BYTES * body.segments)
        self._arrivals: _Arrivals | None = None
        self._read = False

    async def read_through(
        self, take: Callable[[memoryview], None], buffers: Buffers, turns: asyncio.Semaphore
    ) -> None:
        """Fetch all segments in order, and pass each opened one to `take`, in a thread. `take` must not keep it. Each
        stretch of segments waits for its turn, so files that arrive at once advance side by side.

        Meanwhile, `arrived` waits for segments. After an error, it waits for ever: whoever waits has to be cancelled.
        Raises Refused("Altered"), StoreError, and whatever `take` raises.
        """
        self._arrivals = _Arrivals()
        for first in range(0, self.body.segments, STRETCH):
            async with turns:
                with buffers.lent(ARRIVING) as lent:
                    part, offset, length = self._stretch(first)
                    arriving = _Arriving(self, take, lent, self._arrivals, first)
                    await self._store.get(self._urls[part], length, arriving.feed, offset=offset)
        self._read = True
        self._arrivals.complete()
        if self.kept:
            self._urls = _Urls(())

    def _stretch(self, first: int) -> tuple[int, int, int]:
        """Return the part, the offset in it and the length of the ciphertext of a stretch."""
        last = min(first + STRETCH, self.body.segments) - 1
        part, offset, _ = sealed_place(first, self.body.length)
        _, start, size = sealed_place(last, self.body.length)
        return part, offset, start + size - offset

    @property
    def kept(self) -> bool:
        """Whether scratch has the segments, or gets them now. See `arrived`."""
        return self._arrivals is not None and (self._region is not None or self._resealed is not None)

    async def arrived(self, index: int) -> None:
        """Wait until scratch has a segment of a file that it keeps."""
        assert self.kept
        assert self._arrivals is not None
        await self._arrivals.reach(index)

    async def segment(self, index: int) -> bytes:
        """Return the plaintext of one segment. Raises Refused("Altered") and StoreError."""
        _, size = segment_span(index, self.body.length)
        into, room = bytearray(size), memoryview(bytearray(size + TAG))
        await self.fetch(index, room)
        await beside(self.open_fetched, index, memoryview(into), room)
        return bytes(into)

    async def fetch(self, index: int, room: memoryview) -> None:
        """Fetch the ciphertext of a segment from the store into a buffer, or wait until scratch has it. Raises
        StoreError."""
        if self.kept:
            await self.arrived(index)
            return
        part, offset, size = sealed_place(index, self.body.length)
        place = 0

        async def take(chunk: bytes) -> None:
            nonlocal place
            room[place : place + len(chunk)] = chunk
            place += len(chunk)

        await self._store.get(self._urls[part], size, take, offset=offset)

    def open_fetched(self, index: int, into: memoryview, room: memoryview) -> None:
        """Open a segment into a buffer of its length. `room`: the buffer that was given to `fetch`. Raises
        Refused("Altered")."""
        if self.kept and self._resealed is not None:
            self._resealed.open_into(index * SEGMENT, into, room)
            return
        sealed = room[: len(into) + TAG]
        if not self.kept:
            self._open_compared(index, sealed, into)
            return
        assert self._region is not None
        self._region.read(index * SEALED_SEGMENT, sealed)
        self.body.open_into(index, sealed, into)

    def open_slice(self, start: int, into: memoryview, room: memoryview) -> None:
        """Open bytes of a file that was sealed again in scratch. `start`: a multiple of the slice size. `room`: a
        buffer for a sealed slice. Raises Refused("Altered")."""
        assert self.kept
        assert self._resealed is not None
        self._resealed.open_into(start, into, room)

    def open_arrived(self, index: int, sealed: memoryview, into: memoryview) -> None:
        """Open a segment that came from the store for the first time, and keep it. Raises Refused("Altered")."""
        self._open_compared(index, sealed, into)
        if self._region is not None:
            self._region.write(index * SEALED_SEGMENT, sealed)
        if self._resealed is not None:
            self._resealed.write(index * SEGMENT, into)
        if self._hashes is not None:
            self._hashes.write(index * HASH_BYTES, hashlib.sha256(sealed).digest())

    def _open_compared(self, index: int, sealed: memoryview, into: memoryview) -> None:
        expected = self._expected(index)
        if expected is not None and not hmac.compare_digest(expected, hashlib.sha256(sealed).digest()):
            raise Refused("Altered")
        self.body.open_into(index, sealed, into)

    def _expected(self, index: int) -> bytes | None:
        """The hash that a segment from the store must have; None if none is known."""
        if self._known is not None:
            return self._known[HASH_BYTES * index : HASH_BYTES * (index + 1)]
        if self._hashes is None or not self._read:
            return None
        expected = bytearray(HASH_BYTES)
        self._hashes.read(index * HASH_BYTES, memoryview(expected))
        return bytes(expected)


class _Urls:
    """The URLs of a file's parts, compressed: presigned URLs are long, and those of all updates may be in memory at
    once. Segments are read in their order, so one URL is kept as it is."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._packed = zlib.compress("\n".join(urls).encode())
        self._part = -1
        self._url = ""

    def __getitem__(self, part: int) -> str:
        if part != self._part:
            self._part, self._url = part, zlib.decompress(self._packed).decode().split("\n")[part]
        return self._url


class _Arrivals:
    """How many segments of a file scratch has. Only the event loop's thread may use it."""

    def __init__(self) -> None:
        self._count = 0.0
        self._changed = asyncio.Event()

    def add(self) -> None:
        """One more segment has arrived."""
        self._set(self._count + 1)

    def complete(self) -> None:
        """All segments have arrived."""
        self._set(math.inf)

    async def reach(self, index: int) -> None:
        """Wait for a segment."""
        while self._count <= index:
            await self._changed.wait()

    def _set(self, count: float) -> None:
        self._count = count
        self._changed.set()
        self._changed = asyncio.Event()


class _Arriving:
    """Cuts arriving ciphertext into segments. While a thread opens a segment, the next bytes wait in the connection:
    other updates arrive meanwhile."""

    def __init__(
        self,
        file: SealedFile,
        take: Callable[[memoryview], None],
        buffers: Sequence[memoryview],
        arrivals: _Arrivals,
        first: int,
    ) -> None:
        """`first`: the segment that comes first."""
        self._file = file
        self._take = take
        self._arrivals = arrivals
        self._sealed, self._plain = buffers
        self._filled = 0
        self._index = first

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises Refused("Altered") and what `take` raises. Also after an error, no thread uses
        the buffers."""
        rest = memoryview(chunk)
        while rest:
            _, size = segment_span(self._index, self._file.body.length)
            count = min(len(rest), size + TAG - self._filled)
            self._sealed[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            rest = rest[count:]
            if self._filled == size + TAG:
                await beside(self._open, size)
                self._arrivals.add()
                self._filled = 0
                self._index += 1

    def _open(self, size: int) -> None:
        self._file.open_arrived(self._index, self._sealed[: size + TAG], self._plain[:size])
        self._take(self._plain[:size])
