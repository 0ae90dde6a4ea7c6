"""A hospital's sums equal those of slow, exact loops over its rows and pairs, and scikit-learn's metrics."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.unit.metrics.people import Rows, hospital
from wardround.metrics import bins, sums
from wardround.wire import layouts

HALF = Fraction(1, 2)


def counted(rows: Rows) -> sums.Sums:
    return sums.count(rows.labels, rows.probabilities, rows.patients)


def weights(rows: Rows) -> list[Fraction]:
    visits = Counter(rows.patients.tolist())
    return [Fraction(1, visits[patient]) for patient in rows.patients.tolist()]


def in_order(positive: float, negative: float) -> Fraction:
    return Fraction(int(positive > negative)) + HALF * int(positive == negative)


def slow_pairs(rows: Rows) -> tuple[Fraction, Fraction]:
    """The weight of all pairs and of those in order, exactly."""
    chances, labels, weight = bins.clip(rows.probabilities).tolist(), rows.labels.tolist(), weights(rows)
    every = [
        (weight[i] * weight[j], in_order(chances[i], chances[j]))
        for i in range(len(labels))
        if labels[i] == 1
        for j in range(len(labels))
        if labels[j] == 0
    ]
    return sum((w for w, _ in every), Fraction(0)), sum((w * order for w, order in every), Fraction(0))


@pytest.mark.parametrize("prevalence", [0.002, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("decimals", [17, 3])
def test_pairs_equal_an_exact_loop_at_every_prevalence(prevalence: float, decimals: int) -> None:
    rows = hospital(1500 if prevalence < 0.1 else 400, prevalence, 8, decimals=decimals)
    assert rows.labels.sum() >= 3
    pairs, ordered, _ = counted(rows)["pairs"]
    exact = slow_pairs(rows)
    assert (pairs, ordered) == tuple(map(float, exact))
    assert ordered / pairs == pytest.approx(float(exact[1] / exact[0]), abs=1e-9)
    assert ordered / pairs == pytest.approx(roc_auc_score(rows.labels, rows.probabilities), abs=1e-9)


@pytest.mark.parametrize("prevalence", [0.01, 0.1, 0.5])
def test_pairs_of_patients_with_several_visits_equal_an_exact_loop(prevalence: float) -> None:
    rows = hospital(200, prevalence, 8, visits=5, decimals=2)
    pairs, ordered, _ = counted(rows)["pairs"]
    exact = slow_pairs(rows)
    assert pairs == pytest.approx(float(exact[0]), rel=1e-12)
    assert ordered == pytest.approx(float(exact[1]), rel=1e-12)


def delong(rows: Rows) -> float:
    """The variance of the AUC by DeLong et al. (1988), for one row a patient, as loops."""
    chances = bins.clip(rows.probabilities).tolist()
    cases = [p for p, label in zip(chances, rows.labels, strict=True) if label == 1]
    controls = [p for p, label in zip(chances, rows.labels, strict=True) if label == 0]
    by_case = [sum(in_order(x, y) for y in controls) / len(controls) for x in cases]
    by_control = [sum(in_order(x, y) for x in cases) / len(cases) for y in controls]
    area = sum(by_case) / len(cases)
    case_variance = sum((v - area) ** 2 for v in by_case) / (len(cases) - 1)
    control_variance = sum((v - area) ** 2 for v in by_control) / (len(controls) - 1)
    return float(case_variance / len(cases) + control_variance / len(controls))


@pytest.mark.parametrize("decimals", [17, 1])
def test_the_variance_of_single_visits_is_delongs(decimals: int) -> None:
    rows = hospital(200, 0.3, 9, decimals=decimals)
    pairs, _, variance = counted(rows)["pairs"]
    assert variance / pairs**2 == pytest.approx(delong(rows), rel=1e-12)


def obuchowski(rows: Rows) -> float:
    """The variance of the AUC by Obuchowski (1997), sections 2 and 3, with a weight of 1 for each row, as loops."""
    chances, labels, patients = (each.tolist() for each in (bins.clip(rows.probabilities), rows.labels, rows.patients))
    cases = [(k, p) for k, p, label in zip(patients, chances, labels, strict=True) if label == 1]
    controls = [(k, p) for k, p, label in zip(patients, chances, labels, strict=True) if label == 0]
    m, n = len(cases), len(controls)
    area = sum((in_order(x, y) for _, x in cases for _, y in controls), Fraction(0)) / (m * n)
    of_cases: dict[int, Fraction] = defaultdict(Fraction)
    of_controls: dict[int, Fraction] = defaultdict(Fraction)
    for k, x in cases:
        of_cases[k] += sum((in_order(x, y) for _, y in controls), Fraction(0)) / n - area
    for k, y in controls:
        of_controls[k] += sum((in_order(x, y) for _, x in cases), Fraction(0)) / m - area
    i10, i01, i = len(of_cases), len(of_controls), len(set(patients))
    s10 = Fraction(i10, (i10 - 1) * m) * sum(d * d for d in of_cases.values())
    s01 = Fraction(i01, (i01 - 1) * n) * sum(d * d for d in of_controls.values())
    s11 = Fraction(i, i - 1) * sum(of_cases[k] * of_controls[k] for k in of_cases.keys() & of_controls.keys())
    return float(s10 / m + s01 / n + 2 * s11 / (m * n))


def test_the_variance_of_equally_many_visits_is_obuchowskis() -> None:
    """With equally many visits a patient all rows weigh the same, and her formula needs no weights."""
    single = hospital(120, 0.4, 10)
    dice = np.random.default_rng(11)
    patients = np.repeat(single.patients, 3)
    labels = np.repeat(single.labels, 3) ^ (dice.random(360) < 0.25)
    chances = np.clip(np.repeat(single.probabilities, 3) + dice.normal(0, 0.1, 360), 0, 1)
    rows = Rows(labels, chances, patients)
    assert len(set(zip(patients.tolist(), labels.tolist(), strict=True))) > 120  # some patients have both labels
    pairs, _, variance = counted(rows)["pairs"]
    assert variance / pairs**2 == pytest.approx(obuchowski(rows), rel=1e-10)


def test_a_visit_that_is_in_the_file_five_times_changes_no_number_but_the_rows() -> None:
    once = hospital(80, 0.3, 12)
    often = Rows(
        np.append(once.labels, [once.labels[0]] * 4),
        np.append(once.probabilities, [once.probabilities[0]] * 4),
        np.append(once.patients, [once.patients[0]] * 4),
    )
    before, after = counted(once), counted(often)
    assert (before.pop("rows")[0], after.pop("rows")[0]) == (80, 84)
    for name, values in before.items():
        assert after[name] == pytest.approx(values, rel=1e-12), name


def test_people_are_whole_and_five_visits_are_one_patient() -> None:
    labels, patients = [1] * 5 + [0] * 3 + [1, 0], [4] * 5 + [5, 6, 7] + [8, 8]
    made = sums.count(labels, np.linspace(0.1, 0.9, 10), patients)
    assert made["people"].tolist() == [5, 2, 4]
    assert made["rows"].tolist() == [10]
    assert made["weights"].tolist() == [3.5, 1.5]


def test_losses_equal_scikit_learns_and_those_of_each_patient() -> None:
    rows = hospital(300, 0.2, 13)
    made = counted(rows)
    expected = log_loss(rows.labels, bins.clip(rows.probabilities))
    assert made["loss"][0] / 300 == pytest.approx(expected, rel=1e-12)
    repeated = hospital(60, 0.3, 14, visits=4)
    loss: dict[int, float] = defaultdict(float)
    brier: dict[int, float] = defaultdict(float)
    for label, p, patient, weight in zip(
        repeated.labels, repeated.probabilities, repeated.patients, weights(repeated), strict=True
    ):
        loss[patient] += float(weight) * -math.log(p if label else 1 - p)
        brier[patient] += float(weight) * (p - label) ** 2
    made = counted(repeated)
    for name, each in (("loss", loss), ("brier", brier)):
        assert made[name] == pytest.approx([sum(each.values()), sum(v * v for v in each.values())], rel=1e-9)


def test_a_certain_and_wrong_probability_has_a_finite_loss() -> None:
    made = sums.count([1, 0, 1, 0], [0.0, 1.0, 1.0, 0.0], [1, 2, 3, 4])
    assert made["loss"] == pytest.approx([2 * (math.log(1e6) + 1e-6), 2 * math.log(1e6) ** 2], rel=1e-9)
    assert all(np.isfinite(values).all() for values in made.values())
    assert made["pairs"][:2].tolist() == [4, 2]  # of the four pairs one is in order, one is not, and two are ties


def test_confusion_and_histogram_hold_each_weight_once() -> None:
    rows = hospital(500, 0.3, 15, visits=3, decimals=2)
    rows.probabilities[:5] = 0.5
    made = counted(rows)
    expected = np.zeros(4)
    for label, p, weight in zip(rows.labels, rows.probabilities, weights(rows), strict=True):
        cell = (0 if p >= 0.5 else 3) if label else (1 if p >= 0.5 else 2)
        expected[cell] += float(weight)
    assert made["confusion"] == pytest.approx(expected, rel=1e-12)
    assert made["histogram"].sum(axis=1) == pytest.approx(made["weights"], rel=1e-12)
    upper = made["histogram"][:, bins.MIDDLE :].sum(axis=1)
    assert upper == pytest.approx([expected[1], expected[0]], rel=1e-12)


def test_sums_have_the_shapes_of_the_layout_and_stay_finite_without_rows() -> None:
    for made in (counted(hospital(50, 0.3, 16)), sums.count([], [], [])):
        shapes = {name: array.shape for name, array in made.items()}
        assert shapes == {**layouts.SUMS, "histogram": layouts.HISTOGRAM}
        assert all(array.dtype == np.float64 and np.isfinite(array).all() for array in made.values())
    assert not any(array.any() for array in made.values())


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_pairs(label: int) -> None:
    assert sums.count([label] * 20, np.linspace(0, 1, 20), range(20))["pairs"].tolist() == [0, 0, 0]


def test_sums_do_not_compare_patients_of_different_hospitals() -> None:
    """One hospital's model outputs are higher for everybody. Within hospitals, 71 % of pairs are in order."""
    dice = np.random.default_rng(17)
    hospital_a = np.arange(800) < 400
    labels = (dice.random(800) < np.where(hospital_a, 0.15, 0.6)).astype(np.int64)
    odds = dice.normal(0.92 * labels - 0.9 * hospital_a, 1.0)
    chances = 1 / (1 + np.exp(-odds))
    each_alone = [Rows(labels[e], chances[e], np.flatnonzero(e)) for e in (hospital_a, ~hospital_a)]
    added = sums.add([counted(rows) for rows in each_alone])
    together = counted(Rows(labels, chances, np.arange(800)))
    exact = [slow_pairs(rows) for rows in each_alone]
    within = added["pairs"][1] / added["pairs"][0]
    assert within == pytest.approx(float(sum(o for _, o in exact) / sum(p for p, _ in exact)), abs=1e-12)
    assert round(within, 2) == 0.71
    # What a sum of histograms would report.
    assert round(together["pairs"][1] / together["pairs"][0], 2) == 0.79
    histogram = added["histogram"]
    below = np.cumsum(histogram[0]) - histogram[0] / 2
    pooled = (histogram[1] * below).sum() / histogram.sum(axis=1).prod()
    assert round(pooled, 2) == 0.79
