"""The arithmetic of each rule equals plain float64 numpy over the whole block, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wardround.aggregate.rules import RULES, Differs, RuleName, finite, rule_for
from wardround.tensors import DTYPES, narrow, widen

pytestmark = pytest.mark.usefixtures("loop")

SHARES = [0.5, 0.3125, 0.1875]


def reduce(rule: RuleName, dtype: str, rows: Any, base: Any = None, shares: list[float] = SHARES) -> Any:
    reduction = RULES[rule](dtype, len(rows[0]))
    for row, share in zip(rows, shares, strict=True):
        reduction.add([row], [share])
    return reduction.result(base)


def block(dtype: str, size: int = 5000) -> tuple[Any, Any]:
    dice = np.random.default_rng(1)
    rows = narrow(dice.normal(size=(4, size)), dtype)
    return rows[:3], rows[3]


def plain_mean(rows: Any, dtype: str) -> Any:
    wide = [widen(row, dtype) for row in rows]
    return SHARES[0] * wide[0] + SHARES[1] * wide[1] + SHARES[2] * wide[2]


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_fedavg_is_the_base_plus_the_weighted_mean_difference_rounded_once(dtype: str) -> None:
    rows, base = block(dtype)
    expected = narrow(widen(base, dtype) + plain_mean(rows, dtype), dtype)
    assert reduce("Delta", dtype, rows, base).tobytes() == expected.astype(DTYPES[dtype]).tobytes()


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_an_initial_round_takes_the_weighted_mean_of_weights(dtype: str) -> None:
    rows, _ = block(dtype)
    expected = narrow(plain_mean(rows, dtype), dtype)
    assert reduce("Mean", dtype, rows).tobytes() == expected.astype(DTYPES[dtype]).tobytes()


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_a_zero_mean_difference_keeps_the_base_bit_by_bit(dtype: str) -> None:
    base = narrow(np.array([-0.0, 0.1, -1e-300, 3.0]), dtype)
    zeros = [np.zeros(4, DTYPES[dtype])] * 3
    assert reduce("Delta", dtype, zeros, base).tobytes() == base.tobytes()


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_a_value_that_all_share_stays_bit_by_bit_for_any_shares(dtype: str) -> None:
    value = narrow(np.array([0.1, 1 / 3, 1e-7]), dtype)
    uneven = [1 / 3, 1 / 3, 1 - 2 / 3]
    assert reduce("Mean", dtype, [value] * 3, shares=uneven).tobytes() == value.tobytes()


def test_sums_are_scaled_by_shares() -> None:
    rows = np.arange(6, dtype="<f8").reshape(3, 2)
    assert reduce("Sum", "F64", rows, shares=[1.0, 1.0, 1.0]).tolist() == [6.0, 9.0]
    assert reduce("Sum", "F64", rows, shares=[1.0, 1.0, 0.25]).tolist() == [3.0, 5.25]
    dice = np.random.default_rng(2).normal(size=(3, 1000))
    assert reduce("Sum", "F64", dice, shares=[1.0] * 3).tobytes() == (dice[0] + dice[1] + dice[2]).tobytes()


def test_pairs_are_scaled_by_the_square_of_the_share_and_their_variance_by_its_fourth_power() -> None:
    rows = np.array([[600.0, 450.0, 81.0], [1600.0, 1200.0, 2560.0]])
    assert reduce("Pairs", "F64", rows, shares=[1.0, 1.0]).tolist() == [2200.0, 1650.0, 2641.0]
    assert reduce("Pairs", "F64", rows, shares=[1.0, 0.25]).tolist() == [700.0, 525.0, 91.0]
    assert [rule_for("Evaluate", False, name, "F64") for name in ("pairs", "people")] == ["Pairs", "Sum"]


def test_sums_about_different_centres_are_refused() -> None:
    same = np.array([1.0, 2.0])
    assert reduce("Equal", "F64", [same] * 3).tolist() == [1.0, 2.0]
    with pytest.raises(Differs):
        reduce("Equal", "F64", [same, same, same + 1])


def test_integers_are_the_bases_or_in_an_initial_round_the_largest() -> None:
    rows = np.array([[1, 9], [3, 2], [2, 2]], "<i8")
    assert reduce("KeepBase", "I64", rows, np.array([4, 4], "<i8")).tolist() == [4, 4]
    assert reduce("Largest", "I64", rows).tolist() == [3, 9]


@pytest.mark.parametrize(
    ("task", "initial", "name", "dtype", "rule"),
    [
        ("Train", False, "w", "F32", "Delta"),
        ("Train", False, "steps", "I64", "KeepBase"),
        ("Train", True, "w", "BF16", "Mean"),
        ("Train", True, "mask", "BOOL", "Largest"),
        ("Train", True, "shift", "F32", "Mean"),
        ("Statistics", False, "squares", "F64", "Sum"),
        ("Statistics", False, "shift", "F64", "Equal"),
        ("Evaluate", False, "negatives", "F64", "Sum"),
    ],
)
def test_task_name_and_dtype_decide_the_rule(task: str, initial: bool, name: str, dtype: str, rule: str) -> None:
    assert rule_for(task, initial, name, dtype) == rule


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_not_finite(dtype: str, bad: float) -> None:
    assert finite(narrow(np.array([1.0, -2.0]), dtype), dtype)
    assert not finite(narrow(np.array([1.0, bad]), dtype), dtype)


def test_integers_are_always_finite() -> None:
    assert finite(np.array([0x7FFF], "<i8"), "I64")
