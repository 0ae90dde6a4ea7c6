"""Metrics from histograms: right where they can be estimated, absent where they cannot."""

from __future__ import annotations

import random

import pytest

from wardround import metrics
from wardround.wire.layouts import BINS


def histogram(probabilities: list[float]) -> list[float]:
    counts = [0.0] * BINS
    for probability in probabilities:
        counts[metrics.bin_of(probability)] += 1
    return counts


def test_metrics_are_those_of_the_single_predictions() -> None:
    from sklearn.metrics import roc_auc_score

    draw = random.Random(3)
    labels = [draw.randrange(2) for _ in range(400)]
    # On the grid of the bins, so that binning loses nothing.
    found = [min(99, max(0, int(draw.gauss(40 + 20 * label, 15)))) / 100 + 0.005 for label in labels]
    negatives = histogram([p for p, label in zip(found, labels, strict=True) if not label])
    positives = histogram([p for p, label in zip(found, labels, strict=True) if label])
    right = sum((p >= 0.5) == bool(label) for p, label in zip(found, labels, strict=True))
    caught = sum(p >= 0.5 for p, label in zip(found, labels, strict=True) if label)
    estimated = metrics.estimate(negatives, positives)
    assert estimated["accuracy"] == right / 400
    assert estimated["sensitivity"] == caught / sum(labels)
    assert estimated["auc"] == pytest.approx(roc_auc_score(labels, found))
    assert (estimated["rows"], estimated["positives"]) == (400, sum(labels))


def test_without_negatives_there_is_no_auc_but_a_sensitivity() -> None:
    estimated = metrics.estimate(histogram([]), histogram([0.9] * 5))
    assert (estimated["auc"], estimated["sensitivity"]) == (None, 1.0)


ALL = {"accuracy": 1.0, "sensitivity": 1.0, "auc": 1.0, "rows": 40.0, "positives": 20.0}


@pytest.mark.parametrize(
    ("positives", "negatives", "suppressed"),
    [
        (11, 11, set()),
        (10, 30, {"sensitivity", "auc", "positives"}),
        # With the rows, the positives would tell how few the others are; with the sensitivity, the accuracy how many of
        # them are right.
        (30, 10, {"accuracy", "auc", "positives"}),
        (11, 1, {"accuracy", "auc", "positives"}),
        # Nobody is left whom that could tell of.
        (30, 0, {"auc", "positives"}),
        (5, 5, set(ALL)),
    ],
)
def test_a_metric_over_fewer_patients_than_the_least_cell_is_named_and_not_told(
    positives: int, negatives: int, suppressed: set[str]
) -> None:
    cells = {"test": positives + negatives, "positives": positives, "negatives": negatives}
    told = metrics.disclose(ALL, metrics.NAMES, cells, 11)
    assert set(told.suppressed) == suppressed
    assert told.metrics.keys() == ALL.keys() - suppressed
    # Whatever a round declares: another round of the same model may declare the rest.
    for name in ALL:
        assert metrics.disclose(ALL, [name], cells, 11).suppressed == ((name,) if name in suppressed else ())


def test_nothing_is_estimated_from_nothing() -> None:
    estimated = metrics.estimate(histogram([]), histogram([]))
    assert [estimated[name] for name in ("accuracy", "sensitivity", "auc")] == [None] * 3


def test_a_probability_of_one_falls_into_the_last_bin() -> None:
    assert histogram([1.0, 0.0]) == [1.0] + [0.0] * 98 + [1.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1.0, "1"), (0, "0"), (12345, "12340"), (0.00001234567, "0.00001235"), (1e-9, "1e-09")],
)
def test_a_metric_over_many_patients_leaves_with_four_digits(value: float, text: str) -> None:
    assert metrics.text(value, 1000) == text


@pytest.mark.parametrize(("patients", "text"), [(11, "0.12"), (99, "0.12"), (100, "0.123"), (999, "0.123")])
def test_a_metric_over_fewer_patients_leaves_with_fewer_digits(patients: int, text: str) -> None:
    assert metrics.text(0.123456, patients) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_does_not_leave(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        metrics.text(value, 1000)


def test_only_declared_metrics_leave() -> None:
    cells = {"test": 40, "positives": 20, "negatives": 20}
    told = metrics.disclose({"auc": 0.5, "accuracy": 0.75, "rows": None}, ["auc", "rows"], cells, 11)
    assert told == metrics.Disclosure({"auc": "0.5"})
