"""Picks one row of each of at most 1,024 patients of a file, so that a million rows need little memory.

The patients are those with the lowest positions in the split. So the sample of the next file has most of them again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from wardround.pod.survey import Positions

MOST_PEOPLE = 1024


class Sample:
    """Adds up the batches of one reading."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._positions = np.zeros(0, np.uint64)
        self._rows: npt.NDArray[np.float64] | None = None

    def add(self, positions: Positions, view: pa.RecordBatch) -> None:
        """`positions`: of the patient of each row of `view`."""
        full = len(self._positions) == MOST_PEOPLE
        places = np.flatnonzero(positions < self._positions[-1]) if full else np.arange(len(positions))
        unique, first = np.unique(positions[places], return_index=True)
        new = np.flatnonzero(~np.isin(unique, self._positions))[:MOST_PEOPLE]
        if self._rows is not None and not len(new):
            return
        rows = view.take(pa.array(places[first[new]]))
        values = np.column_stack([column.to_numpy().astype(np.float64) for column in rows.columns])
        if self._rows is None:
            self._names, self._rows = rows.schema.names, values[:0]
        joined = np.concatenate([self._positions, unique[new]])
        kept = np.argsort(joined, kind="stable")[:MOST_PEOPLE]
        self._positions, self._rows = joined[kept], np.concatenate([self._rows, values])[kept]

    @property
    def columns(self) -> dict[str, npt.NDArray[np.float64]]:
        """The columns of the view, each with one value for each patient of the sample."""
        if self._rows is None:
            return {}
        return {name: self._rows[:, place] for place, name in enumerate(self._names)}
