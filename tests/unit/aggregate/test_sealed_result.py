"""The result's parts are uploaded while later ones are made, from a scratch that holds all or two of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from wardround.aggregate.plan import AggregationError
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_result import SealedResult
from wardround.sealing import body
from wardround.simulate.store import MemoryStore
from wardround.wire import digests
from wardround.wire.aggregation import PlannedUpload, PlannedUploads

KEY = bytes(32)
PUT = PlannedUploads(
    parts=tuple(PlannedUpload(body.part_name(index), {}) for index in range(3)), segments=PlannedUpload("segments", {})
)


class NotingStore(MemoryStore):
    """`urls`: of what was stored, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        self.urls.append(url)
        return await super().put_bytes(url, headers, data)


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


def confirmed() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def numbered(index: int, size: int) -> memoryview:
    return memoryview(bytes([index % 251]) * size)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_part_is_made_while_the_one_before_is_uploaded(tmp_path: Path, whole: bool) -> None:
    length = 2 * body.SEGMENTS_PER_PART * body.SEGMENT + 5  # two whole parts and a third
    sealer, store, hashes, plain = result_body(length), SlowStore(), b"", digests.Digest()
    with Scratch(tmp_path) as scratch:
        region = scratch.region(body.ciphertext_length(length) if whole else 2 * body.PART)
        async with SealedResult(store, PUT, sealer, region, confirmed()) as sealed:
            for index in range(sealer.segments):
                if index == 2 * body.SEGMENTS_PER_PART - 1:
                    store.go_on.set()
                _, size = body.segment_span(index, length)
                await sealed.append(numbered(index, size))
                plain.update(numbered(index, size))
            await sealed.finish()
    for index in range(sealer.segments):
        part, offset, size = body.sealed_place(index, length)
        ciphertext = await store.get_bytes(body.part_name(part), size, offset=offset)
        assert sealer.open(index, ciphertext) == numbered(index, size - body.TAG)
        hashes += hashlib.sha256(ciphertext).digest()
    assert await store.get_bytes("segments", len(hashes)) == hashes
    assert (sealed.segments_digest, sealed.digest) == (digests.digest(hashes), plain.text)


async def test_nothing_is_uploaded_before_it_is_confirmed(tmp_path: Path) -> None:
    length = 2 * body.SEGMENTS_PER_PART * body.SEGMENT + 5
    sealer, store, may_upload = result_body(length), NotingStore(), asyncio.Event()
    with Scratch(tmp_path) as scratch:
        region = scratch.region(body.ciphertext_length(length))
        async with SealedResult(store, PUT, sealer, region, may_upload) as sealed:
            for index in range(sealer.segments):
                await sealed.append(numbered(index, body.segment_span(index, length)[1]))
            finishing = asyncio.ensure_future(sealed.finish())
            await asyncio.sleep(0.1)
            assert (store.urls, finishing.done()) == ([], False)
            may_upload.set()
            await finishing
    assert sorted(store.urls[:-1]) == [each.url for each in PUT.parts]
    assert store.urls[-1] == "segments"


async def test_a_result_that_is_not_confirmed_is_never_uploaded(tmp_path: Path) -> None:
    store = NotingStore()
    with Scratch(tmp_path) as scratch:
        async with SealedResult(store, PUT, result_body(5), scratch.region(21), asyncio.Event()) as sealed:
            await sealed.append(memoryview(b"model"))
    assert store.urls == []


async def test_a_part_that_exists_ends_the_aggregation(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.put_bytes(body.part_name(0), {}, b"of another aggregation")
    with Scratch(tmp_path) as scratch:
        async with SealedResult(store, PUT, result_body(5), scratch.region(21), confirmed()) as sealed:
            await sealed.append(memoryview(b"model"))
            with pytest.raises(AggregationError, match="ResultExists"):
                await sealed.finish()
