"""What is said about a file that does not fit its Dataset: in words, with counts, and without a value of the file."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from wardround.pod import dataset, outcome, survey
from wardround.pod.outcome import PodError
from wardround.tabular import split
from wardround.tabular.schema import Schema
from wardround.wire import outcome as wire
from wardround.wire.outcome import (
    IgnoredColumn,
    IgnoredColumns,
    LeftOutClass,
    LeftOutRows,
    LeftOutTotal,
    Outcome,
    OwnMetric,
    Remark,
)

# Values that only the file holds. No message may have one of them.
SECRETS = ("Ada", "Lovelace", "13.37", "1815-12-10", "10.12.1815", "Babbage", "patient-")
# The column of the age, which the next table changes.
AGE = 2


def prepare(
    folder: Path, lines: list[str], document: dict[str, Any] | None = None, header: str = world.HEADER
) -> Outcome:
    return world.prepare(world.pod(folder, lines, header), document or world.task())


def refused(call: Callable[[], object]) -> PodError:
    """The failure, after the check that it quotes no value of the file."""
    with pytest.raises(PodError) as caught:
        call()
    assert not [secret for secret in SECRETS if secret in caught.value.message]
    assert not [secret for secret in SECRETS if secret in wire.write(caught.value.outcome).decode()]
    return caught.value


def with_age(lines: list[str], spelt: Callable[[str], str], rows: int) -> list[str]:
    """The first `rows` lines with another spelling of the age."""
    changed = []
    for line in lines[:rows]:
        values = line.split(",")
        changed.append(",".join([*values[:AGE], spelt(values[AGE]), *values[AGE + 1 :]]))
    return [*changed, *lines[rows:]]


# Sick patients that are left out of a file of 304 rows
SICK, WELL = 139, 165


def hospital(sickest: Callable[[int], str]) -> list[str]:
    """304 rows. `sickest` writes the age of the 84 patients whose radius is largest, all of them with target 1."""
    rows = [
        f"patient-{number},{10 + number / 20:.2f},{40 + number % 40},{int(number >= WELL)}" for number in range(304)
    ]
    return [*rows[:220], *with_age(rows[220:], lambda age: sickest(int(age)), 84)]


def test_a_dataset_that_leaves_out_all_of_the_sickest_trains_nobody(tmp_path: Path) -> None:
    """Once, this gave a Complete round of 220 rows, and nobody was told."""
    failure = refused(lambda: prepare(tmp_path, hospital(lambda age: f"{age} y")))
    assert (failure.reason, failure.category, failure.exit_code) == ("TooManyRowsLeftOut", "Site", 65)
    assert failure.message == (
        "84 of 304 rows (27.6 %) break the DataSchema, and policy.maxLeftOut of the Site allows a share of 0.1 of all "
        "rows; rows left out: age NotAnInteger 84 (write digits alone, such as 63. List a word for a missing value, "
        "such as unknown, in missingValues, and a word for a category in categories of Dataset.spec.fields); of the "
        "rows with malignant 1, 60.4 % are left out"
    )
    report = failure.outcome
    assert (report.rows, report.patients) == (220, 220)
    assert report.left_out == LeftOutTotal(84, 84, (LeftOutClass("1", 84, 55),))


def test_a_bound_that_is_too_narrow_says_which(tmp_path: Path) -> None:
    document = world.task()
    document["schema"]["fields"][0]["maximum"] = "20.9"
    failure = refused(lambda: prepare(tmp_path, hospital(str), document))
    assert (
        "mean_radius AboveMaximum 85 (correct the value, or raise maximum in a new DataSchema. List" in failure.message
    )


def test_no_view_is_left_for_anybody_to_train_on(tmp_path: Path) -> None:
    """The pod's next containers do not start. What they would read is not there either."""
    folders = world.pod(tmp_path, hospital(lambda age: f"{age} y"))
    refused(lambda: world.prepare(folders, world.task()))
    assert not folders.task_file.exists()
    assert not folders.report_file.exists()


def test_a_hospital_may_raise_the_limit(tmp_path: Path) -> None:
    report = prepare(tmp_path, hospital(lambda age: f"{age} y"), world.task(maxLeftOut="0.28"))
    assert (report.rows, report.samples is not None) == (220, True)
    assert report.left_out == LeftOutTotal(84, 84, (LeftOutClass("1", 84, 55),))


@pytest.mark.parametrize(("most", "refusal"), [("0.1", False), ("0.099", True), ("0", True), ("1", False)])
def test_the_limit_is_a_share_of_all_rows(tmp_path: Path, most: str, refusal: bool) -> None:
    counts = _survey(tmp_path, with_age(world.rows(300), lambda _: "old", 30))
    assert (survey.too_many_left_out(counts, Decimal(most), 11) != "") is refusal


