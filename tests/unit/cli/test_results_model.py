"""`results fm/NAME` shows each number with the object that has it, and with what it is about."""

import csv
import io
import json
from dataclasses import replace
from typing import Any, cast

import pytest
from rich.console import Console

from tests.unit.cli.required import REQUIRED, RESULT, metric
from wardround.api import federatedround
from wardround.api.conditions import Condition
from wardround.api.federatedround import Task
from wardround.api.meta import Meta
from wardround.cli import model_objects, results_model, verbs
from wardround.cli.cluster import Cluster
from wardround.cli.commands import results as command
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.results import ROUNDED
from wardround.kubectl import parser
from wardround.plans.model import series

Object = dict[str, Any]
TRAINED, COMPARED = "heart-s2-r1-0123abcd", "heart-s2-c1-0123abcd"
LOSS = metric("loss", "0.31", low="0.28", high="0.34", better="Lower", people=412, hospitals=3, model=TRAINED)
DIFFERENCE = {
    **{"reference": "heart-s1-r2-0123abcd", "value": "-0.02", "low": "-0.04", "high": "-0.01", "better": "Lower"},
    **{"people": 412, "events": 90, "hospitals": 3, "rows": "Validation", "model": TRAINED},
}


def version(number: int, round_name: str, *metrics: Object) -> Object:
    spec = {"modelName": "heart", "version": number, "series": number, "roundName": round_name, "roundUID": "u"}
    spec |= {"parents": [], "release": "Participants"}
    verdict = {"outcome": "Accepted", "reason": "NotWorse"}
    return {
        "metadata": {"name": f"heart-v{number}-0123abcd", "namespace": "fed", "uid": f"v{number}"},
        "spec": {**spec, "digest": f"sha256:{number}"},
        "status": {"metrics": list(metrics), "verdict": verdict},
    }


def federated_round(name: str, minute: int, **result: Any) -> Object:
    metadata = {"name": name, "namespace": "fed", "uid": name, "creationTimestamp": f"2026-11-27T12:{minute:02}:00Z"}
    return {
        "metadata": metadata,
        "spec": REQUIRED["FederatedRound"],
        "status": {"result": {**RESULT, "samples": 412, **result}},
    }


def entry(name: str, task: str, **more: Any) -> Object:
    return {"name": name, "task": task, "number": 1, "generation": 1, "outcome": "Complete", **more}


ENTRIES = [entry(TRAINED, "Train"), entry(COMPARED, "Evaluate", references=["heart-s1-r2-0123abcd"])]
MODEL: Object = {
    "metadata": {"name": "heart", "namespace": "fed", "uid": "m"},
    "spec": REQUIRED["FederatedModel"],
    "status": {
        "current": "heart-v1-0123abcd",
        "candidate": "heart-v2-0123abcd",
        "series": {
            "number": 2,
            "stage": "Ended",
            "started": "2026-11-27T12:00:00Z",
            "trigger": "Requested",
            "rounds": ENTRIES,
        },
    },
}
VERSIONS = [version(2, TRAINED, LOSS), version(1, "heart-s1-r2-0123abcd")]
ROUNDS = [
    federated_round(COMPARED, 2, metrics=[LOSS], differences=[DIFFERENCE]),
    federated_round(TRAINED, 1),
    federated_round("heart-s1-r2-0123abcd", 0, metrics=[metric("auc", "0.9", model="heart-s1-r1-0123abcd")]),
]


def objects(*, versions: Any = VERSIONS, rounds: Any = ROUNDS) -> ModelObjects:
    return model_objects.read(MODEL, versions, rounds)


def test_each_number_says_whose_it_is_and_what_it_is_over() -> None:
    loss, over = ("loss", "0.31", "0.28", "0.34", "Lower"), ("412", "3", "Validation", TRAINED)
    assert results_model.rows(objects()) == [
        ("modelversion/heart-v2-0123abcd", "series 2, version 2, candidate", *loss, *over, ""),
        (
            *("federatedround/heart-s1-r2-0123abcd", "series 1, Train 2"),
            *("auc", "0.9", "", "", "", "40", "2", "Validation", "heart-s1-r1-0123abcd", ""),
        ),
        (f"federatedround/{COMPARED}", "series 2, Compare", *loss, *over, ""),
        (
            *(f"federatedround/{COMPARED}", "series 2, Compare", "lossDifference", "-0.02", "-0.04", "-0.01", "Lower"),
            *(*over, "heart-s1-r2-0123abcd"),
        ),
    ]


