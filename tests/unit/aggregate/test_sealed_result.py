"""The result's parts are uploaded while later ones are made, from a scratch that holds two of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from wardround.aggregate.job import SealedResult
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.scratch import Scratch
from wardround.sealing import body
from wardround.simulate.store import MemoryStore
from wardround.wire import digests
from wardround.wire.aggregation import PlannedUpload, PlannedUploads

KEY = bytes(32)
PUT = PlannedUploads(
    parts=tuple(PlannedUpload(body.part_name(index), {}) for index in range(3)), segments=PlannedUpload("segments", {})
)


class SlowStore(MemoryStore):
    """Reads the first part only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        if url == body.part_name(0):
            await self.go_on.wait()
        return await super().put_file(url, headers, path, offset, length)


def result_body(length: int) -> body.Body:
    names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
    return body.Body(KEY, body.new_header(KEY, kind=body.MODEL, attempt=1, length=length, **names))


def segment(index: int, size: int) -> memoryview:
    return memoryview(bytes([index % 251]) * size)


async def test_a_part_is_made_while_the_one_before_is_uploaded(tmp_path: Path) -> None:
    length = 2 * body.SEGMENTS_PER_PART * body.SEGMENT + 5  # two whole parts and a third
    sealer, store, hashes, plain = result_body(length), SlowStore(), b"", digests.Digest()
    with Scratch(tmp_path) as scratch:
        async with SealedResult(store, PUT, sealer, scratch) as sealed:
            for index in range(sealer.segments):
                if index == 2 * body.SEGMENTS_PER_PART - 1:
                    store.go_on.set()
                _, size = body.segment_span(index, length)
                await sealed.append(segment(index, size))
                plain.update(segment(index, size))
            await sealed.finish()
        assert scratch.reserved == 2 * body.PART
    for index in range(sealer.segments):
        part, offset, size = body.sealed_place(index, length)
        ciphertext = await store.get_bytes(body.part_name(part), size, offset=offset)
        assert sealer.open(index, ciphertext) == segment(index, size - body.TAG)
        hashes += hashlib.sha256(ciphertext).digest()
    assert await store.get_bytes("segments", len(hashes)) == hashes
    assert (sealed.segments_digest, sealed.digest) == (digests.digest(hashes), plain.text)


async def test_a_part_that_exists_ends_the_aggregation(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.put_bytes(body.part_name(0), {}, b"of another aggregation")
    with Scratch(tmp_path) as scratch:
        async with SealedResult(store, PUT, result_body(5), scratch) as sealed:
            await sealed.append(memoryview(b"model"))
            with pytest.raises(AggregationError, match="ResultExists"):
                await sealed.finish()
