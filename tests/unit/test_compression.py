"""Compression: the errors that docs/contracts.md states hold, and nothing but what `pack` writes is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from wardround.compression import (
    BLOCK,
    LARGEST,
    SCALE_BYTES,
    Expansion,
    OutOfRange,
    Unpackable,
    is_packed,
    pack,
    packed_bytes,
    sent_length,
    unpack,
)
from wardround.tensors import DTYPES, Array, Layout, Tensor, canonical_layout
from wardround.wire.compression import Compression

COMPRESSIONS: tuple[Compression, ...] = ("BFloat16", "Int8")
DTYPE = {"F32": np.float32, "F64": np.float64}
FROZEN = ("wardround.input.*",)
SIZES = [1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 517]


def _magnitudes(dtype: str) -> list[float]:
    """From subnormal to the largest value, and powers of two and their neighbours."""
    smallest = float(np.finfo(np.float32).smallest_subnormal)
    largest = [LARGEST, LARGEST / 2, 3.38e38, 3.39e38, 3.395e38]
    powers = [
        2.0**each * (1 + change) for each in (-149, -134, -126, -107, -100, -99, -20, 0, 60) for change in (0, 1e-7)
    ]
    return [0.0, smallest, 1e-42, *powers, *largest, *([1e-300, 5e-324] if dtype == "F64" else [])]


def _values(dtype: str, size: int, seed: int) -> Iterator[Array]:
    """Arrays of this size: of one magnitude, of mixed magnitudes, with ties, with one outlier, and negative zeros."""
    random = np.random.default_rng(seed)
    for magnitude in _magnitudes(dtype):
        yield np.full(size, magnitude)
        yield random.uniform(-1, 1, size) * magnitude
    yield random.choice(_magnitudes(dtype), size) * random.choice([-1.0, 1.0], size)
    yield (random.integers(-127, 128, size) + 0.5) * 2.0**-7
    outlier = random.normal(size=size) * 1e-12
    outlier[-1] = 1e30
    yield outlier
    yield np.full(size, -0.0)


def _largest_of_blocks(values: Array) -> Array:
    """For each value, the largest absolute value of its block."""
    starts = range(0, values.size, BLOCK)
    return np.concatenate([np.full(len(b := values[s : s + BLOCK]), np.abs(b).max()) for s in starts])


@pytest.mark.parametrize("dtype", DTYPE)
@pytest.mark.parametrize("size", SIZES)
def test_the_errors_stay_within_the_stated_bounds(dtype: str, size: int) -> None:
    for each in _values(dtype, size, seed=size):
        values = each.astype(DTYPE[dtype])
        exact = values.astype(np.longdouble)
        slack = 1 if dtype == "F32" else 1 + 2.0**-40
        bounds = {
            "BFloat16": np.maximum(np.abs(exact) * 2.0**-8, 2.0**-134),
            "Int8": np.maximum(_largest_of_blocks(exact) / 254, 2.0**-100) * slack,
        }
        for compression in COMPRESSIONS:
            packed = pack(values, dtype, compression)
            assert len(packed) == packed_bytes(size, compression)
            read = unpack(packed, dtype, compression)
            assert read.dtype == np.dtype(DTYPES[dtype])
            assert np.isfinite(read).all()
            assert (np.abs(read.astype(np.longdouble) - exact) <= bounds[compression]).all(), (compression, values[:4])


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_values_that_were_read_are_packed_without_a_further_error(compression: Compression) -> None:
    values = np.random.default_rng(1).normal(size=5 * BLOCK).astype(np.float32)
    read = unpack(pack(values, "F32", compression), "F32", compression)
    again = unpack(pack(read, "F32", compression), "F32", compression)
    assert again.tobytes() == read.tobytes()


def test_a_float64_beyond_float32_is_refused() -> None:
    for compression in COMPRESSIONS:
        with pytest.raises(OutOfRange):
            pack(np.array([0.0, -LARGEST * 1.01]), "F64", compression)


def _block(scale: Array, multiple: int = 1) -> bytes:
    return scale.astype("<f4").tobytes() + np.full(8, multiple, np.int8).tobytes()


@pytest.mark.parametrize(
    "hostile",
    {
        "infinite": _block(np.array(np.inf)),
        "NaN": _block(np.array(np.nan)),
        "negative": _block(np.array(-0.5)),
        "negative zero": _block(np.array(-0.0), 0),
        "huge": _block(np.array(LARGEST / 100)),
        "subnormal": _block(np.array(1e-42)),
        "too many bits": _block(np.array(0.1)),
        "a multiple of nothing": _block(np.array(0.0)),
        "-128": _block(np.array(0.5), -128),
    }.items(),
    ids=lambda each: each[0],
)
def test_a_scale_that_no_site_writes_is_refused(hostile: tuple[str, bytes]) -> None:
    good = _block(np.array(0.5))
    assert unpack(good, "F32", "Int8").tolist() == [0.5] * 8
    with pytest.raises(Unpackable):
        unpack(hostile[1], "F32", "Int8")


LAYOUT = canonical_layout(
    [
        Tensor("wide", "F64", (2, 700)),
        Tensor("steps", "I64", ()),
        Tensor("wardround.input.mean", "F64", (30,)),
        Tensor("weight", "F32", (300, 400)),
        Tensor("bias", "F32", (1,)),
        Tensor("empty", "F32", (0, 4)),
        Tensor("mask", "BOOL", (5,)),
    ]
)


def _file(layout: Layout, compression: Compression) -> tuple[bytes, bytes]:
    """A compressed file, and the file that has to come out of it."""
    random = np.random.default_rng(3)
    sent, file = layout.header, layout.header
    for tensor in layout.tensors:
        count = tensor.nbytes // tensor.item_bytes
        values = (random.normal(size=count) * 9).astype(DTYPES[tensor.dtype])
        if is_packed(tensor, compression, FROZEN):
            packed = pack(values, tensor.dtype, compression)
            sent, file = sent + packed, file + unpack(packed, tensor.dtype, compression).tobytes()
        else:
            sent, file = sent + values.tobytes(), file + values.tobytes()
    return sent, file


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("step", [997, 1 << 16, 1 << 20])
def test_a_file_is_expanded_from_pieces_of_any_size(compression: Compression, step: int) -> None:
    sent, file = _file(LAYOUT, compression)
    assert sent_length(LAYOUT, compression, FROZEN) == len(sent) < len(file) == LAYOUT.length
    expansion = Expansion(LAYOUT, compression, FROZEN)
    made = b""
    for start in range(0, len(sent), step):
        assert not expansion.complete
        made += b"".join(bytes(each) for each in expansion.feed(sent[start : start + step]))
    assert expansion.complete
    assert made == file


def test_integers_frozen_tensors_and_what_gets_no_shorter_are_not_packed() -> None:
    packed = {c: {each.name for each in LAYOUT.tensors if is_packed(each, c, FROZEN)} for c in ("None", *COMPRESSIONS)}
    assert packed == {"None": set(), "BFloat16": {"wide", "weight", "bias"}, "Int8": {"wide", "weight"}}


@pytest.mark.parametrize("size", SIZES)
def test_a_compressed_file_is_never_longer(size: int) -> None:
    """So the limit of an upload, which the hub computes from the base, holds for it too."""
    layout = canonical_layout([Tensor(f"t{number}", dtype, (size,)) for number, dtype in enumerate(DTYPE)])
    for compression in COMPRESSIONS:
        assert sent_length(layout, compression, ()) <= layout.length
    large = canonical_layout([Tensor("t", "F32", (1 << 20,))])
    assert large.length / sent_length(large, "BFloat16", ()) > 1.99
    assert large.length / sent_length(large, "Int8", ()) > 3.98
    assert packed_bytes(BLOCK, "Int8") == BLOCK + SCALE_BYTES
