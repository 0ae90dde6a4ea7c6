"""Metrics from histograms: right where they can be estimated, absent where they cannot."""

from __future__ import annotations

import random

import pytest

from wardround.pod import metrics


def histogram(probabilities: list[float]) -> list[float]:
    counts = [0.0] * metrics.BINS
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


def test_what_a_handful_of_positives_cannot_support_is_not_estimated() -> None:
    estimated = metrics.estimate(histogram([0.1] * 30), histogram([0.9] * 4))
    assert estimated == {"accuracy": 1.0, "sensitivity": None, "auc": None, "rows": 34.0, "positives": None}


def test_without_negatives_there_is_no_auc_but_a_sensitivity() -> None:
    estimated = metrics.estimate(histogram([0.1] * 4), histogram([0.9] * 5))
    assert (estimated["auc"], estimated["sensitivity"]) == (None, 1.0)


def test_nothing_is_estimated_from_nothing() -> None:
    estimated = metrics.estimate(histogram([]), histogram([]))
    assert [estimated[name] for name in ("accuracy", "sensitivity", "auc")] == [None] * 3


def test_a_probability_of_one_falls_into_the_last_bin() -> None:
    assert histogram([1.0, 0.0]) == [1.0] + [0.0] * 98 + [1.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1.0, "1"), (0, "0"), (12345, "12340"), (0.00001234567, "0.00001235"), (1e-9, "1e-09")],
)
def test_a_metric_leaves_with_four_digits(value: float, text: str) -> None:
    assert metrics.text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_does_not_leave(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        metrics.text(value)


def test_only_declared_metrics_leave() -> None:
    assert metrics.texts({"auc": 0.5, "accuracy": 0.75, "rows": None}, ["auc", "rows"]) == {"auc": "0.5"}
