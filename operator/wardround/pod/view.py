"""Writes the view of a task: the rows and columns of a Dataset that the task's code gets; must not know their values.

Arrow is slow to import, so `prepare` imports this module after the isolation gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from wardround.pod import dataset, row_order, view_file
from wardround.pod.folders import Folders
from wardround.tabular.schema import Schema
from wardround.tabular.split import Side, Split

Positions = npt.NDArray[np.uint64]
# One side of the split for each row.
Sides = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Part:
    """The rows of one side of the split with these columns, and their file."""

    side: Side
    file: Path
    columns: pa.Schema


def training_parts(folders: Folders, table: Schema) -> tuple[Part, ...]:
    """Features and target, without the test side. Statistics are over the same rows."""
    layout = dataset.view_schema(table)
    return tuple(Part(side, folders.view_file(side), layout) for side in ("train", "validation"))


def evaluation_parts(folders: Folders, table: Schema, scored: Side) -> tuple[Part, ...]:
    """Features without the target: code that predicts must not see the labels."""
    layout = dataset.view_schema(table)
    features = pa.schema([layout.field(feature.name) for feature in table.features])
    return (Part(scored, folders.view_file("evaluation"), features),)


def sides_of(positions: Positions, split: Split) -> Sides:
    return np.array([split.side_at(position) for position in positions.tolist()], dtype=object)


@dataclass
class View:
    """`counted`: the side of the rows that train or are evaluated. `rows`: how many these are."""

    parts: Sequence[Part]
    writers: Sequence[view_file.Writer]
    counted: Side
    rows: int = 0
    _patients: list[Positions] = field(default_factory=list)
    _digest: row_order.ViewDigest = field(default_factory=row_order.ViewDigest)

    def add(self, positions: Positions, sides: Sides, rows: pa.RecordBatch) -> None:
        """Adds the next rows. `positions`, `sides`: one for each row."""
        counted = positions[sides == self.counted]
        self.rows += len(counted)
        self._patients.append(np.unique(counted))
        for part, writer in zip(self.parts, self.writers, strict=True):
            chosen = rows.filter(pa.array(sides == part.side)).select(part.columns.names)
            self._digest.add(part.side, chosen)
            writer.add(chosen)

    def withhold(self) -> None:
        """Removes all rows, after the files are complete. Nothing that depends on these patients may leave, not even
        how the code that predicts ends."""
        for part in self.parts:
            parquet.write_table(part.columns.empty_table(), part.file)
        self.rows = 0

    @property
    def patients(self) -> int:
        """Distinct patients of all counted rows that were added."""
        return len(np.unique(np.concatenate(self._patients))) if self._patients else 0

    @property
    def digest(self) -> str:
        """Of all rows that were added."""
        return self._digest.text()


@contextmanager
def written(parts: Sequence[Part], counted: Side) -> Iterator[View]:
    """At the end, the files are complete."""
    with ExitStack() as files:
        writers = [files.enter_context(view_file.Writer(each.file, each.columns)) for each in parts]
        yield View(parts, writers, counted)
