"""Rows that break the schema are counted and left out. An unreadable file fails without a value in the message."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from wardround.pod import dataset
from wardround.pod.outcome import PodError

ABOVE = "AboveMaximum"


def read(
    path: Path, kind: str = "CSV", document: dict[str, Any] | None = None, **spec: Any
) -> tuple[list[str], pa.Table, dict[tuple[str, str], int]]:
    """`document`: the spec of the DataSchema. `spec`: changes of the Dataset's."""
    table = world.table(document or world.SCHEMA, **spec)
    reading = dataset.Reading()
    batches = list(dataset.read(path, kind, table, reading))
    patients = [patient for batch in batches for patient in batch.identifiers]
    view = pa.Table.from_batches([batch.view for batch in batches], dataset.view_schema(table))
    return patients, view, {key: count for key, count in reading.quality.items() if count}


def csv(tmp_path: Path, *lines: str, header: str = world.HEADER) -> Path:
    path = tmp_path / "cases.csv"
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


def with_field(entry: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(world.SCHEMA)
    document["fields"].append(entry)
    return document


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("p,,40,1", "mean_radius", "Missing"),
        ("p,NA,40,1", "mean_radius", "Missing"),
        ("p,  ,40,1", "mean_radius", "Missing"),
        ("p,large,40,1", "mean_radius", "NotANumber"),
        ("p,17.3 cm,40,1", "mean_radius", "NotANumber"),
        ('p,"17,3",40,1', "mean_radius", "NotANumber"),
        ("p,1_7,40,1", "mean_radius", "NotANumber"),
        ("p,nan,40,1", "mean_radius", "NotANumber"),
        ("p,inf,40,1", "mean_radius", "NotANumber"),
        ("p,1e999,40,1", "mean_radius", "NotANumber"),
        ("p,mm,40,1", "mean_radius", "NotANumber"),
        ("p,-0.1,40,1", "mean_radius", "BelowMinimum"),
        ("p,50.1 mm,40,1", "mean_radius", "AboveMaximum"),
        ("p,17.3,40.5,1", "age", "NotAnInteger"),
        ("p,17.3,-1,1", "age", "BelowMinimum"),
        ("p,17.3,1e39,1", "age", "NotAnInteger"),
        # The schema does not require it, but a view has no missing values.
        ("p,17.3,,1", "age", "Missing"),
        (",17.3,40,1", "patient_id", "IdentifierMissing"),
        ("p,17.3,40,2", "malignant", "NotInEnum"),
        ("p,17.3,40,", "malignant", "Missing"),
        ("p,17.3,40", "*", "RowMalformed"),
        ("p,17.3,40,1,1", "*", "RowMalformed"),
    ],
)
def test_a_row_that_breaks_the_schema_is_counted_and_left_out(
    tmp_path: Path, row: str, field: str, reason: str
) -> None:
    patients, view, quality = read(csv(tmp_path, "first,10,40,0", row, "last,11,41,1"))
    assert patients == ["first", "last"]
    assert view.num_rows == 2
    assert quality == {(field, reason): 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [("17.3", 17.3), ("17.3 mm", 17.3), ("17.3mm", 17.3), (" +17.3 ", 17.3), ("1.73e1", 17.3), (".5", 0.5), ("5.", 5)],
)
def test_numbers_may_have_units_signs_blanks_and_exponents(tmp_path: Path, text: str, value: float) -> None:
    _, view, quality = read(csv(tmp_path, f"p,{text},40,1"))
    assert quality == {}
    assert view.column("mean_radius").to_pylist() == [np.float32(value)]


def test_a_row_with_two_faults_counts_for_both_fields(tmp_path: Path) -> None:
    _, _, quality = read(csv(tmp_path, "p,99,old,1"))
    assert quality == {("mean_radius", "AboveMaximum"): 1, ("age", "NotAnInteger"): 1}


@pytest.mark.parametrize(
    ("entry", "good", "bad", "reason"),
    [
        ({"name": "x", "type": "boolean"}, "true", "perhaps", "NotABoolean"),
        ({"name": "x", "type": "date"}, "2024-02-29", "2023-02-29", "NotADate"),
        ({"name": "x", "type": "date", "maximum": "2020-01-01"}, "1901-01-01", "2021-01-01", ABOVE),
        ({"name": "x", "type": "string", "categories": ["left", "right"]}, "left", "both", "NotInEnum"),
        ({"name": "x", "type": "integer", "categories": ["10"]}, "10.0", "1", "NotInEnum"),
        ({"name": "x", "type": "string", "required": True}, "any", "NA", "Missing"),
    ],
)  # fmt: skip
def test_every_type_and_constraint_is_checked(
    tmp_path: Path, entry: dict[str, Any], good: str, bad: str, reason: str
) -> None:
    path = csv(tmp_path, f"p,10,40,0,{good}", f"q,10,40,0,{bad}", header=world.HEADER + ",x")
    patients, _, quality = read(path, document=with_field(entry))
    assert patients == ["p"]
    assert quality == {("x", reason): 1}


