"""The pod of a Prediction answers as `wardround predict` does, and writes the answer whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.unit.card.models import DATASET, SCHEMA, THRESHOLD, Made, changed, write_folder
from tests.unit.card.test_predict import HEADER, WITHOUT_TARGET, cases, line, written
from wardround.__main__ import main
from wardround.api import dataset_text, schema_text
from wardround.card import answer, predict, volumes
from wardround.card.distances import Distances
from wardround.card.volumes import Folders, PredictionRefused
from wardround.pod.outcome import PodError
from wardround.wire import outcome

UID = "6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folders of the pod, with the model `heart` of version 3 as the current one."""
    (tmp_path / "models" / "heart").mkdir(parents=True)
    (tmp_path / "raw").mkdir()
    (tmp_path / "answers").mkdir()
    (tmp_path / "models" / "heart" / "current").write_text("v3\n")
    return tmp_path


@pytest.fixture
def made(root: Path) -> Made:
    return write_folder(root / "models" / "heart" / "v3")


def asked(made: Made, **changes: Any) -> volumes.PredictionRequest:
    known: dict[str, Any] = {
        "uid": UID,
        "model": "heart",
        "version": "current",
        "rows": "new.csv",
        "answer": "2026/answers.csv",
        "fingerprint": made.identity.fingerprint,
        "dataset": DATASET,
        "schema": SCHEMA,
    }
    return volumes.PredictionRequest(**(known | changes))


def left(root: Path) -> list[str]:
    """All files on the claim of answers."""
    return sorted(str(each.relative_to(root / "answers")) for each in (root / "answers").rglob("*") if each.is_file())


def test_the_answer_is_that_of_the_laptop_to_the_last_bit(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_folder(root / "models" / "heart" / "v3")
    file = written(root / "raw" / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,", "p2,links,,1.5,", "p3,rechts,70,2.5,")
    predicted = answer.answer(Folders.below(root), asked(made))
    manifest = tmp_path / "dataset.yaml"
    manifest.write_text(yaml.safe_dump({"kind": "Dataset", "spec": DATASET}))
    words = ["predict", str(made.path), str(file), "--dataset", str(manifest)]
    assert main([*words, "--hub-fingerprint", made.identity.fingerprint]) == 1
    assert (root / "answers/2026/answers.csv").read_text() == capsys.readouterr().out
    assert (predicted.version, predicted.answered, predicted.outside) == ("v3", 2, 1)
    assert predicted.digest == made.card.model.digest
    assert predicted.notes == predict.notes(made.card, predict.DELIVER_AGAIN)
    assert predicted.far_columns == 0
    assert left(root) == ["2026/answers.csv"]
    assert stat.S_IMODE((root / "answers/2026/answers.csv").stat().st_mode) & 0o007 == 0


def test_at_a_hospital_no_advice_is_about_a_pulled_model(root: Path) -> None:
    """The hub delivers the models there."""
    made = write_folder(root / "models" / "heart" / "v3", metrics=())
    written(root / "raw" / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,")
    notes = answer.answer(Folders.below(root), asked(made)).notes
    assert all(each.endswith("delete the Deliver round: the hub operator delivers the model again.") for each in notes)
    assert len(notes) == 2
    assert " pull" not in " ".join(notes)


def test_a_refused_number_of_the_card_is_told_without_advice_about_a_pulled_model(root: Path) -> None:
    made = write_folder(root / "models" / "heart" / "v3", metrics=(replace(THRESHOLD, value="2"),))
    written(root / "raw" / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,")
    with pytest.raises(PredictionRefused) as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "ModelRefused"
    assert "pull" not in str(refused.value)


def test_a_file_in_another_unit_is_told_with_its_column(root: Path, made: Made) -> None:
    """The Dataset says centimetres, and the file has millimetres."""
    written(root / "raw" / "new.csv", WITHOUT_TARGET, "p1,links,50,15,", "p2,rechts,60,17.5,")
    predicted = answer.answer(Folders.below(root), asked(made))
    assert predicted.far_columns == 1
    assert 'in the column "radius"' in predicted.notes[0]
    assert not any(value in "".join(predicted.notes) for value in ("17.5", "150", "175"))
    assert predicted.notes[1:] == predict.notes(made.card, predict.DELIVER_AGAIN)


def test_a_version_by_name_answers_though_another_one_is_current(root: Path, made: Made) -> None:
    other = write_folder(root / "models" / "heart" / "v2")
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    predicted = answer.answer(
        Folders.below(root), asked(made, version="v2", fingerprint=other.identity.fingerprint, answer="v2.csv")
    )
    assert predicted.version == "v2"


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"model": "breast"}, "ModelNotDelivered", "no current version of breast"),
        ({"version": "v9"}, "ModelNotDelivered", "no folder heart/v9"),
        ({"fingerprint": "sha256:" + "0" * 64}, "ModelRefused", "is signed by a hub"),
        ({"answer": "link/answers.csv"}, "PathOutside", "Prediction.spec.answer.path"),
        ({"rows": "link/new.csv"}, "PathOutside", "Prediction.spec.rows.path"),
        ({"dataset": {**DATASET, "fields": [{"name": "unknown"}]}}, "SchemaInvalid", "unknown"),
        ({"schema": changed("radius", unit="cm")}, "DatasetDiffersFromModel", '"radius" in another unit'),
        ({"schema": changed("age", name="years")}, "DatasetDiffersFromModel", '"age", and the DataSchema'),
    ],
)
def test_there_is_no_answer_without_a_model_or_a_place(
    root: Path, made: Made, changes: dict[str, Any], reason: str, words: str
) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    for claim in ("answers", "raw"):
        (root / claim / "link").symlink_to(root)
    with pytest.raises(PredictionRefused) as refused:
        answer.answer(Folders.below(root), asked(made, **changes))
    assert (refused.value.reason, words in str(refused.value)) == (reason, True)
    assert left(root) == []


