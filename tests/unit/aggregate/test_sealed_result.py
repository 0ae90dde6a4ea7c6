"""The result's parts are uploaded while later ones are made, from a scratch that holds two of them, or over updates."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.unit.aggregate.updates import file_of
from tests.unit.aggregate.updates import sealed as sealed_update
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.job import SealedResult
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.reduction import Reduction, SliceReduction, WeightedFile
from wardround.aggregate.resealed import Resealing
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.slices import runs
from wardround.aggregate.strategies import TrimmedMeans
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


def numbered(index: int, size: int) -> memoryview:
    return memoryview(bytes([index % 251]) * size)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_part_is_made_while_the_one_before_is_uploaded(tmp_path: Path, whole: bool) -> None:
    length = 2 * body.SEGMENTS_PER_PART * body.SEGMENT + 5  # two whole parts and a third
    sealer, store, hashes, plain = result_body(length), SlowStore(), b"", digests.Digest()
    with Scratch(tmp_path) as scratch:
        region = scratch.region(body.ciphertext_length(length) if whole else 2 * body.PART)
        async with SealedResult(store, PUT, sealer, region) as sealed:
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


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("strategy", [None, TrimmedMeans(1)])
async def test_a_result_that_lies_over_an_update_is_the_same(
    tmp_path: Path, strategy: TrimmedMeans | None, threads: int
) -> None:
    """The strategy needs all updates at once, or (None) takes them one by one."""
    layout = tensors.canonical_layout([tensors.Tensor("huge", "F32", (9 * body.SEGMENT // 8,))])
    dice = np.random.default_rng(7)
    updates = [file_of(layout, {"huge": dice.standard_normal(9 * body.SEGMENT // 8, np.float32)}) for _ in range(3)]
    results = set()
    with Scratch(tmp_path) as scratch:
        for over in (False, True):
            keeping = Resealing(scratch, 1 << 14) if strategy else scratch
            files = [WeightedFile(await sealed_update(each, keeping), 1 / 3) for each in updates]
            region = files[0].file.kept_region if over else scratch.region(2 * body.PART)
            every = runs(layout, lambda name, dtype: "Mean")
            reduction = (
                SliceReduction(files, None, layout, every, Buffers(), 1 << 14, rules=strategy.rules(), threads=threads)
                if strategy
                else Reduction(files, None, layout, every, Buffers(), threads=threads)
            )
            assert region
            async with SealedResult(MemoryStore(), PUT, result_body(layout.length), region) as result:
                async for [segment] in reduction.segments():
                    await result.append(segment)
                await result.finish()
            results.add(result.digest)
    assert len(results) == 1


async def test_a_part_that_exists_ends_the_aggregation(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.put_bytes(body.part_name(0), {}, b"of another aggregation")
    with Scratch(tmp_path) as scratch:
        async with SealedResult(store, PUT, result_body(5), scratch.region(21)) as sealed:
            await sealed.append(memoryview(b"model"))
            with pytest.raises(AggregationError, match="ResultExists"):
                await sealed.finish()
