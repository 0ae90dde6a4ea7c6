"""Finds columns whose rows lie far from those that trained the model: another unit, or patients unlike those.

Keeps counts alone, and never a value of a patient. docs/contracts.md, section 9.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from wardround.tensors import Array

# Standard deviations from the mean of the rows that trained the model. Single patients lie far more often than the
# median of several does.
SPREADS, SPREADS_OF_FEW = 3.0, 8.0
# With fewer rows than these, SPREADS_OF_FEW counts.
FEW = 5
# A termination message has room for so many names, and so many characters of each.
MOST_NAMES, LONGEST_SHOWN = 6, 64


class Distances:
    """Counts for each column the rows beyond each bound. A column is far if more than half of the rows are, on the same
    side of the mean: if and only if the median is."""

    def __init__(self, names: Sequence[str], mean: Array, deviation: Array) -> None:
        """`mean`, `deviation`: float64 of shape (features,), the model's standardisation."""
        self._names, self._mean, self._deviation = names, mean, deviation
        self._rows = 0
        # By bound: rows above and below, of shape (2, features).
        self._beyond = {bound: np.zeros((2, len(names)), np.int64) for bound in (SPREADS, SPREADS_OF_FEW)}

    def add(self, inputs: Array) -> None:
        """`inputs`: of shape (rows, features), without standardisation."""
        scores = (inputs.astype(np.float64) - self._mean) / self._deviation
        self._rows += len(inputs)
        for bound, beyond in self._beyond.items():
            beyond += np.stack([(scores > bound).sum(axis=0), (scores < -bound).sum(axis=0)])

    @property
    def spreads(self) -> float:
        """The bound for so many rows."""
        return SPREADS if self._rows >= FEW else SPREADS_OF_FEW

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the far columns, in the model's order."""
        above, below = self._beyond[self.spreads]
        most = np.maximum(above, below)
        return tuple(name for name, each in zip(self._names, most, strict=True) if 2 * each > self._rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """For people: which columns are far, and what to do. Empty if none is."""
        if not self.columns:
            return ()
        return (
            f"More than half of the rows lie more than {self.spreads:g} standard deviations from the mean of the rows "
            f"that trained the model, in the {_listed(self.columns)}. If such a column has another unit than on the "
            "card (fields in card.json), the probabilities are worthless: correct the file, or scale of the column in "
            "spec.fields of the Dataset, and predict again. If all units are right, these patients are unlike those "
            "who trained the model.",
        )


def _listed(names: Sequence[str]) -> str:
    """The first names, as JSON because the hub chose them, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"column{'s' if len(names) > 1 else ''} {', '.join(map(_shown, names[:MOST_NAMES]))}{more}"


def _shown(name: str) -> str:
    text = json.dumps(name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
