"""Counts the rows of a Dataset's file and the rows that are left out, and judges the counts; must not know tasks.

The training pod and `kubectl wardround dataset check` use the same code, so both say the same words. Messages hold
counts, and names and values of the schema, never a value of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wardround.metrics import disclosure
from wardround.pod import comparison, dataset, places
from wardround.pod.outcome import PodError
from wardround.tabular import ignored_columns, problems
from wardround.tabular.schema import Schema
from wardround.tabular.split import Side, Split
from wardround.wire.outcome import (
    IgnoredColumn,
    IgnoredColumns,
    LeftOutClass,
    LeftOutRows,
    LeftOutTotal,
    Outcome,
    Remark,
)

# The most reasons for leaving out rows that a message lists.
MOST_LISTED = 5
# The most classes that a report lists: a termination message has 4096 bytes.
MOST_CLASSES = 16
# So many rows are compared at a time, so that wide rows need little memory.
FINGERPRINT_ROWS = 1024
# A remark is made if at least this share of the valid rows repeat an earlier row.
REPEATED_SHARE = 0.1
# A remark is made if a class loses this many times the share of rows that the other classes lose.
MORE_LEFT_OUT = 3
# Fewer rows of a class may be left out by chance.
FEWEST_LEFT_OUT = 11
Positions = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class ClassCount:
    """Valid rows and their patients of one class, and the rows of the class that are left out, with their patients.

    `sides`: the patients of the valid rows by side of the split.
    """

    value: str
    rows: int
    patients: int
    left_out: int
    left_out_patients: int
    sides: Mapping[Side, int]


@dataclass(frozen=True)
class Counts:
    """`rows` and `patients`: valid rows, and their patients. `left_out_patients`: patients without a valid row.

    `contradicting`: patients with valid rows of several classes. `repeated`: valid rows that repeat an earlier row of
    the same patient in each feature and the target. `repeated_patients`: their patients. `classes`: empty if the schema
    lists no values of the target. `sides`: patients by side of the split. `ignored`: with the names that a status may
    have. `binary`: whether the target is 0 or 1 by its schema.
    """

    target: str
    binary: bool
    rows: int
    patients: int
    left_out_rows: int
    left_out_patients: int
    contradicting: int
    repeated: int
    repeated_patients: int
    classes: tuple[ClassCount, ...]
    sides: Mapping[Side, int]
    quality: tuple[LeftOutRows, ...]
    ignored: IgnoredColumns

    @property
    def all_rows(self) -> int:
        return self.rows + self.left_out_rows

    def withheld(self, side: Side, min_cell: int) -> bool:
        """Whether the hospital withholds its metrics of this side, as `labels.Bucket` decides it in a training pod.

        The training pod also counts the classes of a target with two values that the schema does not list.
        """
        people = (self.sides[side], *(each.sides[side] for each in self.classes))
        return disclosure.too_few(people, min_cell, classes=self.binary)


@dataclass(frozen=True)
class FileCounts:
    """What `dataset check` says of a file. `failure`: the file cannot be read, and `counts` and `columns` are empty.

    `ignored`: all ignored columns, also after a failure. `places`: by field and reason, the first lines (Parquet: rows)
    of the file that are left out. Both must not leave the computer of the person.
    """

    counts: Counts | None
    columns: comparison.Alike
    ignored: tuple[ignored_columns.Column, ...]
    places: Mapping[tuple[str, str], tuple[int, ...]]
    failure: PodError | None = None


class Survey:
    """Adds up the batches of one reading. `dataset.read` counts into `reading`."""

    def __init__(self, table: Schema, sides: Split) -> None:
        self.reading = dataset.Reading()
        self._table, self._sides = table, sides
        self._rows = 0
        self._kept: list[Positions] = []
        self._prints: list[npt.NDArray[np.int64]] = []
        self._row_positions: list[Positions] = []
        self._left_out: list[Positions] = []
        self._class_rows = dict.fromkeys(table.classes, 0)
        self._class_left_out: dict[float, int] = dict.fromkeys(table.classes, 0)
        self._class_left_out_patients: dict[float, list[Positions]] = {value: [] for value in table.classes}
        self._class_patients: dict[float, list[Positions]] = {value: [] for value in table.classes}

    def add(self, batch: dataset.Batch) -> Positions:
        """Counts a batch. Returns the patients' positions in the split, one for each valid row."""
        positions = self._positions(batch.identifiers)
        self._rows += len(positions)
        self._kept.append(np.unique(positions))
        self._prints.append(_fingerprints(positions, batch))
        self._row_positions.append(positions)
        others = batch.left_out
        readable = np.array([each is not None for each in others.identifiers], np.bool_)
        left_out = self._positions([each for each in others.identifiers if each is not None])
        self._left_out.append(np.unique(left_out))
        if self._table.classes:
            targets = batch.view.column(self._table.target).to_numpy()
            for value in self._table.classes:
                within = targets == value
                self._class_rows[value] += int(np.count_nonzero(within))
                self._class_patients[value].append(np.unique(positions[within]))
                self._class_left_out[value] += int(np.count_nonzero(others.targets == value))
                self._class_left_out_patients[value].append(np.unique(left_out[others.targets[readable] == value]))
        return positions

    def counts(self) -> Counts:
        """All counts, after the last batch."""
        kept, left_out = _distinct(self._kept), _distinct(self._left_out)
        patients = {value: _distinct(positions) for value, positions in self._class_patients.items()}
        classes = tuple(
            ClassCount(
                value=f"{value:g}",
                rows=self._class_rows[value],
                patients=len(patients[value]),
                left_out=self._class_left_out[value],
                left_out_patients=len(_distinct(self._class_left_out_patients[value])),
                sides=self._by_side(patients[value]),
            )
            for value in self._table.classes
        )
        _, times = np.unique(_joined(patients.values()), return_counts=True)
        repeated = self._repeated()
        return Counts(
            target=self._table.target,
            binary=self._table.binary_target,
            rows=self._rows,
            patients=len(kept),
            left_out_rows=self.reading.left_out,
            left_out_patients=len(np.setdiff1d(left_out, kept)),
            contradicting=int(np.count_nonzero(times > 1)),
            repeated=len(repeated),
            repeated_patients=len(np.unique(repeated)),
            classes=classes,
            sides=self._by_side(kept),
            quality=dataset.quality_list(self.reading.quality),
            ignored=IgnoredColumns(
                len(self.reading.ignored), tuple(IgnoredColumn(*each) for each in self.reading.nameable)
            ),
        )

    def patients(self) -> Positions:
        """The positions of all patients of the file, also of those without a valid row; distinct and ascending."""
        return _distinct([*self._kept, *self._left_out])

    def _repeated(self) -> Positions:
        """The position of the patient of each valid row that repeats an earlier one."""
        prints = np.concatenate([np.zeros(0, np.int64), *self._prints])
        order = np.argsort(prints, kind="stable")
        again = np.flatnonzero(np.diff(prints[order]) == 0) + 1
        return _joined(self._row_positions)[order[again]]

    def _by_side(self, positions: Positions) -> Mapping[Side, int]:
        """The number of patients on each side. `positions`: distinct and ascending."""
        bounds = np.array([self._sides.test_below, self._sides.validation_below], np.uint64)
        test, held_out = (int(each) for each in np.searchsorted(positions, bounds))
        return {"train": len(positions) - held_out, "validation": held_out - test, "test": test}

    def _positions(self, identifiers: Sequence[str]) -> Positions:
        return np.fromiter(map(self._sides.position, identifiers), np.uint64, len(identifiers))


