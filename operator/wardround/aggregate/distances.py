"""Squared distances between all updates, slice by slice, from a centred Gram matrix; pure arithmetic.

The textbook formula |a|^2 + |b|^2 - 2ab loses all digits where two updates are nearly equal, and picks a wrong one in
float32. So values are float64, less the mean of the slice. Pairs that lie still closer are subtracted directly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wardround.aggregate.slices import Run, values
from wardround.tensors import FLOATS, Array, widen_into

# Float64 values of all participants that are held at once: 1 MiB.
_AT_ONCE = 1 << 17
_FEWEST = 1 << 8
# A squared distance that is a smaller part of the squared norms has lost more than 20 of 53 bits.
_CANCELLED = 2.0**-20


class Measuring:
    """Measures one slice after another, in the same memory: the kernel would have to clear the pages of new arrays. For
    one thread."""

    def __init__(self, participants: int) -> None:
        self._step = max(_FEWEST, _AT_ONCE // participants)
        self._room = np.empty((2, participants * self._step))

    def squared_distances(self, block: Sequence[bytes | memoryview], pieces: Sequence[Run]) -> Array:
        """Return the squared distances of one slice over its floats, of shape (participants, participants).

        `block`: the slice of each participant. Distances are infinite or NaN where squares overflow float64.
        """
        count = len(block)
        total = np.zeros((count, count))
        for run in pieces:
            if run.dtype not in FLOATS:
                continue
            rows = [values(data, run) for data in block]
            for start in range(0, rows[0].size, self._step):
                shape = (count, min(self._step, rows[0].size - start))
                wide, centred = (each[: shape[0] * shape[1]].reshape(shape) for each in self._room)
                for row, into in zip(rows, wide, strict=True):
                    widen_into(row[start : start + self._step], run.dtype, into)
                with np.errstate(over="ignore", invalid="ignore"):
                    total += between_rows(wide, centred)
        return total


def between_rows(rows: Array, centred: Array | None = None) -> Array:
    """Return the squared distances between the rows of a matrix of float64. `centred`: memory for another matrix."""
    centred = np.subtract(rows, rows.mean(axis=0), out=centred)
    gram = centred @ centred.T
    norms = np.diagonal(gram)
    sums = norms[:, None] + norms[None, :]
    squared: Array = np.maximum(sums - 2 * gram, 0.0)
    for one, other in np.argwhere(np.triu(squared < _CANCELLED * sums, 1)).tolist():
        apart = rows[one] - rows[other]
        squared[one, other] = squared[other, one] = np.dot(apart, apart)
    np.fill_diagonal(squared, 0.0)
    return squared
