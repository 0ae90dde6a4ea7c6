"""Robust strategies equal slow loops to the last bit, for any slices and threads, whatever some hospitals send."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.unit.aggregate.updates import FLOATS, TENSORS, file_of, numbers, sealed
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.reduction import SliceReduction, WeightedFile
from wardround.aggregate.resealed import Resealing
from wardround.aggregate.rules import rule_for
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.slices import runs
from wardround.aggregate.strategies import Strategy, TrimmedMeans
from wardround.sealing.slices import SMALLEST_SLICE, slice_bytes
from wardround.tensors import Array, Layout, Tensor


async def reduced(
    layout: Layout,
    updates: Sequence[bytes],
    base: bytes | None,
    strategy: Strategy,
    folder: Path,
    *,
    slice_size: int = 1 << 14,
    threads: int = 2,
) -> bytes:
    with Scratch(folder) as scratch:
        resealing = Resealing(scratch, slice_size)
        files = [WeightedFile(await sealed(each, resealing), 1 / len(updates)) for each in updates]
        old = await sealed(base, scratch) if base is not None else None
        all_runs = runs(layout, lambda name, dtype: rule_for("Train", base is None, name, dtype))
        made = SliceReduction(
            files, old, layout, all_runs, Buffers(), slice_size, rules=strategy.rules(), threads=threads
        )
        return b"".join([bytes(segment) async for [segment] in made.segments()])


def slow_loop(dtype: str, rows: Sequence[Array], trimmed: int | None, base: Array | None) -> Array:
    """One element after another, in Python's floats."""
    if dtype not in FLOATS:
        return base if base is not None else np.asarray([max(each) for each in zip(*rows, strict=True)], rows[0].dtype)
    cut = (len(rows) - 1) // 2 if trimmed is None else trimmed
    means = []
    for values in zip(*(tensors.widen(row, dtype).tolist() for row in rows), strict=True):
        kept = sorted(values)[cut : len(rows) - cut]
        total = kept[0] + 0.0
        for value in kept[1:]:
            total += value
        means.append(kept[0] + 0.0 if kept[0] == kept[-1] else total / len(kept))
    if base is None:
        same = [all(value == values[0] for value in values) for values in zip(*rows, strict=True)]
        return np.where(same, rows[0], tensors.narrow(np.array(means), dtype))
    old = tensors.widen(base, dtype).tolist()
    moved = tensors.narrow(np.array([each + mean for each, mean in zip(old, means, strict=True)]), dtype)
    return np.where([mean == 0 for mean in means], base, moved)


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize(("hospitals", "trimmed"), [(3, None), (6, None), (5, 1), (7, 3), (70, 2), (71, None)])
async def test_every_value_equals_a_slow_loop_to_the_last_bit(
    tmp_path: Path, hospitals: int, trimmed: int | None, initial: bool
) -> None:
    dice = np.random.default_rng(hospitals)
    layout = tensors.canonical_layout(TENSORS)
    sent = [{each.name: numbers(dice, each) for each in layout.tensors} for _ in range(hospitals)]
    old = {each.name: numbers(dice, each) for each in layout.tensors}
    base = None if initial else file_of(layout, old)
    files = [file_of(layout, each) for each in sent]
    result = await reduced(layout, files, base, TrimmedMeans(trimmed), tmp_path)
    assert result[: len(layout.header)] == layout.header
    for tensor, start, stop in layout.places:
        rows = [each[tensor.name] for each in sent]
        expected = slow_loop(tensor.dtype, rows, trimmed, None if initial else old[tensor.name])
        assert result[start:stop] == expected.tobytes(), tensor.name


