"""The verb explain says what a FederatedModel waits for, and explains the round of it that runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.unit.cli import reported
from tests.unit.cli.explained import NOW, condition, item, lease, stamp
from wardround.cli import explain
from wardround.cli.cluster import Cluster
from wardround.cli.commands.explain import explanation
from wardround.cli.errors import ForbiddenError
from wardround.reasons.registry import advise


def model(*conditions: dict[str, str], **status: Any) -> dict[str, Any]:
    return item("FederatedModel", "heart", "fed", {"conditions": [*conditions], **status}, reported.SPEC)


def test_a_version_that_waits_for_people_and_a_wrong_cron_line_stand_in_the_explanation_of_the_model() -> None:
    waits = condition("VersionWaits", "True", "PeopleDecide", "Set spec.current.version to 2.")
    wrong = condition("Scheduled", "False", "CronInvalid", "The cron line '61 * * * *' has a minute of 61.")
    off = condition("Delivered", "False", "DeliveryOff")
    explained = explain.explain_model(model(condition("Ready", "True", "VersionCurrent"), waits, wrong, off), {})
    assert [each.reason for each in explained.findings] == ["PeopleDecide", "CronInvalid"]
    text = explain.text(explained)
    assert "Set spec.current.version to 2." in text
    assert "a minute of 61" in text


def test_the_headline_of_a_model_says_that_its_gate_refused_the_current_version() -> None:
    ready = condition("Ready", "True", "VersionCurrent", "Version 3 is Worse.")
    assert "is ready. Version 3 is Worse." in explain.text(explain.explain_model(model(ready), {}))


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ((condition("Ready", "True", "VersionCurrent"),), "is ready. The FederatedModel is suspended, so the hub"),
        ((condition("Ready", "False", "NoVersionYet"),), "is not ready: NoVersionYet. The FederatedModel is suspended"),
        ((condition("Suspended", "True", "Suspended"),), "Model fed/heart is suspended. To continue, set spec"),
    ],
)
def test_the_headline_of_a_suspended_model_says_so_also_after_its_series_has_ended(
    conditions: tuple[dict[str, str], ...], words: str
) -> None:
    suspended = model(*conditions)
    assert "uspended" not in explain.text(explain.explain_model(model(condition("Ready", "True", "Ready")), {}))
    text = explain.text(explain.explain_model({**suspended, "spec": {**suspended["spec"], "suspend": True}}, {}))
    assert words in text
    assert text.count("To continue, set spec.suspend of this object to false.") == 1


@pytest.mark.parametrize("also", [(), (condition("Stalled", "True", "VersionGone", "spec.current names version 9."),)])
def test_the_explanation_says_once_which_version_is_missing(also: tuple[dict[str, Any], ...]) -> None:
    """A series that runs is no reason to keep quiet: the model is not Stalled then."""
    gone = condition("Ready", "False", "VersionGone", "spec.current names version 9.")
    explained = explain.explain_model(model(gone, *also), {})
    assert [(each.reason, each.message) for each in explained.findings] == [
        ("VersionGone", "spec.current names version 9.")
    ]


def test_the_explanation_of_a_model_has_that_of_the_round_that_runs() -> None:
    rounds = [{"name": f"heart-r{number}", "task": "Train", "number": number, "generation": 1} for number in (1, 2)]
    rounds[0]["outcome"] = "Complete"
    series = {"number": 1, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": rounds}
    item_ = model(condition("Ready", "False", "NoVersionYet"), series=series)
    assert explain.rounds_to_explain(item_) == {"Reconciling": "heart-r2"}
    stalled = condition("Stalled", "True", "DatasetUnknown", "Was breast meant?")
    round_ = item("FederatedRound", "heart-r2", "fed", {"conditions": [stalled]}, {"datasetName": "braest"})
    text = explain.text(explain.explain_model(item_, {"Reconciling": explain.explain_round(round_, [], {}, NOW)}))
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
    text = explain.text(explain.explain_model(model(condition("Ready", "True", "VersionCurrent"), waits), {}))
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
    text = explain.text(explain.explain_model(model(stalled, series=series), {}))
    assert named in text
    assert not {"PARTICIPANT", "FEDERATION", "DATASET", "ROUND", "NAME"} & {*re.findall("[A-Z_]+", text)}


@dataclass
class Hub:
    """An API server that answers `explain` about one model. `tasks`: the RoundTasks of its rounds."""

    model: dict[str, Any]
    rounds: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    readable: bool = True
    version: dict[str, Any] | None = None

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        if kind == "FederatedRound" and not self.readable:
            raise ForbiddenError("not yours")
        if kind == "FederatedModel" and (self.version and not self.readable):
            raise ForbiddenError("not yours")
        shown = {"FederatedModel": self.model, "FederatedRound": self.rounds.get(name), "Lease": lease(1)}
        return {**shown, "ModelVersion": self.version}[kind]

    def list(self, kind: str, *, labels: str) -> list[dict[str, Any]]:
        return self.tasks

    def explained(self, kind: str = "FederatedModel") -> str:
        return explain.text(explanation(cast(Cluster, self), kind, "heart", "fed"))


READY = condition("Ready", "True", "VersionCurrent")
DELIVERING = condition("Delivered", "False", "Delivering", "Round heart-d1 waits or runs.")
TESTING = condition("Tested", "False", "VersionTesting", "Round heart-t1 waits or runs.")
DELIVERY = {"number": 1, "version": "heart-v1", "round": "heart-d1"}
MEASUREMENT = {"version": "heart-v1", "round": "heart-t1", "series": 1, "outcome": "Running"}
ENDED = {"Complete": "Delivered", "Failed": "QuorumNotMet"}


def round_of(name: str, *conditions: dict[str, str]) -> dict[str, Any]:
    """A round whose controller is the model."""
    made = item("FederatedRound", name, "fed", {"conditions": [*conditions]}, {"datasetName": "heart"})
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": "FederatedModel", "name": "heart", "controller": True}
    made["metadata"]["ownerReferences"] = [{**owner, "uid": "u"}]
    return made


def waiting_task() -> dict[str, Any]:
    """A hospital has to approve."""
    stalled = condition("Stalled", "True", "WaitingForApproval", "A person has to approve.")
    return item("RoundTask", "heart-x1", "site-a", {"conditions": [stalled]}, {"attempt": 1})


@pytest.mark.parametrize(
    ("round_name", "waits", "status"),
    [("heart-d1", DELIVERING, {"delivery": DELIVERY}), ("heart-t1", TESTING, {"testing": MEASUREMENT})],
)
def test_a_delivery_or_a_round_on_test_rows_that_waits_for_a_hospital_says_who_approves(
    round_name: str, waits: dict[str, str], status: dict[str, Any]
) -> None:
    text = Hub(model(READY, waits, **status), {round_name: round_of(round_name)}, [waiting_task()]).explained()
    assert f"FederatedRound fed/{round_name} runs" in text
    assert "site-a: WaitingForApproval" in text
    assert "  who:    the hospital's administrator" in text
    assert "kubectl wardround review sitetask/heart-x1" in text
    assert "nobody" not in text


@pytest.mark.parametrize(("ended", "readable"), [("Complete", True), ("Failed", True), ("", False)])
def test_a_round_that_has_ended_or_that_nobody_may_read_leaves_the_words_of_the_model(
    ended: str, readable: bool
) -> None:
    conditions = [condition(ended, "True", ENDED[ended])] if ended else []
    rounds = {"heart-d1": round_of("heart-d1", *conditions)}
    text = Hub(model(READY, DELIVERING, delivery=DELIVERY), rounds, [waiting_task()], readable).explained()
    assert "FederatedRound fed/heart-d1" not in text
    assert "Round heart-d1 waits or runs." in text


def test_the_headline_of_a_model_says_that_its_delivery_failed() -> None:
    failed = condition("Delivered", "False", "DeliveryFailed", "Each hospital refused it (ModelNameTaken).")
    text = explain.text(explain.explain_model(model(READY, failed), {}))
    assert "is ready, but hospitals do not get its current version: DeliveryFailed." in text


def test_a_delivery_that_needs_nobody_says_that_nobody_has_to_act() -> None:
    text = Hub(model(READY, DELIVERING, delivery=DELIVERY), {"heart-d1": round_of("heart-d1")}).explained()
    assert "FederatedRound fed/heart-d1 runs" in text
    assert "  who:    nobody" in text


def test_a_hospital_that_is_silent_in_two_rounds_stands_once() -> None:
    entry = {"name": "heart-r2", "task": "Train", "number": 2, "generation": 1, "outcome": "Running"}
    series = {"number": 2, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": [entry]}
    silent = explain.explain_round(round_of("r"), [waiting_task()], {"site-a": lease(600)}, NOW)
    under_way = {"Reconciling": silent, "Delivered": silent}
    explained = explain.explain_model(model(READY, DELIVERING, series=series, delivery=DELIVERY), under_way)
    assert [each.reason for each in explained.findings] == ["WaitingForApproval", "NotConnected"]


def test_a_measurement_on_test_rows_that_is_over_is_not_under_way() -> None:
    over = {**MEASUREMENT, "outcome": "Complete"}
    assert explain.rounds_to_explain(model(testing=over, delivery=DELIVERY)) == {"Delivered": "heart-d1"}


def test_a_measurement_on_test_rows_that_has_failed_names_the_hospital_and_its_reason() -> None:
    """As long as the round exists, and only for the current version."""
    failed = {**MEASUREMENT, "outcome": "Failed"}
    tested = condition("Tested", "False", "TestFailed", "The hub operator no longer tries.")
    round_ = round_of("heart-t1", condition("Failed", "True", "QuorumNotMet", "0 of 2 hospitals sent an update."))
    denied = advise("Denied", "site-a", federation="fed")
    round_["status"]["attention"] = [{"participant": "site-a", "reason": "Denied", "message": denied}]
    text = Hub(model(READY, tested, testing=failed, current="heart-v1"), {"heart-t1": round_}).explained()
    assert "FederatedRound fed/heart-t1 has failed: QuorumNotMet." in text
    assert "site-a: Denied: The hospital has denied the task" in text
    assert "  who:    the hospital's administrator" in text
    for current, rounds in (("heart-v1", {}), ("heart-v2", {"heart-t1": round_})):
        text = Hub(model(READY, tested, testing=failed, current=current), rounds).explained()
        assert "TestFailed" in text
        assert "site-a" not in text


def test_a_series_that_waits_for_another_try_names_the_round_that_failed_and_the_time() -> None:
    words = "Round heart-r2 of the series has failed (QuorumNotMet). Nobody has to act: the hub operator makes another."
    entry = {"name": "heart-r2", "task": "Train", "number": 2, "generation": 1, "outcome": "Failed"}
    series = {"number": 1, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": [entry]}
    waits = condition("Reconciling", "True", "SeriesRetrying", words)
    text = Hub(model(condition("Ready", "False", "NoVersionYet"), waits, series=series)).explained()
    assert f"  says:   {words.removesuffix('.')}" in text
    assert "  who:    nobody" in text


def test_a_series_that_runs_as_it_should_is_no_finding() -> None:
    runs = condition("Reconciling", "True", "SeriesTraining", "The series is under way: its round heart-r1 runs.")
    assert explain.explain_model(model(condition("Ready", "False", "NoVersionYet"), runs), {}).findings == ()


WITHHELD = condition("Ready", "True", "NumbersWithheld", "The version has no metrics: round heart-e1 has failed.")
VERSION = {"modelName": "heart", "version": 1, "series": 1, "roundName": "heart-r1", "roundUID": "u", "digest": ""}


@pytest.mark.parametrize("kind", ["FederatedModel", "ModelVersion"])
def test_a_version_without_numbers_does_not_look_as_if_all_were_well(kind: str) -> None:
    if kind == "FederatedModel":
        shown = Hub(model(WITHHELD)).explained()
    else:
        spec = {**VERSION, "parents": [], "release": "Participants"}
        version = {"kind": kind, "metadata": {"name": "v", "namespace": "fed", "uid": "u"}, "spec": spec}
        version["status"] = {"conditions": [WITHHELD], "verdict": {"outcome": "Accepted", "reason": "FirstVersion"}}
        shown = explain.text(explain.explain_version(version, None))
    assert shown.splitlines()[0].endswith(" is ready, but its version has no metrics: NumbersWithheld.")
    assert "Ready: NumbersWithheld: The round has no numbers: too many hospitals withhold theirs" in shown
    assert "  says:   The version has no metrics: round heart-e1 has failed" in shown
    assert "  who:    the round's author" in shown


def test_why_the_round_of_the_series_waits_stands_once_and_with_its_names() -> None:
    """Also for a person who may not read the round."""
    entry = {"name": "heart-r1", "task": "Train", "number": 1, "generation": 1, "outcome": "Running"}
    series = {"number": 1, "stage": "Training", "started": stamp(50), "trigger": "Created", "rounds": [entry]}
    words = advise("ParticipantUnknown", "site-x", federation="fed")
    unknown = condition("Stalled", "True", "ParticipantUnknown", words)
    waits = f"Round heart-r1 of the series waits for people (ParticipantUnknown). {words}"
    item_ = model(condition("Stalled", "True", "ParticipantUnknown", waits), series=series)
    for readable in (True, False):
        text = Hub(item_, {"heart-r1": round_of("heart-r1", unknown)}, readable=readable).explained()
        assert text.count("ParticipantUnknown: The hub has no Participant") == 1
        assert "enrol site-x --federation fed --apply" in text


def version_2(outcome: str, reason: str) -> dict[str, Any]:
    spec = {**VERSION, "version": 2, "parents": [], "release": "Participants"}
    verdict = {"outcome": outcome, "reason": reason, "message": "site-b has no numbers."}
    status = {"conditions": [condition("Ready", "True", "VersionReady")], "verdict": verdict}
    metadata = {"name": "heart-v2", "namespace": "fed", "uid": "v"}
    return {"kind": "ModelVersion", "metadata": metadata, "spec": spec, "status": status}


UNDECIDED = condition("VersionWaits", "True", "PeopleDecide", "Version 2 is Undecided. Set spec.current.version to 2.")
RESULTS = "`kubectl wardround results federatedmodel/heart -n fed` shows both"


def test_a_version_that_waits_for_people_says_what_its_model_says() -> None:
    owner = model(READY, UNDECIDED, candidate="heart-v2", current="heart-v1")
    hub = Hub(owner, version=version_2("Undecided", "TooFewSeen"))
    headline, verdict, _, *paragraph = hub.explained("ModelVersion").splitlines()
    assert (headline, verdict) == (
        "ModelVersion fed/heart-v2 is ready.",
        "The gate's verdict is Undecided (TooFewSeen).",
    )
    assert "\n".join(paragraph) in hub.explained()
    assert paragraph[0].startswith("VersionWaits: PeopleDecide: ")
    assert RESULTS in paragraph[-1]


@pytest.mark.parametrize(
    ("verdict", "readable", "of_model", "named"),
    [
        (("Undecided", "TooFewSeen"), True, {"candidate": "heart-v2"}, "verdict: TooFewSeen: The gate cannot decide"),
        (("Worse", "WorseThanReference"), True, {"candidate": "heart-v2"}, "verdict: WorseThanReference: The gate"),
        (("Accepted", "NotWorse"), True, {"candidate": "heart-v2"}, ""),
        (("Undecided", "TooFewSeen"), False, {"candidate": "heart-v2"}, ""),
        (("Undecided", "TooFewSeen"), True, {"current": "heart-v2"}, ""),
        (("Undecided", "TooFewSeen"), True, {"candidate": "heart-v3"}, ""),
        (("Undecided", "TooFewSeen"), True, {"candidate": "heart-v2", "served": ["heart-v1", "heart-v2"]}, ""),
    ],
    ids=["undecided", "worse", "accepted", "no model", "current", "superseded", "served before"],
)
def test_the_explanation_of_a_version_has_the_verdict_and_what_people_can_do_about_a_candidate(
    verdict: tuple[str, str], readable: bool, of_model: dict[str, Any], named: str
) -> None:
    """`readable`: whether the reader may see the model. Nobody has to act about versions that are no candidates."""
    owner = model(READY, **{"current": "heart-v1", **of_model})
    text = Hub(owner, readable=readable, version=version_2(*verdict)).explained("ModelVersion")
    assert f"The gate's verdict is {verdict[0]} ({verdict[1]})." in text
    assert ("  who:    the round's author" in text) == bool(named)
    assert named in text
    assert "MODEL_NAME" not in text
