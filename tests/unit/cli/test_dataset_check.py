"""`kubectl wardround dataset check` says on a laptop what a training pod would say, and all faults at once."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import csv, parquet

from lab import demo_data
from lab.topology import ROOT
from tests.unit.cli.laptop import Laptop, data_schema, dataset
from tests.unit.pod import world
from wardround.extras import dataset_check
from wardround.pod.outcome import PodError
from wardround.tabular import split
from wardround.wire import codec


@pytest.fixture
def laptop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Laptop:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    return Laptop(tmp_path, capsys)


def test_a_dataset_that_would_be_ready_shows_what_a_round_uses_of_it(laptop: Laptop) -> None:
    schema = data_schema({"name": "seen", "type": "date"})
    lines = [f"{line},2024-02-29,Baker Street" for line in world.rows(300)]
    lines[7] = lines[7].replace(",2024-02-29,", ",29.02.2024,")
    code, text = laptop.check(dataset(), lines, header=world.HEADER + ",seen,address", schema=schema)
    assert code == 0
    shown = text.splitlines()
    for line in (
        "Dataset breast with the file cases.csv",
        "features: 2 (mean_radius, age)",
        "fields that are no features because of their type: 1 (seen (Date))",
        "ignored columns: 1",
        "  NotInSchema (neither the DataSchema nor the Dataset names them): address",
        "valid rows: 299 of 300, of 299 patients",
        "rows left out: 1 (0.333 %); patients without a valid row: 1",
        "  seen NotADate 1 (write year, month and day in this order, such as 2024-02-29)",
        "This Dataset becomes Ready at a Site with policy.maxLeftOut 0.1 and minCell 11",
    ):
        assert line in shown
    [split] = [line for line in shown if line.startswith("split: ")]
    numbers = [int(word) for word in split.split() if word.isdigit()]
    assert sum(numbers) == 299
    classes = [line for line in shown if line.startswith("malignant ")]
    assert [line.partition(":")[0] for line in classes] == ["malignant 0", "malignant 1"]


def test_the_words_are_those_of_the_training_pod(laptop: Laptop, tmp_path: Path) -> None:
    lines = [line.replace(",", ",x", 1) if number < 84 else line for number, line in enumerate(world.rows(304))]
    with pytest.raises(PodError) as caught:
        world.prepare(world.pod(tmp_path / "pod", lines), world.task())
    code, text = laptop.check(dataset(), lines)
    assert code == 1
    assert f"  TooManyRowsLeftOut: {caught.value.message}" in text.splitlines()
    assert "Not Ready: 1 fault" in text
    code, text = laptop.check(dataset(), lines, "--max-left-out", "0.3")
    assert (code, "This Dataset becomes Ready at a Site with policy.maxLeftOut 0.3 and minCell 11" in text) == (0, True)


def test_the_check_shows_all_faults_of_object_and_file_together(laptop: Laptop) -> None:
    item = dataset(split={"test": "1.5"})
    del item["spec"]["claimName"]
    code, text = laptop.check(item, ["p,x,40,1"])
    assert code == 1
    assert "Not Ready: 4 faults" in text
    for words in (
        "SchemaInvalid: spec.claimName is missing",
        "DataUnreadable: Dataset.spec: split.test must be at least 0 and below 1",
        "TooManyRowsLeftOut: 1 of 1 rows (100 %) break the DataSchema",
        "TooFewSamples: only 0 training samples are left",
    ):
        assert words in text
    assert "split: " not in text


def test_without_valid_shares_nobody_is_on_a_side_of_the_split(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(split={"validation": "0.5", "test": "0.5"}))
    assert code == 1
    assert "Not Ready: 1 fault" in text
    assert "split.test and split.validation together leave no training rows" in text
    assert "split: " not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": {"validatoin": "0.2", "test": "0.2"}}, "SchemaInvalid: spec.split has the unknown field validatoin"),
        ({"missingvalues": ["-1"]}, "SchemaInvalid: spec has the unknown field missingvalues"),
    ],
)
def test_a_misspelt_field_of_the_dataset_is_named(laptop: Laptop, change: dict[str, Any], words: str) -> None:
    """The API server would refuse the file, and a split can never be changed later."""
    code, text = laptop.check(dataset(**change))
    assert (code, words in text) == (1, True)


def test_another_version_of_the_api_is_named(laptop: Laptop) -> None:
    code, text = laptop.check({**dataset(), "apiVersion": "wardround.io/v1"})
    assert code == 1
    assert "apiVersion of the Dataset is 'wardround.io/v1'. Write wardround.io/v1alpha1" in text


def test_all_fields_with_a_fault_are_named_at_once(laptop: Laptop) -> None:
    schema = data_schema(
        {"name": "x", "type": "float"},
        {"name": "y", "type": "number", "minimum": 0},
        {"name": "z", "type": "string", "unit": "mm"},
    )
    code, text = laptop.check(dataset(fields=[{"name": "w", "from": "W"}]), schema=schema)
    assert code == 1
    for words in (
        "DataSchema: field 'x': the type of the field is unknown",
        "DataSchema: field 'y': the minimum is no finite number",
        "DataSchema: field 'z': a field of type string takes no unit",
        "Dataset: field 'w' is no field of the DataSchema",
    ):
        assert f"SchemaInvalid: {words}" in text


UTF_16 = "patient_id,mean_radius,age,malignant\nAda,13.37,40,1\n".encode("utf-16")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (UTF_16, "DataUnreadable: cases.csv cannot be read as CSV (Dataset.spec.format): its text is UTF-16"),
        (b"patient_id;mean_radius;age;malignant\nAda;13,37;40;1\n", "its values are separated by semicolons"),
        (b"patient_id,mean_radius\nAda,13.37\n", "ColumnMissing: the data has no column age, malignant"),
        (b"patient_id,mean_radius,age,malignant\n", "TooFewSamples: the file has a header and no rows"),
        (b"", "it is empty"),
    ],
    ids=["UTF-16", "semicolons", "columns", "no rows", "empty"],
)
def test_a_file_that_no_pod_can_use_is_named(laptop: Laptop, content: bytes, words: str) -> None:
    code, text = laptop.check_bytes(dataset(), content)
    assert code == 1
    assert words in text
    assert "Ada" not in text


def test_five_rows_are_too_few(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), world.rows(5))
    assert code == 1
    assert "training samples are left after the checks and the split, and the Site asks for at least 11" in text
    code, _ = laptop.check(dataset(), world.rows(5), "--min-cell", "1")
    assert code == 0


@pytest.mark.parametrize("fault", ["TooFewSamples", "TooManyRowsLeftOut"])
def test_no_note_says_that_a_file_trains_on_which_no_round_trains(laptop: Laptop, fault: str) -> None:
    lines = world.rows(5)
    if fault == "TooManyRowsLeftOut":
        lines = [line.replace(",", ",x", 1) if number < 10 else line for number, line in enumerate(world.rows(40))]
    code, text = laptop.check(dataset(), lines)
    assert (code, f"  {fault}: " in text) == (1, True)
    assert "So the hospital withholds its metrics" in text
    for words in ("In Train rounds", "updates count all the same", "take part"):
        assert words not in text


def test_a_small_hospital_hears_that_it_cannot_evaluate(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), world.rows(40))
    assert code == 0
    assert "Evaluate rounds, which need at least 11 patients in each class" in text
    assert "With this Dataset, the hospital can take part only in Train and Statistics rounds" in text


def test_a_hospital_with_too_few_patients_of_a_class_hears_what_it_withholds(laptop: Laptop) -> None:
    """9 positive patients of 300, and 63 held out: training works, and no metric leaves the hospital."""
    lines = [f"{line[:-1]}{int(number < 9)}" for number, line in enumerate(world.rows(300))]
    code, text = laptop.check(dataset(), lines)
    assert code == 0
    shown = text.splitlines()
    example = split.parse(world.SPLIT, dataset_check.EXAMPLE_KEY)
    sides = {side: [n for n in range(300) if example.side(f"patient-{n}") == side] for side in ("validation", "test")}
    for side, numbers in sides.items():
        positive = sum(number < 9 for number in numbers)
        classes = f"malignant 0: {len(numbers) - positive}, malignant 1: {positive}"
        assert f"  {side}, patients with a row of each class: {classes}" in shown
        [note] = [line for line in shown if line.startswith(f"note: {side}: ")]
        assert f"{positive} patients with malignant 1, and minCell is 11. So the hospital withholds its metrics" in note
        assert "In Train rounds, the hospital's updates count all the same." in note
    assert (
        "note: The hospital would withhold its numbers in Evaluate rounds, which need at least 11 patients in each "
        "class. With this Dataset, the hospital can take part only in Train and Statistics rounds, and not in Evaluate "
        "rounds. To take part in them too, raise split.validation or split.test before you apply the Dataset." in shown
    )


def test_a_hospital_with_enough_patients_of_each_class_hears_no_note(laptop: Laptop) -> None:
    lines = [f"{line[:-1]}{number % 2}" for number, line in enumerate(world.rows(300))]
    code, text = laptop.check(dataset(), lines)
    assert code == 0
    assert "note: " not in text


def test_a_target_that_is_a_quantity_cannot_be_evaluated(laptop: Laptop) -> None:
    schema = data_schema()
    schema["spec"]["fields"][-1] = {"name": "malignant", "type": "number"}
    code, text = laptop.check(dataset(), schema=schema)
    assert code == 0
    assert (
        "note: An Evaluate round cannot use the target malignant: the DataSchema declares it neither as a boolean"
        in text
    )


def test_the_split_is_shown_with_an_example_key_because_the_hospitals_own_stays_on_its_cluster(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(split={**world.SPLIT, "keyFile": "split.key"}), world.rows(300))
    assert code == 0
    [line] = [line for line in text.splitlines() if line.startswith("split: ")]
    assert "(with an example key: the hospital's own key gives similar numbers)" in line
    assert sum(int(word) for word in line.split() if word.isdigit()) == 300
    # Equal numbers each time.
    assert laptop.check(dataset(), world.rows(300)) == (0, text)


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (lambda values: values[-1], "the feature extra equals the target in every valid row"),
        (lambda values: values[1], "the features mean_radius, extra are equal in every valid row"),
        (lambda _: "3.0", "the feature extra has the same value in every valid row"),
    ],
    ids=["target", "equal", "constant"],
)
def test_a_feature_without_information_of_its_own_is_noted(
    laptop: Laptop, value: Callable[[list[str]], str], note: str
) -> None:
    schema = data_schema({"name": "extra", "type": "number"})
    lines = [f"{line},{value(line.split(','))}" for line in world.rows(300)]
    code, text = laptop.check(dataset(), lines, header=world.HEADER + ",extra", schema=schema)
    assert code == 0
    assert [line for line in text.splitlines() if "extra" in line and line.startswith("note: ")] == [
        line for line in text.splitlines() if line.startswith(f"note: {note}")
    ]
    assert f"note: {note}" in text
    lines[200] = f"{lines[200].rpartition(',')[0]},0.125"
    _, text = laptop.check(dataset(), lines, header=world.HEADER + ",extra", schema=schema)
    assert note not in text


def test_a_column_of_another_name_is_shown_beside_the_missing_one(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), header=world.HEADER.replace("age", "Age "))
    assert code == 1
    assert "NotInSchema (neither the DataSchema nor the Dataset names them): 'Age '" in text
    assert "ColumnMissing: the data has no column age" in text
    assert "is its first line a header" not in text


def test_a_file_without_a_header_shows_no_value_of_a_patient(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), ["Lovelace,13.38,41,0"], header="Ada,13.37,40,1")
    assert code == 1
    assert "is its first line a header with the columns' names?" in text
    assert "Ada" not in text
    assert "13.37" not in text


def test_a_bound_that_no_row_keeps_points_at_the_unit(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), schema=data_schema(mean_radius={"maximum": "1"}))
    assert code == 1
    assert (
        "(all rows of the file break this bound. Compare the unit of the values with the unit in the DataSchema" in text
    )
    assert "raise maximum" not in text


def test_a_local_unit_is_converted_before_the_bounds_are_checked(laptop: Laptop) -> None:
    schema = data_schema(mean_radius={"maximum": "3.1", "unit": "cm"})
    assert laptop.check(dataset(), schema=schema)[0] == 1
    code, text = laptop.check(dataset(fields=[{"name": "mean_radius", "scale": "0.1"}]), schema=schema)
    assert (code, "valid rows: 300 of 300" in text) == (0, True)


def blemished() -> list[str]:
    """300 rows with faults below the header. A value of the second row has two line breaks. One line is empty."""
    lines = world.rows(300)
    lines[1] = '"Ada\n\nLovelace"' + lines[1][lines[1].index(",") :]
    # After it, the row of place n stands in line n + 4.
    lines[40] = lines[40].replace(",", ",x", 1)
    for place in (100, 110, 120, 130, 140, 150, 160):
        lines[place] = "p,,40,1"
    lines[200] += ",1"
    lines[290] = ",13,40,1"
    return [*lines[:298], "", *lines[298:299], "p,13,40.5,1"]


def test_the_person_who_has_the_file_hears_in_which_lines_rows_are_left_out(laptop: Laptop) -> None:
    code, text = laptop.check(dataset(), blemished())
    assert code == 0
    shown = text.splitlines()
    lines = {
        " ".join(line.split()[:2]): following
        for line, following in itertools.pairwise(shown)
        if following.startswith("    in ")
    }
    assert lines == {
        "mean_radius Missing": "    in lines 104, 114, 124, 134, 144 and 2 more",
        "mean_radius NotANumber": "    in line 44",
        "whole row": "    in line 204",
        "patient_id IdentifierMissing": "    in line 294",
        "age NotAnInteger": "    in line 304",
    }
    # The lines are those of an editor.
    file = laptop.file.read_text("utf-8").splitlines()
    assert [file[number - 1] for number in (104, 294, 304)] == ["p,,40,1", ",13,40,1", "p,13,40.5,1"]


def test_dataset_check_names_the_row_of_a_parquet_file_by_its_number(laptop: Laptop, tmp_path: Path) -> None:
    table = csv.read_csv(io.BytesIO("\n".join([world.HEADER, *world.rows(300)]).encode()))
    ages = table.column("age").to_pylist()
    ages[41] = -1
    table = table.set_column(2, "age", pa.array(ages))
    parquet.write_table(table, laptop.file)
    laptop.manifest.write_text(yaml.safe_dump_all([data_schema(), dataset(format="Parquet")]))
    code, text = laptop.run(str(laptop.manifest), str(laptop.file))
    assert code == 0
    assert "    in row 42" in text.splitlines()


def test_no_line_number_leaves_a_pod(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A line number can point at a patient: the log, the status and the view have none."""
    folders = world.pod(tmp_path, blemished())
    report = world.prepare(folders, world.task())
    written = "".join(
        path.read_bytes().decode("latin-1") for path in folders.root.rglob("*") if path.suffix in (".json", ".txt")
    )
    output = "".join(capfd.readouterr()) + str(codec.dump(report)) + written
    assert "'IdentifierMissing'" in output
    assert not [number for number in (44, 104, 114, 204, 294, 304) if re.search(rf"\b{number}\b", output)]


