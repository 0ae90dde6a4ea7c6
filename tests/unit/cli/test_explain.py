"""Why something waits or failed, whose problem it is, what to do."""

import base64
import json
from typing import Any

import pytest

from tests.unit.cli.explained import NOW, condition, item, lease, stamp
from tests.unit.cli.required import RESULT, metric
from wardround.api.names import task_name
from wardround.cli import explain
from wardround.reasons.parameter import describe
from wardround.reasons.registry import REASONS, advise
from wardround.wire import codec


def test_a_failed_round_names_each_hospital_its_reason_and_what_to_do() -> None:
    round_ = item(
        "FederatedRound",
        "train-1",
        "breast-cancer",
        {
            "conditions": [condition("Failed", "True", "QuorumNotReached", "1 of 2 sent")],
            "attention": [{"participant": "site-c", "reason": "ColumnMissing", "message": "mean_radius"}],
        },
    )
    text = explain.text(explain.explain_round(round_, [], {}, NOW))
    assert "has failed: QuorumNotReached" in text
    assert "site-c: ColumnMissing" in text
    assert "who:    the hospital's administrator" in text
    assert "do:" in text


def test_explain_does_not_repeat_the_hubs_words_for_a_known_reason() -> None:
    attention = [{"participant": "site-a", "reason": each, "message": "by the hub"} for each in ("Evicted", "Newer")]
    round_ = item("FederatedRound", "r", "n", {"attention": attention})
    messages = [each.message for each in explain.explain_round(round_, [], {}, NOW).findings]
    assert messages == ["", "by the hub"]


@pytest.mark.parametrize("kind", ["RoundTask", "SiteTask"])
def test_a_task_tells_which_federation_it_is_about(kind: str) -> None:
    refused = {"conditions": [condition("Accepted", "False", "DatasetNotAllowed")]}
    task = item(kind, "t", "hospital", refused, {"roundRef": {"namespace": "breast-cancer", "name": "r", "uid": "u"}})
    [finding, *_] = explain.explain_task(task, None, NOW).findings
    assert "federation breast-cancer" in finding.advice.meaning


def test_a_round_that_waits_names_what_it_waits_for() -> None:
    stalled = [condition("Stalled", "True", "FederationNotAllowed")]
    round_ = item("FederatedRound", "r", "breast-cancer", {"conditions": stalled})
    [finding] = explain.explain_round(round_, [], {}, NOW).findings
    assert "namespace breast-cancer" in finding.advice.meaning


def test_the_advice_about_a_waiting_round_has_the_hospitals_name() -> None:
    attention = [
        {"participant": "site-a", "reason": "ParticipantSuspended"},
        {"participant": "site-x", "reason": "ParticipantUnknown"},
    ]
    status = {"attention": attention, "conditions": [condition("Stalled", "True", "ParticipantUnknown", "site-x: ...")]}
    text = explain.text(explain.explain_round(item("FederatedRound", "r", "n", status), [], {}, NOW))
    assert text.count("enrol site-x") == 1
    assert "PARTICIPANT" not in text


@pytest.mark.parametrize("readable", [True, False], ids=["tasks can be read", "round alone"])
def test_a_refused_parameter_is_named(readable: bool) -> None:
    described = describe("learningrate", {"learningrate": "0.1"}, "maximum 1")
    text = advise("ParametersNotAllowed", "site-a", parameter=described)
    attention = [{"participant": "site-a", "reason": "ParametersNotAllowed", "message": text}]
    round_ = item("FederatedRound", "r", "n", {"attention": attention}, {"parameters": {"learningrate": "0.1"}})
    failure = {"class": "Site", "reason": "ParametersNotAllowed", "parameter": "learningrate", "bound": "maximum 1"}
    task = item("RoundTask", "t", "site-a", {"failure": failure}, {"attempt": 1})
    [finding, *_] = explain.explain_round(round_, [task] if readable else [], {"site-a": lease(1)}, NOW).findings
    assert finding.advice.action.startswith(
        'The round\'s author: The parameter is learningrate. The round gives it the value "0.1". '
        "The hospital allows: maximum 1. Compare its name"
    )


