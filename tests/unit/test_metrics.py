"""Metrics from histograms: equal to scikit-learn's, None if they cannot be estimated, suppressed for few patients."""

from __future__ import annotations

import random

import pytest

from wardround.metrics import binary as metrics
from wardround.wire.layouts import BINS


def histogram(probabilities: list[float]) -> list[float]:
    counts = [0.0] * BINS
    for probability in probabilities:
        counts[metrics.bin_index(probability)] += 1
    return counts


def test_metrics_equal_those_of_single_predictions() -> None:
    from sklearn.metrics import roc_auc_score

    draw = random.Random(3)
    labels = [draw.randrange(2) for _ in range(400)]
    # On the grid of the bins, so that binning is exact.
    probabilities = [min(99, max(0, int(draw.gauss(40 + 20 * label, 15)))) / 100 + 0.005 for label in labels]
    negatives = histogram([p for p, label in zip(probabilities, labels, strict=True) if not label])
    positives = histogram([p for p, label in zip(probabilities, labels, strict=True) if label])
    right = sum((p >= 0.5) == bool(label) for p, label in zip(probabilities, labels, strict=True))
    caught = sum(p >= 0.5 for p, label in zip(probabilities, labels, strict=True) if label)
    estimated = metrics.estimate(negatives, positives)
    assert estimated["accuracy"] == right / 400
    assert estimated["sensitivity"] == caught / sum(labels)
    assert estimated["auc"] == pytest.approx(roc_auc_score(labels, probabilities))
    assert (estimated["rows"], estimated["positives"]) == (400, sum(labels))


def test_without_negatives_there_is_a_sensitivity_and_no_auc() -> None:
    estimated = metrics.estimate(histogram([]), histogram([0.9] * 5))
    assert (estimated["auc"], estimated["sensitivity"]) == (None, 1.0)


ALL = {"accuracy": 1.0, "sensitivity": 1.0, "auc": 1.0, "rows": 40.0, "positives": 20.0}


@pytest.mark.parametrize(
    ("positives", "negatives", "suppressed"),
    [
        (11, 11, set()),
        (10, 30, {"sensitivity", "auc", "positives"}),
        # With the rows, the positives would reveal the number of negatives. With the sensitivity, the accuracy would
        # reveal how many negatives are right.
        (30, 10, {"accuracy", "auc", "positives"}),
        (11, 1, {"accuracy", "auc", "positives"}),
        # Without negatives, the accuracy reveals nothing about them.
        (30, 0, {"auc", "positives"}),
        (5, 5, set(ALL)),
    ],
)
def test_a_metric_over_fewer_patients_than_the_smallest_cell_is_suppressed(
    positives: int, negatives: int, suppressed: set[str]
) -> None:
    cells = {"test": positives + negatives, "positives": positives, "negatives": negatives}
    disclosure = metrics.disclose(ALL, metrics.NAMES, cells, 11)
    assert set(disclosure.suppressed) == suppressed
    assert disclosure.metrics.keys() == ALL.keys() - suppressed
    # The same holds for a round that declares only one: another round of the same model may declare the others.
    for name in ALL:
        assert metrics.disclose(ALL, [name], cells, 11).suppressed == ((name,) if name in suppressed else ())


def test_empty_histograms_give_no_metrics() -> None:
    estimated = metrics.estimate(histogram([]), histogram([]))
    assert [estimated[name] for name in ("accuracy", "sensitivity", "auc")] == [None] * 3


def test_a_probability_of_one_falls_into_the_last_bin() -> None:
    assert histogram([1.0, 0.0]) == [1.0] + [0.0] * 98 + [1.0]


def test_only_declared_metrics_are_disclosed() -> None:
    cells = {"test": 40, "positives": 20, "negatives": 20}
    disclosure = metrics.disclose({"auc": 0.5, "accuracy": 0.75, "rows": None}, ["auc", "rows"], cells, 11)
    assert disclosure == metrics.Disclosure({"auc": "0.5"})