def test_a_missing_value_of_a_field_outside_the_view_keeps_the_row(tmp_path: Path) -> None:
    path = csv(tmp_path, "p,10,40,0,NA", header=world.HEADER + ",x")
    patients, _, quality = read(path, document=with_field({"name": "x", "type": "date"}))
    assert (patients, quality) == (["p"], {})


def test_the_view_holds_features_as_float32_and_the_target_and_nothing_else(tmp_path: Path) -> None:
    path = csv(tmp_path, "Ada,10,40,0,Baker Street", header=world.HEADER + ",address")
    _, view, _ = read(path)
    assert view.schema.names == ["mean_radius", "age", "malignant"]
    assert view.schema.types == [pa.float32(), pa.float32(), pa.int64()]


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    patients, view, _ = read(csv(tmp_path, "1,40,p,10", header="malignant,age,patient_id,mean_radius"))
    assert patients == ["p"]
    assert view.to_pylist() == [{"mean_radius": 10.0, "age": 40.0, "malignant": 1}]


def test_a_byte_order_mark_quotes_and_line_breaks_in_values_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(b'\xef\xbb\xbfpatient_id,mean_radius,age,malignant\r\n"p\n,1","10","40",1\r\n')
    patients, _, quality = read(path)
    assert (patients, quality) == (["p\n,1"], {})


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_a_missing_column_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path = csv(tmp_path, "p,10,1", header="patient_id,mean_radius,malignant")
    if kind == "Parquet":
        parquet.write_table(pa.table({"patient_id": ["p"], "mean_radius": [10.0], "malignant": [1]}), path)
    with pytest.raises(PodError, match="no column age") as caught:
        read(path, kind)
    assert (caught.value.reason, caught.value.field, caught.value.exit_code) == ("ColumnMissing", "age", 65)


def test_a_duplicate_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PodError, match="age more than once"):
        read(csv(tmp_path, "p,10,40,1,50", header=world.HEADER + ",age"))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("CSV", b""),
        ("CSV", b"patient_id,mean_radius,age,malignant\nM\xfcller,10,40,1\n"),
        ("Parquet", b""),
        ("Parquet", b"patient_id,mean_radius,age,malignant\n"),
        ("Parquet", b"PAR1 no more than that PAR1"),
    ],
)
def test_a_file_of_another_format_fails_without_quoting_it(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)
    with pytest.raises(PodError, match="cannot be read") as caught:
        read(path, kind)
    assert caught.value.reason == "DataUnreadable"


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    document = with_field({"name": "seen", "type": "date", "minimum": "2020-01-01"})
    columns = {
        "patient_id": pa.array([1, 2, 3, 4, 5], pa.int32()),
        "mean_radius": pa.array([17.3, None, float("nan"), 99.0, 18.5], pa.float64()),
        "age": pa.array([40, 41, 42, 43, 44], pa.int8()),
        "malignant": pa.array([True, False, True, False, False]),
        "seen": pa.array([datetime.datetime(2024, 5, 6, 7, 8)] * 5, pa.timestamp("ms")),
    }
    document["fields"][2] = {"name": "malignant", "type": "boolean"}
    parquet.write_table(pa.table(columns), path)
    patients, view, quality = read(path, "Parquet", document)
    assert patients == ["1", "5"]
    assert view.column("mean_radius").to_pylist() == [np.float32(17.3), 18.5]
    assert view.column("malignant").to_pylist() == [1, 0]
    assert quality == {
        ("mean_radius", "Missing"): 1,
        ("mean_radius", "NotANumber"): 1,
        ("mean_radius", "AboveMaximum"): 1,
    }


@pytest.mark.parametrize("name", ["Größe".encode("latin-1"), b"\xc3\x28", b"\xff\xfd", b"\xed\xa0\x80"], ids=repr)
@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_names_of_columns_that_are_not_utf_8_make_the_file_unreadable(tmp_path: Path, kind: str, name: bytes) -> None:
    path = tmp_path / "cases"
    if kind == "CSV":
        path.write_bytes(world.HEADER.encode() + b"," + name + b"\np,10,40,1,2\n")
    else:
        columns = {b"patient_id": ["p"], b"mean_radius": [10.0], b"age": [40], b"malignant": [1], name: [2]}
        arrays = [pa.array(values) for values in columns.values()]
        fields = [pa.field(each, array.type) for each, array in zip(columns, arrays, strict=True)]
        parquet.write_table(pa.table(arrays, schema=pa.schema(fields)), path)
    with pytest.raises(PodError, match="the names of its columns are not in UTF-8") as caught:
        read(path, kind)
    assert caught.value.reason == "DataUnreadable"


