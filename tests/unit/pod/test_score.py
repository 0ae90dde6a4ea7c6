"""`score` compares labels with predictions, and publishes only sums."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround import tensors
from wardround.metrics import sums
from wardround.metrics.differences import difference
from wardround.metrics.digits import text
from wardround.pod import row_order
from wardround.pod.folders import Folders
from wardround.pod.labels import read as read_labels
from wardround.pod.outcome import MESSAGE_LIMIT, PodError
from wardround.pod.score import score
from wardround.wire import codec, layouts
from wardround.wire.codec import read_document
from wardround.wire.mounts import REFERENCES, Reference
from wardround.wire.outcome import OwnOutcome, write
from wardround.wire.training import PrivateReport, RequestedTask, TrainingTask


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = world.pod(tmp_path)
    prepare(folders, world.task("Evaluate"))
    return folders


def labels(folders: Folders) -> list[int]:
    return [int(each) for each in read_labels(folders.labels_file).labels]


def predict(folders: Folders, values: Any, dtype: str = "<f8") -> None:
    world.probabilities(path(folders), values, dtype)


def test_sums_compare_predictions_with_labels(folders: Folders) -> None:
    truth = labels(folders)
    chances = np.random.default_rng(1).random(len(truth))
    predict(folders, chances)
    outcome = score(folders)
    numbers = world.read(folders.update / "update.safetensors")
    expected = sums.count(truth, chances, range(len(truth)))
    assert numbers.keys() == layouts.EVALUATE.keys()
    for name, values in numbers.items():
        if name != "salt":
            assert values.tolist() == expected[name].tolist(), name
    document = world.update(folders)
    assert (document["samples"], document["withheld"], document["sums"]) == (len(truth), False, None)
    assert document["baseDigest"] == "sha256:" + "b" * 64
    assert outcome is not None
    own = {each.name: each for each in outcome.metrics or ()}
    assert own["auc"].value == text(roc_auc_score(truth, chances), len(truth))
    assert (own["auc"].rows, own["auc"].better, own["auc"].people) == ("Test", "Higher", len(truth))
    assert own["auc"].low is not None
    assert len(write(outcome)) < MESSAGE_LIMIT


def test_several_rows_of_a_patient_are_one_patient(tmp_path: Path) -> None:
    visits = [f"patient-{number % 200},{10 + number / 100},50,{int(number % 200 < 100)}" for number in range(600)]
    folders = world.pod(tmp_path, visits)
    prepared = prepare(folders, world.task("Evaluate"))
    truth = labels(folders)
    assert prepared.samples is not None
    assert len(truth) == 3 * prepared.samples
    predict(folders, np.linspace(0, 1, len(truth)))
    score(folders)
    numbers = world.read(folders.update / "update.safetensors")
    assert numbers["people"][0] == prepared.samples
    assert numbers["weights"].sum() == pytest.approx(prepared.samples)
    assert numbers["rows"].tolist() == [len(truth)]


FEW: dict[str, list[str]] = {
    "few people": [f"patient-{number},10,50,{number % 2}" for number in range(30)],
    "few positives": [f"patient-{number},10,50,{int(number < 20)}" for number in range(100)],
    "few negatives": [f"patient-{number},10,50,{int(number >= 20)}" for number in range(100)],
    "one class": [f"patient-{number},10,50,0" for number in range(100)],
    # Four positives with twelve rows each are four patients.
    "many rows of few": [f"patient-{number % 100},10,50,{int(number % 100 < 20)}" for number in range(1200)],
    "nobody": [],
}


@pytest.mark.parametrize("case", FEW)
def test_sums_over_few_people_or_one_small_class_are_withheld_and_that_is_no_failure(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = world.pod(tmp_path, FEW[case])
    prepared = prepare(folders, world.task("Evaluate"))
    assert prepared.samples == 0
    assert parquet.read_table(folders.view_file("evaluation")).num_rows == 0
    assert not folders.labels_file.exists()
    # This holds for all predictions of the trainer, because a fault of them would say something about these people.
    predict(folders, [float("nan")])
    assert score(folders) is None
    numbers = world.read(folders.update / "update.safetensors")
    assert {name: values.shape for name, values in numbers.items()} == dict(layouts.EVALUATE)
    assert not any(values.any() for values in numbers.values())
    document = world.update(folders)
    assert (document["samples"], document["withheld"], document["sums"]) == (0, True, None)
    assert "no number leaves this hospital" in capsys.readouterr().err


def test_a_hospital_that_tells_its_own_numbers_says_so(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task("Evaluate", tells=True, minCell=12))
    predict(folders, [0.5] * len(labels(folders)))
    score(folders)
    document = world.update(folders)
    assert (document["tells"], document["minCell"]) == (True, 12)


def comparing(*, withheld: bool = False) -> dict[str, Any]:
    """An evaluation with two references."""
    asked = [
        {
            "baseDigest": "sha256:" + digit * 64,
            "imageDigest": "sha256:" + "d" * 64,
            "command": ["python", "-m", "another_trainer"],
            "parameters": {"epochs": digit},
            "stateRound": "",
        }
        for digit in "23"
    ]
    return world.task("Evaluate", references=asked, minCell=1000 if withheld else 11)


def predict_all(folders: Folders, *models: Any) -> None:
    places = [folders.out, *map(folders.reference_out, REFERENCES)]
    for place, values in zip(places, models, strict=False):
        place.mkdir(parents=True, exist_ok=True)
        world.probabilities(place / "predictions.f64", values)


def test_each_reference_is_compared_on_the_same_people(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, comparing())
    rows = read_labels(folders.labels_file)
    model, *others = np.random.default_rng(1).random((3, len(rows.labels)))
    predict_all(folders, model, *others)
    outcome = score(folders)
    numbers = world.read(folders.update / "update.safetensors")
    assert {name: values.shape for name, values in numbers.items()} == dict(layouts.evaluation(2))
    for row, other in zip(numbers["differences"].tolist(), others, strict=True):
        losses = [
            -np.log(np.where(rows.labels == 1, each, 1 - each)) for each in (model, other)
        ]  # one row for each patient here
        d = losses[0] - losses[1]
        assert row == pytest.approx([losses[1].sum(), d.sum(), (d * d).sum()], abs=1e-9)
    alone = sums.count(rows.labels, model, rows.patients)
    assert numbers["loss"].tolist() == alone["loss"].tolist()
    assert outcome is not None
    own = {each.name: each for each in outcome.metrics or ()}
    people = int(numbers["people"][0])
    for number, (_, total, _) in enumerate(numbers["differences"].tolist(), 1):
        metric = own[f"lossDifference{number}"]
        assert (metric.value, metric.better, metric.people) == (text(total / people, people), "Lower", people)
        known = difference([numbers], number - 1, 1)
        assert known is not None
        assert known.low is not None
        assert known.high is not None
        # Rounded outwards: an end that is shown as 0 is not on the other side of 0.
        assert float(metric.low or "nan") <= known.low
        assert float(metric.high or "nan") >= known.high
    assert len(write(outcome)) < MESSAGE_LIMIT


ROWS = {"rows": "Validation"}


def two_comparisons(tmp_path: Path, **changes: Any) -> tuple[Folders, Any]:
    """An evaluation on many validation rows, and their labels."""
    lines = [f"patient-{number},{10 + number / 100},50,{number % 2}" for number in range(1000)]
    folders = world.pod(tmp_path, lines)
    prepare(folders, {**comparing(), **changes})
    return folders, read_labels(folders.labels_file).labels


def test_a_hospital_computes_its_own_verdict_on_each_reference(tmp_path: Path) -> None:
    folders, truth = two_comparisons(tmp_path, **ROWS)
    good = np.where(truth == 1, 0.8, 0.2)
    predict_all(folders, good, np.full(len(truth), 0.5), np.where(truth == 1, 0.9, 0.1))
    outcome = score(folders)
    assert outcome is not None
    assert outcome.verdicts == ("Better", "Worse")
    predict_all(folders, good, good, good)
    outcome = score(folders)
    assert outcome is not None
    assert outcome.verdicts == ("Undecided", "Undecided")


def test_a_verdict_is_of_no_update(tmp_path: Path) -> None:
    """The courier sends the same update with each verdict."""
    folders, truth = two_comparisons(tmp_path, **ROWS)
    predict_all(folders, np.where(truth == 1, 0.8, 0.2), *[np.full(len(truth), 0.5)] * 2)
    score(folders)
    sent = b"".join(each.read_bytes() for each in folders.update.iterdir())
    assert not any(word.encode() in sent for word in get_args(OwnOutcome))
    assert sorted(each.name for each in folders.update.iterdir()) == ["update.json", "update.safetensors"]


def test_a_hospital_gives_no_verdict_on_test_rows_or_without_references(tmp_path: Path, folders: Folders) -> None:
    test_rows, truth = two_comparisons(tmp_path / "test", rows="Test")
    predict_all(test_rows, *[np.full(len(truth), 0.5)] * 3)
    predict(folders, [0.5] * len(labels(folders)))
    for each in (test_rows, folders):
        outcome = score(each)
        assert outcome is not None
        assert outcome.verdicts is None


@pytest.mark.parametrize("lines", ["few people", "few positives"])
def test_a_hospital_with_too_few_people_says_so_to_its_own_people(tmp_path: Path, lines: str) -> None:
    folders = world.pod(tmp_path, FEW[lines])
    prepare(folders, {**comparing(), **ROWS})
    outcome = score(folders)
    assert outcome is not None
    assert outcome.verdicts == ("TooFewPeople", "TooFewPeople")
    assert outcome.metrics is None


def test_the_hub_chooses_neither_the_people_nor_the_error_of_a_verdict(tmp_path: Path) -> None:
    """With fewer people than 20, each verdict would say whether a class has as many people as the hub has asked for."""
    wishes = {"minEvents": 1, "fewestEvents": 1, "error": "0.9", "gate": {"minEvents": 1, "error": "0.9"}}
    lines = [f"patient-{number},10,50,{int(number % 10 == 0)}" for number in range(1000)]
    rare = world.pod(tmp_path / "rare", lines)
    prepare(rare, {**comparing(), **ROWS, **wishes})
    truth = read_labels(rare.labels_file).labels
    assert 11 <= np.count_nonzero(truth) < 20
    predict_all(rare, np.where(truth == 1, 0.8, 0.2), *[np.full(len(truth), 0.5)] * 2)
    outcome = score(rare)
    assert outcome is not None
    assert outcome.verdicts == ("TooFewPeople", "TooFewPeople")
    # Chance alone: with an error of 0.9, each verdict would be Better or Worse.
    folders, truth = two_comparisons(tmp_path / "chance", **ROWS, **wishes)
    predict_all(folders, *np.random.default_rng(3).uniform(0.45, 0.55, (3, len(truth))))
    outcome = score(folders)
    assert outcome is not None
    assert outcome.verdicts == ("Undecided", "Undecided")


def test_the_code_of_each_reference_gets_its_own_task_and_no_other(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, comparing())
    files = [folders.task_file, *map(folders.reference_task_file, REFERENCES)]
    tasks = [read_document(TrainingTask, each.read_bytes()) for each in files]
    assert [each.base_digest[-1] for each in tasks] == ["b", "2", "3"]
    assert [dict(each.parameters) for each in tasks] == [{"epochs": "1"}, {"epochs": "2"}, {"epochs": "3"}]
    assert len({each.order_seed for each in tasks}) == 3
    text = [each.read_text() for each in files]
    assert not any(
        other.base_digest in one for one, task in zip(text, tasks, strict=True) for other in tasks if other != task
    )


def test_withheld_sums_have_no_difference_and_no_reference_gets_rows(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, comparing(withheld=True))
    assert parquet.read_table(folders.view_file("evaluation")).num_rows == 0
    predict_all(folders, [float("nan")], [2.0])  # and nothing of the last reference
    assert score(folders) is None
    numbers = world.read(folders.update / "update.safetensors")
    assert {name: values.shape for name, values in numbers.items()} == dict(layouts.evaluation(2))
    assert not any(values.any() for values in numbers.values())


REFERENCE_FAULTS: dict[str, tuple[str, Callable[[Path, int], Any]]] = {
    "nothing": ("OutputMissing", lambda place, n: None),
    "one row too few": ("PredictionsInvalid", lambda place, n: world.probabilities(place, [0.5] * (n - 1))),
    "no number": ("NotFinite", lambda place, n: world.probabilities(place, [0.5] * (n - 1) + [float("nan")])),
    "no probability": ("PredictionsInvalid", lambda place, n: world.probabilities(place, [0.5] * (n - 1) + [1.1])),
    "a link to the other predictions": (
        "OutputLink",
        lambda place, n: place.symlink_to("/wardround/out/predictions.f64"),
    ),
    "a pipe": ("OutputLink", lambda place, n: os.mkfifo(place)),
}


@pytest.mark.parametrize("fault", REFERENCE_FAULTS)
@pytest.mark.parametrize("name", REFERENCES)
def test_malformed_predictions_of_a_reference_are_refused_and_the_words_name_it(
    tmp_path: Path, fault: str, name: Reference
) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, comparing())
    rows = len(labels(folders))
    predict_all(folders, *[[0.5] * rows] * 3)
    place = folders.reference_out(name) / "predictions.f64"
    place.unlink()
    reason, leave = REFERENCE_FAULTS[fault]
    leave(place, rows)
    with pytest.raises(PodError) as failure:
        score(folders)
    assert failure.value.reason == reason
    assert f"out-{name}/" in failure.value.message
    assert not (folders.update / "update.json").exists()


def test_the_salt_of_the_same_model_with_other_references_is_another_one() -> None:
    document = comparing()
    requests = [
        codec.parse(RequestedTask, {**document, "references": document["references"][:number]}) for number in range(3)
    ]
    assert len({row_order.salt(b"key", each, "view") for each in requests}) == 3
    assert len({row_order.seed(b"key", each, "view") for each in requests}) == 1


def path(folders: Folders) -> Path:
    return folders.out / "predictions.f64"


ATTACKS: dict[str, tuple[str, Callable[[Folders, int], Any]]] = {
    "nothing": ("OutputMissing", lambda f, n: None),
    "link": ("OutputLink", lambda f, n: path(f).symlink_to(f.labels_file)),
    "10 GB": ("OutputTooLarge", lambda f, n: world.sparse(path(f), 10 << 30)),
    "Parquet": ("PredictionsInvalid", lambda f, n: parquet.write_table(pa.table({"probability": [0.5] * n}), path(f))),
    "a byte too many": ("PredictionsInvalid", lambda f, n: path(f).write_bytes(bytes(8 * n + 1))),
    "a byte too few": ("PredictionsInvalid", lambda f, n: path(f).write_bytes(bytes(8 * n - 1))),
    "too few rows": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * (n - 1))),
    "too many rows": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * (n + 1))),
    "no rows": ("PredictionsInvalid", lambda f, n: predict(f, [])),
    "single precision": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * n, "<f4")),
    "big-endian": ("PredictionsInvalid", lambda f, n: predict(f, [0.7] * n, ">f8")),
    "text": ("PredictionsInvalid", lambda f, n: path(f).write_text("0.5\n" * n)),
    "a pipe": ("OutputLink", lambda f, n: os.mkfifo(path(f))),
    "infinite": ("NotFinite", lambda f, n: predict(f, [float("inf")] + [0.5] * (n - 1))),
    "NaN": ("NotFinite", lambda f, n: predict(f, [float("nan")] + [0.5] * (n - 1))),
    "above one": ("PredictionsInvalid", lambda f, n: predict(f, [1.1] + [0.5] * (n - 1))),
    "below zero": ("PredictionsInvalid", lambda f, n: predict(f, [-0.1] + [0.5] * (n - 1))),
    "many rows": ("PredictionsInvalid", lambda f, n: world.sparse(path(f), 8 * 5_000_000)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_malformed_predictions_are_refused_with_their_reason(folders: Folders, name: str) -> None:
    reason, attack = ATTACKS[name]
    attack(folders, len(labels(folders)))
    with pytest.raises(PodError) as caught:
        score(folders)
    assert (caught.value.reason, caught.value.category) == (reason, "Code")
    assert not (folders.update / "update.json").exists()


def test_a_person_who_guesses_the_sums_cannot_confirm_them_by_the_updates_digest(folders: Folders) -> None:
    """A constant model leaves little to guess: only the number of positives."""
    truth = labels(folders)
    predict(folders, np.full(len(truth), 0.5))
    score(folders)
    sent = world.update(folders)["digest"]
    guessed = sums.count(truth, np.full(len(truth), 0.5), range(len(truth)))
    secret = read_document(PrivateReport, folders.report_file.read_bytes(), "report").salt

    def digest(salt: Any) -> str:
        (folders.update / "guess").unlink(missing_ok=True)
        return tensors.write(folders.update / "guess", {**guessed, "salt": salt})

    assert sent not in (digest(np.zeros(32)), digest(np.full(32, 255.0)))
    assert sent == digest(np.array(list(secret), np.float64))


def test_the_salt_is_equal_for_equal_work_and_different_at_each_hospital() -> None:
    request = world.work(world.task("Evaluate")).request
    salt = row_order.salt(bytes(32), request, "view")
    assert salt == row_order.salt(bytes(32), request, "view")
    others = (
        row_order.salt(bytes(31) + b"1", request, "view"),
        row_order.salt(bytes(32), request, "another view"),
        row_order.salt(bytes(32), replace(request, base_digest="sha256:" + "c" * 64), "view"),
    )
    assert len({salt, *others}) == 4
    # Researchers' code knows the seed, which comes from the same key.
    assert row_order.seed(bytes(32), request, "view").to_bytes(8, "big") not in salt
