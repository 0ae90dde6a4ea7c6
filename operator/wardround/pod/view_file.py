"""Writes a file of the view as Parquet, in row groups of many rows; must not know where the rows come from.

A batch of a wide CSV file has few rows. A row group for each batch would make a footer of hundreds of megabytes, which
`prepare` and the training code hold in memory.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
from pyarrow import parquet

# A row group has at least so many rows, except the last one. They are in memory together.
GROUP_ROWS = 16384


class Writer:
    """A context manager. At its end, the file is complete."""

    def __init__(self, path: Path, layout: pa.Schema) -> None:
        self._layout = layout
        self._file = parquet.ParquetWriter(path, layout)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write()
        finally:
            self._file.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds the next rows."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._waiting, self._layout)
            self._file.write_table(table, row_group_size=self._rows)
        self._waiting, self._rows = [], 0
