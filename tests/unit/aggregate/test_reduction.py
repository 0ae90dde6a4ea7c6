"""The reduction equals a slow loop to the last bit, for any blocks and threads, and is close to the exact sum."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.aggregate.updates import FLOATS, LEAST, TENSORS, file_of, numbers, sealed
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.reduction import Reduction, WeightedFile
from wardround.aggregate.rules import rule_for
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import HashesOnly
from wardround.aggregate.slices import NotFinite, runs
from wardround.tensors import Array, Layout, Tensor

pytestmark = pytest.mark.usefixtures("loop")

# Half a unit in the last place, relative, and the least positive number that the dtype holds.
UNIT = {"F64": Fraction(1, 2**53), "F32": Fraction(1, 2**24), "F16": Fraction(1, 2**11), "BF16": Fraction(1, 2**8)}


async def reduced(
    layout: Layout,
    updates: Sequence[bytes],
    shares: Sequence[float],
    base: bytes | None,
    folder: Path,
    *,
    threads: int = 2,
    fetched: int | None = None,
    twice: bool = False,
) -> bytes:
    with Scratch(folder) as scratch:
        kept = HashesOnly(scratch) if twice else scratch
        files = [WeightedFile(await sealed(each, kept), share) for each, share in zip(updates, shares, strict=True)]
        old = await sealed(base, kept) if base is not None else None
        all_runs = runs(layout, lambda name, dtype: rule_for("Train", base is None, name, dtype))
        reduction = Reduction(files, old, layout, all_runs, Buffers(), threads=threads, fetched=fetched)
        return b"".join([bytes(segment) async for [segment] in reduction.segments()])


def slow_loop(dtype: str, rows: Sequence[Array], shares: Sequence[float], base: Array | None) -> Array:
    """One element after another, in Python's floats."""
    if dtype not in FLOATS:
        return base if base is not None else np.asarray([max(each) for each in zip(*rows, strict=True)], rows[0].dtype)
    wide = [tensors.widen(row, dtype).tolist() for row in rows]
    totals = []
    for values in zip(*wide, strict=True):
        total = 0.0
        for value, share in zip(values, shares, strict=True):
            total += share * value
        totals.append(total)
    if base is None:
        result = tensors.narrow(np.array(totals), dtype)
        same = [all(value == values[0] for value in values) for values in zip(*rows, strict=True)]
        return np.where(same, rows[0], result)
    old = tensors.widen(base, dtype).tolist()
    moved = tensors.narrow(np.array([each + total for each, total in zip(old, totals, strict=True)]), dtype)
    return np.where([total == 0 for total in totals], base, moved)  # so that -0.0 stays


SHARES = [0.3, 1 / 3, 0.0, 0.1, 1e-12, 1 - 0.3 - 1 / 3 - 0.1]


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_every_value_equals_a_slow_loop_to_the_last_bit(tmp_path: Path, seed: int, initial: bool) -> None:
    dice = np.random.default_rng(seed)
    layout = tensors.canonical_layout(TENSORS)
    sent = [{each.name: numbers(dice, each) for each in layout.tensors} for _ in SHARES]
    old = {each.name: numbers(dice, each) for each in layout.tensors}
    base = None if initial else file_of(layout, old)
    result = await reduced(layout, [file_of(layout, each) for each in sent], SHARES, base, tmp_path)
    assert result[: len(layout.header)] == layout.header
    for tensor, start, stop in layout.places:
        rows = [each[tensor.name] for each in sent]
        expected = slow_loop(tensor.dtype, rows, SHARES, None if initial else old[tensor.name])
        assert result[start:stop] == expected.tobytes(), tensor.name