def test_one_row_with_two_faults_is_left_out_once(tmp_path: Path) -> None:
    counts = _survey(tmp_path, [*world.rows(20), "patient-x,99,old,1", "short"])
    assert (counts.rows, counts.left_out_rows) == (20, 2)
    assert sorted((each.field, each.reason, each.rows) for each in counts.quality) == [
        ("*", "RowMalformed", 1),
        ("age", "NotAnInteger", 1),
        ("mean_radius", "AboveMaximum", 1),
    ]


def test_a_patient_is_left_out_if_no_row_of_the_patient_counts(tmp_path: Path) -> None:
    lines = [*world.rows(20), "patient-1,10,old,1", "x,10,old,1", "x,11,old,1", ",10,old,1", "y,10,40"]
    counts = _survey(tmp_path, lines)
    assert (counts.left_out_rows, counts.left_out_patients) == (5, 1)


@pytest.mark.parametrize(("left_out", "kept", "listed"), [(11, 11, True), (10, 11, False), (11, 10, False)])
def test_a_class_is_told_only_if_it_has_enough_rows_on_both_sides(
    tmp_path: Path, left_out: int, kept: int, listed: bool
) -> None:
    sick = [f"patient-{number},10,{'old' if number < left_out else 50},1" for number in range(left_out + kept)]
    well = [f"well-{number},10,50,0" for number in range(100)]
    counts = _survey(tmp_path, [*sick, *well])
    total = survey.outcome(counts, 11).left_out
    assert total is not None
    assert total.classes == ((LeftOutClass("1", left_out, kept),) if listed else ())


def test_a_target_that_cannot_be_read_is_of_no_class(tmp_path: Path) -> None:
    counts = _survey(tmp_path, [*world.rows(20), *(f"x-{number},10,40,2" for number in range(12))])
    assert [each.left_out for each in counts.classes] == [0, 0]


def test_a_target_that_stands_for_a_missing_value_is_of_no_class(tmp_path: Path) -> None:
    table = world.table(missingValues=["", "1"])
    counts = _survey(tmp_path, [f"patient-{number},10,40,{number % 2}" for number in range(40)], table)
    assert [(each.rows, each.left_out) for each in counts.classes] == [(20, 0), (0, 0)]


def test_a_target_that_is_a_quantity_has_no_classes(tmp_path: Path) -> None:
    table = world.table({**world.SCHEMA, "target": "age"})
    counts = _survey(tmp_path, [*world.rows(20), "patient-1,10,41,1"], table)
    assert counts.classes == ()
    assert survey.remarks(counts) == ()


def test_people_are_counted_by_class_and_by_side(tmp_path: Path) -> None:
    counts = _survey(tmp_path, [*world.rows(300), *world.rows(300)])
    assert (counts.rows, counts.patients) == (600, 300)
    assert sum(each.rows for each in counts.classes) == 600
    assert sum(each.patients for each in counts.classes) == 300
    sides = world.SIDES
    expected = dict.fromkeys(split.SIDES, 0)
    for number in range(300):
        expected[sides.side(f"patient-{number}")] += 1
    assert counts.sides == expected


def test_the_check_withholds_a_side_as_the_training_pod_does(tmp_path: Path) -> None:
    """At each limit, over all patients of a side and over those of each class."""
    lines = [f"{line[:-1]}{int(number % 12 == 0)}" for number, line in enumerate(world.rows(300))]
    counts = _survey(tmp_path / "check", lines)
    rows: tuple[tuple[split.Side, str], ...] = (("validation", "Validation"), ("test", "Test"))
    for side, name in rows:
        sick = [f"patient-{number}" for number in range(0, 300, 12)]
        positive = sum(world.SIDES.side(patient) == side for patient in sick)
        assert counts.classes[1].sides[side] == positive
        for limit in (positive, positive + 1):
            folders = world.pod(tmp_path / f"{name}-{limit}", lines)
            world.prepare(folders, world.task("Evaluate", rows=name, minCell=limit))
            report = json.loads(folders.report_file.read_text())
            assert counts.withheld(side, limit) == report["withheld"] == (limit > positive)


# Bad input