def count_file(path: Path, kind: str, table: Schema, sides: Split) -> FileCounts:
    """Reads a whole file of a person who checks it. The failure is ColumnMissing, DataUnreadable or DataReplaced."""
    survey, columns, first_places = Survey(table, sides), comparison.Comparison(table), places.Places()
    survey.reading.places = first_places
    try:
        for batch in dataset.read(path, kind, table, survey.reading):
            survey.add(batch)
            columns.add(batch.view)
    except PodError as failure:
        return FileCounts(None, comparison.Alike(), survey.reading.ignored, {}, failure)
    malformed = survey.reading.quality[problems.EVERY_FIELD, problems.ROW_MALFORMED]
    lines = places.located(path, kind, first_places, malformed)
    return FileCounts(survey.counts(), columns.alike(), survey.reading.ignored, lines)


def outcome(counts: Counts, min_cell: int) -> Outcome:
    """The counts as `prepare` reports them to the site operator.

    A class stands in it only if at least `min_cell` of its rows are left out, and as many count.
    """
    classes = tuple(
        LeftOutClass(each.value, each.left_out, each.rows)
        for each in counts.classes
        if min(each.left_out, each.rows) >= min_cell
    )
    return Outcome(
        rows=counts.rows,
        patients=counts.patients,
        training_patients=counts.sides["train"],
        quality=counts.quality,
        left_out=LeftOutTotal(counts.left_out_rows, counts.left_out_patients, classes[:MOST_CLASSES]),
        ignored_columns=counts.ignored,
        remarks=remarks(counts) or None,
    )


