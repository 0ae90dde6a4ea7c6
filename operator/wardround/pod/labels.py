"""Labels and patients of the rows over which metrics are computed: `prepare` collects them, `check` and `score` read.

A patient is a number from 0 on, in the order of the file. The number means nothing outside of this pod, and containers
of researchers do not mount it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround.metrics import disclosure, sums
from wardround.pod import output
from wardround.pod.folders import Folders
from wardround.wire import digests

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """One label (0 or 1) and one patient number for each row, of shape (rows,)."""

    labels: Numbers
    patients: Numbers

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of all labels and patient numbers, in row order."""
        each = digests.Digest(self.labels.astype("<i8", copy=False).tobytes())
        each.update(self.patients.astype("<i8", copy=False).tobytes())
        return each.text


@dataclass
class Bucket:
    """The rows of one side of the split. `binary`: whether the target is 0 or 1 by its schema."""

    binary: bool
    _positions: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    _targets: list[npt.NDArray[Any]] = field(default_factory=list)

    def add(self, positions: npt.NDArray[np.uint64], targets: npt.NDArray[Any]) -> None:
        """Adds the next rows: the patients' positions in the split, and the target."""
        self._positions.append(positions)
        self._targets.append(targets)

    @cached_property
    def labelled(self) -> Labelled:
        """All rows, after the last `add`. Patients are renumbered, so that nothing of the split's hash remains."""
        positions = np.concatenate([np.zeros(0, np.uint64), *self._positions])
        labels = np.concatenate([np.zeros(0, np.int64), *(each == 1 for each in self._targets)]).astype(np.int64)
        _, first, place = np.unique(positions, return_index=True, return_inverse=True)
        number = np.empty(len(first), np.int64)
        number[np.argsort(first)] = np.arange(len(first))
        return Labelled(labels, number[place])

    @property
    def people(self) -> tuple[int, int, int]:
        """Distinct patients: all, with a positive row, with a negative row."""
        rows = self.labelled
        every, positive, negative = (
            int(np.count_nonzero(np.bincount(rows.patients[chosen])))
            for chosen in (rows.labels >= 0, rows.labels == 1, rows.labels == 0)
        )
        return every, positive, negative

    @property
    def _people_of_values(self) -> tuple[int, ...]:
        """Distinct patients of each value of the target, if it has at most two values; else empty."""
        values, value = np.unique(np.concatenate([np.zeros(0), *self._targets]), return_inverse=True)
        if len(values) > 2:
            return ()
        patients = self.labelled.patients
        return tuple(len(np.unique(patients[value == each])) for each in (0, 1))

    def withheld(self, min_cell: int) -> bool:
        """Whether too few patients are in these rows for any number to leave the hospital.

        A target with two values in these rows has two classes, whatever its schema says: a mean loss tells how many
        people are in the rare one.
        """
        if self.binary:
            return disclosure.too_few(self.people, min_cell)
        return disclosure.too_few((self.people[0], *self._people_of_values), min_cell)


def write(path: Path, rows: Labelled) -> None:
    """Two whole numbers a row, label and patient. `check` and `score` then need no parser and no Arrow, whose import
    would take longer than their work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.stack([rows.labels, rows.patients], axis=1).astype("<i8").tofile(path)


def read(path: Path) -> Labelled:
    labels, patients = np.fromfile(path, "<i8").reshape(-1, 2).T.astype(np.int64)
    return Labelled(labels, patients)


def count(folders: Folders, name: str, references: Sequence[Path] = ()) -> Mapping[str, npt.NDArray[np.float64]]:
    """The sums of the probabilities in out/`name`, and their differences from those in the folders of references.

    Raises PodError (as `output.read_probabilities`).
    """
    rows = read(folders.labels_file)
    model, *others = (output.read_probabilities(each, name, len(rows.labels)) for each in (folders.out, *references))
    made = sums.count(rows.labels, model, rows.patients)
    return made | sums.compare(rows.labels, model, others, rows.patients)