def test_the_name_that_the_hub_guesses_is_shown() -> None:
    text = advise("ParticipantUnknown", "siet-a", federation="n", guess="site-a")
    attention = [{"participant": "siet-a", "reason": "ParticipantUnknown", "message": text}]
    shown = explain.text(explain.explain_round(item("FederatedRound", "r", "n", {"attention": attention}), [], {}, NOW))
    assert "  says:   Was site-a meant?\n" in shown


def test_a_running_round_says_what_each_hospital_waits_for_until_it_ends() -> None:
    waiting = {"conditions": [condition("Accepted", "True", "Accepted"), condition("Reconciling", "True", "Queued")]}
    tasks = [item("RoundTask", "t", "site-a", waiting, {"attempt": 1})]
    running = item("FederatedRound", "r", "n", {})
    [finding] = explain.explain_round(running, tasks, {"site-a": lease(1)}, NOW).findings
    assert (finding.where, finding.reason) == ("site-a", "Queued")
    assert "maxConcurrentTasks" in finding.advice.action
    over = item("FederatedRound", "r", "n", {"conditions": [condition("Failed", "True", "QuorumNotMet")]})
    assert [each.where for each in explain.explain_round(over, tasks, {}, NOW).findings] == ["round"]


@pytest.mark.parametrize(
    ("failed", "suspend", "text"), [("True", False, []), ("False", True, []), ("False", False, ["site-a"])]
)
def test_a_task_that_the_round_itself_cancelled_is_no_finding(failed: str, suspend: bool, text: list[str]) -> None:
    cancelled = item("RoundTask", "t", "site-a", {"conditions": [condition("Failed", "True", "Cancelled")]})
    cancelled["spec"]["attempt"] = 1
    status = {"conditions": [condition("Failed", failed, "QuorumNotMet")]}
    round_ = item("FederatedRound", "r", "n", status, {"suspend": suspend})
    findings = explain.explain_round(round_, [cancelled], {"site-a": lease(1)}, NOW).findings
    assert [each.where for each in findings if each.where != "round"] == text


def test_explain_names_the_task_to_a_person_without_the_right_to_read_tasks() -> None:
    name = task_name("train-1", "u", 2)
    attention = [
        {"participant": "site-a", "reason": "TrainerFailed", "message": f"...: `kubectl logs job/{name} -n ...`"},
        {"participant": "site-b", "reason": "TrainerFailed", "message": "of a hub that names none"},
    ]
    status = {"conditions": [condition("Failed", "True", "QuorumNotMet")], "attention": attention}
    round_ = item("FederatedRound", "train-1", "n", status)
    actions = [each.advice.action for each in explain.explain_round(round_, [], {}, NOW).findings]
    assert f"kubectl logs job/{name} -n" in actions[1]
    assert "kubectl logs job/TASK -n" in actions[2]


def test_a_gap_in_a_field_that_is_not_required_says_why_its_row_was_left_out() -> None:
    quality = [{"field": "age", "reason": each, "rows": 2} for each in ("Missing", "BelowMinimum")]
    left_out = {"rows": 4, "patients": 4, "share": "0.4", "fields": quality}
    status = {"conditions": [condition("Ready", "True", "Read")], "leftOut": left_out}
    missing, other = explain.explain_long_lived(item("Dataset", "d", "n", status), None, NOW).findings
    assert "in a field of type number or integer" in missing.advice.action
    assert "in a field of type number or integer" not in other.advice.action


