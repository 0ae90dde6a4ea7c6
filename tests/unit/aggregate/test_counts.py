"""Counts and sums that some rows can give pass. Counts and sums that no rows can give are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wardround.aggregate import counts
from wardround.pod import statistics
from wardround.tabular import schema
from wardround.tensors import Tensor, canonical_layout

Numbers = dict[str, Any]
FEATURES = 3


def summed(rows: Any, shift: float = 0.0, positives: int = 0) -> Numbers:
    """The numbers that the statistics container writes for these rows."""
    centred = rows.astype(np.float64) - shift
    per_feature = {"sum": centred.sum(axis=0), "squares": np.square(centred).sum(axis=0)}
    whole = {"count": np.full(rows.shape[1], float(len(rows))), "shift": np.full(rows.shape[1], shift)}
    return {**per_feature, **whole, "positives": np.array([float(positives)]), "rows": np.array([float(len(rows))])}


def counted(negatives: dict[int, float], positives: dict[int, float]) -> Numbers:
    made = {"negatives": np.zeros(100), "positives": np.zeros(100)}
    for name, bins in (("negatives", negatives), ("positives", positives)):
        for place, count in bins.items():
            made[name][place] = count
    return made


def test_the_expected_layout_is_the_training_pods_layout() -> None:
    fields = [{"name": name, "type": "number"} for name in ("a", "b", "c")]
    ends = [{"name": "who", "type": "string"}, {"name": "ill", "type": "boolean"}]
    table = schema.parse({"fields": fields + ends, "target": "ill", "identifier": "who"})
    written = statistics.layout(table)
    assert counts.is_statistics(written)
    assert written.header == counts.statistics_layout(FEATURES).header


GOOD = counts.statistics_layout(FEATURES).tensors


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [Tensor("count", "F64", ())],
        [Tensor("count", "F64", (3, 1))],
        [*GOOD, Tensor("more", "F64", (1,))],
        [each for each in GOOD if each.name != "rows"],
        [Tensor(each.name, "F32", each.shape) for each in GOOD],
        [Tensor(each.name, "I64", each.shape) for each in GOOD],
        [Tensor(each.name, "F64", (4,) if each.name == "sum" else each.shape) for each in GOOD],
    ],
)
def test_a_file_with_other_tensors_is_not_statistics(tensors: list[Tensor]) -> None:
    assert not counts.is_statistics(canonical_layout(tensors))


def test_sums_of_random_rows_pass() -> None:
    dice = np.random.default_rng(1)
    for _ in range(300):
        size = int(dice.integers(1, 3000))
        scale = 10.0 ** dice.integers(-40, 30)
        rows = (dice.normal(size=(size, FEATURES)) * scale + dice.choice([0.0, scale, -1e6 * scale])).astype("<f4")
        if dice.random() < 0.3:
            rows[:] = rows[0]  # equal rows meet the bound exactly, except for rounding
        numbers = summed(rows, shift=float(dice.choice([0.0, 0.1, -1e3])), positives=int(dice.integers(0, size + 1)))
        assert counts.row_count("Statistics", numbers, int(dice.integers(1, size + 1))) == size


def changed(name: str, place: int, value: float) -> Callable[[Numbers], None]:
    def change(numbers: Numbers) -> None:
        numbers[name][place] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("count", 0, 1e300),
        changed("count", 0, 41.0),
        changed("count", 1, -1.0),
        changed("count", 1, 39.5),
        changed("rows", 0, 1e300),
        changed("rows", 0, -40.0),
        changed("rows", 0, 40.5),
        changed("rows", 0, 39.0),
        changed("positives", 0, 41.0),
        changed("positives", 0, -1.0),
        changed("positives", 0, 0.5),
        changed("squares", 2, -1e-9),
        changed("squares", 2, 1.7e308),
        changed("squares", 2, 0.0),
        changed("sum", 2, 1e300),
        changed("sum", 2, -1e6),
        changed("count", 2, 0.0),
    ],
)
def test_sums_that_no_rows_can_give_are_impossible(change: Callable[[Numbers], None]) -> None:
    numbers = summed(np.random.default_rng(2).normal(size=(40, FEATURES)), positives=7)
    assert counts.row_count("Statistics", numbers, 30) == 40
    change(numbers)
    with pytest.raises(counts.Impossible):
        counts.row_count("Statistics", numbers, 30)


def test_equal_rows_meet_the_bound_on_a_sum() -> None:
    numbers = summed(np.full((40, FEATURES), 2.5))
    numbers["sum"] *= 1.00001
    with pytest.raises(counts.Impossible):
        counts.row_count("Statistics", numbers, 40)


def test_several_rows_a_patient_are_possible() -> None:
    assert counts.row_count("Evaluate", counted({3: 30, 99: 2}, {80: 9}), 12) == 41


@pytest.mark.parametrize(
    ("negatives", "positives", "samples"),
    [
        ({3: 1e300}, {}, 1),
        ({3: 2.0**53}, {4: 2.0**53}, 1),
        ({3: -1.0, 4: 50.0}, {}, 1),
        ({3: 10.0}, {80: 0.5}, 1),
        ({3: 10.0}, {80: 1.0}, 12),
        ({}, {}, 1),
    ],
)
def test_counts_that_no_rows_can_give_are_impossible(
    negatives: dict[int, float], positives: dict[int, float], samples: int
) -> None:
    with pytest.raises(counts.Impossible):
        counts.row_count("Evaluate", counted(negatives, positives), samples)


def test_the_largest_sums_of_10_000_sites_stay_finite() -> None:
    assert np.isfinite(counts.LARGEST_SUM * 10_000)