@pytest.mark.parametrize("dtype", FLOATS)
async def test_a_trimmed_mean_is_close_to_the_exact_one(tmp_path: Path, dtype: str) -> None:
    """n - 1 sums and one division in float64 err by at most n roundings of the sum of magnitudes (Higham: Accuracy and
    Stability of Numerical Algorithms, section 4.2). The dtype rounds once more."""
    dice = np.random.default_rng(3)
    layout = tensors.canonical_layout([Tensor("w", dtype, (400,))])
    sent = [numbers(dice, layout.tensors[0]) for _ in range(8)]
    result = await reduced(layout, [file_of(layout, {"w": each}) for each in sent], None, TrimmedMeans(2), tmp_path)
    values = tensors.widen(np.frombuffer(result[len(layout.header) :], tensors.DTYPES[dtype]), dtype)
    unit = {"F64": 53, "F32": 24, "F16": 11, "BF16": 8}[dtype]
    least = {"F64": 1074, "F32": 149, "F16": 24, "BF16": 133}[dtype]
    for place, value in enumerate(values.tolist()):
        kept = sorted(Fraction(float(tensors.widen(each, dtype)[place])) for each in sent)[2:6]
        error = Fraction(8, 2**53) * sum(map(abs, kept))
        exact = sum(kept, Fraction(0)) / 4
        rounding = Fraction(1, 2**unit) * (abs(exact) + error) + Fraction(1, 2**least)
        assert abs(Fraction(value) - exact) <= error + rounding


async def test_slices_and_threads_change_no_bit(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    layout = tensors.canonical_layout([*TENSORS, Tensor("large", "F32", (600_000,))])
    updates = [file_of(layout, {each.name: numbers(dice, each) for each in layout.tensors}) for _ in range(5)]
    base = file_of(layout, {each.name: numbers(dice, each) for each in layout.tensors})
    made = {
        await reduced(layout, updates, base, TrimmedMeans(1), tmp_path, slice_size=size, threads=threads)
        for size, threads in itertools.product((SMALLEST_SLICE, 1 << 16, 1 << 20), (1, 2, 3))
    }
    assert len(made) == 1


async def test_distances_are_those_of_a_slow_loop_for_any_slices(tmp_path: Path) -> None:
    dice = np.random.default_rng(9)
    layout = tensors.canonical_layout([Tensor("counts", "I64", (7,)), Tensor("w", "F32", (600_000,))])
    values = [dice.normal(size=600_000).astype("<f4") for _ in range(4)]
    files = [file_of(layout, {"w": each, "counts": np.arange(7) * place}) for place, each in enumerate(values)]
    wide = [each.astype(np.float64) for each in values]
    exact = [[math.fsum(((one - other) ** 2).tolist()) for other in wide] for one in wide]
    for size in (SMALLEST_SLICE, 1 << 18):
        with Scratch(tmp_path) as scratch:
            resealing = Resealing(scratch, size)
            updates = [WeightedFile(await sealed(each, resealing), 1.0) for each in files]
            all_runs = runs(layout, lambda name, dtype: rule_for("Train", False, name, dtype))
            measured = await SliceReduction(updates, None, layout, all_runs, Buffers(), size).distances()
        np.testing.assert_allclose(measured, exact, rtol=1e-12)


@pytest.mark.parametrize("hospitals", [3, 16, 64, 70, 512])
def test_sorting_takes_little_memory_beside_the_slices(hospitals: int) -> None:
    size = slice_bytes(hospitals) // 4
    dice = np.random.default_rng(hospitals)
    block = [dice.standard_normal(size, np.float32) for _ in range(hospitals)]
    rule = TrimmedMeans(1).rules()["Delta"]("F32", size)
    tracemalloc.start()
    rule.add(block, [1 / hospitals] * hospitals)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 << 20


@pytest.mark.parametrize("strategy", [TrimmedMeans(None), TrimmedMeans(2)])
async def test_two_of_seven_hospitals_never_leave_the_range_of_the_others(tmp_path: Path, strategy: Strategy) -> None:
    dice = np.random.default_rng(1)
    layout = tensors.canonical_layout([Tensor("w", "F32", (1000,))])
    honest = [dice.normal(size=1000).astype("<f4") for _ in range(5)]
    hostile = [np.full(1000, value, "<f4") for value in (3e38, -3e38)]
    files = [file_of(layout, {"w": each}) for each in (*honest, *hostile)]
    result = await reduced(layout, files, None, strategy, tmp_path)
    values = np.frombuffer(result[len(layout.header) :], "<f4")
    assert np.all((np.min(honest, axis=0) <= values) & (values <= np.max(honest, axis=0)))