@pytest.mark.parametrize(
    ("task", "declared", "text"),
    [
        ("Train", ["loss", "f1"], " f1. "),
        ("Evaluate", ["loss", "auc"], " auc. "),
        ("Train", ["sensitivityAtSpecificity"], " sensitivityAtSpecificity. Cause: a Train round cannot measure "),
        ("Evaluate", ["sensitivityAtSpecificity"], " sensitivityAtSpecificity. Cause: too few people "),
        ("Train", ["loss"], ""),
        ("Statistics", ["f1"], ""),
    ],
)
def test_a_complete_round_says_which_declared_metrics_it_has_not(task: str, declared: list[str], text: str) -> None:
    result = {**RESULT, "samples": 9, "metrics": [metric("loss", "0.5")]}
    status = {"conditions": [condition("Complete", "True", "Complete")], "result": result}
    round_ = item("FederatedRound", "r", "n", status, {"task": task, "metrics": declared})
    headline = explain.explain_round(round_, [], {}, NOW).headline
    assert (text in headline) if text else headline.endswith("loss=0.5 of train-5, Validation rows")
    more = (
        " of train-5, Validation rows. The result of this round does not show these metrics that the round declares: "
    )
    assert (more in headline) == bool(text)
    # Wardround computes the AUC itself, so no trainer is at fault.
    assert ("no hospital's trainer reports it" in headline) == ("f1" in text)


def test_a_running_round_says_that_its_base_was_deleted() -> None:
    deleted = condition("BaseDeleted", "True", "BaseDeleted", "Round r1 was deleted.")
    waits = condition("Reconciling", "True", "Collecting")
    running = item("FederatedRound", "r2", "n", {"conditions": [waits, deleted]})
    text = explain.text(explain.explain_round(running, [], {}, NOW))
    assert "round: BaseDeleted" in text
    assert "says:   Round r1 was deleted." in text
    over = item("FederatedRound", "r2", "n", {"conditions": [condition("Complete", "True", "Complete"), deleted]})
    assert "BaseDeleted" not in explain.text(explain.explain_round(over, [], {}, NOW))


def test_a_complete_round_says_how_many_hospitals_are_withheld() -> None:
    result = {**RESULT, "samples": 9, "metrics": [metric("loss", "0.5")], "withheld": 1}
    status = {
        "conditions": [condition("Complete", "True", "Complete")],
        "participants": {"aggregated": 3},
        "result": result,
    }
    round_ = item("FederatedRound", "r", "n", status, {"task": "Train", "metrics": ["loss"]})
    headline = explain.explain_round(round_, [], {}, NOW).headline
    assert (
        "Validation rows. 1 hospital withholds its numbers and sends no sums, because too few people are in" in headline
    )
    assert headline.endswith("This hospital has not failed.")


def test_a_task_that_waits_for_people_tells_them_what_to_do() -> None:
    waiting = [
        condition("Accepted", "Unknown", "WaitingForApproval"),
        condition("Reconciling", "True", "WaitingForApproval"),
    ]
    text = explain.text(explain.explain_task(item("SiteTask", "t", "w", {"conditions": waiting}), None, NOW))
    assert "is at stage new" in text
    # Without the task's UID the command would also approve what the hub has put in its place.
    assert "kubectl wardround approve sitetask/t -n w --uid u" in text
    assert "kubectl wardround review sitetask/t -n w" in text
    assert "kubectl wardround explain" not in text


def test_on_the_hub_the_command_for_the_site_has_the_tasks_name() -> None:
    """It is the SiteTask's too; in which namespace it lies there, the hub does not know."""
    waiting = item(
        "RoundTask", "t-1", "site-a", {"conditions": [condition("Accepted", "Unknown", "x")]}, {"attempt": 1}
    )
    attention = [{"participant": "site-a", "reason": "WaitingForApproval", "message": ""}]
    round_ = item("FederatedRound", "r", "n", {"attention": attention})
    [finding] = explain.explain_round(round_, [waiting], {"site-a": lease(1)}, NOW).findings
    assert "kubectl wardround review sitetask/t-1 -n SITE_NAMESPACE" in finding.advice.action


def test_a_site_tasks_namespace_is_not_taken_for_the_hospitals_name_on_the_hub() -> None:
    failed = {"failure": {"class": "Site", "reason": "EnrolmentExpired"}}
    here = explain.text(explain.explain_task(item("SiteTask", "t", "wardround-site", failed), None, NOW))
    there = explain.text(explain.explain_task(item("RoundTask", "t", "site-a", failed), lease(1), NOW))
    assert "enrol PARTICIPANT" in here
    assert "enrol site-a" in there


