"""Metrics and intervals from sums: equal to independent formulas, and withheld for few people."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, precision_score, recall_score, roc_auc_score

from tests.unit.metrics.people import hospital
from tests.unit.metrics.test_sums import counted, delong
from wardround.metrics import bins, intervals, registry, sums
from wardround.metrics.estimates import Estimate, calibration, estimates

Z = 1.959963984540054


def all_of(numbers: sums.Sums, min_cell: float = 11, specificity: float = 0.9) -> dict[str, Estimate]:
    """The estimates; fails where one is withheld. Fewer than 400 people make no two groups to recalibrate with."""
    made = estimates(numbers, min_cell, specificity)
    withheld = {name for name, each in made.items() if each is None}
    assert withheld == (set() if numbers["people"][0] >= 400 else {"calibrationIntercept", "calibrationSlope"})
    return {name: each for name, each in made.items() if each is not None}


@pytest.mark.parametrize("prevalence", [0.02, 0.1, 0.5])
def test_metrics_equal_scikit_learns(prevalence: float) -> None:
    rows = hospital(3000, prevalence, 1)
    made = all_of(counted(rows), min_cell=1)
    labels, chances = rows.labels, rows.probabilities
    predicted = chances >= 0.5
    expected = {
        "loss": log_loss(labels, chances),
        "brier": brier_score_loss(labels, chances),
        "accuracy": (predicted == labels).mean(),
        "sensitivity": recall_score(labels, predicted),
        "specificity": recall_score(1 - labels, ~predicted),
        "ppv": precision_score(labels, predicted),
        "auc": roc_auc_score(labels, chances),
        "calibration": labels.sum() / chances.sum(),
        "people": 3000,
        "positives": labels.sum(),
        "rows": 3000,
    }
    assert {name: made[name].value for name in expected} == pytest.approx(expected, abs=1e-9)


def test_the_registry_describes_each_estimate() -> None:
    made = all_of(counted(hospital(400, 0.3, 2)))
    assert made.keys() == registry.METRICS.keys()
    for name, each in made.items():
        assert (each.low is not None) == bool(registry.METRICS[name].interval), name
        assert each.low is None or each.high is None or each.low <= each.value <= each.high


def test_sums_without_a_histogram_give_the_metrics_of_training() -> None:
    numbers = counted(hospital(400, 0.3, 2))
    del numbers["histogram"]
    assert estimates(numbers, 11).keys() == set(registry.TRAIN)
    assert set(registry.EVALUATE) - set(registry.TRAIN) == {"sensitivityAtSpecificity"}


# Known values: Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (Wilson without continuity correction).
@pytest.mark.parametrize(
    ("hits", "people", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_equal_published_values(hits: int, people: int, low: float, high: float) -> None:
    assert intervals.wilson(hits / people, people) == pytest.approx((low, high), abs=5e-5)
    assert intervals.wilson(1 - hits / people, people) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_no_interval_overflows() -> None:
    """Eleven positive patients whose positive rows weigh next to nothing: no float holds exp of the deviation."""
    for weight in (1e-6, 1e-15, 1e-300, 5e-324):
        assert intervals.ratio(weight, 33.3, 111.0) is None
        assert intervals.wilson(0.0, weight)[1] <= 1
    for observed in (1e-3, 1.0, 100.0):
        ends = intervals.ratio(observed, 33.3, 111.0)
        assert ends is not None
        assert all(math.isfinite(end) for end in ends)
    assert intervals.ratio(0.0, 1.0, 10.0) is None


def test_the_interval_of_a_mean_is_that_of_its_people() -> None:
    rows = hospital(200, 0.3, 3)
    losses = -np.log(np.where(rows.labels == 1, rows.probabilities, 1 - rows.probabilities))
    half = Z * losses.std(ddof=1) / math.sqrt(200)
    made = all_of(counted(rows))["loss"]
    assert (made.low, made.high) == pytest.approx((losses.mean() - half, losses.mean() + half), rel=1e-9)


def test_the_interval_of_an_auc_is_delongs_and_over_hospitals_that_of_the_weighted_mean() -> None:
    hospitals = [hospital(150, 0.3, 4), hospital(90, 0.5, 5)]
    apart = [counted(rows) for rows in hospitals]
    made = all_of(sums.add(apart))["auc"]
    shares = np.array([each["pairs"][0] for each in apart]) / sum(each["pairs"][0] for each in apart)
    areas = np.array([roc_auc_score(rows.labels, rows.probabilities) for rows in hospitals])
    half = NormalDist().inv_cdf(0.975) * math.sqrt((shares**2 * [delong(rows) for rows in hospitals]).sum())
    assert made.value == pytest.approx(shares @ areas, abs=1e-12)
    assert (made.low, made.high) == pytest.approx((shares @ areas - half, shares @ areas + half), abs=1e-9)
    assert made.people == 240


def test_an_interval_of_95_percent_holds_the_truth_in_95_percent_of_samples() -> None:
    """Patients have up to four visits: counted as single patients, their intervals would be too narrow."""
    truth = all_of(counted(hospital(40_000, 0.3, 6, visits=4)))
    names = ("auc", "loss", "brier", "calibration")
    held = dict.fromkeys(names, 0)
    for seed in range(400):
        made = all_of(counted(hospital(150, 0.3, 1000 + seed, visits=4)))
        for name in names:
            low, high = made[name].low, made[name].high
            assert low is not None
            assert high is not None
            held[name] += low <= truth[name].value <= high
    assert all(count >= 0.91 * 400 for count in held.values()), held
    assert held["auc"] <= 0.985 * 400


def test_an_auc_of_one_has_no_interval() -> None:
    labels = np.repeat([0, 1], 20)
    made = estimates(sums.count(labels, 0.2 + 0.6 * labels, range(40)), 11)["auc"]
    assert made == Estimate(1.0, None, None, 40, 40.0, 40.0)


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.95])
def test_the_threshold_is_the_lowest_edge_with_the_stated_specificity(specificity: float) -> None:
    rows = hospital(2000, 0.3, 7)
    made = all_of(counted(rows), specificity=specificity)
    threshold = made["threshold"].value
    assert threshold in bins.EDGES
    positive, negative = rows.labels == 1, rows.labels == 0
    at_edge = (rows.probabilities[negative] < threshold).mean()
    assert made["specificityAtThreshold"].value == pytest.approx(at_edge, abs=1e-12)
    assert at_edge >= specificity
    caught = (rows.probabilities[positive] >= threshold).mean()
    assert made["sensitivityAtSpecificity"].value == pytest.approx(caught, abs=1e-12)
    # One merged bin lower, the specificity is less than stated.
    lower = [start for start, _ in bins.merge(counted(rows)["histogram"].sum(axis=0), 11)]
    edge = bins.EDGES[max(each for each in lower if bins.EDGES[each] < threshold)]
    assert (rows.probabilities[negative] < edge).mean() < specificity


def test_no_threshold_separates_fewer_people_than_the_smallest_cell() -> None:
    for seed in range(20):
        rows = hospital(60, 0.4, seed)
        made = estimates(counted(rows), 11)["threshold"]
        if made is not None and made.value > 1e-6:
            assert (rows.probabilities < made.value).sum() >= 11
            assert (rows.probabilities >= made.value).sum() >= 11


def test_a_specificity_that_no_edge_reaches_has_no_threshold() -> None:
    rows = hospital(60, 0.4, 8, separation=0)
    made = estimates(counted(rows), 11, specificity=0.9999)
    assert (made["sensitivityAtSpecificity"], made["threshold"], made["specificityAtThreshold"]) == (None,) * 3


def test_groups_of_the_calibration_curve_hold_their_people() -> None:
    rows = hospital(900, 0.3, 9)
    curve = calibration(counted(rows), 11)
    assert len(curve) == 4
    assert sum(group.people for group in curve) == 900
    for group in curve:
        inside = (rows.probabilities >= group.start) & (rows.probabilities < group.stop)
        assert inside.sum() == group.people >= 11
        assert group.observed == pytest.approx(rows.labels[inside].mean())
    assert calibration(counted(hospital(300, 0.01, 10)), 11) == ()


@pytest.mark.parametrize(("positives", "negatives"), [(10, 90), (90, 10), (5, 5), (0, 100)])
def test_nothing_that_depends_on_labels_is_told_if_a_class_is_too_small(positives: int, negatives: int) -> None:
    labels = np.repeat([1, 0], [positives, negatives])
    chances = np.random.default_rng(1).random(len(labels))
    made = estimates(sums.count(labels, chances, range(len(labels))), 11)
    names = {name for name, each in made.items() if each is not None}
    assert names == ({"people", "rows"} if len(labels) >= 11 else set())


def test_one_patient_with_many_visits_is_one_patient() -> None:
    labels, patients = np.repeat([1, 0], [50, 60]), np.concatenate([[0] * 50, range(1, 61)])
    made = estimates(sums.count(labels, np.random.default_rng(2).random(110), patients), 11)
    assert made["loss"] is None
    assert made["people"] == Estimate(61.0, None, None, 61, 61.0, 61.0)


def test_a_metric_with_a_small_denominator_is_withheld() -> None:
    """Ten people are predicted positive: the share of them that is positive says something about ten people."""
    labels, chances = np.repeat([1, 0], 50), np.full(100, 0.3)
    chances[:8] = chances[50:52] = 0.9
    assert estimates(sums.count(labels, chances, range(100)), 11)["ppv"] is None
    chances[52] = 0.9
    made = estimates(sums.count(labels, chances, range(100)), 11)["ppv"]
    assert made is not None
    assert made.value == pytest.approx(8 / 11)
    assert made.people == 11


def test_no_rows_have_no_metrics() -> None:
    made = estimates(sums.count([], [], []), 0)
    assert {name for name, each in made.items() if each is not None} == {"people", "positives", "rows"}
