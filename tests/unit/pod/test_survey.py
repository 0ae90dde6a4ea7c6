"""What is said about rows that are left out, and about doubtful rows: in words, with counts, and without a value."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.surveys import counted, prepare, refused, with_age
from wardround.pod import dataset, survey
from wardround.tabular import split
from wardround.wire.outcome import LeftOutClass, LeftOutTotal, Remark

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
    counts = counted(tmp_path, with_age(world.rows(300), lambda _: "old", 30))
    assert (survey.too_many_left_out(counts, Decimal(most), 11) != "") is refusal


def test_one_row_with_two_faults_is_left_out_once(tmp_path: Path) -> None:
    counts = counted(tmp_path, [*world.rows(20), "patient-x,99,old,1", "short"])
    assert (counts.rows, counts.left_out_rows) == (20, 2)
    assert sorted((each.field, each.reason, each.rows) for each in counts.quality) == [
        ("*", "RowMalformed", 1),
        ("age", "NotAnInteger", 1),
        ("mean_radius", "AboveMaximum", 1),
    ]


def test_a_patient_is_left_out_if_no_row_of_the_patient_counts(tmp_path: Path) -> None:
    lines = [*world.rows(20), "patient-1,10,old,1", "x,10,old,1", "x,11,old,1", ",10,old,1", "y,10,40"]
    counts = counted(tmp_path, lines)
    assert (counts.left_out_rows, counts.left_out_patients) == (5, 1)


@pytest.mark.parametrize(("left_out", "kept", "listed"), [(11, 11, True), (10, 11, False), (11, 10, False)])
def test_the_report_has_a_class_only_if_it_has_enough_rows_on_both_sides(
    tmp_path: Path, left_out: int, kept: int, listed: bool
) -> None:
    sick = [f"patient-{number},10,{'old' if number < left_out else 50},1" for number in range(left_out + kept)]
    well = [f"well-{number},10,50,0" for number in range(100)]
    counts = counted(tmp_path, [*sick, *well])
    total = survey.outcome(counts, 11).left_out
    assert total is not None
    assert total.classes == ((LeftOutClass("1", left_out, kept),) if listed else ())


def test_a_target_that_cannot_be_read_is_of_no_class(tmp_path: Path) -> None:
    counts = counted(tmp_path, [*world.rows(20), *(f"x-{number},10,40,2" for number in range(12))])
    assert [each.left_out for each in counts.classes] == [0, 0]


def test_a_target_that_stands_for_a_missing_value_is_of_no_class(tmp_path: Path) -> None:
    table = world.table(missingValues=["", "1"])
    counts = counted(tmp_path, [f"patient-{number},10,40,{number % 2}" for number in range(40)], table)
    assert [(each.rows, each.left_out) for each in counts.classes] == [(20, 0), (0, 0)]


def test_a_target_that_is_a_quantity_has_no_classes(tmp_path: Path) -> None:
    table = world.table({**world.SCHEMA, "target": "age"})
    counts = counted(tmp_path, [*world.rows(20), "patient-1,10,41,1"], table)
    assert counts.classes == ()
    assert survey.remarks(counts) == ()


def test_people_are_counted_by_class_and_by_side(tmp_path: Path) -> None:
    counts = counted(tmp_path, [*world.rows(300), *world.rows(300)])
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
    counts = counted(tmp_path / "check", lines)
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
    assert (
        "training samples are left after the checks and the split, and the Site asks for at least 11"
    ) in failure.message
