"""The compiled loop gives the same bits as numpy, and is used where the environment names it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from wardround.aggregate import weighted
from wardround.aggregate.weighted import add_by_numpy, compiled
from wardround.tensors import Array

HARD = np.array([0.0, -0.0, 1e-45, -1e-45, 1.2e-38, 3.4e38, -3.4e38, 1 / 3, 1.0, -1.0, 16777216.0], np.float32)


def numbers(dice: np.random.Generator, size: int) -> Array:
    """Float32 of all magnitudes, with adversarial values."""
    wild = dice.normal(size=size) * 10.0 ** dice.integers(-40, 38, size=size)
    values = np.clip(wild, -3e38, 3e38).astype(np.float32)
    hard = dice.random(size) < 0.3
    values[hard] = dice.choice(HARD, hard.sum())
    return values


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100, 1001])
def test_sums_have_the_same_bits(library: Path, size: int) -> None:
    dice = np.random.default_rng(size)
    ours, plain, spare = np.zeros(size), np.zeros(size), np.empty(100)
    for share in (*dice.random(20), 0.0, 1e-300, 1.0):
        values = numbers(dice, size)
        compiled(str(library))(ours, values, "F32", share, spare)
        add_by_numpy(plain, values, "F32", share, spare)
    assert ours.tobytes() == plain.tobytes()


@pytest.mark.parametrize("size", [1, 64])
def test_a_product_is_rounded_before_it_is_added(library: Path, size: int) -> None:
    """A fused operation would keep the part that is lost here."""
    value, share = np.float32(1 + 2**-23), 1 + 2**-30 + 2**-52
    assert Fraction(float(value)) * Fraction(share) != Fraction(float(value) * share)
    total = np.full(size, -float(value) * share)
    compiled(str(library))(total, np.full(size, value), "F32", share, np.empty(1))
    assert not total.any()


def unaligned(values: Array) -> Array:
    return np.frombuffer(b"\0" + values.tobytes(), np.float32, offset=1)


def in_strides(values: Array) -> Array:
    return np.repeat(values, 2)[::2]


def in_float64(values: Array) -> Array:
    return values.astype(np.float64)


def integers(values: Array) -> Array:
    return np.arange(values.size, dtype="<i4")


@pytest.mark.parametrize(
    ("kind", "dtype"), [(unaligned, "F32"), (in_strides, "F32"), (in_float64, "F64"), (integers, "I32")]
)
def test_other_arrays_are_added_by_numpy(library: Path, kind: Callable[[Array], Array], dtype: str) -> None:
    values = kind(numbers(np.random.default_rng(1), 300))
    ours, plain = np.zeros(300), np.zeros(300)
    compiled(str(library))(ours, values, dtype, 0.3, np.empty(100))
    add_by_numpy(plain, values, dtype, 0.3, np.empty(100))
    assert ours.tobytes() == plain.tobytes()


def test_the_environment_decides(loop: str) -> None:
    assert (weighted.adding() is add_by_numpy) == (loop == "numpy")


def test_a_path_without_a_library_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(weighted.VARIABLE, str(tmp_path / "kernels.so"))
    weighted.adding.cache_clear()
    with pytest.raises(OSError, match=r"kernels\.so"):
        weighted.adding()
    weighted.adding.cache_clear()
