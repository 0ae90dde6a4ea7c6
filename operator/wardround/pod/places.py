"""Finds where rows that are left out stand in a file, for a person who has the file; must not run in a pod.

A line number can point at a patient. So no status, log or termination message has one: only `dataset check` on a
person's own computer asks for places.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wardround.tabular.problems import EVERY_FIELD, ROW_MALFORMED

# So many rows are named for each field and reason: the first ones.
MOST = 5
# The longest value of a CSV file that is searched.
LONGEST_VALUE = 4 << 20
Reason = tuple[str, str]


@dataclass
class Places:
    """The first rows that are left out, by field and reason. `read`: how many rows have been read.

    Rows are counted from 0, without malformed rows, which the reader of a CSV file skips.
    """

    rows: dict[Reason, list[int]] = field(default_factory=lambda: defaultdict(list))
    read: int = 0

    def add(self, name: str, reason: str, mask: npt.NDArray[np.bool_]) -> None:
        """Adds rows of the present batch. `mask`: True for each row that is left out for this reason."""
        rows = self.rows[name, reason]
        if room := MOST - len(rows):
            rows += (np.flatnonzero(mask)[:room] + self.read).tolist()


def located(path: Path, kind: str, problems: Places, malformed: int) -> Mapping[Reason, tuple[int, ...]]:
    """For each field and reason, the first lines of a CSV file, or the first rows of a Parquet file, counted from 1.

    `malformed`: how many rows of a CSV file have too few or too many values. Empty if the lines cannot be found.
    """
    if kind != "CSV":
        return {reason: tuple(row + 1 for row in rows) for reason, rows in problems.rows.items() if rows}
    wanted = {row for rows in problems.rows.values() for row in rows}
    try:
        lines, others = _lines(path, wanted, min(malformed, MOST))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    if lines.keys() != wanted:
        return {}
    places = {reason: tuple(lines[row] for row in rows) for reason, rows in problems.rows.items() if rows}
    return {**places, (EVERY_FIELD, ROW_MALFORMED): tuple(others)} if others else places


def _lines(path: Path, wanted: Iterable[int], malformed: int) -> tuple[dict[int, int], list[int]]:
    """The first line of each wanted row, and those of the first malformed rows. A value may have line breaks.

    Raises OSError, UnicodeDecodeError and csv.Error.
    """
    open_rows = set(wanted)
    lines: dict[int, int] = {}
    others: list[int] = []
    before = csv.field_size_limit(LONGEST_VALUE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = next((len(record) for record in reader if record), 0)
            row, line = 0, reader.line_num + 1
            for record in reader:
                begin, line = line, reader.line_num + 1
                if not record:
                    continue  # The reader of the pod passes over empty lines, too.
                if len(record) != columns:
                    others += [begin] if len(others) < malformed else []
                else:
                    if row in open_rows:
                        open_rows.remove(row)
                        lines[row] = begin
                    row += 1
                if not open_rows and len(others) == malformed:
                    break
    finally:
        csv.field_size_limit(before)
    return lines, others
