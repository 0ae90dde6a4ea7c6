"""Intercept and slope are those of the largest likelihood, and are missing where the likelihood has no maximum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from tests.unit.metrics.people import hospital
from tests.unit.metrics.test_sums import counted
from wardround.metrics import bins, recalibration, registry, sums
from wardround.metrics.estimates import calibration, estimates
from wardround.metrics.intervals import Z


def fitted(numbers: sums.Sums, most_groups: int = 10) -> tuple[recalibration.Line, list[tuple[int, int]]]:
    negatives, positives = np.asarray(numbers["histogram"], np.float64).reshape(2, -1)
    groups = bins.merge(negatives + positives, 1, most_groups)
    line = recalibration.fit(negatives + positives, positives, groups)
    assert line is not None
    return line, groups


@pytest.mark.parametrize(("prevalence", "visits"), [(0.02, 1), (0.1, 3), (0.5, 1)])
def test_if_each_bin_is_a_group_the_line_equals_scikit_learns(prevalence: float, visits: int) -> None:
    numbers = counted(hospital(3000, prevalence, 1, visits=visits))
    negatives, positives = np.asarray(numbers["histogram"], np.float64).reshape(2, -1)
    held = negatives + positives > 0
    starts = np.flatnonzero(held).tolist()
    groups = list(zip(starts, [*starts[1:], bins.BINS], strict=True))
    line = recalibration.fit(negatives + positives, positives, groups)
    assert line is not None
    odds = np.tile(recalibration.middles(), 2)[:, None]
    labels, weights = np.repeat([0, 1], bins.BINS), np.concatenate([negatives, positives])
    expected = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(odds, labels, weights)
    assert (line.intercept, line.slope) == pytest.approx((expected.intercept_[0], expected.coef_[0, 0]), abs=1e-6)


@pytest.mark.parametrize(("prevalence", "visits"), [(0.02, 1), (0.1, 3), (0.5, 1)])
def test_the_line_has_the_largest_likelihood_of_the_groups(prevalence: float, visits: int) -> None:
    """The likelihood, written anew and maximised without derivatives."""
    numbers = counted(hospital(3000, prevalence, 1, visits=visits))
    line, groups = fitted(numbers)
    negatives, positives = np.asarray(numbers["histogram"], np.float64).reshape(2, -1)

    def loss(candidate: bins.Floats) -> float:
        total = 0.0
        chances = 1 / (1 + np.exp(-(candidate[0] + candidate[1] * recalibration.middles())))
        for start, stop in groups:
            weights = (negatives + positives)[start:stop]
            share = float(weights @ chances[start:stop] / weights.sum())
            positive, negative = positives[start:stop].sum(), negatives[start:stop].sum()
            total -= positive * math.log(share) + negative * math.log(1 - share)
        return total

    best = minimize(loss, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000})
    assert (line.intercept, line.slope) == pytest.approx(tuple(best.x), abs=1e-5)


def test_the_line_of_few_groups_is_nearly_that_of_the_people() -> None:
    """Within its standard errors, though the fit knows no single label."""
    rows = hospital(5000, 0.2, 2)
    line, groups = fitted(counted(rows))
    assert len(groups) <= 10
    odds = np.log(rows.probabilities / (1 - rows.probabilities))[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(odds, rows.labels)
    assert abs(line.intercept - expected.intercept_[0]) < line.errors[0]
    assert abs(line.slope - expected.coef_[0, 0]) < line.errors[1]


def test_a_model_with_halved_log_odds_is_put_right() -> None:
    dice = np.random.default_rng(3)
    odds = dice.normal(-0.5, 2.0, 200_000)
    labels = (dice.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    halved = 1 / (1 + np.exp(-(odds / 2 + 0.7)))
    line, _ = fitted(sums.count(labels, halved, range(len(labels))))
    assert (line.intercept, line.slope) == pytest.approx((-1.4, 2.0), abs=0.05)
    again = np.array([recalibration.recalibrated(each, line.intercept, line.slope) for each in halved[:1000]])
    assert np.abs(again - 1 / (1 + np.exp(-odds[:1000]))).max() < 0.02


def test_there_is_no_line_if_the_groups_separate_the_classes_or_are_one() -> None:
    negatives, positives = np.ones(bins.BINS), np.zeros(bins.BINS)
    halves = [(0, 128), (128, 256)]
    assert recalibration.fit(negatives, positives, []) is None
    assert recalibration.fit(negatives, positives, [(0, 256)]) is None
    assert recalibration.fit(negatives, positives, halves) is None
    positives[128:] = 1
    assert recalibration.fit(positives + np.repeat([1.0, 0.0], 128), positives, halves) is None
    positives[0] = 1
    assert recalibration.fit(positives + np.repeat([1.0, 0.1], 128), positives, halves) is not None


def test_the_interval_holds_the_truth_in_95_percent_of_samples() -> None:
    held = np.zeros(2)
    for seed in range(400):
        dice = np.random.default_rng(seed)
        odds = dice.normal(0, 1.5, 500)
        labels = (dice.random(500) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        line, _ = fitted(sums.count(labels, 1 / (1 + np.exp(-odds)), range(500)))
        held += np.abs(np.array([line.intercept, line.slope]) - [0, 1]) <= Z * np.array(line.errors)
    assert (held >= 0.92 * 400).all()
    assert (held <= 0.985 * 400).all()


def test_a_recalibrated_probability_is_finite_at_both_ends() -> None:
    assert recalibration.recalibrated(0.3, 0.0, 1.0) == pytest.approx(0.3, abs=1e-15)
    assert recalibration.recalibrated(0.0, -500.0, 60.0) == pytest.approx(0.0, abs=1e-300)
    assert recalibration.recalibrated(1.0, 500.0, 60.0) == 1.0
    assert math.isclose(recalibration.recalibrated(0.5, math.log(3), 2.0), 0.75)


def test_the_line_depends_on_labels_through_the_groups_of_the_curve_alone() -> None:
    """Two people of one group change their labels with each other. Neither the curve nor the line sees it."""
    rows = hospital(900, 0.3, 9)
    exchanged = rows.labels.copy()
    group = calibration(counted(rows), 11)[1]
    inside = (rows.probabilities >= group.start) & (rows.probabilities < group.stop)
    one, other = (np.flatnonzero(inside & (rows.labels == label))[0] for label in (0, 1))
    exchanged[[one, other]] = 1, 0
    numbers = [sums.count(labels, rows.probabilities, rows.patients) for labels in (rows.labels, exchanged)]
    first, second = (estimates(each, 11) for each in numbers)
    assert first["auc"] != second["auc"]
    for name in (registry.INTERCEPT, registry.SLOPE):
        assert first[name] is not None
        assert first[name] == second[name]


@pytest.mark.parametrize(("people", "positives"), [(399, 100), (1000, 10), (1000, 990)])
def test_the_line_is_withheld_with_one_group_and_with_a_small_class(people: int, positives: int) -> None:
    dice = np.random.default_rng(4)
    labels = np.repeat([1, 0], [positives, people - positives])
    made = estimates(sums.count(labels, dice.uniform(0.1, 0.9, people), range(people)), 11)
    assert (made[registry.INTERCEPT], made[registry.SLOPE]) == (None, None)
