"""Names and shapes of tensors, all F64: of Statistics and Evaluate updates, and of a hospital's sums.

docs/contracts.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Shapes = Mapping[str, tuple[int, ...]]
# The side of the split over which a model's metrics are computed.
Rows = Literal["Validation", "Test"]

DTYPE = "F64"
# The sums of a hospital over the people of a bucket (metrics/sums.py). A row weighs one over its patient's rows.
#
# people: whole counts: all, with a positive row, with a negative row. rows: whole count.
# weights: over negative rows, over positive rows. loss, brier: sum and sum of squares over people.
# confusion: weights of true positives, false positives, true negatives, false negatives at p >= 0.5. expected: of w p.
# pairs: of (positive, negative) pairs; of those in order; the squared first times the variance of the AUC.
SUMS: Shapes = {
    "people": (3,),
    "rows": (1,),
    "weights": (2,),
    "loss": (2,),
    "brier": (2,),
    "confusion": (4,),
    "expected": (1,),
    "pairs": (3,),
}
# Weights by class (negatives, positives) and bin of probability (metrics/bins.py).
HISTOGRAM = (2, 256)
# Whole numbers below 256, secret and equal for equal work (pod/row_order.py). They are added as sums are. Without them,
# a person who knows the digest of an update or a result could try sums until their digest is the same.
SALT = (32,)
# For each reference, over people: sum of the reference's log loss, and sum and sum of squares of d. d: a person's log
# loss by the evaluated model, minus that by the reference.
DIFFERENCES = "differences"
PER_REFERENCE = 3
# An Evaluate update without references.
EVALUATE: Shapes = {**SUMS, "histogram": HISTOGRAM, "salt": SALT}
# For each feature in schema order, over the training rows: their number, and sums of x - c and (x - c)^2. `shift`: c.
PER_FEATURE = ("count", "sum", "squares", "shift")


def evaluation(references: int) -> Shapes:
    """The tensors of an Evaluate update that compares its model with so many references."""
    return {**EVALUATE, DIFFERENCES: (references, PER_REFERENCE)} if references else EVALUATE


def counted(features: int) -> Shapes:
    """The tensors that the training step of a Statistics round counts, over `features` features."""
    return {**dict.fromkeys(PER_FEATURE, (features,)), "positives": (1,), "rows": (1,)}


def statistics(features: int) -> Shapes:
    """The tensors of a Statistics update: what was counted, and the salt."""
    return {**counted(features), "salt": SALT}