def assignment(**names: Any) -> dict[str, str]:
    payload = base64.b64encode(json.dumps(names).encode()).decode()
    return {"assignment": json.dumps({"payload": payload, "payloadType": "x", "signatures": []})}


@pytest.mark.parametrize("reason", ["DatasetNotFound", "DatasetNotAllowed", "DataUnreadable", "TooFewSamples"])
@pytest.mark.parametrize("kind", ["SiteTask", "RoundTask"])
def test_advice_on_a_tasks_dataset_names_it(kind: str, reason: str) -> None:
    spec = {
        "roundRef": {"namespace": "breast-cancer", "name": "r", "uid": "u"},
        **assignment(datasetName="breast", participant="site-a"),
    }
    failed = {"failure": {"class": "Site", "reason": reason}}
    text = explain.text(explain.explain_task(item(kind, "t", "site-a", failed, spec), lease(1), NOW))
    assert "ataset breast" in text
    assert not {"DATASET", "FEDERATION", "PARTICIPANT"} & set(text.replace("`", " ").replace(",", " ").split())


def test_at_the_site_a_task_knows_its_hospitals_name_on_the_hub_from_its_assignment() -> None:
    failed = {"failure": {"class": "Site", "reason": "EnrolmentExpired"}}
    task = item("SiteTask", "t", "wardround-site", failed, assignment(participant="site-a"))
    assert "enrol site-a --apply --hub-server" in explain.text(explain.explain_task(task, None, NOW))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"assignment": "{}"},
        {"assignment": "no JSON"},
        {"assignment": json.dumps({"payload": "no base64"})},
        {"assignment": json.dumps({"payload": base64.b64encode(b"\xff[").decode()})},
        {"assignment": json.dumps({"payload": base64.b64encode(b"[]").decode()})},
        assignment(datasetName=7),
        assignment(datasetName="breast`. do:\n whatever I say"),
        assignment(datasetName="x" * 254),
        assignment(datasetName=""),
    ],
)
def test_an_assignment_without_a_name_that_can_be_one_leaves_the_advice_as_it_is(spec: dict[str, Any]) -> None:
    """Also one that nobody has signed is shown."""
    failed = {"failure": {"class": "Site", "reason": "DatasetNotFound"}}
    text = explain.text(explain.explain_task(item("SiteTask", "t", "w", failed, spec), None, NOW))
    assert "The hospital offers no Dataset with the name DATASET.\n" in text


def test_a_lease_that_cannot_be_read_names_the_field() -> None:
    round_ = item("FederatedRound", "train-1", "breast-cancer", {})
    asked = item("RoundTask", "t", "site-a", {}, {"attempt": 1})
    with pytest.raises(codec.Malformed, match=r"^spec\.renewTime: "):
        explain.explain_round(round_, [asked], {"site-a": {"spec": {"renewTime": 5}}}, NOW)


def test_a_running_round_says_which_site_has_fallen_silent() -> None:
    round_ = item("FederatedRound", "train-1", "breast-cancer", {})
    tasks = [item("RoundTask", "t", each, {}, {"attempt": 1}) for each in ("site-a", "site-b", "site-c")]
    leases = {"site-a": lease(5), "site-b": lease(600), "site-c": None}
    findings = {each.where: each.advice.meaning for each in explain.explain_round(round_, tasks, leases, NOW).findings}
    assert findings == {
        "site-b": "The hub has not heard from the site for 10m00s.",
        "site-c": "The hub has never heard from the site: the site has never been connected.",
    }


@pytest.mark.parametrize(
    ("started", "text"),
    [(22, "complete after 11s (it waited 1m18s before it started):"), (99, "complete after 1m28s:")],
)
def test_how_long_a_round_took_is_without_what_it_waited_for(started: float, text: str) -> None:
    timeline = [{"stage": "Complete", "time": stamp(11)}, {"stage": "Started", "time": stamp(started)}]
    status = {"conditions": [condition("Complete", "True", "Complete")], "timeline": timeline}
    assert text in explain.explain_round(item("FederatedRound", "r", "n", status), [], {}, NOW).headline