def test_a_model_keeps_its_numbers_when_the_next_series_measures_it_on_other_rows() -> None:
    """The round that compared it is gone. The next Train round has measured its base on labels that were flipped."""
    later = federated_round("heart-s3-r1-0123abcd", 9, metrics=[{**LOSS, "value": "2.3"}])
    assert objects(rounds=[later]).course()[TRAINED]["loss"].value == "0.31"
    alone = objects(versions=[version(2, TRAINED)], rounds=[later]).course()
    assert alone[TRAINED]["loss"].value == "2.3", "no version has other numbers"


def on_test_rows(item: Object, *metrics: Object) -> Object:
    """The version, measured on test rows."""
    test = {"roundName": "heart-t2-0123abcd", "outcome": "Complete", "metrics": list(metrics)}
    return {**item, "status": {**item["status"], "test": test}}


def test_numbers_about_test_rows_follow_those_about_validation_rows() -> None:
    shown = objects(
        versions=[on_test_rows(VERSIONS[0], {**LOSS, "rows": "Test", "value": "0.4"})],
        rounds=[federated_round("heart-t2-0123abcd", 3, metrics=[{**LOSS, "rows": "Test", "value": "0.4"}])],
    )
    known = [(name, place, value, rows) for name, place, _, value, *_, rows, _, _ in results_model.rows(shown)]
    assert known == [
        ("modelversion/heart-v2-0123abcd", "series 2, version 2, candidate", "0.31", "Validation"),
        ("modelversion/heart-v2-0123abcd", "series 2, version 2, candidate", "0.4", "Test"),
        ("federatedround/heart-t2-0123abcd", "series 2, version 2 on test rows", "0.4", "Test"),
    ]
    document = json.loads(results_model.text(shown, "json"))
    assert document["versions"][0]["test"]["metrics"][0]["value"] == "0.4"
    measured = {each.rows for known in shown.measured().values() for each in known.values()}
    assert measured == {"Validation"}, "test rows are never shown as the course of a series"


def test_the_table_has_an_interval_and_says_which_version_is_the_current_one() -> None:
    console = Console(file=io.StringIO(), width=240)
    console.print(results_model.table(objects()))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "fed/heart, current version 1, series 2" in text
    assert "0.28 to 0.34" in text


def test_below_the_table_stands_what_its_numbers_do_not_say() -> None:
    """Version 1 has no number yet, so the declared metrics that version 2 lacks come first."""
    missing, beside, before, rounded = results_model.notes(objects())
    lacks = "The result of this round does not show these metrics that the round declares: auc, people, positives."
    assert missing.startswith(f"modelversion/heart-v2-0123abcd: {lacks}")
    assert before == results_model.BEFORE_TRAINING
    assert rounded == ROUNDED
    assert beside == (
        f"federatedround/{COMPARED}: On the same people, the log loss of version 2 minus the log loss of version 1 is "
        "-0.02 (95 % interval: -0.04 to -0.01)."
    )


def test_below_the_table_stand_both_losses_of_the_newest_comparison() -> None:
    """With flipped labels, the loss of the new version is far above that of the current one in an earlier round."""
    difference = {**DIFFERENCE, "value": "0.02", "low": "0", "high": "0.04", "referenceLoss": "2.29"}
    flipped = federated_round(COMPARED, 2, metrics=[{**LOSS, "value": "2.31"}], differences=[difference])
    notes = results_model.notes(objects(rounds=[flipped, *ROUNDS[1:]]))
    assert (
        f"federatedround/{COMPARED}: On the same people, the log loss of version 2 is 2.31, and the log loss of "
        "version 1 is 2.29. The difference is 0.02 (95 % interval: above 0 to 0.04)."
    ) in notes


@pytest.mark.parametrize(
    ("task", "causes"),
    [
        ("Train", ["a Train round cannot measure the metric"]),
        ("Evaluate", ["too few people"]),
        (None, ["too few people", "Or a Train round has measured the model"]),
    ],
)
def test_a_version_lacks_a_metric_because_of_the_task_that_measured_it(task: str | None, causes: list[str]) -> None:
    """A series can end with the best of its models, which the Train round after it has measured."""
    measured = federated_round("heart-s2-r2-0123abcd", 2, metrics=[LOSS])
    model: Object = {**MODEL, "spec": {**MODEL["spec"]}}
    model["spec"]["round"] = {**MODEL["spec"]["round"], "metrics": ["loss", "sensitivityAtSpecificity"]}
    rounds = [{**measured, "spec": {**measured["spec"], "task": task}}] if task else []
    missing, *others = results_model.notes(model_objects.read(model, VERSIONS, rounds))
    assert (results_model.BEFORE_TRAINING in others) is (task == "Train")
    assert "declares: sensitivityAtSpecificity. Cause: " in missing
    cause = missing.partition("Cause: ")[2]
    assert cause.startswith(causes[0])
    assert all(each in cause for each in causes)
    assert ("too few people" in cause) == (task != "Train")