def test_a_nested_parquet_column_fails_with_the_fields_name(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    columns = {"patient_id": ["p"], "mean_radius": [[10.0]], "age": [40], "malignant": [1]}
    parquet.write_table(pa.table(columns), path)
    with pytest.raises(PodError, match="'mean_radius'") as caught:
        read(path, "Parquet")
    assert caught.value.reason == "DataUnreadable"


def test_all_spellings_of_an_integer_identifier_are_one_patient(tmp_path: Path) -> None:
    identifier = {"column": "patient_id", "type": "integer"}
    patients, _, _ = read(csv(tmp_path, "007,10,40,1", "7,10,40,1", "7.0,10,40,1", "+7,10,40,1"), identifier=identifier)
    assert patients == ["7"] * 4


@pytest.mark.parametrize("kind", ["string", "integer"])
@pytest.mark.parametrize("number", [7, 12345678901, 20000000000, 2**53 - 1])
def test_identifiers_stored_as_floats_are_the_same_patients(tmp_path: Path, kind: str, number: int) -> None:
    identifier = {"column": "patient_id", "type": kind}
    others = {"mean_radius": [10.0, 10.0], "age": [40, 40], "malignant": [1, 1]}
    path = tmp_path / "cases.parquet"
    parquet.write_table(pa.table({"patient_id": pa.array([number, 8], pa.int64()), **others}), path)
    before, _, _ = read(path, "Parquet", identifier=identifier)
    parquet.write_table(pa.table({"patient_id": pa.array([number, None], pa.float64()), **others}), path)
    after, _, quality = read(path, "Parquet", identifier=identifier)
    assert [before[0]] == after == [str(number)]
    assert quality == {("patient_id", "IdentifierMissing"): 1}


@pytest.mark.parametrize("kind", ["string", "integer"])
@pytest.mark.parametrize(("stored", "number"), [(pa.float64(), 2**53), (pa.float32(), 2**24), (pa.float16(), 2**11)])
def test_a_float_that_holds_no_exact_identifier_is_missing(
    tmp_path: Path, kind: str, stored: pa.DataType, number: int
) -> None:
    """Such a float rounds a whole number, so two patients would become one."""
    identifier = {"column": "patient_id", "type": kind}
    others = {"mean_radius": [10.0] * 4, "age": [40] * 4, "malignant": [1] * 4}
    path = tmp_path / "cases.parquet"
    rounded = pa.array([float(each) for each in (number - 1, number, number + 1, -number)]).cast(stored)
    parquet.write_table(pa.table({"patient_id": rounded, **others}), path)
    patients, _, quality = read(path, "Parquet", identifier=identifier)
    assert patients == [str(number - 1)]
    assert quality == {("patient_id", "IdentifierMissing"): 3}


def test_a_csv_file_holds_identifiers_of_any_length(tmp_path: Path) -> None:
    numbers = [str(10**16), str(10**16 + 1)]
    for kind in ("string", "integer"):
        lines = [f"{number},10,40,1" for number in numbers]
        patients, _, _ = read(csv(tmp_path, *lines), identifier={"column": "patient_id", "type": kind})
        assert patients == numbers


def test_a_nan_identifier_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    columns = {"patient_id": [float("nan"), 7.5], "mean_radius": [10.0, 10.0], "age": [40, 40], "malignant": [1, 1]}
    parquet.write_table(pa.table(columns), path)
    patients, _, quality = read(path, "Parquet")
    assert patients == ["7.5"]
    assert quality == {("patient_id", "IdentifierMissing"): 1}


def test_files_larger_than_a_block_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "BLOCK_BYTES", 1000)
    lines = world.rows(500)
    table = world.table()
    batches = list(dataset.read(csv(tmp_path, *lines), "CSV", table, dataset.Reading()))
    assert len(batches) > 3
    assert sum(len(batch.identifiers) for batch in batches) == 500


def test_a_batch_of_a_wide_parquet_file_has_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, table = tmp_path / "cases.parquet", world.table()
    columns = {name: [10.0] * 500 for name in ("mean_radius", "age")}
    parquet.write_table(
        pa.table({"patient_id": [f"p{number}" for number in range(500)], **columns, "malignant": [1] * 500}), path
    )
    monkeypatch.setattr(dataset, "BATCH_VALUES", 4 * 200)
    batches = [len(each.identifiers) for each in dataset.read(path, "Parquet", table, dataset.Reading())]
    assert batches == [200, 200, 100]