def _survey(folder: Path, lines: list[str], table: Schema | None = None) -> survey.Counts:
    folders = world.pod(folder, lines)
    read = survey.count_file(folders.raw / "cases.csv", "CSV", table or world.table(), world.SIDES)
    assert read.failure is None
    assert read.counts is not None
    return read.counts


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            {"name": "x", "type": "string", "categories": ["left", "right"]},
            "Lovelace",
            "x NotInEnum 300 (correct the value, or write its category in Dataset.spec.fields. List a word for a "
            "missing value in missingValues)",
        ),
        (
            {"name": "x", "type": "boolean"},
            "1.0",
            "x NotABoolean 300 (write true, false, 1 or 0, and neither 1.0 nor yes. Or list the words of the "
            "file for the categories true and false in Dataset.spec.fields)",
        ),
        (
            {"name": "x", "type": "date"},
            "10.12.1815",
            "x NotADate 300 (write year, month and day in this order, such as 2024-02-29)",
        ),
        (
            {"name": "x", "type": "number", "unit": "mm"},
            "13.37 cm",
            "x NotANumber 300 (write digits with a decimal point, such as 63.5. The unit of the field may follow, "
            "but no other unit. If the field has a scale or an offset in Dataset.spec.fields, no unit may follow. If a "
            "word such as unknown stands for a missing value, list it in missingValues)",
        ),
        (
            {"name": "x", "type": "integer", "categories": ["0", "1"]},
            "unknown",
            "x NotAnInteger 300 (write digits alone, such as 63. List a word for a missing value, such as unknown, in "
            "missingValues, and a word for a category in categories of Dataset.spec.fields)",
        ),
        (
            {"name": "x", "type": "number"},
            "NA",
            "x Missing 300 (fill in the value in the file, or leave the field out of a new DataSchema)",
        ),
    ],
    ids=["unlisted category", "boolean written as 1.0", "date in another order", "another unit", "a word", "no value"],
)
def test_values_that_a_field_does_not_take_are_counted_with_advice(
    tmp_path: Path, field: dict[str, Any], value: str, words: str
) -> None:
    document = world.task()
    document["schema"]["fields"].append(field)
    lines = [f"{line},{value}" for line in world.rows(300)]
    failure = refused(lambda: prepare(tmp_path, lines, document, world.HEADER + ",x"))
    assert failure.reason == "TooManyRowsLeftOut"
    assert words in failure.message


def test_a_code_for_a_missing_value_and_a_missing_identifier_have_advice_of_their_own(tmp_path: Path) -> None:
    lines = world.rows(300)
    lines[:60] = [line.replace(line.split(",")[1], "-999") for line in lines[:60]]
    lines[60:90] = [line[line.index(",") :] for line in lines[60:90]]
    failure = refused(lambda: prepare(tmp_path, lines))
    assert (
        "mean_radius BelowMinimum 60 (correct the value, or lower minimum in a new DataSchema. List a number for a "
        "missing value, such as -999, in missingValues)"
    ) in failure.message
    assert (
        "patient_id IdentifierMissing 30 (fill in the identifier of the patient in the file. In Parquet"
        in failure.message
    )


def test_a_target_with_one_class_is_remarked_and_trains(tmp_path: Path) -> None:
    """A hospital may have no patient of the other class."""
    lines = [f"patient-{number},{10 + number / 100},50,1" for number in range(60)]
    report = prepare(tmp_path, lines)
    assert report.remarks == (Remark("OneClass", 60),)
    assert prepare(tmp_path / "two", [*lines, "well,10,50,0"]).remarks is None


def test_patients_whose_rows_contradict_each_other_in_the_target_are_counted(tmp_path: Path) -> None:
    once = world.rows(100)
    flipped = [f"{line[:-1]}{1 - int(line[-1])}" for line in once[:7]]
    assert prepare(tmp_path / "equal", [*once, *once[:7]]).remarks is None
    assert prepare(tmp_path / "flipped", [*once, *flipped]).remarks == (Remark("TargetsContradict", 7),)


