"""`prepare` of a pod that only reads a Dataset: it counts, says all faults at once, and leaves nothing of a patient."""

from __future__ import annotations

import json
import socket

import pytest

from tests.unit.pod import world
from tests.unit.pod.reader import Reader
from wardround.pod import gate
from wardround.pod.folders import Folders
from wardround.tabular import split


def files(folders: Folders) -> set[str]:
    files = (path for path in folders.root.rglob("*") if path.is_file() and path.parent != folders.raw)
    return {str(path.relative_to(folders.root)) for path in files}


def test_a_reading_counts_like_a_training_pod_and_leaves_nothing(reader: Reader) -> None:
    code, outcome = reader.read()
    assert code == 0
    trained = world.prepare(world.pod(reader.folders.root / "trained"), world.task())
    assert (outcome.rows, outcome.patients, outcome.remarks) == (trained.rows, trained.patients, trained.remarks)
    assert (outcome.left_out, outcome.quality) == (trained.left_out, trained.quality)
    assert outcome.split_fingerprint == split.fingerprint(world.SPLIT_KEY)
    left = {each for each in files(reader.folders) if not each.startswith("trained/")}
    records = {f"secrets/{each}/breast.json" for each in ("split-records", "patients", "columns")}
    assert left == {"secrets/split/breast/key", "termination-log"} | records


def test_the_first_reading_makes_the_key_of_the_split(reader: Reader) -> None:
    key = reader.folders.secrets / "split" / "breast" / "key"
    key.unlink()
    key.parent.rmdir()
    _, outcome = reader.read()
    assert outcome.split_fingerprint == split.fingerprint(key.read_bytes())


def test_a_message_has_all_faults_of_a_file_and_none_of_its_values(reader: Reader) -> None:
    rows = [line.replace(",", ",Mrs Doe ", 1) for line in world.rows(40)]
    world.pod(reader.folders.root, rows)
    code, outcome = reader.read()
    assert (code, outcome.reason) == (65, "TooManyRowsLeftOut")
    message = outcome.message or ""
    assert "40 of 40 rows (100 %)" in message
    assert "also TooFewSamples: only 0 training samples are left" in message
    assert outcome.quality is not None
    assert "Doe" not in json.dumps(outcome, default=vars)


def test_a_missing_column_is_said_without_any_round(reader: Reader) -> None:
    world.pod(reader.folders.root, header="patient_id,mean_radius,alter,malignant")
    code, outcome = reader.read()
    assert (code, outcome.reason, outcome.field) == (65, "ColumnMissing", "age")
    assert outcome.rows is None


def test_prepare_reports_faults_of_objects_and_key_together_and_reads_no_row(reader: Reader) -> None:
    (reader.folders.raw / "cases.csv").unlink()
    document = world.task()
    document["dataset"]["split"] = {"validation": "0.5", "test": "0.5"}
    code, outcome = reader.read(dataset=document["dataset"], splitFingerprint="0" * 12)
    assert (code, outcome.reason) == (65, "SplitKeyChanged")
    assert "also DataUnreadable: Dataset.spec: split.test and split.validation together" in (outcome.message or "")
    assert "the volume has no file" not in (outcome.message or "")


def test_with_another_key_of_the_split_no_row_is_read(reader: Reader) -> None:
    code, outcome = reader.read(splitFingerprint="0" * 12)
    assert (code, outcome.reason, outcome.rows) == (65, "SplitKeyChanged", None)


def test_a_dataset_of_the_same_name_with_another_split_is_not_read(reader: Reader) -> None:
    assert reader.read()[0] == 0
    document = world.task()
    document["dataset"]["split"]["test"] = "0"
    code, outcome = reader.read(dataset=document["dataset"])
    assert (code, outcome.reason, outcome.rows) == (65, "SplitChanged", None)


def test_a_file_with_other_texts_of_the_identifiers_is_no_dataset_of_this_name(reader: Reader) -> None:
    assert reader.read()[0] == 0
    file = reader.folders.raw / "cases.csv"
    file.write_text(file.read_text().replace("patient-", "P-"))
    code, outcome = reader.read()
    assert (code, outcome.reason) == (65, "IdentifiersChanged")


def test_an_open_network_stops_a_reading_before_anything_is_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = gate.hold.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "deadline_seconds", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = {"name": "hub", "host": "127.0.0.1", "port": server.getsockname()[1], "protocol": "TCP"}
        monkeypatch.setenv("WARDROUND_ISOLATION", json.dumps([target]))
        key = reader.folders.secrets / "split" / "breast" / "key"
        key.unlink()
        key.parent.rmdir()
        code, outcome = reader.read()
    assert (code, outcome.reason, outcome.rows) == (75, "NetworkOpen", None)
    assert not key.exists()
