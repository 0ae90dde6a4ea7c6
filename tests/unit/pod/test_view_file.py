"""A file of the view has row groups of many rows, and all rows in their order."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from wardround.pod import view_file

LAYOUT = pa.schema([pa.field("age", pa.float32(), nullable=False)])


def batch(*values: float) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.float32())], schema=LAYOUT)


def test_small_batches_share_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_file, "GROUP_ROWS", 4)
    with view_file.Writer(tmp_path / "view.parquet", LAYOUT) as writer:
        for values in ([1, 2], [3], [], [4, 5], [6]):
            writer.add(batch(*values))
    with parquet.ParquetFile(tmp_path / "view.parquet") as file:
        groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
        assert groups == [5, 1]
        assert file.read().column("age").to_pylist() == [1, 2, 3, 4, 5, 6]


def test_a_view_without_rows_is_a_file_with_the_columns(tmp_path: Path) -> None:
    with view_file.Writer(tmp_path / "view.parquet", LAYOUT):
        pass
    assert parquet.read_table(tmp_path / "view.parquet").schema.names == ["age"]


def test_an_error_leaves_the_rows_that_wait_unwritten(tmp_path: Path) -> None:
    def stopped() -> None:
        with view_file.Writer(tmp_path / "view.parquet", LAYOUT) as writer:
            writer.add(batch(1))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stopped()
    assert parquet.read_table(tmp_path / "view.parquet").num_rows == 0
