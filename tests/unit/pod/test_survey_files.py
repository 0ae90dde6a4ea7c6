"""What is said about a file that is no table of the Dataset, or changes while the pod reads it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from tests.unit.pod.surveys import SECRETS, prepare, refused
from wardround.pod import dataset
from wardround.wire import outcome as wire
from wardround.wire.outcome import IgnoredColumn, IgnoredColumns


def test_a_file_with_a_header_alone_says_that_it_has_no_rows(tmp_path: Path) -> None:
    failure = refused(lambda: prepare(tmp_path, []))
    assert failure.reason == "TooFewSamples"
    assert failure.message == "the file has a header and no rows, and the Site asks for at least 11 training samples"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        ("patient_id,mean_radius,age,malignant\nAda,13.37,40,1\n".encode("utf-16"), "its text is UTF-16"),
        ("patient_id,mean_radius,age,malignant\nAda,13.37,40,1\n".encode("utf-16-le"), "its text is UTF-16"),
        (b"PAR1", "it is a Parquet file. Set spec.format to Parquet"),
        (b"PK\x03\x04", "it is a workbook or another ZIP archive"),
        (
            gzip.compress(b"patient_id,mean_radius,age,malignant\nAda,13.37,40,1\n"),
            "it is compressed by gzip. Unpack it",
        ),
        (b"patient_id;mean_radius;age;malignant\nAda;13,37;40;1\n", "its values are separated by semicolons"),
        (b'"patient_id";"mean_radius";"age";"malignant"\n"Ada";"13,37";"40";"1"\n', "separated by semicolons"),
        (b"patient_id\tmean_radius\tage\tmalignant\nAda\t13.37\t40\t1\n", "its values are separated by tabs"),
        (b"Ada,13.37,40,1\nLovelace,13.38,41,0\n", "the data has no column patient_id, mean_radius, age, malignant"),
        ("patient_id,mean_radius,age,malignant\nAdä,13.37,40,1\n".encode("latin-1"), "its text in UTF-8"),
    ],
    ids=[
        "empty",
        "UTF-16",
        "UTF-16 without mark",
        "Parquet",
        "workbook",
        "gzip",
        "semicolons",
        "quoted",
        "tabs",
        "no header",
        "Latin-1",
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    folders = world.pod(tmp_path)
    (folders.raw / "cases.csv").write_bytes(content)
    failure = refused(lambda: world.prepare(folders, world.task()))
    assert failure.reason == ("ColumnMissing" if "no column" in words else "DataUnreadable")
    assert words in failure.message


def test_all_missing_and_double_columns_are_named_at_once(tmp_path: Path) -> None:
    failure = refused(lambda: prepare(tmp_path, ["Ada,Ada,13.37"], header="patient_id,patient_id,mean_radius"))
    assert failure.reason == "ColumnMissing"
    assert "no column age, malignant, and the data has column patient_id more than once" in failure.message


def test_a_column_beyond_the_schema_is_counted_and_named(tmp_path: Path) -> None:
    lines = [f"{line},Babbage,1" for line in world.rows(60)]
    report = prepare(tmp_path, lines, header=world.HEADER + ",doctor,1815-12-10")
    assert report.ignored_columns == IgnoredColumns(2, (IgnoredColumn("doctor", "NotInSchema"),))
    assert not [secret for secret in SECRETS if secret in wire.write(report).decode()]


@pytest.mark.parametrize("header", ["Ada,13.37,40,1,Babbage", "patient_id,mean_radius,age,Lovelace,Babbage"])
def test_a_file_without_its_whole_header_names_no_column(tmp_path: Path, header: str) -> None:
    """In a file without a header, the names of columns are the first patient's values."""
    lines = [f"{line},Babbage" for line in world.rows(60)]
    failure = refused(lambda: prepare(tmp_path, lines, header=header))
    assert failure.reason == "ColumnMissing"
    assert failure.outcome.ignored_columns is None


def _replace(path: Path, content: bytes) -> None:
    """As a nightly export does."""
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("change", ["replaced", "longer", "rewritten", "gone"])
@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_a_file_that_is_replaced_while_it_is_read_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, kind: str
) -> None:
    monkeypatch.setattr(dataset, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(dataset, "BATCH_ROWS", 50)
    path = world.pod(tmp_path).raw / "cases.csv"
    if kind == "Parquet":
        rows = [line.split(",") for line in world.rows(300)]
        columns = dict(zip(world.HEADER.split(","), map(list, zip(*rows, strict=True)), strict=True))
        parquet.write_table(pa.table(columns), path)
    table = world.table()
    batches = dataset.read(path, kind, table, dataset.Reading())
    next(batches)
    before, content = path.stat(), path.read_bytes()
    if change == "replaced":
        _replace(path, content)
    elif change == "longer":
        path.write_bytes(content + b"patient-x,10,40,1\n")
    elif change == "rewritten":
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    else:
        path.unlink()
    failure = refused(lambda: list(batches))
    if change == "gone":
        assert failure.reason == "DataUnreadable"
    else:
        assert (failure.reason, failure.category) == ("DataReplaced", "Platform")
        assert "somebody replaced or changed" in failure.message


def test_a_file_that_stays_is_read(tmp_path: Path) -> None:
    assert prepare(tmp_path, world.rows(300)).rows == 300