def test_a_complete_round_does_not_ask_for_silent_sites() -> None:
    round_ = item("FederatedRound", "r", "n", {"conditions": [condition("Complete", "True", "Complete")]})
    tasks = [item("RoundTask", "t", "site-a", {}, {"attempt": 1})]
    explained = explain.explain_round(round_, tasks, {"site-a": None}, NOW)
    assert "is complete" in explained.headline
    assert explained.findings == ()


def test_a_refusal_is_explained_from_the_task() -> None:
    task = item("RoundTask", "t", "site-a", {"conditions": [condition("Accepted", "False", "ImageNotAllowed")]})
    explained = explain.explain_task(task, lease(1), NOW)
    assert [each.reason for each in explained.findings] == ["ImageNotAllowed"]


def test_at_the_site_the_message_that_stays_there_is_shown() -> None:
    failure = {"class": "Site", "reason": "ColumnMissing", "exitCode": 65, "message": "no column mean_radius"}
    task = item("SiteTask", "t", "wardround", {"conditions": [condition("Failed", "True", "x")], "failure": failure})
    text = explain.text(explain.explain_task(task, None, NOW))
    assert "  says:   no column mean_radius (exit code 65)\n" in text


def test_a_missing_column_leads_from_a_task_to_the_dataset_that_names_it() -> None:
    """The people who applied the Dataset see the column there, whichever task has met it."""
    status = {"conditions": [condition("Failed", "True", "x")], "failure": {"class": "Site", "reason": "ColumnMissing"}}
    task = item("SiteTask", "t", "wardround", status, assignment(datasetName="breast"))
    text = explain.text(explain.explain_task(task, None, NOW))
    assert "do:     Run `kubectl describe dataset breast -n wardround` at the site" in text


def test_the_command_in_a_message_stays_one() -> None:
    message = "container train ended with exit code 1: kubectl logs p -n w -c train"
    failure = {"class": "Code", "reason": "TrainerFailed", "exitCode": 1, "message": message}
    text = explain.text(explain.explain_task(item("SiteTask", "t", "w", {"failure": failure}), None, NOW))
    assert f"  says:   {message}\n" in text


def test_explain_shows_each_hospitals_exit_code_in_the_same_words() -> None:
    """Also of one that the round's own attention names."""
    failed = {"failure": {"class": "Code", "reason": "TrainerFailed", "exitCode": 1}}
    tasks = [item("RoundTask", "t", each, failed, {"attempt": 1}) for each in ("site-a", "site-b")]
    attention = [{"participant": "site-a", "reason": "TrainerFailed", "message": "by the hub"}]
    status = {"attention": attention, "conditions": [condition("Failed", "True", "QuorumNotMet")]}
    findings = explain.explain_round(item("FederatedRound", "r", "n", status), tasks, {}, NOW).findings
    assert {each.where: each.message for each in findings if each.where != "round"} == {
        "site-a": "exit code 1",
        "site-b": "exit code 1",
    }


def test_hospitals_that_failed_equally_share_one_paragraph() -> None:
    failed = {"failure": {"class": "Code", "reason": "TrainerFailed", "exitCode": 1}}
    other = {"failure": {"class": "Code", "reason": "TrainerFailed", "exitCode": 2}}
    tasks = [item("RoundTask", "t", each, failed, {"attempt": 1}) for each in ("site-a", "site-b", "site-c")]
    tasks.append(item("RoundTask", "t", "site-d", other, {"attempt": 1}))
    status = {"conditions": [condition("Failed", "True", "QuorumNotMet")]}
    text = explain.text(explain.explain_round(item("FederatedRound", "r", "n", status), tasks, {}, NOW))
    assert text.count("TrainerFailed") == 2
    assert "\nsite-a, site-b, site-c: TrainerFailed: The training code ended with an error. The log" in text
    assert "\nsite-d: TrainerFailed: " in text


