"""A Prediction with the code of its model: it sees features alone, and nothing but probabilities comes from it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.unit.card.models import DATASET, OWN_CODE, SCHEMA, THRESHOLD, Made, changed, write_folder, write_own
from tests.unit.card.scored import built_in, own_image, scored
from tests.unit.card.test_answer import UID, environment, left, report
from tests.unit.card.test_predict import HEADER, WITHOUT_TARGET, cases, line, written
from wardround.api import parameters_text
from wardround.api.site import AllowedParameter
from wardround.card import folder, merge, predict, view
from wardround.card.code import NamedCode
from wardround.card.view import CodeTerms
from wardround.card.volumes import Folders, PredictionRefused, PredictionRequest
from wardround.manifests.prediction_code import command_text
from wardround.pod import folders as pod_folders
from wardround.pod.outcome import PodError

OWN = NamedCode(OWN_CODE["image"], tuple(OWN_CODE["command"]))
ALLOWED = (AllowedParameter(name="steps"), AllowedParameter(name="learningRate", maximum="1"))
NAMED = CodeTerms(OWN, ALLOWED, "site-a")
SECRET = "identifier-of-a-patient"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folders of the pod. The kubelet makes those of the volumes."""
    for name in ("models/heart", "raw", "answers", "out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models" / "heart" / "current").write_text("v3\n")
    return tmp_path


@pytest.fixture
def made(root: Path) -> Made:
    return write_own(root / "models" / "heart" / "v3")


def asked(made: Made, **changes: Any) -> PredictionRequest:
    known: dict[str, Any] = {
        "uid": UID,
        "model": "heart",
        "version": "current",
        "rows": "new.csv",
        "answer": "answers.csv",
        "fingerprint": made.identity.fingerprint,
        "dataset": DATASET,
        "schema": SCHEMA,
    }
    return PredictionRequest(**(known | changes))


def look(root: Path, made: Made, named: CodeTerms = NAMED, **changes: Any) -> None:
    view.view(Folders.below(root), pod_folders.Folders(root), asked(made, **changes), named)


def answered(root: Path) -> list[dict[str, str]]:
    header, *lines = (root / "answers/answers.csv").read_text().splitlines()
    return [dict(zip(header.split(","), each.split(","), strict=True)) for each in lines]


def merged(root: Path) -> None:
    merge.merge(Folders.below(root), pod_folders.Folders(root), UID, "answers.csv")


def writes(root: Path, *probabilities: float) -> None:
    """What the code of a model leaves."""
    np.array(probabilities, "<f8").tofile(root / "out" / "predictions.f64")


def test_the_answers_are_those_of_an_evaluation_to_a_millionth(root: Path, made: Made, tmp_path: Path) -> None:
    file = written(root / "raw" / "new.csv", HEADER, *cases(300))
    pod = scored(made, file, tmp_path / "pod", 300, own_image)
    look(root, made)
    own_image(root)
    merged(root)
    given = answered(root)
    assert [each["identifier"] for each in given] == pod.identifiers
    probabilities = np.array([float(each["probability"]) for each in given])
    assert np.abs(probabilities - pod.probabilities).max() < 1e-6
    assert pod.probabilities.std() > 0.01
    assert {each["positive"] for each in given} == {"true", "false"}


def test_the_code_finds_no_identifier_no_target_and_no_row_outside_the_schema(root: Path, made: Made) -> None:
    lines = (f"{SECRET},links,50,1.5,,1", f"{SECRET}2,links,150,1.5,,0", f"{SECRET}3,rechts,70,2.5,,1")
    written(root / "raw" / "new.csv", HEADER, *lines)
    look(root, made)
    table = parquet.read_table(root / "data" / "evaluation.parquet")
    assert table.to_pydict() == {"age": [50.0, 70.0], "radius": [15.0, 25.0]}
    seen = [each for name in ("task", "data", "base") for each in (root / name).rglob("*") if each.is_file()]
    assert sorted(each.name for each in seen) == ["evaluation.parquet", "model.safetensors", "task.json"]
    assert not any(SECRET.encode() in each.read_bytes() for each in seen)
    task = json.loads((root / "task" / "task.json").read_text())
    assert task["parameters"] == OWN_CODE["parameters"]
    assert (task["task"], task["participant"], task["stateRound"]) == ("Evaluate", "site-a", "")
    assert task["dataset"]["rows"] == 2
    assert task["baseDigest"] == made.card.model.digest


