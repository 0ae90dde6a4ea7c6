"""A file is read by stretches of segments, also where one ends with a part of the file."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.players import segments
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.memory import STRETCH
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import SealedFile
from wardround.sealing import body
from wardround.sealing.body import PART, SEGMENT, SEGMENTS_PER_PART
from wardround.simulate.store import MemoryStore
from wardround.tensors import LARGEST_HEADER


@pytest.mark.parametrize("length", [0, STRETCH * SEGMENT, STRETCH * SEGMENT + 1, SEGMENTS_PER_PART * SEGMENT + 1])
async def test_a_file_is_read_whole_and_in_order(tmp_path: Path, length: int) -> None:
    plain = (bytes(range(251)) * (length // 251 + 1))[:length]
    key, names = bytes(32), ("round_uid", "participant", "base_digest", "image_digest", "schema_digest")
    header = body.new_header(key, kind=body.UPDATE, attempt=1, length=length, **dict.fromkeys(names, ""))
    made, store = body.Body(key, header), MemoryStore()
    ciphertext = b"".join(segments.sealed(made, plain))
    parts = [ciphertext[start : start + PART] for start in range(0, len(ciphertext), PART)]
    for number, part in enumerate(parts):
        await store.put_bytes(f"part-{number}", {}, part)
    with Scratch(tmp_path) as scratch:
        file = SealedFile(store, [f"part-{number}" for number in range(len(parts))], made, scratch)
        read = hashlib.sha256()
        await file.read_through(read.update, Buffers(), asyncio.Semaphore())
        assert read.digest() == hashlib.sha256(plain).digest()
        assert await file.segment(made.segments - 1) == plain[(made.segments - 1) * SEGMENT :]


def test_the_stretches_fit_into_parts_and_hold_a_header() -> None:
    """A header that several stretches hold would wait in memory for all updates."""
    assert SEGMENTS_PER_PART % STRETCH == 0
    assert LARGEST_HEADER < STRETCH * SEGMENT
