"""Which tensors an update of Statistics or Evaluate has, and of what shapes: all F64. docs/contracts.md, section 5."""

from __future__ import annotations

from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]

DTYPE = "F64"
# Of the predicted probability: bin = min(BINS - 1, floor(BINS p)).
BINS = 100

# Counts of test rows by predicted probability.
EVALUATE: Shapes = {"negatives": (BINS,), "positives": (BINS,)}
# Over the training rows, for each feature in schema order: rows, and sums of x - c and (x - c)^2 with c in `shift`.
PER_FEATURE = ("count", "sum", "squares", "shift")


def statistics(features: int) -> Shapes:
    """Of a Statistics update over so many features."""
    return {**dict.fromkeys(PER_FEATURE, (features,)), "positives": (1,), "rows": (1,)}