def test_a_row_outside_the_schema_has_its_fault_beside_the_answers_of_the_code(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,", "p2,links,150,1.5,", "p3", "p4,links,7,2,")
    look(root, made)
    writes(root, 0.25, 0.75)
    merged(root)
    assert [(each["row"], each["identifier"], each["probability"]) for each in answered(root)] == [
        ("2", "p1", "0.25"),
        ("3", "p2", ""),
        ("4", "", ""),
        ("5", "p4", "0.75"),
    ]
    assert answered(root)[1]["fault"] == "age: AboveMaximum"


def test_recalibration_and_operating_point_are_those_of_the_card(root: Path) -> None:
    made = write_own(root / "models" / "heart" / "v3", metrics=(THRESHOLD, *line("Validation")))
    written(root / "raw" / "new.csv", HEADER, *cases(1))
    look(root, made)
    writes(root, 0.5)
    predicted = merge.merge(Folders.below(root), pod_folders.Folders(root), UID, "answers.csv")
    [given] = answered(root)
    assert float(given["recalibrated"]) == pytest.approx(1 / (1 + np.exp(0.5)), abs=1e-9)
    assert (given["operatingPoint"], given["positive"]) == ("0.4", "true")
    assert predicted.notes == (*predict.notes(made.card, predict.DELIVER_AGAIN), merge.NOT_COMPARED)
    assert predicted.far_columns is None
    assert (predicted.version, predicted.digest) == ("v3", made.card.model.digest)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (replace(OWN, image="registry.example/own@sha256:" + "0" * 64), "is not the code on the model's card"),
        (replace(OWN, command=("python", "/other.py")), "is not the code on the model's card"),
    ],
)
def test_no_other_code_than_that_of_the_card_sees_a_row(root: Path, made: Made, code: NamedCode, words: str) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    with pytest.raises(PredictionRefused, match=words) as refused:
        look(root, made, replace(NAMED, code=code))
    assert refused.value.reason == "CodeDiffers"
    assert OWN.image in str(refused.value)
    assert not (root / "data" / "evaluation.parquet").exists()


