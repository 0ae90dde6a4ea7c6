"""Metrics of a binary model from two histograms of predicted probability, and which metrics may be told.

A hospital's metrics come from its own counts, those of the union from the sums of everyone's: the same functions.
Pure, knows no site, file or round.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from wardround.wire.layouts import BINS

THRESHOLD_BIN = BINS // 2  # predicted positive: probability of 0.5 or more

# Cells: groups of patients that metrics are over.
VALIDATION = "validation"
TEST, POSITIVES, NEGATIVES = "test", "positives", "negatives"
CLASSES = (TEST, POSITIVES, NEGATIVES)
# What each metric of an evaluation is over. Rows are told, and with the positives the negatives would be known.
OVER: Mapping[str, tuple[str, ...]] = {
    "accuracy": (TEST,),
    "sensitivity": (POSITIVES,),
    "auc": (POSITIVES, NEGATIVES),
    "rows": (TEST,),
    "positives": (POSITIVES, NEGATIVES),
}
NAMES = tuple(OVER)
# What a second metric leaves of the first, in this round or in another of the same model: with the sensitivity, which
# is over the positives, the accuracy tells how many of the negatives are right.
REST: Mapping[str, tuple[str, str]] = {"accuracy": (POSITIVES, NEGATIVES)}


@dataclass(frozen=True)
class Disclosure:
    """What leaves a site: texts by name, and the names of those that are over too few patients."""

    metrics: Mapping[str, str]
    suppressed: tuple[str, ...] = ()


def bin_of(probability: float) -> int:
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
    """Area under the ROC curve: the share of pairs in the right order, ties (the same bin) counted half."""
    total_negatives, total_positives = sum(negatives), sum(positives)
    if not total_negatives or not total_positives:
        return None
    below = ordered = 0.0
    for negative, positive in zip(negatives, positives, strict=True):
        ordered += positive * (below + negative / 2)
        below += negative
    return float(ordered / (total_negatives * total_positives))


def estimate(negatives: Sequence[float], positives: Sequence[float]) -> dict[str, float | None]:
    """All metrics; None where there is no case of what a metric is over. Both histograms have BINS counts."""
    positive_rows = sum(positives)
    return {
        "accuracy": accuracy(negatives, positives),
        "sensitivity": sensitivity(negatives, positives),
        "auc": auc(negatives, positives),
        "rows": float(sum(negatives) + positive_rows),
        "positives": float(positive_rows),
    }


def fewest(name: str, cells: Mapping[str, float]) -> float:
    """How many patients a metric of an evaluation is over, by the smallest cell that it is over."""
    return min(cells[each] for each in OVER[name])


def disclose(
    estimated: Mapping[str, float | None], declared: Collection[str], cells: Mapping[str, int], min_cell: int
) -> Disclosure:
    """Of the declared metrics those that are over `min_cell` patients or more. `cells`: distinct patients in each."""
    over = {name: _fewest_told(name, cells, min_cell) for name in estimated if name in declared}
    return Disclosure(
        {
            name: text(value, over[name])
            for name, value in estimated.items()
            if name in over and over[name] >= min_cell and value is not None
        },
        tuple(sorted(name for name, patients in over.items() if patients < min_cell)),
    )


def _fewest_told(name: str, cells: Mapping[str, int], min_cell: int) -> float:
    """The same, with the cell that another metric leaves, if that one can be told and somebody is in this one."""
    told, rest = REST.get(name, (name, name))
    if name in REST and cells[told] >= min_cell and cells[rest]:
        return min(fewest(name, cells), cells[rest])
    return fewest(name, cells)


def text(value: float, patients: float) -> str:
    """How a metric over so many patients is told, in so few digits that it says less of one. Raises ValueError."""
    if not math.isfinite(value):
        raise ValueError("a metric must be finite")
    short = f"{value:.{digits(patients)}g}"
    return format(Decimal(short), "f") if value == 0 or 1e-6 <= abs(value) < 1e12 else short


def digits(patients: float) -> int:
    """Significant digits of a metric over so many patients."""
    if patients < 100:
        return 2
    return 3 if patients < 1000 else 4