@pytest.mark.parametrize("content", ["", "../v3", "v3\nv4", "v0", "\xff"])
def test_a_file_current_that_names_no_version_counts_as_none(root: Path, made: Made, content: str) -> None:
    (root / "models" / "heart" / "current").write_text(content, "latin-1")
    with pytest.raises(PredictionRefused) as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "ModelNotDelivered"


def test_the_model_of_another_image_needs_its_code_and_the_message_has_it(root: Path) -> None:
    made = write_folder(root / "models" / "heart" / "v3", architecture=None)
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    with pytest.raises(PredictionRefused, match="not the built-in trainer's") as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "CodeNotNamed"
    assert f"{{image: {made.card.code.image}, command: [" in str(refused.value)
    assert left(root) == []


def test_a_model_of_another_shape_names_its_code_too(root: Path) -> None:
    made = write_folder(root / "models" / "heart" / "v3", other={"output.more": np.zeros(1, np.float32)})
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    with pytest.raises(PredictionRefused, match="a model of another shape") as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "CodeNotNamed"


def test_a_changed_model_is_refused(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    file = made.path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(PredictionRefused, match="is not the model that") as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "ModelRefused"
    # At a hospital, the courier brings models: `model pull` is for a person who reaches the hub.
    assert "pull" not in str(refused.value)


@pytest.mark.parametrize("lines", [(), ("patient,age",), (HEADER,)])
def test_a_file_that_cannot_be_read_leaves_no_answer(root: Path, made: Made, lines: tuple[str, ...]) -> None:
    if lines:
        written(root / "raw" / "new.csv", *lines)
    if lines == (HEADER,):
        assert answer.answer(Folders.below(root), asked(made)).answered == 0
        return
    with pytest.raises(PodError):
        answer.answer(Folders.below(root), asked(made))
    assert left(root) == []


def test_no_answer_replaces_a_file_also_if_it_is_made_meanwhile(
    root: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    target = root / "answers/2026/answers.csv"
    batches = predict.batches

    def slow(*arguments: Any) -> Iterator[predict.Batch]:
        target.write_text("of another program")
        return batches(*arguments)

    monkeypatch.setattr(predict, "batches", slow)
    for _ in range(2):
        with pytest.raises(PredictionRefused) as refused:
            answer.answer(Folders.below(root), asked(made))
        assert refused.value.reason == "AnswerExists"
        assert (left(root), target.read_text()) == (["2026/answers.csv"], "of another program")


def test_a_pod_that_was_evicted_at_its_end_answers_again(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    target = root / "answers/2026/answers.csv"
    target.parent.mkdir()
    partial = target.with_name(f".{UID}.partial")
    partial.write_text("its answer")
    os.link(partial, target)
    assert answer.answer(Folders.below(root), asked(made)).answered == 3
    assert left(root) == ["2026/answers.csv"]
    # A partial file alone is of a pod that was evicted before.
    target.unlink()
    partial.write_text("half")
    assert answer.answer(Folders.below(root), asked(made)).answered == 3


def test_a_claim_without_space_or_rights_is_named(root: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PredictionRefused, match="No space left on device") as refused:
        answer.answer(Folders.below(root), asked(made))
    assert refused.value.reason == "AnswerUnwritable"
    assert left(root) == []


def environment(made: Made, root: Path, **changes: str) -> dict[str, str]:
    return {
        "WARDROUND_PREDICTION_UID": UID,
        "WARDROUND_MODEL": "heart",
        "WARDROUND_MODEL_VERSION": "current",
        "WARDROUND_ROWS_PATH": "new.csv",
        "WARDROUND_ANSWER_PATH": "answers.csv",
        "WARDROUND_HUB_FINGERPRINT": made.identity.fingerprint,
        "WARDROUND_DATASET": dataset_text.dump(DATASET),
        "WARDROUND_SCHEMA": schema_text.dump(SCHEMA),
        "WARDROUND_ROOT": str(root),
        "WARDROUND_TERMINATION_LOG": str(root / "log"),
        **changes,
    }


def report(root: Path) -> outcome.Outcome:
    written = outcome.read((root / "log").read_text())
    assert written is not None
    return written


def test_the_verb_reports_the_answer_and_each_refusal(root: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    for name, value in environment(made, root).items():
        monkeypatch.setenv(name, value)
    assert answer.main(()) == 0
    predicted = report(root).prediction
    assert predicted is not None
    assert (predicted.answered, predicted.outside) == (3, 0)
    # A pod that was evicted after it had written the answer, and before anybody knew of its end.
    assert answer.main(()) == 0
    assert report(root).prediction == predicted
    [file] = left(root)
    (root / "answers" / file).write_text("of another program")
    assert answer.main(()) == 65
    assert (report(root).reason, report(root).failure_class) == ("AnswerExists", "Site")
    written(root / "raw" / "new.csv", "patient")
    monkeypatch.setenv("WARDROUND_ANSWER_PATH", "other.csv")
    assert answer.main(()) == 65
    assert report(root).reason == "ColumnMissing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARDROUND_PREDICTION_UID", "../x"),
        ("WARDROUND_MODEL", "../heart"),
        ("WARDROUND_MODEL_VERSION", "v3/.."),
        ("WARDROUND_ROWS_PATH", ""),
        ("WARDROUND_HUB_FINGERPRINT", "any"),
        ("WARDROUND_DATASET", "[]"),
        ("WARDROUND_SCHEMA", ""),
    ],
)
def test_a_variable_that_cannot_be_read_ends_the_pod(root: Path, made: Made, name: str, value: str) -> None:
    with pytest.raises(PodError, match=name):
        volumes.read(environment(made, root, **{name: value}))


def test_the_longest_report_fits_into_a_termination_message(made: Made) -> None:
    names = [replace(each, round_name="r" * 253, people=10**9) for each in line("Validation")]
    at_point = ("threshold", "specificityAtThreshold", "sensitivityAtSpecificity")
    point = [replace(names[0], name=name, value="0.123456789", people=10**9 + n) for n, name in enumerate(at_point)]
    columns = ["\u00e9" * 128] * 300
    distances = Distances(columns, np.zeros(300), np.ones(300))
    distances.add(np.full((9, 300), 99.0))
    notes = (*distances.notes, *predict.notes(replace(made.card, metrics=(*names, *point)), predict.DELIVER_AGAIN))
    report = outcome.Outcome(
        prediction=outcome.Predicted(
            version="v999999999",
            digest="sha256:" + "a" * 64,
            answered=2**53,
            outside=2**53,
            far_columns=300,
            notes=notes,
        )
    )
    assert len(outcome.write(report)) < 4096
    assert all(len(each) <= 1024 for each in notes)
    assert json.loads(outcome.write(report))["prediction"]["answered"] == 2**53