def test_a_paragraph_of_several_hospitals_names_none_in_its_command() -> None:
    attention = [{"participant": each, "reason": "ParticipantNotApproved"} for each in ("site-a", "site-b")]
    text = explain.text(explain.explain_round(item("FederatedRound", "r", "n", {"attention": attention}), [], {}, NOW))
    assert text.count("who:") == 1
    assert "kubectl wardround approve PARTICIPANT" in text


def test_explain_gives_the_advice_of_round_and_hospital_once() -> None:
    attention = [{"participant": "site-a", "reason": "ParticipantNotApproved"}]
    stalled = condition("Stalled", "True", "ParticipantNotApproved", "The round waits until 12:00.")
    status = {"attention": attention, "conditions": [stalled]}
    text = explain.text(explain.explain_round(item("FederatedRound", "r", "n", status), [], {}, NOW))
    assert "  says:   The round waits until 12:00.\n" in text
    assert text.count("kubectl wardround approve site-a") == 1


def test_explain_cuts_the_part_of_a_message_that_the_advice_repeats() -> None:
    unknown = REASONS["DatasetUnknown"].about(dataset="braest")
    message = f"{unknown.meaning} Was breast meant? {unknown.advice} The round waits until 12:00, and then fails."
    status = {"conditions": [condition("Stalled", "True", "DatasetUnknown", message)]}
    round_ = item("FederatedRound", "r", "n", status, {"datasetName": "braest"})
    text = explain.text(explain.explain_round(round_, [], {}, NOW))
    assert "  says:   Was breast meant? The round waits until 12:00, and then fails.\n" in text


def test_a_hospitals_texts_neither_steer_the_terminal_nor_end_the_command() -> None:
    """Times, reasons and messages of a RoundTask and the Lease are a hospital's own words."""
    never = "0000-01-01T00:00:00Z"
    text = condition("Stalled", "True", "Waits", "\u001b]0;pwned\u0007 all is well\n  do:     run this\u202e")
    status = {"conditions": [text], "timeline": [{"stage": "Accepted", "time": never}]}
    task = item("RoundTask", "train-1-0-a1", "site-a", status, {"attempt": 1})
    shown = explain.text(explain.explain_task(task, {"spec": {"renewTime": never}}, NOW))
    assert "has never been connected" in shown
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\n  do:     run this" not in shown


def test_a_round_without_its_quorum_sends_nobody_to_the_command_that_they_have_just_run() -> None:
    status = {"conditions": [condition("Failed", "True", "QuorumNotMet", "1 of 2 sent.")]}
    shown = explain.text(explain.explain_round(item("FederatedRound", "train-1", "n", status), [], {}, NOW))
    assert "do:     Read below why each hospital is missing. Remove the causes, and apply a new round." in shown


def test_a_task_that_the_hub_has_ended_names_its_round() -> None:
    ref = {"roundRef": {"namespace": "breast-cancer", "name": "train-1", "uid": "u"}}
    over = item("SiteTask", "t", "wardround", {"conditions": [condition("Failed", "True", "Cancelled")]}, ref)
    shown = explain.text(explain.explain_task(over, None, NOW))
    assert "`kubectl wardround explain federatedround/train-1 -n breast-cancer` on the hub" in shown


@pytest.mark.parametrize(
    ("kind", "holder"), [("FederatedModel", "FederatedModel heart to false"), ("Sweep", "this object to false")]
)
def test_a_suspended_round_of_a_model_is_continued_at_its_model(kind: str, holder: str) -> None:
    round_ = item("FederatedRound", "heart-r1", "n", {}, {"suspend": True})
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": kind, "name": "heart", "uid": "m", "controller": True}
    round_["metadata"]["ownerReferences"] = [owner]
    shown = explain.text(explain.explain_round(round_, [], {}, NOW))
    assert f"is suspended. To continue, set spec.suspend of {holder}" in shown
