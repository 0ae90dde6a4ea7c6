"""Seals the result of an aggregation segment by segment and uploads its parts; knows nothing of updates.

Parts wait in scratch for their upload. Nothing leaves before the caller confirms the result.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from wardround.aggregate.advice import CHECK_IMAGE
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.scratch import Region
from wardround.ports import Store
from wardround.sealing import body as bodies
from wardround.sealing.body import ciphertext_length
from wardround.store.errors import MISSING, REFUSED, StoreError
from wardround.threads import beside
from wardround.wire import digests
from wardround.wire.aggregation import PlannedUploads

# One part can arrive at the store while the store commits another one.
UPLOADED_AT_ONCE = 2


class SealedResult:
    """Seals the result's segments, and uploads each part while later ones are made, as an async context manager.

    `region`: room for the whole ciphertext, or for two parts: the one that is uploaded, and the one that is made.
    `confirmed`: when it is set, uploads may begin. With room for two parts only, it must be set from the beginning.
    """

    def __init__(
        self, store: Store, put: PlannedUploads, body: bodies.Body, region: Region, confirmed: asyncio.Event
    ) -> None:
        self._store = store
        self._put = put
        self._body = body
        self._lengths = bodies.part_lengths(body.length)
        if len(self._lengths) > len(put.parts):
            raise AggregationError(
                "PlanUnreadable",
                f"This aggregation Job has written no result: the result has {len(self._lengths)} parts, and the "
                f"plan has upload addresses for only {len(put.parts)}. {CHECK_IMAGE}",
            )
        self._region = region
        self._rooms = -(-region.length // bodies.PART)
        self._confirmed = confirmed
        self._sealed = memoryview(bytearray(min(bodies.SEALED_SEGMENT, ciphertext_length(body.length))))
        self._index = 0
        self._plain = digests.Digest()
        self._hashes = bytearray()
        self._turns = asyncio.Semaphore(UPLOADED_AT_ONCE)
        self._uploads: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> SealedResult:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._uploads:
            each.cancel()
        await asyncio.gather(*self._uploads, return_exceptions=True)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the appended plaintext."""
        return self._plain.text

    @property
    def segments_digest(self) -> str:
        """`sha256:<hex>` of the list of ciphertext hashes of the appended segments."""
        return digests.digest(self._hashes)

    async def append(self, segment: memoryview) -> None:
        """Seal the next segment. The part that it completes can be uploaded. Raises AggregationError and StoreError,
        for an earlier part."""
        part, offset, size = bodies.sealed_place(self._index, self._body.length)
        if offset == 0:
            await self._make_room(part)
        await beside(self._seal, segment, part % self._rooms * bodies.PART + offset)
        self._index += 1
        if offset + size == self._lengths[part]:
            self._uploads.append(asyncio.ensure_future(self._upload(part)))

    async def finish(self) -> None:
        """Upload what is left, and the list of segments. The list comes last: if it is there, all parts are. Raises
        AggregationError and StoreError."""
        assert self._index == self._body.segments
        await asyncio.gather(*self._uploads)
        segments = self._put.segments
        with _no_place():
            stored = await self._store.put_bytes(segments.url, segments.headers, bytes(self._hashes))
        _require_stored(stored)

    async def _make_room(self, part: int) -> None:
        """Wait until the part that lies where this one goes is uploaded. Raises the error of an upload that failed."""
        for each in self._uploads:
            if each.done():
                each.result()
        if part >= self._rooms:
            assert self._confirmed.is_set()
            await self._uploads[part - self._rooms]

    def _seal(self, segment: memoryview, place: int) -> None:
        self._plain.update(segment)
        sealed = self._sealed[: len(segment) + bodies.TAG]
        self._body.seal_into(self._index, segment, sealed)
        self._hashes += hashlib.sha256(sealed).digest()
        self._region.write(place, sealed)

    async def _upload(self, part: int) -> None:
        await self._confirmed.wait()
        async with self._turns:
            upload, region = self._put.parts[part], self._region
            start = region.start + part % self._rooms * bodies.PART
            with _no_place():
                stored = await self._store.put_file(upload.url, upload.headers, region.path, start, self._lengths[part])
            _require_stored(stored)


@contextmanager
def _no_place() -> Iterator[None]:
    """A store that answers an upload with 404 has no place for it. No object that the Job has read is missing."""
    try:
        yield
    except StoreError as error:
        raise StoreError(REFUSED if error.reason == MISSING else error.reason, error.status) from None


def _require_stored(stored: bool) -> None:
    if not stored:
        raise AggregationError(
            "ResultExists",
            "This aggregation Job has written no result, because another Job has already written one to the same "
            "place. Nobody has to act: the hub operator tries again at another place.",
        )