def test_rows_whose_target_cannot_be_read_are_counted_beside_the_classes(laptop: Laptop) -> None:
    lines = world.rows(300)
    lines[:20] = [f"{line[:-1]}yes" for line in lines[:20]]
    code, text = laptop.check(dataset(), lines)
    assert code == 0
    assert "rows left out whose malignant cannot be read, so that they count in no class: 20" in text


def test_one_class_and_contradicting_targets_are_remarked(laptop: Laptop) -> None:
    sick = [f"patient-{number},{10 + number / 100},50,1" for number in range(60)]
    code, text = laptop.check(dataset(), sick)
    assert code == 0
    assert "note: OneClass (60 patients): All valid rows of the data file have the same target" in text
    code, text = laptop.check(dataset(), [*sick, "patient-3,10,50,0", "patient-4,10,50,0"])
    assert code == 0
    assert "note: TargetsContradict (2 patients): " in text
    assert "status.remarks" not in text
    assert "in the file of Dataset breast" in text
    assert "OneClass" not in text


def test_names_of_columns_do_not_steer_the_terminal(laptop: Laptop) -> None:
    _, text = laptop.check(
        dataset(), [f"{line},1" for line in world.rows(60)], header=world.HEADER + ",\x1b]0;pwned\x07"
    )
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("kind: Site\n", "has no objects of kind Dataset"),
        (f"{json.dumps(dataset())}\n---\n{json.dumps(dataset())}\n", "has 2 objects of kind Dataset"),
        ("a: [", "cannot be read as YAML"),
        ("kind: Dataset\n", "spec.schemaName is missing"),
        ("kind: Dataset\nspec: {schemaName: heart, split: 2}\n", "has no DataSchema heart"),
        ("kind: DataSchema\nmetadata: 1\n---\nkind: Dataset\nspec: {schemaName: heart}\n", "has no DataSchema heart"),
        (
            "kind: DataSchema\nmetadata: {name: heart}\n---\nkind: Dataset\nspec: {schemaName: heart}\n",
            "DataSchema: spec is missing",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused_in_words(laptop: Laptop, tmp_path: Path, manifest: str, words: str) -> None:
    (tmp_path / "d.yaml").write_text(manifest)
    (tmp_path / "cases.csv").write_text("a\n")
    code, text = laptop.run(str(tmp_path / "d.yaml"), str(tmp_path / "cases.csv"))
    assert code in (1, 2)
    assert words in text


def test_other_objects_beside_the_dataset_are_passed_over(laptop: Laptop, tmp_path: Path) -> None:
    schema = json.dumps(data_schema())
    (tmp_path / "all.yaml").write_text(f"kind: Site\n---\n{json.dumps(dataset())}\n---\n{schema}\n---\n")
    (tmp_path / "cases.csv").write_text("\n".join([world.HEADER, *world.rows()]))
    assert laptop.run(str(tmp_path / "all.yaml"), str(tmp_path / "cases.csv"))[0] == 0


def test_the_schema_may_stand_in_a_file_of_its_own(laptop: Laptop, tmp_path: Path) -> None:
    manifest, schema, file = (tmp_path / name for name in ("dataset.yaml", "dataschema.yaml", "cases.csv"))
    manifest.write_text(json.dumps(dataset()))
    file.write_text("\n".join([world.HEADER, *world.rows()]))
    schema.write_text(json.dumps(data_schema()))
    code, text = laptop.run(str(manifest), str(file))
    assert (code, "Give the file that has it as --schema." in text) == (2, True)
    assert laptop.run(str(manifest), str(file), "--schema", str(schema))[0] == 0


@pytest.mark.parametrize("name", ["dataset.yaml", "cases.csv"])
def test_a_missing_file_is_named(laptop: Laptop, tmp_path: Path, name: str) -> None:
    laptop.check(dataset())
    (tmp_path / name).unlink()
    code, text = laptop.run(str(tmp_path / "dataset.yaml"), str(tmp_path / "cases.csv"))
    assert code == 2
    assert name in text


@pytest.mark.parametrize("option", [["--max-left-out", "10%"], ["--max-left-out", "2"], ["--min-cell", "0"]])
def test_a_limit_that_no_site_can_have_is_refused(laptop: Laptop, option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        laptop.check(dataset(), None, *option)
    assert caught.value.code == 2


@pytest.mark.parametrize("module", ["pyarrow", "numpy"])
def test_without_its_extra_the_command_names_what_installs_it(tmp_path: Path, module: str) -> None:
    (tmp_path / "d.yaml").write_text(f"{json.dumps(dataset())}\n---\n{json.dumps(data_schema())}")
    (tmp_path / "cases.csv").write_text(world.HEADER)
    program = f"import sys; sys.modules[{module!r}] = None; from wardround.kubectl import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", program, "dataset", "check", str(tmp_path / "d.yaml"), str(tmp_path / "cases.csv")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")},
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"{module}, which is not installed" in ended.stderr
    assert "pip install '.[cli,data]'" in ended.stderr


def test_the_example_of_the_documentation_is_ready(laptop: Laptop, tmp_path: Path) -> None:
    """examples/breast-cancer/dataset.yaml is the model for a new user's first Dataset."""
    item, schema = (
        yaml.safe_load((ROOT / "examples/breast-cancer" / name).read_text())
        for name in ("dataset.yaml", "dataschema.yaml")
    )
    header, rows = demo_data.tables()["site-a"]
    demo_data.write((header, rows), tmp_path / "rows.csv")
    content = (tmp_path / "rows.csv").read_bytes()
    code, text = laptop.check_bytes(item, content, schema=schema)
    assert code == 0
    assert "valid rows: 338 of 341, of 338 patients" in text