def too_many_left_out(counts: Counts, most: Decimal, min_cell: int) -> str:
    """The fault in words if the share of rows that are left out is above `most`; else an empty text."""
    if counts.left_out_rows <= most * counts.all_rows:
        return ""
    left_out = outcome(counts, min_cell).left_out
    words = [
        f"{counts.left_out_rows} of {counts.all_rows} rows ({percent(counts.left_out_rows, counts.all_rows)}) break "
        f"the DataSchema, and policy.maxLeftOut of the Site allows a share of {most.normalize():f} of all rows",
        f"rows left out: {listed(counts.quality, counts.all_rows)}",
        *(
            f"of the rows with {counts.target} {each.value}, {percent(each.left_out, each.left_out + each.kept)} are "
            "left out"
            for each in (left_out.classes if left_out else ())
        ),
    ]
    return "; ".join(words)


def too_few_samples(counts: Counts, side: Side, samples: int, needed: int) -> str:
    """The fault in words if `samples` patients of a side are fewer than `needed`; else an empty text."""
    if samples >= needed:
        return ""
    name = {"train": "training"}.get(side, side)
    if counts.all_rows == 0:
        return f"the file has a header and no rows, and the Site asks for at least {needed} {name} samples"
    message = (
        f"only {samples} {name} samples are left after the checks and the split, and the Site asks for at least "
        f"{needed}"
    )
    # A wrong type in the schema leaves out every row. Only this list names the field.
    return message + (f"; rows left out: {listed(counts.quality, counts.all_rows)}" if counts.quality else "")


def remarks(counts: Counts) -> tuple[Remark, ...]:
    """Remarks about rows that look wrong although they are valid. They count nevertheless."""
    one_class = counts.rows > 0 and sum(each.rows > 0 for each in counts.classes) == 1
    repeated = counts.repeated > 0 and counts.repeated >= REPEATED_SHARE * counts.rows
    more_left_out = [each.left_out_patients for each in counts.classes if _loses_more(each, counts.classes)]
    return (
        *((Remark("OneClass", counts.patients),) if one_class else ()),
        *((Remark("TargetsContradict", counts.contradicting),) if counts.contradicting else ()),
        *((Remark("RowsRepeated", counts.repeated_patients),) if repeated else ()),
        *((Remark("ClassLeftOut", sum(more_left_out)),) if more_left_out else ()),
    )


def _loses_more(one: ClassCount, classes: Sequence[ClassCount]) -> bool:
    """Whether many more rows of this class are left out than of all other classes together, as shares of their rows."""
    others = [each for each in classes if each is not one]
    lost, rows = sum(each.left_out for each in others), sum(each.left_out + each.rows for each in others)
    own_share = one.left_out / max(1, one.left_out + one.rows)
    return one.left_out >= FEWEST_LEFT_OUT and rows > 0 and own_share >= MORE_LEFT_OUT * lost / rows


def listed(quality: Sequence[LeftOutRows], all_rows: int) -> str:
    """The most frequent reasons in words: `quality` is sorted. `all_rows`: the number of rows in the file."""
    named = [problems.described(each.field, each.reason, each.rows, all_rows) for each in quality[:MOST_LISTED]]
    return ", ".join(named) + (", and more in the Dataset's status.leftOut" if len(quality) > MOST_LISTED else "")


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"


def _fingerprints(positions: Positions, batch: dataset.Batch) -> npt.NDArray[np.int64]:
    """A number for each valid row, which depends on the patient and all values. Equal rows have equal numbers; others
    have so by chance once in 2^64. The numbers differ from process to process."""
    numbers = [np.zeros(0, np.int64)]
    for begin in range(0, len(positions), FINGERPRINT_ROWS):
        part = batch.view.slice(begin, FINGERPRINT_ROWS)
        values = np.empty((part.num_rows, 2 + part.num_columns), np.float32)
        values[:, :2] = positions[begin : begin + part.num_rows].view(np.float32).reshape(-1, 2)
        for place, column in enumerate(part.columns, 2):
            values[:, place] = column.to_numpy()
        rows = values.view(f"V{values.itemsize * values.shape[1]}").ravel().tolist()
        numbers.append(np.fromiter(map(hash, rows), np.int64, len(rows)))
    return np.concatenate(numbers)


def _distinct(positions: Sequence[Positions]) -> Positions:
    return np.unique(_joined(positions))


def _joined(positions: Iterable[Positions]) -> Positions:
    return np.concatenate([np.zeros(0, np.uint64), *positions])