def test_a_file_with_every_row_twice_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = world.rows(100)
    assert prepare(tmp_path / "next to each other", [each for each in once for _ in range(2)]).remarks == (
        Remark("RowsRepeated", 100),
    )
    monkeypatch.setattr(dataset, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(survey, "FINGERPRINT_ROWS", 7)
    assert prepare(tmp_path / "one after the other", [*once, *once]).remarks == (Remark("RowsRepeated", 100),)
    assert prepare(tmp_path / "some", [*once, *once[:12], *once[:3]]).remarks == (Remark("RowsRepeated", 12),)
    assert prepare(tmp_path / "few", [*once, *once[:9]]).remarks is None


def test_rows_that_differ_in_patient_or_value_are_not_repeated(tmp_path: Path) -> None:
    once = world.rows(100)
    visits = with_age(once, lambda age: str(int(age) + 1), 100)
    assert prepare(tmp_path / "visits", [*once, *visits]).remarks is None
    assert prepare(tmp_path / "others", [*once, *(f"other-{line}" for line in once)]).remarks is None


@pytest.mark.parametrize(
    ("sick", "well", "remarked"),
    [(13, 4, True), (12, 5, False), (11, 0, True), (10, 0, False), (0, 11, True), (12, 12, False)],
)
def test_a_class_that_loses_far_more_rows_is_remarked_below_the_limit(
    tmp_path: Path, sick: int, well: int, remarked: bool
) -> None:
    """10 % of all rows may be left out. They are often those of the sickest patients."""
    lines = [f"patient-{number},10,{40 if number >= sick else 'old'},1" for number in range(150)]
    lines += [f"well-{number},10,{40 if number >= well else 'old'},0" for number in range(150)]
    lines += [line.replace("old", "40") for line in lines[:3]]  # patients with a valid row beside the other
    report = prepare(tmp_path, lines)
    assert report.remarks == ((Remark("ClassLeftOut", max(sick, well)),) if remarked else None)


def test_patients_of_a_class_are_counted_once_however_many_of_their_rows_are_left_out(tmp_path: Path) -> None:
    lines = [f"patient-{number},10,40,{number % 2}" for number in range(300)]
    lines += [f"patient-{number % 2},10,old,1" for number in range(0, 24, 2)]
    lines += [",10,old,1"]
    assert prepare(tmp_path, lines).remarks == (Remark("ClassLeftOut", 1),)


def test_five_rows_are_too_few(tmp_path: Path) -> None:
    failure = refused(lambda: prepare(tmp_path, world.rows(5)))
    assert failure.reason == "TooFewSamples"
    assert "training samples remain after validation and split, 11 are needed" in failure.message


def test_a_file_with_a_header_alone_says_that_it_has_no_rows(tmp_path: Path) -> None:
    failure = refused(lambda: prepare(tmp_path, []))
    assert failure.reason == "TooFewSamples"
    assert failure.message == "the file has a header and no rows, and 11 training samples are needed"


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


def test_a_termination_message_loses_names_of_ignored_columns_before_it_loses_counts_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    named = tuple(IgnoredColumn("𐌰" * 64, "NotInSchema") for _ in range(16))
    quality = tuple(LeftOutRows("n" * 100, "Missing", 9) for _ in range(12))
    outcome.terminate(Outcome(quality=quality, ignored_columns=IgnoredColumns(20, named)))
    report = wire.read((tmp_path / "log").read_text())
    assert report is not None
    assert report.ignored_columns is not None
    assert (report.quality, report.ignored_columns.count) == (quality, 20)
    assert 0 < len(report.ignored_columns.named) < 16


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


def test_the_longest_report_fits_a_termination_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of 128 characters, and each field with faults: the list is cut, and the rest is whole."""
    names = [f"{'n' * 120}{number:03}" for number in range(100)]
    fields = [{"name": name, "type": "integer"} for name in names]
    task = world.task()
    task["schema"]["fields"] += fields
    task["schema"]["fields"][2]["categories"] = [str(n) for n in range(64)]
    wrong = [f"p{number},10,40,{number % 64}" + ",x" * 100 for number in range(64 * 12)]
    right = [f"q{number},10,40,{number % 64}" + ",1" * 100 for number in range(64 * 12)]
    failure = refused(lambda: prepare(tmp_path, [*wrong, *right], task, ",".join([world.HEADER, *names])))
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    outcome.terminate(failure.outcome)
    text = (tmp_path / "log").read_text()
    report = wire.read(text)
    assert len(text) <= outcome.MESSAGE_LIMIT
    assert report is not None
    assert report.left_out is not None
    assert report.message is not None
    assert (report.reason, report.rows, report.left_out.rows) == ("TooManyRowsLeftOut", 768, 768)
    assert len(report.left_out.classes) == survey.MOST_CLASSES


def test_a_round_with_many_long_metric_names_cannot_keep_a_pod_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has room for the first numbers."""
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    names = [f"m{number:02}{'x' * 61}" for number in range(30)]
    metrics = tuple(OwnMetric(name=each, value="-1.7977e+308", people=10**8, rows="Validation") for each in names)
    outcome.terminate(Outcome(metrics=metrics))
    message = wire.read((tmp_path / "log").read_text())
    assert message is not None
    assert message.metrics is not None
    assert 20 < len(message.metrics) < 30
    assert message.metrics == metrics[: len(message.metrics)]


def test_a_long_message_in_any_script_fits_a_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    outcome.terminate(Outcome(reason="ColumnMissing", message="𐌰" * 3000))
    report = wire.read((tmp_path / "log").read_text())
    assert report is not None
    assert report.message is not None
    assert len(report.message) > 500
