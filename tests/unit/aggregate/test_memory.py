"""The reduction borrows a bounded number of bytes, however many updates there are, and computes how many."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.unit.aggregate.updates import file_of, sealed
from wardround import tensors
from wardround.aggregate import memory
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.optimizers import Adam, Optimized
from wardround.aggregate.reduction import Moments, Reduction, WeightedFile
from wardround.aggregate.rules import RULES
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import HashesOnly
from wardround.aggregate.slices import runs
from wardround.sealing.body import SEALED_SEGMENT, SEGMENT
from wardround.tensors import Tensor


@pytest.mark.parametrize("others", range(4))
def test_no_reduction_borrows_more_than_its_limit(others: int) -> None:
    assert memory.LARGEST == 12 * SEALED_SEGMENT
    for fetched in (0, memory.fetched_at_once(others)):
        assert memory.borrowed_bytes(fetched, others) <= memory.LARGEST


def resident() -> int:
    """Bytes of this process."""
    size = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert size
    return int(size[1]) * 1024


def test_a_small_model_takes_a_small_part_of_a_buffer() -> None:
    before = resident()
    lent = Buffers().lend(32)
    for each in lent:
        assert (each.nbytes, each.format, each.readonly) == (SEALED_SEGMENT, "B", False)
        each[:4096] = bytes(4096)
    assert resident() - before < 8 * SEALED_SEGMENT


def test_each_thread_fetches_two_updates_at_once() -> None:
    assert [memory.fetched_at_once(others) for others in range(4)] == [2, 2, 2, 2]


@pytest.mark.parametrize(("others", "twice"), [(0, False), (0, True), (1, False), (1, True), (3, False), (3, True)])
async def test_a_reduction_borrows_the_computed_bytes(tmp_path: Path, others: int, twice: bool) -> None:
    """`others`: 0 of an initial round, 1 with a base, 3 with a base and the moments of Adam."""
    layout = tensors.canonical_layout([Tensor("large", "F32", (5 * SEGMENT // 4,))])
    content = file_of(layout, {"large": np.ones(5 * SEGMENT // 4, np.float32)})
    buffers = Buffers()
    with Scratch(tmp_path) as scratch:
        kept = HashesOnly(scratch) if twice else scratch
        updates = [WeightedFile(await sealed(content, kept), 1 / 9) for _ in range(9)]
        read = [await sealed(content, kept) for _ in range(others)]
        base, moments = read[0] if read else None, read[1:]
        adam = {**RULES, "Delta": lambda dtype, size: Optimized(dtype, size, optimizer=Adam(0.1, 0.9, 0.1, 0.9))}
        reduction = Reduction(
            updates,
            base,
            layout,
            runs(layout, lambda name, dtype: "Delta" if base else "Mean"),
            buffers,
            rules=adam if moments else RULES,
            moments=Moments(len(moments), moments),
        )
        async for _ in reduction.segments():
            pass
    fetched = memory.fetched_at_once(others) if twice else 0
    # Each thread makes a segment of the result and of each moment, and the next one when the result has taken these.
    made = memory.THREADS * (1 + len(moments)) * SEALED_SEGMENT
    assert buffers.bytes == memory.borrowed_bytes(fetched, others) + made