def exact_bound(dtype: str, terms: Sequence[Fraction], result: Fraction) -> Fraction:
    """n products and n sums in float64 err by at most n + 1 roundings of the sum of magnitudes (Higham: Accuracy and
    Stability of Numerical Algorithms, section 3.1), and by half of the least number where a product underflows. The
    dtype rounds once more."""
    steps = (len(terms) + 1) * Fraction(1, 2**53)
    in_float64 = steps / (1 - steps) * sum(map(abs, terms)) + len(terms) * Fraction(1, 2**1075)
    return in_float64 + UNIT[dtype] * (abs(result) + in_float64) + Fraction(1, 2 ** (1 - LEAST[dtype]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("initial", [False, True])
async def test_every_value_is_close_to_the_exact_sum(tmp_path: Path, dtype: str, initial: bool) -> None:
    dice = np.random.default_rng(7)
    layout = tensors.canonical_layout([Tensor("w", dtype, (500,))])
    sent = [numbers(dice, layout.tensors[0]) for _ in SHARES]
    old = numbers(dice, layout.tensors[0])
    base = None if initial else file_of(layout, {"w": old})
    result = await reduced(layout, [file_of(layout, {"w": each}) for each in sent], SHARES, base, tmp_path)
    values = tensors.widen(np.frombuffer(result[len(layout.header) :], tensors.DTYPES[dtype]), dtype)
    rows = [tensors.widen(each, dtype) for each in [*sent, *([] if initial else [old])]]
    for place, value in enumerate(values.tolist()):
        weighted = zip(rows, [*SHARES, 1.0], strict=False)
        terms = [Fraction(share) * Fraction(float(row[place])) for row, share in weighted]
        exact = sum(terms, Fraction(0))
        assert abs(Fraction(value) - exact) <= exact_bound(dtype, terms, exact)


@pytest.mark.parametrize("twice", [False, True])
async def test_blocks_threads_and_a_second_reading_change_no_bit(tmp_path: Path, twice: bool) -> None:
    dice = np.random.default_rng(3)
    layout = tensors.canonical_layout([*TENSORS, Tensor("large", "F32", (600_000,))])
    updates = [file_of(layout, {each.name: numbers(dice, each) for each in layout.tensors}) for _ in SHARES]
    base = file_of(layout, {each.name: numbers(dice, each) for each in layout.tensors})
    made = {
        await reduced(layout, updates, SHARES, base, tmp_path, threads=threads, fetched=fetched, twice=twice)
        for threads, fetched in itertools.product((1, 2, 3), (None, 1, 2, 4, 100))
    }
    assert len(made) == 1


def mean(rows: Sequence[Array], shares: Sequence[float], base: Array) -> Array:
    total: Any = np.zeros(base.shape)
    for row, share in zip(rows, shares, strict=True):
        total += share * row.astype(np.float64)
    return np.where(total == 0, base, (base.astype(np.float64) + total).astype(base.dtype))


@pytest.mark.parametrize(
    "shapes",
    [
        {f"layer-{number:05d}": ("F32" if number % 3 else "I32", (number % 5, 3)) for number in range(10_000)},
        {"huge": ("F32", (3_000_001,))},
    ],
    ids=["10000 small tensors", "one huge tensor"],
)
async def test_many_small_tensors_and_a_huge_one(
    tmp_path: Path, shapes: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    dice = np.random.default_rng(11)
    layout = tensors.canonical_layout([Tensor(name, dtype, shape) for name, (dtype, shape) in shapes.items()])
    sent = [{each.name: numbers(dice, each) for each in layout.tensors} for _ in range(3)]
    old = {each.name: numbers(dice, each) for each in layout.tensors}
    shares = [0.5, 0.2, 0.3]
    files = [file_of(layout, each) for each in sent]
    result = await reduced(layout, files, shares, file_of(layout, old), tmp_path)
    for tensor, start, stop in layout.places:
        base = old[tensor.name]
        rows = [each[tensor.name] for each in sent]
        expected = mean(rows, shares, base) if tensor.dtype == "F32" else base
        assert result[start:stop] == expected.tobytes(), tensor.name


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("initial", [False, True])
async def test_memory_that_is_used_again_holds_nothing_of_an_earlier_segment(
    tmp_path: Path, threads: int, initial: bool
) -> None:
    """Segments 2 to 4 of five have equal pieces. In a part of each, all updates are equal."""
    dice = np.random.default_rng(13)
    layout = tensors.canonical_layout([Tensor("huge", "F32", (5 << 18,))])
    sent = [dice.standard_normal(5 << 18, np.float32) for _ in SHARES]
    for number, each in enumerate(sent):
        each[:: 2 + number] = 0.25
        each[:: 1 << 10] = -0.0
    old = None if initial else dice.standard_normal(5 << 18, np.float32)
    base = None if old is None else file_of(layout, {"huge": old})
    updates = [file_of(layout, {"huge": each}) for each in sent]
    result = await reduced(layout, updates, SHARES, base, tmp_path, threads=threads)
    places = dice.integers(0, 5 << 18, 3000)
    places[:1000] <<= 10
    places %= 5 << 18
    expected = slow_loop("F32", [each[places] for each in sent], SHARES, None if old is None else old[places])
    numbers_of_result = np.frombuffer(result[len(layout.header) :], np.float32)[places]
    assert numbers_of_result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
async def test_a_sum_beyond_the_dtype_gives_no_result(tmp_path: Path, dtype: str) -> None:
    layout = tensors.canonical_layout([Tensor("w", dtype, (2,))])
    most = {"F64": np.finfo("f8").max, "F32": np.finfo("f4").max, "F16": np.finfo("f2").max, "BF16": 3.3e38}[dtype]
    large = file_of(layout, {"w": tensors.narrow(np.array([1.0, most]), dtype)})
    with pytest.raises(NotFinite):
        await reduced(layout, [large, large], [0.5, 0.5], large, tmp_path)
