"""Reads a pushed file from the store, and says what is in it. Streams: the hub operator has no place for a model.

Imports numpy, so only a push that somebody has uploaded costs its memory.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from wardround import tensors
from wardround.api.modelpush import LARGEST_HEADER, ModelPush
from wardround.documents.pushes import SealedPush, location
from wardround.plans.push import ExaminedFile
from wardround.ports import Store
from wardround.presign import Presigner
from wardround.sealing.body import TAG, Body, ciphertext_length, part_lengths, part_name, segment_span
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.refused import Refused
from wardround.store.errors import MISSING, SHORT, StoreError
from wardround.tensors import DTYPES, FLOATS, HALF_PRECISION, Layout, NotTensors
from wardround.threads import beside
from wardround.wire import digests

URL_SECONDS = 3600
ALTERED, UNREADABLE, NOT_FINITE = "PushAltered", "PushUnreadable", "PushNotFinite"


class _Unfit(Exception):
    """The file is of no use, for this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def look(store: Store, presigner: Presigner, push: ModelPush, sealed: SealedPush, now: datetime) -> ExaminedFile:
    """What the hub found. Raises StoreError if the store cannot be asked."""
    body = Body(sealed.data_key, sealed.header)
    place, length = location(push), sealed.header.length
    try:
        hashes = await store.get_bytes(presigner.get(f"{place}/segments", now, URL_SECONDS), HASH_BYTES * body.segments)
        reader = _Reader(body, hashes)
        for index, size in enumerate(part_lengths(length)):
            await store.get(presigner.get(f"{place}/{part_name(index)}", now, URL_SECONDS), size, reader.feed)
        layout = reader.finish(push.spec.digest, push.spec.tensors_digest)
    except _Unfit as unfit:
        return ExaminedFile(reason=unfit.reason, tensors={})
    except StoreError as failure:
        if failure.reason not in (MISSING, SHORT):
            raise
        return ExaminedFile(reason=ALTERED, tensors={})
    return ExaminedFile(
        tensors={each.name: (each.dtype, each.shape) for each in layout.tensors},
        segments_digest=digests.digest(hashes),
        bytes=ciphertext_length(length),
    )


class _Reader:
    """Opens the segments of a file in their order, and checks the tensors in them."""

    def __init__(self, body: Body, hashes: bytes) -> None:
        self._body = body
        self._hashes = hashes
        self._buffer = bytearray()
        self._index = 0
        self._digest = digests.Digest()
        self._tensors = _Tensors(body.length)

    async def feed(self, chunk: bytes) -> None:
        """Raises _Unfit."""
        rest = memoryview(chunk)
        while rest:
            if self._index >= self._body.segments:
                raise _Unfit(ALTERED)
            size = segment_span(self._index, self._body.length)[1] + TAG
            needed = size - len(self._buffer)
            self._buffer += rest[:needed]
            rest = rest[needed:]
            if len(self._buffer) == size:
                await beside(self._segment)

    def _segment(self) -> None:
        place = HASH_BYTES * self._index
        actual = hashlib.sha256(self._buffer).digest()
        if not hmac.compare_digest(actual, self._hashes[place : place + HASH_BYTES]):
            raise _Unfit(ALTERED)
        try:
            plain = self._body.open(self._index, bytes(self._buffer))
        except Refused:
            raise _Unfit(ALTERED) from None
        self._buffer.clear()
        self._index += 1
        self._digest.update(plain)
        self._tensors.feed(plain)

    def finish(self, digest: str, tensors_digest: str) -> Layout:
        """The layout of the whole file. Raises _Unfit unless it is the file that the person named."""
        layout = self._tensors.layout
        if self._index != self._body.segments or layout is None:
            raise _Unfit(UNREADABLE)
        if (self._digest.text, layout.schema_digest) != (digest, tensors_digest):
            raise _Unfit(ALTERED)
        return layout


class _Tensors:
    """The tensors of a file in canonical form, which is fed in pieces of multiples of 8 bytes but for the last."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._offset = 0
        self._start = bytearray()
        self.layout: Layout | None = None

    def feed(self, piece: bytes) -> None:
        """Raises _Unfit."""
        if self.layout is None:
            self._start += piece
            piece = self._parse()
        if self.layout is not None:
            self._check(piece)

    def _parse(self) -> bytes:
        """Reads the header once it is whole. Returns the bytes after it."""
        try:
            size = tensors.header_bytes(bytes(self._start[:8]))
            if size > LARGEST_HEADER:
                raise _Unfit(UNREADABLE)
            if len(self._start) < size:
                return b""
            layout = tensors.parse_header(bytes(self._start[:size]), self._length)
        except NotTensors:
            raise _Unfit(UNREADABLE) from None
        half = any(each.dtype in HALF_PRECISION for each in layout.tensors)
        if half or not layout.canonical:
            raise _Unfit(UNREADABLE)
        self.layout, self._offset = layout, size
        return bytes(self._start[size:])

    def _check(self, piece: bytes) -> None:
        for dtype, start, stop in self._floats(self._offset, self._offset + len(piece)):
            values = np.frombuffer(piece[start - self._offset : stop - self._offset], dtype)
            if not np.isfinite(values).all():
                raise _Unfit(NOT_FINITE)
        self._offset += len(piece)

    def _floats(self, start: int, stop: int) -> Iterator[tuple[str, int, int]]:
        """The parts of tensors of floats between two places of the file: dtype, start and stop."""
        assert self.layout is not None, "the header is read"
        for tensor, first, last in self.layout.places:
            begin, end = max(first, start), min(last, stop)
            if begin < end and tensor.dtype in FLOATS:
                yield DTYPES[tensor.dtype], begin, end
