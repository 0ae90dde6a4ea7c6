"""Metrics of a binary model from two histograms of predicted probability; pure, knows no site, file or round.

A hospital's metrics come from its own counts, those of the union from the sums of everyone's: the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

BINS = 100
THRESHOLD_BIN = BINS // 2  # predicted positive: probability of 0.5 or more

# Below this many cases of a class (for accuracy: of all) a rate says more about single patients than about the model.
MIN_CASES = 5

NAMES = ("accuracy", "sensitivity", "auc", "rows", "positives")


def bin_of(probability: float) -> int:
    return min(BINS - 1, int(probability * BINS))


def accuracy(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    rows = sum(negatives) + sum(positives)
    if rows < MIN_CASES:
        return None
    return float((sum(negatives[:THRESHOLD_BIN]) + sum(positives[THRESHOLD_BIN:])) / rows)


def sensitivity(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    if sum(positives) < MIN_CASES:
        return None
    return float(sum(positives[THRESHOLD_BIN:]) / sum(positives))


def auc(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    """Area under the ROC curve: the share of pairs in the right order, ties (the same bin) counted half."""
    total_negatives, total_positives = sum(negatives), sum(positives)
    if total_negatives < MIN_CASES or total_positives < MIN_CASES:
        return None
    below = ordered = 0.0
    for negative, positive in zip(negatives, positives, strict=True):
        ordered += positive * (below + negative / 2)
        below += negative
    return float(ordered / (total_negatives * total_positives))


def estimate(negatives: Sequence[float], positives: Sequence[float]) -> dict[str, float | None]:
    """All metrics; None is what so few cases cannot support. Both histograms have BINS counts."""
    positive_rows = sum(positives)
    return {
        "accuracy": accuracy(negatives, positives),
        "sensitivity": sensitivity(negatives, positives),
        "auc": auc(negatives, positives),
        "rows": float(sum(negatives) + positive_rows),
        "positives": float(positive_rows) if positive_rows >= MIN_CASES else None,
    }


def text(value: float) -> str:
    """How a metric leaves a site: 4 significant digits, so that it cannot carry more. Raises ValueError."""
    if not math.isfinite(value):
        raise ValueError("a metric must be finite")
    short = f"{value:.4g}"
    return format(Decimal(short), "f") if value == 0 or 1e-6 <= abs(value) < 1e12 else short


def texts(estimated: dict[str, float | None], declared: Sequence[str]) -> dict[str, str]:
    """Only declared metrics, and only those that could be estimated."""
    return {name: text(value) for name, value in estimated.items() if name in declared and value is not None}
