"""Tensor files of updates for tests of a reduction, with values of all magnitudes and dtypes."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tests.players import segments
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.sealed_file import Keeping, SealedFile
from wardround.aggregate.updates import Usable
from wardround.sealing import body
from wardround.simulate.store import MemoryStore
from wardround.tensors import Array, Layout, Tensor

EXPIRES = datetime(2026, 11, 24, 13, tzinfo=UTC)
KEY = bytes(32)
FLOATS = ("F64", "F32", "F16", "BF16")
LEAST = {"F64": -1074, "F32": -149, "F16": -24, "BF16": -133}
LARGEST = {"F64": 2.0**1000, "F32": 2.0**120, "F16": 2.0**14, "BF16": 2.0**120}


TENSORS = [
    *(Tensor(f"matrix-{dtype}", dtype, (37, 11)) for dtype in FLOATS),
    *(Tensor(f"scalar-{dtype}", dtype, ()) for dtype in tensors.DTYPES),
    *(Tensor(f"empty-{dtype}", dtype, (0, 4)) for dtype in tensors.DTYPES),
    *(Tensor(f"counts-{dtype}", dtype, (13,)) for dtype in ("I64", "I32", "U8", "BOOL")),
]


async def sealed(plain: bytes, keeping: Keeping) -> SealedFile:
    """A file in a store, read through once."""
    names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
    header = body.new_header(KEY, kind=body.UPDATE, attempt=1, length=len(plain), **names)
    made, store = body.Body(KEY, header), MemoryStore()
    await store.put_bytes("part", {}, b"".join(segments.sealed(made, plain)))
    file = SealedFile(store, ("part",), made, keeping)
    await file.read_through(lambda segment: None, Buffers(), asyncio.Semaphore())
    return file


def file_of(layout: Layout, arrays: dict[str, Array]) -> bytes:
    return layout.header + b"".join(
        np.ascontiguousarray(arrays[each.name], tensors.DTYPES[each.dtype]).tobytes() for each in layout.tensors
    )


def numbers(dice: np.random.Generator, tensor: Tensor) -> Array:
    """Values of all magnitudes and signs, zeros of both signs, and numbers that cancel."""
    size = math.prod(tensor.shape)
    if tensor.dtype not in FLOATS:
        return np.asarray(dice.integers(0, 2 if tensor.dtype == "BOOL" else 100, size), tensors.DTYPES[tensor.dtype])
    wide = np.ldexp(dice.uniform(-1, 1, size), dice.integers(LEAST[tensor.dtype], 8, size))
    special = np.array(
        [0.0, -0.0, 1.0, -1.0, LARGEST[tensor.dtype], -LARGEST[tensor.dtype], 2.0 ** LEAST[tensor.dtype]]
    )
    return tensors.narrow(np.where(dice.random(size) < 0.4, dice.choice(special, size), wide), tensor.dtype)


def usable(participant: str, base_digest: str = "", **facts: Any) -> Usable:
    """An update that was read completely, with nothing in it."""
    names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
    header = body.new_header(KEY, kind=body.UPDATE, attempt=1, length=0, **(names | {"base_digest": base_digest}))
    file = SealedFile(MemoryStore(), (), body.Body(KEY, header), None, b"")
    return replace(Usable(participant, header, 1, False, False, 11, 0, {}, {}, file, 0.0, "", EXPIRES), **facts)
