"""Reducing a file segment by segment gives the same bytes as reducing it at once."""

from __future__ import annotations

import numpy as np
import pytest

from wardround import tensors
from wardround.aggregate.rules import rule_for
from wardround.aggregate.slices import NotFinite, SegmentReduction, all_finite, runs, values, within

LAYOUT = tensors.canonical_layout(
    [
        tensors.Tensor("a", "F64", (5,)),
        tensors.Tensor("b", "F32", (7, 3)),
        tensors.Tensor("c", "F32", ()),
        tensors.Tensor("empty", "F32", (0, 4)),
        tensors.Tensor("half", "BF16", (9,)),
        tensors.Tensor("steps", "I64", (2,)),
        tensors.Tensor("mask", "BOOL", (3,)),
    ]
)


def random_file(seed: int) -> bytes:
    dice = np.random.default_rng(seed)
    data = LAYOUT.header
    for tensor, start, stop in LAYOUT.places:
        size = (stop - start) // tensor.item_bytes
        numbers = dice.normal(size=size) if tensor.dtype in tensors.FLOATS else dice.integers(0, 2, size)
        data += tensors.narrow(numbers, tensor.dtype).tobytes()
    return data


ALL_RUNS = runs(LAYOUT, lambda name, dtype: rule_for("Train", False, name, dtype))


def reduced(cut: int) -> bytes:
    result = b""
    for start in range(0, LAYOUT.length, cut):
        stop = min(start + cut, LAYOUT.length)
        reduction = SegmentReduction(list(within(ALL_RUNS, start, stop)))
        for seed, share in [(1, 0.25), (2, 0.75)]:
            reduction.add([random_file(seed)[start:stop]], [share])
        made = memoryview(bytearray(stop - start))
        reduction.result(LAYOUT.header[start:stop], random_file(3)[start:stop], [made])
        result += made
    return result


def test_the_result_does_not_depend_on_where_segments_are_cut() -> None:
    whole = reduced(1 << 20)
    assert len(whole) == LAYOUT.length
    assert {reduced(cut) for cut in (8, 64, 248, 1024)} == {whole}


def test_the_result_equals_numpys_tensor_by_tensor() -> None:
    whole, one, two, base = reduced(64), random_file(1), random_file(2), random_file(3)
    for tensor, start, stop in LAYOUT.places:
        run = runs(tensors.canonical_layout([tensor]), lambda name, dtype: "Sum")
        if not run:
            continue
        dtype = tensors.DTYPES[tensor.dtype]
        first, second, old, actual = (np.frombuffer(data[start:stop], dtype) for data in (one, two, base, whole))
        if tensor.dtype in tensors.FLOATS:
            mean = 0.25 * tensors.widen(first, tensor.dtype) + 0.75 * tensors.widen(second, tensor.dtype)
            expected = tensors.narrow(tensors.widen(old, tensor.dtype) + mean, tensor.dtype)
        else:
            expected = old
        assert actual.tobytes() == expected.astype(dtype).tobytes(), tensor.name


def test_neighbouring_tensors_of_one_dtype_are_one_run() -> None:
    floats = [run for run in ALL_RUNS if run.dtype == "F32"]
    assert len(floats) == 1
    assert floats[0].stop - floats[0].start == 22 * 4


def test_a_single_nan_is_detected() -> None:
    *_, stop = LAYOUT.find("half")
    bad = bytearray(random_file(1))
    bad[stop - 2 : stop] = b"\xc0\x7f"
    pieces = list(within(ALL_RUNS, 0, LAYOUT.length))
    assert all_finite(random_file(1), pieces)
    assert not all_finite(bytes(bad), pieces)
    assert values(bytes(bad), next(run for run in pieces if run.dtype == "BF16")).size == 9


def test_a_sum_that_overflows_gives_no_result() -> None:
    layout = tensors.canonical_layout([tensors.Tensor("w", "F16", (1,))])
    data = layout.header + np.array([60000], "<f2").tobytes()
    pieces = list(within(runs(layout, lambda name, dtype: "Delta"), 0, layout.length))
    reduction = SegmentReduction(pieces)
    reduction.add([data], [1.0])
    with pytest.raises(NotFinite):
        reduction.result(layout.header, data, [memoryview(bytearray(layout.length))])