def test_the_hospital_may_have_the_image_in_its_own_registry(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    mirror = "registry.hospital.example/mirror/own@" + OWN.image.split("@")[1]
    look(root, made, replace(NAMED, code=replace(OWN, image=mirror)))


def test_parameters_that_the_hospital_does_not_allow_reach_no_code(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    with pytest.raises(PodError, match="learningRate") as refused:
        look(root, made, replace(NAMED, allowed=ALLOWED[:1]))
    assert refused.value.reason == "ParametersNotAllowed"
    assert not (root / "data" / "evaluation.parquet").exists()


def test_a_dataset_with_another_unit_brings_no_row_to_the_code(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    with pytest.raises(PredictionRefused, match='"radius" in another unit') as refused:
        look(root, made, schema=changed("radius", unit="cm"))
    assert refused.value.reason == "DatasetDiffersFromModel"
    assert not (root / "data" / "evaluation.parquet").exists()


def test_a_changed_model_is_refused_before_any_code_sees_a_row(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    file = made.path / "model.safetensors"
    for content in (file.read_bytes()[:-1] + b"\1", file.read_bytes() + b"more"):
        file.write_bytes(content)
        with pytest.raises(PredictionRefused) as refused:
            look(root, made)
        assert refused.value.reason == "ModelRefused"
    assert not (root / "data" / "evaluation.parquet").exists()


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [
        ((0.5,), "PredictionsInvalid"),
        ((0.5, 0.5, 0.5), "PredictionsInvalid"),
        ((0.5, 1.5), "PredictionsInvalid"),
        ((0.5, float("nan")), "NotFinite"),
    ],
)
def test_an_answer_has_one_finite_probability_for_each_row_or_is_none(
    root: Path, made: Made, probabilities: tuple[float, ...], reason: str
) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(2))
    look(root, made)
    writes(root, *probabilities)
    with pytest.raises(PodError) as failure:
        merged(root)
    assert failure.value.reason == reason
    assert left(root) == []


def test_code_cannot_bring_a_file_of_the_pod_into_the_answer(root: Path, made: Made) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(2))
    look(root, made)
    for make in (os.symlink, os.link):
        make(root / "private" / "rows.jsonl", root / "out" / "predictions.f64")
        with pytest.raises(PodError) as failure:
            merged(root)
        assert failure.value.reason == "OutputLink"
        (root / "out" / "predictions.f64").unlink()
    assert left(root) == []


def test_digits_of_a_probability_beyond_the_ninth_do_not_reach_the_answer(root: Path, made: Made) -> None:
    """docs/security.md says how much code can hide in a probability."""
    written(root / "raw" / "new.csv", HEADER, *cases(2))
    look(root, made)
    writes(root, 0.1234567890123456, 0.123456789)
    merged(root)
    assert {each["probability"] for each in answered(root)} == {"0.123456789"}


def test_the_verbs_report_the_answer_and_each_refusal(root: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    written(root / "raw" / "new.csv", HEADER, *cases(3))
    further = {
        "WARDROUND_IMAGE": OWN.image,
        "WARDROUND_COMMAND": command_text(OWN.command),
        "WARDROUND_ALLOWED_PARAMETERS": parameters_text.dump(ALLOWED),
        "WARDROUND_PARTICIPANT": "site-a",
    }
    for name, value in (environment(made, root) | further).items():
        monkeypatch.setenv(name, value)
    assert view.main(()) == 0
    assert merge.main(()) == 1
    assert report(root).reason == "OutputMissing"
    own_image(root)
    assert merge.main(()) == 0
    predicted = report(root).prediction
    assert predicted is not None
    assert (predicted.answered, predicted.outside) == (3, 0)
    # A pod that was evicted after it had written the answer.
    assert merge.main(()) == 0
    monkeypatch.setenv("WARDROUND_COMMAND", command_text(["python", "/other.py"]))
    assert view.main(()) == 65
    assert (report(root).reason, report(root).failure_class) == ("CodeDiffers", "Site")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARDROUND_IMAGE", ""),
        ("WARDROUND_COMMAND", '{"words":[]}'),
        ("WARDROUND_COMMAND", '{"words":[1]}'),
        ("WARDROUND_COMMAND", "python"),
        ("WARDROUND_ALLOWED_PARAMETERS", "[]"),
        ("WARDROUND_PARTICIPANT", ""),
    ],
)
def test_a_variable_that_cannot_be_read_ends_the_pod(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "WARDROUND_IMAGE": OWN.image,
        "WARDROUND_COMMAND": command_text(OWN.command),
        "WARDROUND_ALLOWED_PARAMETERS": "{}",
        "WARDROUND_PARTICIPANT": "site-a",
    }
    for each, text in (known | {name: value}).items():
        monkeypatch.setenv(each, text)
    with pytest.raises(PodError, match=name):
        view.read()


def test_a_model_of_the_built_in_trainer_can_answer_by_its_image_too(root: Path) -> None:
    made = write_folder(root / "models" / "heart" / "v3")
    file = written(root / "raw" / "new.csv", HEADER, *cases(50))
    code = NamedCode(made.card.code.image, made.card.code.command)
    look(root, made, CodeTerms(code, [AllowedParameter(name=each) for each in made.card.code.parameters], "site-a"))
    built_in(root)
    merged(root)
    own = list(predict.Answers(folder.load(made.path, made.identity.fingerprint), DATASET, file))
    probabilities = [float(each["probability"]) for each in answered(root)]
    assert np.abs(np.array(probabilities) - np.array([each.probability for each in own])).max() < 1e-6
