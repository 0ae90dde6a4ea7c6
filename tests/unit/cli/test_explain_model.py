"""The verb explain says what a FederatedModel waits for, and explains the round of it that runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.cli import reported
from tests.unit.cli.explained import NOW, condition, item, stamp
from wardround.cli import explain


def model(*conditions: dict[str, str], **status: Any) -> dict[str, Any]:
    return item("FederatedModel", "heart", "fed", {"conditions": [*conditions], **status}, reported.SPEC)


def test_a_version_that_waits_for_people_and_a_wrong_cron_line_stand_in_the_explanation_of_the_model() -> None:
    waits = condition("VersionWaits", "True", "PeopleDecide", "Set spec.current.version to 2.")
    wrong = condition("Scheduled", "False", "CronInvalid", "The cron line '61 * * * *' has a minute of 61.")
    off = condition("Delivered", "False", "DeliveryOff")
    explained = explain.explain_model(model(condition("Ready", "True", "VersionCurrent"), waits, wrong, off), None)
    assert [each.reason for each in explained.findings] == ["PeopleDecide", "CronInvalid"]
    text = explain.text(explained)
    assert "Set spec.current.version to 2." in text
    assert "a minute of 61" in text


@pytest.mark.parametrize("also", [(), (condition("Stalled", "True", "VersionGone", "spec.current names version 9."),)])
def test_the_explanation_says_once_which_version_is_missing(also: tuple[dict[str, Any], ...]) -> None:
    """A series that runs is no reason to keep quiet: the model is not Stalled then."""
    gone = condition("Ready", "False", "VersionGone", "spec.current names version 9.")
    explained = explain.explain_model(model(gone, *also), None)
    assert [(each.reason, each.message) for each in explained.findings] == [
        ("VersionGone", "spec.current names version 9.")
    ]


def test_the_explanation_of_a_model_has_that_of_the_round_that_runs() -> None:
    rounds = [{"name": f"heart-r{number}", "task": "Train", "number": number, "generation": 1} for number in (1, 2)]
    rounds[0]["outcome"] = "Complete"
    series = {"number": 1, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": rounds}
    item_ = model(condition("Ready", "False", "NoVersionYet"), series=series)
    assert explain.running_round(item_) == "heart-r2"
    stalled = condition("Stalled", "True", "DatasetUnknown", "Was breast meant?")
    round_ = item("FederatedRound", "heart-r2", "fed", {"conditions": [stalled]}, {"datasetName": "braest"})
    text = explain.text(explain.explain_model(item_, explain.explain_round(round_, [], {}, NOW)))
    assert "FederatedModel fed/heart is not ready: NoVersionYet.\nFederatedRound fed/heart-r2" in text
    assert "Was breast meant?" in text


def test_a_round_of_somebody_else_with_the_name_is_no_round_of_the_model() -> None:
    foreign = item("FederatedRound", "heart-r2", "fed", {})
    assert not explain.is_of(model(), foreign)
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": "FederatedModel", "name": "heart", "controller": True}
    for uid, own in (("another", False), ("u", True)):
        foreign["metadata"]["ownerReferences"] = [{**owner, "uid": uid}]
        assert explain.is_of(model(), foreign) is own


def test_a_delivery_that_waits_is_explained_by_its_message() -> None:
    waits = condition("Delivered", "False", "Delivering", "Round heart-d1 waits: site-b has denied the task.")
    text = explain.text(explain.explain_model(model(condition("Ready", "True", "VersionCurrent"), waits), None))
    assert "site-b has denied the task" in text


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("DatasetUnknown", f"offers a Dataset {reported.SPEC['round']['datasetName']}."),
        ("ParticipantUnknown", "enrol site-x --federation fed --apply"),
        ("SeriesRoundFailed", "`kubectl wardround explain federatedround/heart-r2 -n fed`"),
    ],
)
def test_a_model_that_waits_for_people_has_the_names_that_it_knows(reason: str, named: str) -> None:
    begun = {"task": "Train", "number": 1, "generation": 1, "outcome": "Failed"}
    rounds = [{"name": f"heart-r{number}", **begun} for number in (1, 2)]
    series = {"number": 1, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": rounds}
    stalled = condition("Stalled", "True", reason, "site-x: the words of a newer hub.")
    text = explain.text(explain.explain_model(model(stalled, series=series), None))
    assert named in text
    assert not {"PARTICIPANT", "FEDERATION", "DATASET", "ROUND", "NAME"} & {*re.findall("[A-Z_]+", text)}
