"""`prepare`: which files it writes for each task, how it counts samples, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.documentation import section
from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod import labels
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import dataschema


def files(folders: Folders) -> set[str]:
    return {
        str(path.relative_to(folders.root))
        for path in folders.root.rglob("*")
        if path.is_file() and path.parent != folders.raw
    }


def radii(folders: Folders, side: str) -> set[float]:
    return set(parquet.read_table(folders.view_file(side)).column("mean_radius").to_pylist())


def test_training_gets_training_and_validation_rows_and_no_test_rows(tmp_path: Path) -> None:
    folders = world.pod(tmp_path / "train")
    prepared = prepare(folders, world.task())
    assert files(folders) == {
        "task/task.json",
        "private/report.json",
        "private/labels.i64",
        "data/train.parquet",
        "data/validation.parquet",
        "secrets/order/key",
        "secrets/split/breast/key",
        "secrets/split-records/breast.json",
        "secrets/patients/breast.json",
        "secrets/columns/breast.json",
    }
    evaluated = world.pod(tmp_path / "evaluate")
    held_out = prepare(evaluated, world.task("Evaluate"))
    train, validation, test = radii(folders, "train"), radii(folders, "validation"), radii(evaluated, "evaluation")
    assert not (train | validation) & test
    assert prepared.samples == len(train)
    assert held_out.samples == len(test)
    assert len(train | validation | test) == prepared.rows == prepared.patients == 300


def test_evaluation_gets_features_and_the_scorer_gets_labels_in_the_same_order(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task("Evaluate"))
    assert files(folders) == {
        "task/task.json",
        "private/report.json",
        "private/labels.i64",
        "data/evaluation.parquet",
        "secrets/order/key",
        "secrets/split/breast/key",
        "secrets/split-records/breast.json",
        "secrets/patients/breast.json",
        "secrets/columns/breast.json",
        "secrets/evaluations/breast.json",
        "secrets/evaluations/lock",
    }
    view = parquet.read_table(folders.view_file("evaluation"))
    rows = labels.read(folders.labels_file)
    assert view.column_names == ["mean_radius", "age"]
    truth = {float(f"{float(line.split(',')[1]):.4f}"): int(line.split(",")[3]) for line in world.rows()}
    radii = view.column("mean_radius").to_pylist()
    written = {round(radius, 4): label for radius, label in zip(radii, rows.labels, strict=True)}
    assert len(written) > 30
    assert all(truth[radius] == label for radius, label in written.items())


def test_task_json_does_not_hold_the_sites_own_settings(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepared = prepare(folders, world.task(secret="not in the contract"))
    task = json.loads(folders.task_file.read_text())
    assert "secret" not in task
    settings = {"rows", "datasetName", "minSamples", "minCell", "tells", "maxLeftOut", "maxEvaluations", "maxSamples"}
    settings |= {"splitFingerprint", "liveRounds", "roundUID", "imageDigest", "command", "references", "compression"}
    assert set(task) == set(world.task()) - settings - {"schema"} | {"orderSeed"}
    names = ["mean_radius", "age"]
    assert task["dataset"] == {"schema": world.SCHEMA, "features": names, "rows": prepared.samples}


def test_the_private_report_does_not_hold_the_split_key(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepared = prepare(folders, world.task())
    report = json.loads(folders.report_file.read_text())
    assert report["schema"] == world.SCHEMA
    assert report["samples"] == prepared.samples
    assert prepared.schema_digest == dataschema.digest(world.table())
    assert world.SPLIT_KEY.decode() not in folders.report_file.read_text() + folders.task_file.read_text()


def test_added_rows_move_no_patient_to_another_side(tmp_path: Path) -> None:
    before, after = world.pod(tmp_path / "before"), world.pod(tmp_path / "after", [*reversed(world.rows(600))])
    for folders in (before, after):
        prepare(folders, world.task())
    assert radii(before, "train") <= radii(after, "train")
    assert radii(before, "validation") <= radii(after, "validation")


def test_all_rows_of_a_patient_are_on_one_side_and_count_as_one_sample(tmp_path: Path) -> None:
    visits = [f"patient-{number % 40},{10 + number / 100},50,{number % 2}" for number in range(400)]
    folders = world.pod(tmp_path, visits)
    prepared = prepare(folders, world.task())
    train = radii(folders, "train")
    patients = {round((radius - 10) * 100) % 40 for radius in train}
    assert prepared.rows == 400
    assert prepared.patients == 40
    assert len(train) == 10 * len(patients)
    assert prepared.samples == len(patients)


def test_samples_are_at_most_the_hubs_max_samples(tmp_path: Path) -> None:
    assert prepare(world.pod(tmp_path), world.task(maxSamples=50)).samples == 50


def test_too_few_samples_fail_the_task(tmp_path: Path) -> None:
    with pytest.raises(PodError, match="training samples are left") as caught:
        prepare(world.pod(tmp_path), world.task(minSamples=1000))
    assert (caught.value.reason, caught.value.exit_code) == ("TooFewSamples", 65)


def test_too_few_samples_lists_the_reasons_for_left_out_rows(tmp_path: Path) -> None:
    document = world.task(maxLeftOut="1")
    document["schema"]["fields"][0] |= {"type": "integer"}
    with pytest.raises(PodError, match="rows left out: mean_radius NotAnInteger") as caught:
        prepare(world.pod(tmp_path), document)
    outcome = caught.value.outcome
    assert (outcome.reason, outcome.rows, outcome.patients) == ("TooFewSamples", 0, 0)
    assert outcome.quality is not None
    assert outcome.quality[0].field == "mean_radius"


def test_an_empty_dataset_has_too_few_samples(tmp_path: Path) -> None:
    with pytest.raises(PodError) as caught:
        prepare(world.pod(tmp_path, []), world.task())
    assert caught.value.reason == "TooFewSamples"


def test_an_empty_side_has_too_few_samples_with_a_minimum_of_zero(tmp_path: Path) -> None:
    document = world.task("Statistics", minSamples=0, minCell=0)
    with pytest.raises(PodError) as caught:
        prepare(world.pod(tmp_path, []), document)
    assert caught.value.reason == "TooFewSamples"


def test_an_evaluation_reads_the_rows_that_the_round_asks_for(tmp_path: Path) -> None:
    trained = world.pod(tmp_path / "train")
    prepare(trained, world.task())
    sides = {}
    for rows in ("Validation", "Test"):
        folders = world.pod(tmp_path / rows)
        prepare(folders, world.task("Evaluate", rows=rows))
        sides[rows] = radii(folders, "evaluation")
        report = json.loads(folders.report_file.read_text())
        assert (report["rows"], report["people"], report["withheld"]) == (rows, len(sides[rows]), False)
    assert sides["Validation"] == radii(trained, "validation")
    assert not sides["Test"] & (sides["Validation"] | radii(trained, "train"))


def test_an_evaluation_of_enough_people_fails_below_the_hospitals_least_number_of_samples(tmp_path: Path) -> None:
    with pytest.raises(PodError, match="test samples are left") as caught:
        prepare(world.pod(tmp_path), world.task("Evaluate", minSamples=1000))
    assert caught.value.reason == "TooFewSamples"


def test_labels_of_validation_rows_are_only_in_the_private_folder_with_numbers_instead_of_identifiers(
    tmp_path: Path,
) -> None:
    visits = [f"patient-{number % 300},{10 + number / 100},50,{number % 2}" for number in range(900)]
    folders = world.pod(tmp_path, visits)
    prepare(folders, world.task())
    view = parquet.read_table(folders.view_file("validation"))
    rows = labels.read(folders.labels_file)
    assert rows.labels.tolist() == view.column("malignant").to_pylist()
    # Patients are numbered in the order in which they first appear, and visits of one patient have one number.
    patients = [round((radius - 10) * 100) % 300 for radius in view.column("mean_radius").to_pylist()]
    assert rows.patients.tolist() == [list(dict.fromkeys(patients)).index(each) for each in patients]
    assert json.loads(folders.report_file.read_text())["people"] == len(set(patients))


def test_a_target_that_is_not_binary_has_no_labels_file(tmp_path: Path) -> None:
    document = world.task()
    del document["schema"]["fields"][2]["categories"]
    folders = world.pod(tmp_path)
    prepare(folders, document)
    assert not folders.labels_file.exists()
    assert json.loads(folders.report_file.read_text())["withheld"] is False


def test_an_evaluation_needs_a_target_of_0_and_1(tmp_path: Path) -> None:
    document = world.task("Evaluate")
    del document["schema"]["fields"][2]["categories"]
    with pytest.raises(PodError, match="An Evaluate round cannot use the target") as caught:
        prepare(world.pod(tmp_path), document)
    assert caught.value.field == "malignant"


@pytest.mark.parametrize(
    ("path", "words"), [("cases2.csv", "has no file cases2.csv"), ("../task", "leads out"), ("", "has no file")]
)
def test_a_missing_file_or_a_path_out_of_the_volume_fails(tmp_path: Path, path: str, words: str) -> None:
    document = world.task()
    document["dataset"]["path"] = path
    with pytest.raises(PodError, match=words) as caught:
        prepare(world.pod(tmp_path), document)
    assert caught.value.reason == "DataUnreadable"


def test_a_link_out_of_the_volume_is_not_followed(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    (folders.raw / "cases.csv").rename(tmp_path / "elsewhere.csv")
    (folders.raw / "cases.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(PodError, match="leads out"):
        prepare(folders, world.task())


def test_the_documented_task_json_is_one_of_prepare(tmp_path: Path) -> None:
    [block] = section("docs/training-image.md", "task.json")
    documented = json.loads(block.text)
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    written = json.loads(folders.task_file.read_text())
    # The hospital draws the key of this number.
    assert type(documented.pop("orderSeed")) is type(written.pop("orderSeed"))
    assert documented == written
