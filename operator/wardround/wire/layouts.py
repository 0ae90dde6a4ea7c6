"""Names and shapes of the tensors in a Statistics or Evaluate update, all F64. docs/contracts.md, section 5."""

from __future__ import annotations

from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]

DTYPE = "F64"
# Bins of the predicted probability p: bin = min(BINS - 1, floor(BINS p)).
BINS = 100

# Counts of test rows by bin, for each class.
EVALUATE: Shapes = {"negatives": (BINS,), "positives": (BINS,)}
# For each feature in schema order, over the training rows: their number, and sums of x - c and (x - c)^2. `shift`: c.
PER_FEATURE = ("count", "sum", "squares", "shift")


def statistics(features: int) -> Shapes:
    """The tensors of a Statistics update over `features` features."""
    return {**dict.fromkeys(PER_FEATURE, (features,)), "positives": (1,), "rows": (1,)}