def test_below_the_table_stands_why_a_version_has_no_numbers() -> None:
    shown = objects()
    ready = Condition(type="Ready", status="True", reason="NumbersWithheld", message="No round has measured it.")
    [first, *others] = shown.versions
    bare = replace(first, status=replace(first.status, metrics=(), conditions=(ready,)))
    notes = results_model.notes(replace(shown, versions=(bare, *others)))
    assert f"modelversion/{first.metadata.name}: No round has measured it." in notes


def test_csv_and_json_have_the_same_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(results_model.text(objects(), "csv"))))
    assert (rows[0]["object"], rows[0]["low"], rows[0]["people"]) == ("modelversion/heart-v2-0123abcd", "0.28", "412")
    document = json.loads(results_model.text(objects(), "json"))
    assert (document["model"], document["current"]) == ("fed/heart", 1)
    assert [each["version"] for each in document["versions"]] == [1, 2]
    assert document["versions"][1]["metrics"] == [LOSS]
    assert document["versions"][1]["verdict"]["outcome"] == "Accepted"
    assert [each["place"] for each in document["versions"]] == [
        "series 1, version 1, current",
        "series 2, version 2, candidate",
    ]
    assert [each["place"] for each in document["rounds"]] == [
        "series 1, Train 2",
        "series 2, Train 1",
        "series 2, Compare",
    ]
    assert document["rounds"][2]["differences"] == [DIFFERENCE]


@pytest.mark.parametrize("compares", [False, True])
@pytest.mark.parametrize(("task", "number", "attempt"), [("Statistics", 0, 1), ("Train", 12, 3), ("Evaluate", 2, 2)])
def test_the_place_of_a_round_that_the_status_does_not_list_is_read_from_its_name(
    task: Task, number: int, attempt: int, *, compares: bool
) -> None:
    meta = Meta(name="heart-s9-r9-model", uid="0123abcd-1")
    named = series.round_name(meta, 7, task, number, attempt, compares=compares and task == "Evaluate")
    again = f", attempt {attempt}" if attempt > 1 else ""
    shown = {"Statistics": "Statistics", "Train": "Train 12", "Evaluate": "Compare" if compares else "Evaluate 2"}
    place = objects().place(federatedround.parse(federated_round(named, 3)))
    assert place == f"series 7, {shown[task]}{again}"


def test_a_model_without_numbers_says_what_to_do() -> None:
    with pytest.raises(CommandError, match=r"no numbers yet.*explain federatedmodel/heart -n fed"):
        results_model.table(objects(versions=[], rounds=[]))


def test_the_command_prints_a_model_and_takes_no_hospital(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verbs, "model_with_rounds", lambda *_: (MODEL, VERSIONS, ROUNDS))
    words = ["results", "fm/heart", "-n", "fed"]
    assert command.run_results(cast(Cluster, None), parser().parse_args(words)) == 0
    assert "version 2, candidate" in capsys.readouterr().out
    assert command.run_results(cast(Cluster, None), parser().parse_args([*words, "-o", "csv"])) == 0
    assert capsys.readouterr().out.startswith("object,place,metric,value,")
    with pytest.raises(CommandError, match="one round"):
        command.run_results(cast(Cluster, None), parser().parse_args([*words, "--by-hospital"]))


@pytest.mark.parametrize(
    ("pushed", "named"),
    [
        (None, "kubectl wardround results federatedmodel/heart -n fed"),
        ({"by": "eve"}, "A person has pushed ModelVersion v, so it has no FederatedModel. Name a round"),
    ],
)
def test_results_of_a_version_are_refused_with_the_command_that_has_them(
    monkeypatch: pytest.MonkeyPatch, pushed: Object | None, named: str
) -> None:
    spec = {"modelName": "heart", "pushed": pushed}
    version = {"kind": "ModelVersion", "metadata": {"name": "v", "namespace": "fed"}, "spec": spec}
    monkeypatch.setattr(verbs, "needed", lambda *_: version)
    with pytest.raises(CommandError) as refused:
        command.run_results(cast(Cluster, None), parser().parse_args(["results", "mv/v", "-n", "fed"]))
    assert named in str(refused.value)
