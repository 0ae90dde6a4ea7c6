"""A result's numbers are over all hospitals that sent sums, and tell no hospital's that its Site does not tell."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.aggregate.parts import ALL, combined, hospital, part_without, predicting
from wardround.aggregate import counts
from wardround.aggregate.metrics import Part
from wardround.metrics import bins, estimates, registry


def test_each_declared_metric_is_over_all_hospitals_with_its_interval() -> None:
    made = combined(hospital("a"), hospital("b", 90))
    assert set(made.metrics) == {*ALL} - {"sensitivityAtSpecificity"}
    for name in ("loss", "brier", "accuracy", "auc", "sensitivity"):
        metric = made.metrics[name]
        assert metric.low is not None
        assert metric.high is not None
        assert float(metric.low) < float(metric.value) < float(metric.high)
        assert metric.hospitals == 2
    assert made.metrics["loss"].people == 150
    assert made.metrics["sensitivity"].people == 75
    assert (made.metrics["people"].value, made.metrics["rows"].value) == ("150", "150")
    assert set(combined(hospital("a"), hospital("b"), declared=("auc",)).metrics) == {"auc"}


def test_auc_compares_people_within_a_hospital_alone() -> None:
    """At one hospital all predictions are higher. So pairs of people of different hospitals would be out of order."""
    parts = hospital("a", 200), hospital("b", 200, shift=4.0)
    alike = hospital("a", 200), hospital("b", 200)
    assert combined(*parts).metrics["auc"] == combined(*alike).metrics["auc"]


def test_the_curve_of_calibration_comes_with_the_metric_of_that_name() -> None:
    parts = hospital("a", 1500), hospital("b", 1500)
    groups = combined(*parts).calibration
    assert 6 <= len(groups) <= 7
    assert sum(each.people for each in groups) == pytest.approx(3000, abs=50)
    assert all(each.people >= estimates.CURVE_PEOPLE for each in groups)
    assert float(groups[0].observed) < 0.3 < 0.7 < float(groups[-1].observed)
    assert [each.high for each in groups[:-1]] == [each.low for each in groups[1:]]
    assert len(combined(*parts, hospital("cc", 1500)).calibration) == 9
    without = combined(*parts, declared=("auc", "loss"))
    assert (set(without.metrics), without.calibration) == ({"auc", "loss"}, ())


def test_intercept_and_slope_come_with_calibration_if_the_curve_has_two_groups() -> None:
    made = combined(hospital("a", 1500), hospital("b", 1500), declared=("calibration",)).metrics
    assert set(made) == {"calibration", "calibrationIntercept", "calibrationSlope"}
    # Two normal distributions around 0 and 1.5 give exactly these log odds.
    for name, value in (("calibrationIntercept", -1.125), ("calibrationSlope", 1.5)):
        metric = made[name]
        assert metric.low is not None
        assert metric.high is not None
        assert float(metric.low) < float(metric.value) < float(metric.high)
        assert float(metric.low) < value < float(metric.high)
        assert (metric.people, metric.hospitals) == (3000, 2)
    few = combined(hospital("a", 190), hospital("b", 190), declared=("calibration",))
    assert (set(few.metrics), len(few.calibration)) == ({"calibration"}, 1)
    apart = combined(predicting("a", 2000, 0.5, 0.99), predicting("b", 2000, 0.01, 0.49), declared=("calibration",))
    assert (set(apart.metrics), len(apart.calibration)) == ({"calibration"}, 1)


def test_a_hospital_over_its_maximum_counts_as_that_many_people() -> None:
    """A thousand copies of the same people, scaled to as many as there were, change no value."""
    one, other = hospital("a"), hospital("b", 90)
    copies = {name: each * (1000.0 ** (2 if name == "pairs" else 1)) for name, each in other.sums.items()}
    many = Part("b", 90_000, copies, {}, 1 / 1000, False, 11)
    plain, scaled = combined(one, other).metrics, combined(one, many).metrics
    for name in ("loss", "brier", "accuracy", "auc", "calibration", "people"):
        assert scaled[name].value == plain[name].value, name


def rare(positives: int, negatives: int, rows: float) -> dict[str, Any]:
    """Sums in which the positive rows weigh the least that the counts allow. Each prediction is 0.3."""
    people = positives + negatives
    weight = positives / rows
    other, chance = people - weight, 0.3
    histogram = np.zeros((2, bins.BINS))
    histogram[:, bins.indices(np.array([chance]))[0]] = other, weight
    loss, brier = -other * np.log(1 - chance) - weight * np.log(chance), other * 0.09 + weight * 0.49
    made = {
        "people": [people, positives, people],
        "rows": [rows],
        "weights": [other, weight],
        "loss": [loss, loss**2 / people],
        "brier": [brier, brier**2 / people],
        "confusion": [0, 0, other, weight],
        "expected": [people * chance],
        "pairs": [other * weight, other * weight / 2, 0.0],
    }
    return {name: np.array(each, np.float64) for name, each in made.items()} | {"histogram": histogram}


EXTREME_SUMS = [
    (positives, negatives, float(rows * (positives + negatives)))
    for positives, negatives, rows in itertools.product((1, 11, 10**6), (1, 100, 10**6, 10**11), (2, 100, 10_000))
    if positives * 2 <= rows * (positives + negatives)
]


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize(("positives", "negatives", "rows"), EXTREME_SUMS)
def test_no_sums_that_pass_end_the_aggregation(positives: int, negatives: int, rows: float, tells: bool) -> None:
    numbers = rare(positives, negatives, rows)
    people = counts.evaluated(numbers | {"salt": np.zeros(32)}, 1, 1)
    for scale in (1.0, 1 / people):
        extreme = Part("liar", people, numbers, {}, scale, tells, 1)
        for made in (combined(extreme), combined(hospital("a"), hospital("b", 90), extreme)):
            assert all(math.isfinite(float(each.value)) for each in made.metrics.values())


def test_the_largest_least_number_of_people_counts() -> None:
    parts = hospital("a"), hospital("b", 90, min_cell=40)
    assert "ppv" in combined(*parts).metrics
    several = [hospital(name, 900) for name in "ab"]
    strict = [replace(each, min_cell=300) for each in several]
    assert len(combined(*strict).calibration) < len(combined(*several).calibration)
    assert all(each.people >= 600 for each in combined(*strict).calibration)


def test_scaled_sums_of_a_hospital_do_not_change_its_own_numbers() -> None:
    whole, scaled = hospital("a", tells=True), hospital("a", tells=True, scale=0.5)
    other = hospital("b", 90, tells=True)
    assert combined(whole, other).by_hospital == combined(scaled, other).by_hospital
    assert combined(whole, other).metrics["people"] != combined(scaled, other).metrics["people"]


def test_train_sums_have_no_histogram_and_so_no_threshold() -> None:
    trained = [
        part_without(name, sums={each: value for each, value in hospital(name).sums.items() if each != "histogram"})
        for name in ("a", "b")
    ]
    made = combined(*trained)
    assert set(made.metrics) == set(registry.TRAIN)
    assert made.calibration == ()
