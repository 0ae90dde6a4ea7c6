"""A file with local columns, units and category names is read as its DataSchema means it, from CSV and from Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tests.unit.tabular.heart import DATASET, SCHEMA, dataset_with
from wardround.pod import dataset, survey
from wardround.pod.outcome import PodError
from wardround.tabular import schema, split

COLUMNS = ("FALL", "ALTER", "GEWICHT", "sex", "smoker", "seen", "ill", "notes")
ROWS = [
    ("007", "66", "81500", "w", "true", "2024-02-29", "2", "x"),
    ("7", "-1", "70000", "m", "true", "2024-02-29", "1", "x"),
    ("8", "67", "70000", "female", "true", "2024-02-29", "1", "x"),
    ("9", "68", "-1", "m", "false", "2021-05-06", "1", "x"),
    ("10", "69", "70000", "m", "false", "2021-05-06", "0", "x"),
    ("11", "70", "70250", "m", "false", "2021-05-06", "1", "x"),
]


def file(folder: Path, kind: str, columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "cases"
    table = pa.table({name: list(values) for name, values in zip(columns, zip(*ROWS, strict=True), strict=True)})
    if kind == "CSV":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table.set_column(2, "GEWICHT", table.column("GEWICHT").cast(pa.float64())), path)
    return path


def counts(path: Path, kind: str, spec: dict[str, Any] = DATASET) -> survey.FileCounts:
    return survey.count_file(path, kind, schema.parse(SCHEMA, spec), split.Split(b"a key of sixteen", 0, 0))


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_values_arrive_in_the_units_and_categories_of_the_dataschema(tmp_path: Path, kind: str) -> None:
    table, reading = schema.parse(SCHEMA, DATASET), dataset.Reading()
    [batch] = dataset.read(file(tmp_path, kind), kind, table, reading)
    assert batch.identifiers == ["007", "11"]
    assert batch.view.schema.names == ["age", "weight", "ill"]
    assert batch.view.to_pylist() == [
        {"age": 66.0, "weight": 81.5, "ill": 1},
        {"age": 70.0, "weight": 70.25, "ill": 0},
    ]
    assert {key: count for key, count in reading.quality.items() if count} == {
        ("age", "Missing"): 1,
        ("sex", "NotInEnum"): 1,
        ("weight", "BelowMinimum"): 1,
        ("ill", "NotInEnum"): 1,
    }
    assert (reading.left_out, reading.ignored) == (4, (("notes", "NotInSchema"),))


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_a_missing_local_column_is_named_with_its_field(tmp_path: Path, kind: str) -> None:
    path = file(tmp_path, kind)
    for spec, words, field in (
        (dataset_with("age", from_="Alter"), "the data has no column Alter (field age):", "age"),
        (dataset_with("age", from_=None), "the data has no column age:", "age"),
        ({**DATASET, "identifier": {"column": "PID", "type": "string"}}, "the data has no column PID:", "PID"),
    ):
        failure = counts(path, kind, spec).failure
        assert isinstance(failure, PodError)
        assert words in failure.message
        assert (failure.reason, failure.field) == ("ColumnMissing", field)


def test_a_column_that_differs_in_capital_letters_or_blanks_is_recognised(tmp_path: Path) -> None:
    path = file(tmp_path, "CSV", ("FALL", "Alter", " GEWICHT ", "sex", "smoker", "seen", "ill", "notes"))
    failure = counts(path, "CSV").failure
    assert failure is not None
    words = "ALTER (field age), GEWICHT (field weight)"
    assert f"the data has no column {words}: " in failure.message
    assert failure.message.endswith(f"The file writes these names with other capital letters or blanks: {words}")


def test_a_header_in_other_capital_letters_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    path = file(tmp_path, "CSV", tuple(name.swapcase() for name in COLUMNS))
    failure = counts(path, "CSV").failure
    assert failure is not None
    assert "with other capital letters or blanks" in failure.message
    assert "is its first line a header" not in failure.message


def test_a_separator_is_recognised_by_local_columns(tmp_path: Path) -> None:
    path = tmp_path / "cases"
    path.write_text("FALL;ALTER;GEWICHT;sex;smoker;seen;ill\n007;66;81500;w;true;2024-02-29;2\n", "utf-8")
    failure = counts(path, "CSV").failure
    assert failure is not None
    assert "its values are separated by semicolons" in failure.message
