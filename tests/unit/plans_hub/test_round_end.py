"""How updates are waited for, granted room and combined, and how a round ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    ASSIGNED,
    FEDERATION,
    LOSS,
    NAMES,
    NOW,
    STORED,
    accepted,
    at,
    collecting,
    combined,
    condition,
    dispatched,
    failed,
    federated_round,
    keys,
    observation,
    over,
    participant,
    refused,
    revoked,
    sent,
    stages,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type, then
from wardround.api import conditions
from wardround.api.federatedround import HospitalResult, Result, ResultMetric
from wardround.api.roundtask import RoundTask
from wardround.api.task import Failure, Metric, Upload
from wardround.api.timeline import Stage
from wardround.api.times import to_microseconds, to_seconds
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import SPARE, Scratch
from wardround.plans.round.status import interrupted
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Cancel,
    CleanUp,
    Dispatch,
    Grant,
    Interruption,
    Observation,
    Plan,
    StoreModel,
)
from wardround.wire.aggregation import AggregationFailure, LeftOut

# Collecting


def test_a_round_waits_until_all_have_sent() -> None:
    made = plan(collecting(sent("site-a"), accepted("site-b"), accepted("site-c"), now=at(110)))
    assert (made.actions, condition_of(made, "Reconciling")) == ((), ("True", "Collecting"))
    assert (counts(made).sent, counts(made).accepted) == (1, 3)


def test_when_all_have_sent_their_updates_are_combined() -> None:
    made = plan(collecting(sent("site-a"), sent("site-b"), sent("site-c")))
    (job,) = of_type(made, Aggregate)
    assert [each.metadata.namespace for each in job.tasks] == list(NAMES)
    assert job.number == 1
    assert condition_of(made, "Reconciling") == ("True", "Aggregating")


def test_an_aggregation_has_scratch_for_what_was_sent() -> None:
    (job,) = of_type(plan(collecting(*map(sent, NAMES))), Aggregate)
    sizes = [each.status.upload.bytes for each in job.tasks if each.status.upload]
    assert job.scratch == Scratch(sum(sizes) + max(sizes) + SPARE, reads_twice=False)


def test_a_round_says_that_its_updates_are_read_twice() -> None:
    seen = replace(collecting(*map(sent, NAMES)), scratch_limit=1)
    (job,) = of_type(plan(seen), Aggregate)
    assert job.scratch.reads_twice
    for made in (plan(seen), plan(replace(seen, aggregation=Aggregation(number=1)))):
        assert "aggregation.scratchGiB of the hub chart" in message_of(made, "Reconciling")
    assert "scratch" not in message_of(plan(replace(seen, scratch_limit=1 << 40)), "Reconciling")


def test_a_revoked_hospital_is_not_waited_for() -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-c": revoked("site-c")}
    seen = replace(collecting(sent("site-a"), accepted("site-b"), accepted("site-c")), participants=participants)
    made = plan(seen)
    assert attention_of(made) == {"site-c": "ParticipantRevoked"}
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [
        ("site-c", "ParticipantRevoked")
    ]
    (job,) = of_type(plan(replace(seen, tasks=(sent("site-a"), sent("site-b"), accepted("site-c")))), Aggregate)
    assert [each.metadata.namespace for each in job.tasks] == ["site-a", "site-b"]


def test_what_a_hospital_sent_before_it_was_revoked_counts() -> None:
    """It is signed by keys that no token gives away."""
    participants = {name: participant(name) for name in NAMES} | {"site-c": revoked("site-c")}
    seen = collecting(sent("site-a"), sent("site-b"), sent("site-c"))
    (job,) = of_type(plan(replace(seen, participants=participants)), Aggregate)
    assert [each.metadata.namespace for each in job.tasks] == list(NAMES)


def test_stragglers_are_waited_for_as_long_as_the_grace_lasts_and_no_longer() -> None:
    tasks = (sent("site-a", 50), sent("site-b", 100), accepted("site-c"))
    before = plan(collecting(*tasks, now=at(159)))
    assert (of_type(before, Aggregate), before.requeue_after) == ([], 1)
    after = plan(collecting(*tasks, now=at(160)))
    assert [each.metadata.namespace for each in of_type(after, Aggregate)[0].tasks] == ["site-a", "site-b"]
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(after, Cancel)] == [
        ("site-c", "NotSentInTime")
    ]


def test_grace_does_not_begin_before_the_required_have_sent() -> None:
    quorum = {"min": 2, "required": ["site-c"], "graceSeconds": 60}
    tasks = (sent("site-a", 50), sent("site-b", 100), accepted("site-c"))
    assert of_type(plan(collecting(*tasks, spec={"quorum": quorum}, now=at(1000))), Aggregate) == []


def test_a_round_below_quorum_is_never_aggregated() -> None:
    tasks = (sent("site-a"), accepted("site-b"), accepted("site-c"))
    seen = collecting(*tasks, now=at(3600))
    made = plan(seen)
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert message_of(made, "Failed").endswith("Lost: site-b (QueueDeadline), site-c (QueueDeadline).")
    assert (made.actions, made.requeue_after) == ((), 0)
    tidy = then(seen, made)
    assert [type(each) for each in tidy.actions] == [Cancel, Cancel, CleanUp]


def test_a_round_fails_as_soon_as_the_quorum_is_out_of_reach() -> None:
    tasks = (refused("site-a", "ImageNotAllowed"), refused("site-b", "ImageNotAllowed"), accepted("site-c"))
    made = plan(collecting(*tasks))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert attention_of(made) == {"site-a": "ImageNotAllowed", "site-b": "ImageNotAllowed"}


@pytest.mark.parametrize(
    ("least", "lost", "message"),
    [
        (3, 1, "2 hospitals can still send, but quorum.min is 3. Lost: site-a (TrainerFailed)."),
        (2, 2, "1 hospital can still send, but quorum.min is 2. Lost: site-a (TrainerFailed), site-b (TrainerFailed)."),
    ],
)
def test_a_round_out_of_reach_says_how_many_were_left_and_who_was_lost_why(least: int, lost: int, message: str) -> None:
    """Neither those whom the round itself cancels thereupon, nor whoever still waits for something."""
    tasks = [failed(name, "Code", "TrainerFailed") for name in NAMES[:lost]]
    tasks += [refused(name, "WaitingForApproval") for name in NAMES[lost:]]
    made = plan(collecting(*tasks, spec={"quorum": {"min": least}}))
    assert message_of(made, "Failed") == message
    assert attention_of(made).items() >= dict.fromkeys(NAMES[:lost], "TrainerFailed").items()


def test_a_round_that_has_lost_many_names_the_first_of_them() -> None:
    names = [f"site-{number:02}" for number in range(12)]
    known = {name: participant(name) for name in names}
    current = dispatched(federated_round(participants={"names": names}))
    made = plan(observation(current, participants=known, tasks=tuple(refused(name, "Denied") for name in names)))
    assert message_of(made, "Failed").endswith("site-07 (Denied) and 4 more.")


@pytest.mark.parametrize("seconds", [0, 9])
def test_a_round_that_is_lost_waits_a_moment_for_whoever_has_not_answered_yet(seconds: float) -> None:
    """Else it would name the fastest of those who refuse it, and the next round the next."""
    first = (refused("site-a", "Denied"), task("site-b"), task("site-c"))
    waits = plan(collecting(*first, spec={"quorum": {"min": 3}}, now=at(seconds)))
    assert (waits.actions, condition_of(waits, "Failed")[0]) == ((), "False")
    assert condition_of(waits, "Reconciling") == ("True", "Collecting")
    assert attention_of(waits) == {"site-a": "Denied"}
    assert waits.requeue_after == 10 - seconds
    every = [refused("site-a", "Denied"), refused("site-b", "TaskNotAllowed"), refused("site-c", "ImageNotAllowed")]
    failed_then = plan(collecting(*every, spec={"quorum": {"min": 3}}, now=at(seconds)))
    assert message_of(failed_then, "Failed") == (
        "0 hospitals can still send, but quorum.min is 3. "
        "Lost: site-a (Denied), site-b (TaskNotAllowed), site-c (ImageNotAllowed)."
    )


def test_a_hospital_that_does_not_answer_holds_a_lost_round_no_longer_than_that() -> None:
    tasks = (refused("site-a", "Denied"), task("site-b"), task("site-c"))
    seen = collecting(*tasks, spec={"quorum": {"min": 3}}, now=at(10))
    made = plan(seen)
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert message_of(made, "Failed").endswith("Lost: site-a (Denied).")
    assert [each.reason for each in of_type(then(seen, made), Cancel)] == ["RoundFailed"] * 2


def test_a_lost_required_participant_fails_the_round() -> None:
    quorum = {"min": 1, "required": ["site-a"]}
    made = plan(collecting(refused("site-a", "Denied"), sent("site-b"), sent("site-c"), spec={"quorum": quorum}))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")


@pytest.mark.parametrize(
    ("named", "reported"),
    [
        ("learningrate", 'learningrate. The round gives it the value "0.1". The hospital allows: maximum 1'),
        ("patient-17", "PARAMETER"),
        (None, "PARAMETER"),
    ],
)
def test_the_author_is_told_which_of_the_rounds_parameters_is_refused_and_no_other_word(
    named: str, reported: str
) -> None:
    failure = Failure.by("ParametersNotAllowed", parameter=named, bound="maximum 1")
    spec = {"parameters": {"epochs": "5", "learningrate": "0.1"}}
    refusing = refused("site-a", "ParametersNotAllowed", failure=failure)
    made = plan(collecting(refusing, sent("site-b"), sent("site-c"), spec=spec))
    [message] = [each.message for each in made.status.attention if each.participant == "site-a"]
    assert f"The parameter is {reported}. Compare its name" in str(message)
    assert len(message) < 1024


def test_the_author_is_told_which_parameter_the_training_code_refuses() -> None:
    spec = {"parameters": {"hidden": "16;8"}}
    failure = Failure.by("ParametersRefused", exit_code=64, parameter="hidden")
    failing = task("site-a", condition("Failed", True, "ParametersRefused"), failure=failure)
    made = plan(collecting(failing, sent("site-b"), sent("site-c"), spec=spec))
    [message] = [each.message for each in made.status.attention if each.participant == "site-a"]
    assert 'The parameter is hidden. The round gives it the value "16;8". Compare its name' in message


def test_waiting_for_approval_is_no_refusal() -> None:
    made = plan(collecting(refused("site-a", "WaitingForApproval"), accepted("site-b"), accepted("site-c")))
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert attention_of(made) == {"site-a": "WaitingForApproval"}


def test_a_round_says_how_many_hospitals_have_still_to_approve() -> None:
    one = plan(collecting(refused("site-a", "WaitingForApproval"), accepted("site-b"), sent("site-c")))
    message = "1 of 3 hospitals sent an update. 1 hospital has still to approve: site-a."
    assert message_of(one, "Reconciling") == message
    two = plan(collecting(*(refused(name, "WaitingForApproval") for name in NAMES[:2]), sent("site-c")))
    assert message_of(two, "Reconciling").endswith("2 hospitals have still to approve: site-a, site-b.")


@pytest.mark.parametrize(
    ("reason", "shown"), [("StoreUnreachable", True), ("Unschedulable", True), ("Training", False)]
)
def test_what_a_hospital_waits_for_is_said_while_it_waits(reason: str, shown: bool) -> None:
    waits = task("site-a", condition("Accepted", True, "Accepted"), condition("Reconciling", True, reason))
    made = plan(collecting(waits, accepted("site-b"), accepted("site-c")))
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert attention_of(made) == ({"site-a": reason} if shown else {})


@pytest.mark.parametrize("failure_class", ["Platform", "Network"])
def test_failures_of_platform_and_network_are_tried_again(failure_class: str) -> None:
    made = plan(collecting(failed("site-a", failure_class), accepted("site-b"), accepted("site-c")))
    assert [(each.participant, each.attempt) for each in of_type(made, Dispatch)] == [("site-a", 2)]


@pytest.mark.parametrize("failure_class", ["Site", "Code"])
def test_failures_of_site_and_code_are_not_tried_again(failure_class: str) -> None:
    made = plan(collecting(failed("site-a", failure_class, "ColumnMissing"), accepted("site-b"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    assert attention_of(made) == {"site-a": "ColumnMissing"}


def test_the_sites_word_that_training_took_too_long_is_no_reason_to_try_again() -> None:
    late = failed("site-a", "Code", "TrainDeadline")
    made = plan(collecting(late, accepted("site-b"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    assert attention_of(made) == {"site-a": "TrainDeadline"}


@pytest.mark.parametrize("reason", ["Unschedulable", "NodeLost", "ImagePullFailed", "StartDeadline", "QueueDeadline"])
def test_a_hospital_that_waited_in_vain_or_lost_its_node_is_asked_again(reason: str) -> None:
    made = plan(collecting(failed("site-a", "Platform", reason), accepted("site-b"), accepted("site-c")))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a"]


def test_tries_end_at_the_retry_limit() -> None:
    attempts = [failed("site-a", attempt=number) for number in (1, 2, 3)]
    made = plan(collecting(*attempts, accepted("site-b"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    assert counts(made).failed == 1


def test_a_second_attempt_replaces_the_first() -> None:
    made = plan(collecting(failed("site-a"), sent("site-a", attempt=2), sent("site-b"), sent("site-c")))
    (job,) = of_type(made, Aggregate)
    assert (job.tasks[0].metadata.namespace, job.tasks[0].spec.attempt) == ("site-a", 2)


def waits(name: str, reason: str, **status: Any) -> RoundTask:
    """Accepted, and waiting for this."""
    waiting = accepted(name, **status)
    conditions = (*waiting.status.conditions, condition("Reconciling", True, reason))
    return replace(waiting, status=replace(waiting.status, conditions=conditions))


def test_a_hospital_that_was_too_late_is_named_with_what_it_waited_for() -> None:
    late = waits("site-c", "ImagePullFailed")
    made = plan(
        collecting(sent("site-a"), sent("site-b"), late, now=at(800), spec={"quorum": {"min": 2, "graceSeconds": 60}})
    )
    assert [each.reason for each in of_type(made, Cancel)] == ["ImagePullFailed"]


@pytest.mark.parametrize(
    ("late", "now", "reason"),
    [
        (task("site-a"), 600, "NotAnswered"),
        (refused("site-a", "WaitingForApproval"), 600, "WaitingForApproval"),
        (task("site-a", replace(condition("Accepted", False, "TooManyTasks"), status="Unknown")), 600, "TooManyTasks"),
        (accepted("site-a"), 930, "QueueDeadline"),
        (waits("site-a", "Unschedulable"), 930, "Unschedulable"),
        (waits("site-a", "StoreUnreachable"), 930, "StoreUnreachable"),
        (waits("site-a", "Fetching"), 930, "FetchDeadline"),
        (waits("site-a", "Starting"), 930, "StartDeadline"),
        # Training is the site's, or its node's, to end: nobody here knows of a fault of the training code.
        (waits("site-a", "Training", timeline=stages("Started")), 1920, "SiteSilent"),
        # Of a pod that waits in the place of one that has trained.
        (waits("site-a", "Unschedulable", timeline=stages("Started")), 2820, "Unschedulable"),
        (task("site-a", condition("Trained", True, "Trained", 100)), 730, "UploadDeadline"),
        (
            task(
                "site-a",
                condition("Trained", True, "Trained", 100),
                condition("Reconciling", True, "StoreUnreachable"),
            ),
            730,
            "StoreUnreachable",
        ),
    ],
)
def test_each_stage_has_its_deadline(late: Any, now: float, reason: str) -> None:
    others = [sent(name, now - 1) for name in NAMES[1:]]
    waiting = plan(collecting(late, *others, now=at(now - 1), spec={"quorum": {"min": 2, "graceSeconds": 60}}))
    assert waiting.requeue_after == 1
    made = plan(collecting(late, *others, now=at(now)))
    assert attention_of(made) == {"site-a": reason}
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [("site-a", reason)]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("kind", ["Accepted", "Trained", "Sent"])
def test_a_site_with_an_impossible_clock_stops_nobody_elses_round(kind: str, time: str) -> None:
    odd = sent("site-a") if kind == "Sent" else accepted("site-a", timeline=(Stage("Started", time),))
    if kind == "Trained":
        odd = task("site-a", condition("Trained", True, "Trained"))
    changed = tuple(replace(each, last_transition_time=time) for each in odd.status.conditions)
    odd = replace(odd, status=replace(odd.status, conditions=changed))
    made = plan(collecting(odd, sent("site-b"), sent("site-c"), now=at(3601)))
    assert {"site-b", "site-c"} <= {each.metadata.namespace for each in of_type(made, Aggregate)[0].tasks}


def test_a_participant_whose_keys_change_during_the_round_is_out_though_it_has_sent() -> None:
    changed = participant("site-a", key_fingerprint="sha256:" + "0" * 64)
    participants = {name: participant(name) for name in NAMES} | {"site-a": changed}
    made = plan(collecting(*map(sent, NAMES), participants=participants))
    assert [each.metadata.namespace for each in of_type(made, Aggregate)[0].tasks] == ["site-b", "site-c"]
    assert attention_of(made) == {"site-a": "FingerprintMismatch"}


def test_one_site_with_an_unreadable_clock_stops_nobody() -> None:
    odd = accepted("site-a", timeline=(*stages(), replace(stages("Started")[0], time="yesterday")))
    assert condition_of(plan(collecting(odd, accepted("site-b"), accepted("site-c"))), "Reconciling")[1] == "Collecting"


# Grants


def test_upload_grants_follow_as_soon_as_the_size_is_known() -> None:
    sized = accepted("site-a", upload=Upload(bytes=77))
    made = plan(collecting(sized, accepted("site-b"), accepted("site-c")))
    assert [(each.task.metadata.namespace, each.upload_bytes) for each in of_type(made, Grant)] == [("site-a", 77)]


def test_grants_are_renewed_before_they_expire() -> None:
    tasks = [accepted(name, timeline=stages("Started")) for name in NAMES]
    assert plan(collecting(*tasks)).requeue_after == pytest.approx(1920)
    long = {"deadlines": {"totalSeconds": 20000, "trainSeconds": 20000}}
    assert plan(collecting(*tasks, spec=long)).requeue_after == 2700
    assert len(of_type(plan(collecting(*tasks, spec=long, now=at(2700))), Grant)) == 3


# Aggregation


EVALUATE = {"task": "Evaluate", "initial": None, "base": {"roundName": "train-0"}}


def aggregating(number: int = 1, spec: dict[str, Any] | None = None, **changes: Any) -> Observation:
    job = Aggregation(number=number, over=True, **changes)
    return collecting(*map(sent, NAMES), spec=spec or {}, aggregation=job)


def metrics_of(made: Plan) -> list[str]:
    return [each.name for each in made.status.result.metrics] if made.status.result else []


def test_a_result_is_stored_then_the_round_is_complete_and_then_keys_are_deleted() -> None:
    seen = aggregating(answer=combined(*NAMES))
    made = plan(seen)
    assert [type(each) for each in made.actions] == [StoreModel]
    assert made.requeue_after == 0
    assert [type(each) for each in then(seen, made).actions] == [CleanUp]
    assert condition_of(made, "Complete") == ("True", "Complete")
    assert condition_of(made, "Reconciling")[0] == "False"
    assert made.status.result == Result(
        digest="sha256:" + "d" * 64,
        location=f"models/{observation().round.metadata.uid}/1",
        bytes=1234,
        samples=42,
        metrics=made.status.result.metrics if made.status.result else (),
        columns_digest=ASSIGNED.columns_digest,
    )
    assert counts(made).aggregated == 3
    assert [each.stage for each in made.status.timeline][-2:] == ["Aggregated", "Complete"]


def test_only_metrics_that_the_round_declares_stand_in_its_result() -> None:
    """Each site signs what it likes as reported metrics, under names of its own choice."""
    reported = replace(combined(*NAMES), metrics=dict.fromkeys(("loss", "accuracy", "CallThisNumber"), LOSS))
    for declared in (["loss"], ["accuracy", "loss"]):
        assert metrics_of(plan(aggregating(spec={"metrics": declared}, answer=reported))) == declared


def test_an_evaluation_reports_only_the_metrics_that_it_declares() -> None:
    reported = replace(combined(*NAMES), metrics=dict.fromkeys(("accuracy", "auc", "rows"), LOSS))
    for declared in ([], ["auc"], ["accuracy", "auc"]):
        spec = {**EVALUATE, "metrics": declared}
        assert metrics_of(plan(aggregating(spec=spec, answer=reported))) == declared


@pytest.mark.parametrize(
    ("spec", "rows", "model"),
    [
        ({}, "Validation", "initial weights"),
        ({"initial": None, "base": {"roundName": "train-0"}}, "Validation", "train-0"),
        (EVALUATE, "Validation", "train-0"),
        ({**EVALUATE, "rows": "Test"}, "Test", "train-0"),
    ],
)
def test_each_number_says_over_whom_it_is_of_which_model_and_what_is_better(
    spec: dict[str, Any], rows: Any, model: str
) -> None:
    result = plan(aggregating(spec=spec, answer=combined(*NAMES))).status.result
    assert result is not None
    [loss] = result.metrics
    assert loss == ResultMetric(
        name="loss",
        value="0.5",
        low="0.4",
        high="0.6",
        better="Lower",
        people=42,
        hospitals=3,
        rows=rows,
        model=model,
    )


def test_the_threshold_comes_with_the_metric_that_it_is_of() -> None:
    names = ("sensitivityAtSpecificity", "threshold", "specificityAtThreshold")
    answer = replace(combined(*NAMES), metrics=dict.fromkeys(names, LOSS))
    assert metrics_of(plan(aggregating(spec={**EVALUATE, "metrics": [names[0]]}, answer=answer))) == list(names)
    assert metrics_of(plan(aggregating(spec={**EVALUATE, "metrics": ["auc"]}, answer=answer))) == []


def test_a_result_has_the_numbers_of_hospitals_that_tell_them_and_says_if_they_had_no_room() -> None:
    told = replace(combined(*NAMES), by_hospital={"site-b": {"loss": "0.25", "CallThisNumber": "1"}})
    result = plan(aggregating(answer=told)).status.result
    assert result is not None
    assert result.hospitals == (HospitalResult(name="site-b", metrics=(Metric(name="loss", value="0.25"),)),)
    assert not result.hospitals_omitted
    result = plan(aggregating(answer=replace(told, by_hospital=None))).status.result
    assert result is not None
    assert (result.hospitals, result.hospitals_omitted) == ((), True)


def test_a_result_says_how_many_hospitals_are_withheld() -> None:
    made = plan(aggregating(answer=replace(combined(*NAMES), withheld=1)))
    assert made.status.result is not None
    assert made.status.result.withheld == 1
    assert counts(made).aggregated == 3
    assert "The numbers of 1 hospital are withheld" in message_of(made, "Complete")


@pytest.mark.parametrize("named", [("site-a", "site-b"), ()], ids=["with names", "without room for names"])
def test_a_withheld_evaluation_is_not_aggregated_and_nobody_has_failed(named: tuple[str, ...]) -> None:
    answer = replace(combined(*named), withheld=1, uncounted=("site-c",))
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Complete") == ("True", "Complete")
    found = counts(made)
    assert (found.sent, found.failed, found.aggregated) == (3, 0, 2)
    assert attention_of(made) == {}
    [store] = of_type(made, StoreModel)
    assert store.model.aggregated == ("site-a", "site-b")


@pytest.mark.parametrize("names", [NAMES[1:], ()], ids=["with names", "without room for names"])
def test_a_withheld_evaluation_does_not_count_for_the_quorum(names: tuple[str, ...]) -> None:
    answer = replace(combined("site-a"), withheld=2, uncounted=names)
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert of_type(made, StoreModel) == []
    assert attention_of(made) == {}
    message = message_of(made, "Failed")
    assert message.startswith("1 hospital could be counted, but quorum.min is 2. The numbers of 2 hospitals are ")
    assert "That is no failure of those hospitals." in message


def test_a_required_hospital_that_is_withheld_is_missing() -> None:
    answer = replace(combined(*NAMES[:2]), withheld=1, uncounted=NAMES[2:])
    made = plan(aggregating(spec={**EVALUATE, "quorum": {"min": 1, "required": ["site-c"]}}, answer=answer))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert message_of(made, "Failed").startswith("Required hospital site-c is missing. The numbers of 1 hospital are")


def test_a_round_of_withheld_hospitals_alone_fails_by_the_quorum() -> None:
    answer = AggregationFailure("NothingToAggregate", "", (LeftOut("site-a", "Altered"),), withheld=2)
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert attention_of(made) == {"site-a": "Altered"}
    message = message_of(made, "Failed")
    assert message.startswith("0 hospitals could be counted, but quorum.min is 2. The numbers of 2 hospitals are ")


def test_a_result_from_fewer_than_the_quorum_is_thrown_away() -> None:
    left_out = tuple(LeftOut(participant=name, reason="SignatureInvalid") for name in NAMES[1:])
    made = plan(aggregating(answer=combined("site-a", left_out=left_out)))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert of_type(made, StoreModel) == []
    assert attention_of(made) == {"site-b": "SignatureInvalid", "site-c": "SignatureInvalid"}
    message = "Left out: site-b (SignatureInvalid), site-c (SignatureInvalid). The hub kept no result."
    assert message_of(made, "Failed") == f"1 hospital could be counted, but quorum.min is 2. {message}"


def test_a_round_without_any_usable_update_says_why_of_each() -> None:
    left_out = tuple(LeftOut(participant=name, reason="Altered") for name in NAMES)
    made = plan(aggregating(answer=AggregationFailure(reason="NothingToAggregate", left_out=left_out)))
    assert message_of(made, "Failed").endswith("Left out: site-a (Altered), site-b (Altered), site-c (Altered).")


def test_a_round_that_has_too_little_in_the_end_says_whose_updates_are_missing() -> None:
    tasks = (sent("site-a"), started("site-b"), started("site-c"))
    made = plan(collecting(*tasks, now=at(3600), spec={"deadlines": {"trainSeconds": 9000}}))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert message_of(made, "Failed") == (
        "1 hospital sent an update in time, but quorum.min is 2. The hub combined nothing. "
        "Missing: site-b (NotSentInTime), site-c (NotSentInTime)."
    )


def started(name: str) -> Any:
    return accepted(name, timeline=stages("Accepted", "Started"))


def test_an_answer_without_room_for_names_counts_all_but_those_left_out() -> None:
    left_out = (LeftOut(participant="site-c", reason="Altered"),)
    made = plan(aggregating(answer=combined(left_out=left_out)))
    assert counts(made).aggregated == 2
    assert attention_of(made) == {"site-c": "Altered"}


@pytest.mark.parametrize("reason", ["InitialWeightsDiffer", "NothingToAggregate"])
def test_what_another_try_would_not_change_fails_the_round(reason: str) -> None:
    made = plan(aggregating(answer=AggregationFailure(reason=reason)))
    assert condition_of(made, "Failed") == ("True", reason)


def test_an_aggregation_that_died_is_tried_again_elsewhere_three_times() -> None:
    assert of_type(plan(aggregating()), Aggregate)[0].number == 2
    assert of_type(plan(aggregating(2, answer=AggregationFailure("StoreInconsistent"))), Aggregate)[0].number == 3
    assert condition_of(plan(aggregating(3)), "Failed") == ("True", "AggregationFailed")


def test_an_aggregation_on_a_dead_node_is_tried_again_elsewhere() -> None:
    """Its pod is being deleted for ever, since no kubelet says that it is gone."""
    job = Aggregation(number=1, gone_by=at(100))
    terminating = collecting(*map(sent, NAMES), aggregation=job, now=at(129))
    assert (plan(terminating).actions, plan(terminating).requeue_after) == ((), 1)
    assert of_type(plan(replace(terminating, now=at(130))), Aggregate)[0].number == 2


def test_each_try_to_combine_has_to_end_when_the_round_gives_it_up() -> None:
    first = of_type(plan(collecting(*map(sent, NAMES), now=at(100))), Aggregate)[0]
    assert (first.number, first.until) == (1, at(3700))
    later = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1, over=True), now=at(3000))
    stage = Stage("Collected", to_microseconds(at(100)))
    status = replace(later.round.status, timeline=(*later.round.status.timeline, stage))
    second = of_type(plan(replace(later, round=replace(later.round, status=status))), Aggregate)[0]
    assert (second.number, second.until) == (2, at(3700))


def test_an_aggregation_that_does_not_end_is_ended_by_the_rounds_deadline() -> None:
    def running(seconds: float, collected: float) -> Observation:
        seen = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1), now=at(seconds))
        stage = Stage("Collected", to_microseconds(at(collected)))
        status = replace(seen.round.status, timeline=(*seen.round.status.timeline, stage))
        return replace(seen, round=replace(seen.round, status=status))

    assert plan(running(3599, 0)).requeue_after == 1
    assert condition_of(plan(running(3600, 0)), "Failed") == ("True", "AggregationDeadline")
    # What came at the deadline can still be combined: the Job itself may take an hour.
    assert plan(running(3600, 3600)).requeue_after == 3600
    assert condition_of(plan(running(7200, 3600)), "Failed") == ("True", "AggregationDeadline")
    late = running(7200, 3600)
    died = plan(replace(late, aggregation=Aggregation(number=1, over=True)))
    assert condition_of(died, "Failed") == ("True", "AggregationFailed")
    assert message_of(died, "Failed").startswith(
        "The aggregation Job failed once. The last reason: its pod ended without an answer."
    )


def test_updates_wait_for_a_store_that_is_away_as_long_as_the_round_may_take() -> None:
    def tried(number: int, seconds: float) -> Observation:
        away = AggregationFailure(reason="StoreUnreachable", message="the store failed")
        return replace(aggregating(number, answer=away, ended=at(100)), now=at(seconds))

    waits = plan(tried(1, 104))
    assert (waits.actions, condition_of(waits, "Reconciling")) == ((), ("True", "StoreUnreachable"))
    assert waits.requeue_after == 1
    assert of_type(plan(tried(1, 105)), Aggregate)[0].number == 2
    assert (plan(tried(9, 159)).actions, plan(tried(9, 159)).requeue_after) == ((), 1)
    assert of_type(plan(tried(9, 160)), Aggregate)[0].number == 10
    assert condition_of(plan(tried(9, 3600)), "Failed") == ("True", "AggregationFailed")


def test_nothing_is_decided_while_the_aggregation_runs() -> None:
    running = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1), now=at(9999))
    assert (plan(running).actions, condition_of(plan(running), "Reconciling")[1]) == ((), "Aggregating")


def test_after_a_crash_a_stored_result_completes_the_round_whatever_else_is_there() -> None:
    seen = collecting(accepted("site-a"), model=STORED, now=at(9999))
    made = plan(seen)
    assert condition_of(made, "Complete")[0] == "True"
    assert made.actions == ()
    assert [type(each) for each in then(seen, made).actions] == [Cancel, CleanUp]


INTERRUPTION = Interruption(reason="ActionFailed", doing="start aggregation 1", cause="Forbidden")


def test_an_action_that_raises_leaves_a_status_that_names_it() -> None:
    seen = collecting(*map(sent, NAMES), now=at(110))
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    reconciling = conditions.find(left.conditions, "Reconciling")
    assert reconciling is not None
    assert (reconciling.status, reconciling.reason) == ("True", "ActionFailed")
    assert "could not start aggregation 1: Forbidden. It tries again." in reconciling.message
    assert left.participants is not None
    assert left.participants.sent == 3
    # It has not been collected: that stage comes when the Job is made.
    assert left.timeline == seen.round.status.timeline
    again = replace(seen, round=replace(seen.round, status=left), now=at(111))
    assert interrupted(again, plan(again).status, INTERRUPTION) == left
    assert condition_of(plan(again), "Reconciling") == ("True", "Aggregating")


def test_a_result_that_could_not_be_kept_does_not_make_a_round_complete() -> None:
    seen = aggregating(answer=combined(*NAMES))
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    assert not conditions.is_true(left.conditions, "Complete")
    assert left.result is None


def test_a_round_that_is_over_says_that_it_is_not_tidied_up_until_it_is() -> None:
    ended = over(federated_round(), "Complete")
    seen = observation(ended, leftovers=True)
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    assert conditions.is_true(left.conditions, "Complete")
    untidy = replace(seen, round=replace(ended, status=left))
    assert condition_of(plan(untidy), "CleanedUp") == ("False", "ActionFailed")
    assert condition_of(plan(replace(untidy, leftovers=False)), "CleanedUp") == ("True", "CleanedUp")
    assert plan(replace(seen, leftovers=False)).status == ended.status


# The end


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_final_condition_is_never_taken_back(kind: str) -> None:
    ended = over(federated_round(), kind)
    seen = observation(ended, tasks=tuple(map(sent, NAMES)), leftovers=True, now=at(99999))
    made = plan(seen)
    assert made.status == ended.status
    assert made.actions == (CleanUp(last=True),)
    assert plan(replace(seen, leftovers=False)).actions == ()


def test_updates_are_deleted_again_when_no_site_can_put_any_more() -> None:
    """A presigned PUT cannot be taken back: what was deleted could come again by it."""
    notes = {"wardround.io/grants-bytes": "1000", "wardround.io/grants-expire": to_seconds(at(3000))}
    tasks = (sent("site-a", annotations=notes), sent("site-b"), sent("site-c"))
    first = observation(over(federated_round(), "Complete"), tasks=tasks, leftovers=True, now=at(110))
    assert plan(first).actions == (CleanUp(last=False),)
    cleaned = replace(first, cleaned_up=True)
    assert (plan(cleaned).actions, plan(cleaned).requeue_after) == ((), 2890)
    assert plan(replace(cleaned, now=at(3000))).actions == (CleanUp(last=True),)


def test_attention_has_one_entry_a_participant_and_at_most_sixteen() -> None:
    names = [f"site-{number:02}" for number in range(20)]
    made = plan(observation(federated_round(participants={"names": names})))
    assert len(made.status.attention) == 16
    assert {each.reason for each in made.status.attention} == {"ParticipantUnknown"}


def test_a_plan_for_its_own_status_changes_nothing_more() -> None:
    seen = collecting(sent("site-a"), accepted("site-b"), accepted("site-c"), now=at(110))
    first = plan(seen)
    again = plan(replace(seen, round=replace(seen.round, status=first.status), now=at(111)))
    assert again.status == first.status


def test_advice_names_the_federation() -> None:
    participants = {name: participant(name, allowed_federations=()) for name in NAMES}
    (first, *_) = plan(observation(participants=participants)).status.attention
    assert FEDERATION in first.message
    assert keys("site-a").signing not in first.message
    assert NOW.isoformat() not in first.message
