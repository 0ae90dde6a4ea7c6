"""Metrics of a binary model from two histograms of predicted probabilities, and which metrics may leave a site.

The same functions compute a hospital's metrics from its counts, and a round's metrics from the sums of all counts.
Pure; knows no site, file or round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from wardround.metrics.digits import text as text
from wardround.wire.layouts import BINS

THRESHOLD_BIN = BINS // 2  # predicted positive: probability of 0.5 or more

# Cells: the groups of patients behind metrics.
VALIDATION = "validation"
TEST, POSITIVES, NEGATIVES = "test", "positives", "negatives"
CLASSES = (TEST, POSITIVES, NEGATIVES)
# The cells behind each metric of an evaluation. `positives` has both classes: with `rows`, it reveals the negatives.
OVER: Mapping[str, tuple[str, ...]] = {
    "accuracy": (TEST,),
    "sensitivity": (POSITIVES,),
    "auc": (POSITIVES, NEGATIVES),
    "rows": (TEST,),
    "positives": (POSITIVES, NEGATIVES),
}
NAMES = tuple(OVER)
# For a metric, the cell of a second metric, and the cell that both reveal together. The sensitivity (over the
# positives) and the accuracy reveal how many negatives are right, also if they come from two rounds of one model.
REST: Mapping[str, tuple[str, str]] = {"accuracy": (POSITIVES, NEGATIVES)}


@dataclass(frozen=True)
class Disclosure:
    """The metrics that leave a site, as texts by name, and the names of suppressed metrics."""

    metrics: Mapping[str, str]
    suppressed: tuple[str, ...] = ()


def bin_index(probability: float) -> int:
    return min(BINS - 1, int(probability * BINS))


def accuracy(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    rows = sum(negatives) + sum(positives)
    if not rows:
        return None
    return float((sum(negatives[:THRESHOLD_BIN]) + sum(positives[THRESHOLD_BIN:])) / rows)


def sensitivity(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    if not sum(positives):
        return None
    return float(sum(positives[THRESHOLD_BIN:]) / sum(positives))


def auc(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    """Area under the ROC curve: the share of (negative, positive) pairs in the right order. A tie counts half."""
    total_negatives, total_positives = sum(negatives), sum(positives)
    if not total_negatives or not total_positives:
        return None
    below = ordered = 0.0
    for negative, positive in zip(negatives, positives, strict=True):
        ordered += positive * (below + negative / 2)
        below += negative
    return float(ordered / (total_negatives * total_positives))


def estimate(negatives: Sequence[float], positives: Sequence[float]) -> dict[str, float | None]:
    """All metrics; None for a metric whose cells are empty. Both histograms have shape (BINS,)."""
    positive_rows = sum(positives)
    return {
        "accuracy": accuracy(negatives, positives),
        "sensitivity": sensitivity(negatives, positives),
        "auc": auc(negatives, positives),
        "rows": float(sum(negatives) + positive_rows),
        "positives": float(positive_rows),
    }


def fewest(name: str, cells: Mapping[str, float]) -> float:
    """The number of patients in the smallest cell behind a metric of an evaluation."""
    return min(cells[each] for each in OVER[name])


def disclose(
    estimated: Mapping[str, float | None], declared: Collection[str], cells: Mapping[str, int], min_cell: int
) -> Disclosure:
    """The declared metrics over at least `min_cell` patients. `cells`: the number of distinct patients by cell."""
    over = {name: _fewest_revealed(name, cells, min_cell) for name in estimated if name in declared}
    return Disclosure(
        {
            name: text(value, over[name])
            for name, value in estimated.items()
            if name in over and over[name] >= min_cell and value is not None
        },
        tuple(sorted(name for name, patients in over.items() if patients < min_cell)),
    )


def _fewest_revealed(name: str, cells: Mapping[str, int], min_cell: int) -> float:
    """Like `fewest`, but includes the cell that this metric reveals together with a second metric (REST)."""
    second, rest = REST.get(name, (name, name))
    if name in REST and cells[second] >= min_cell and cells[rest]:
        return min(fewest(name, cells), cells[rest])
    return fewest(name, cells)
