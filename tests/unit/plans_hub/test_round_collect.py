"""How a round waits for updates, gives hospitals up, tries again, and grants room for updates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    accepted,
    at,
    collecting,
    condition,
    dispatched,
    failed,
    federated_round,
    keys,
    observation,
    participant,
    refused,
    revoked,
    sent,
    stages,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type, then
from wardround.api.names import CANCELLED, GRANTS_BYTES, GRANTS_EXPIRE
from wardround.api.roundtask import RoundTask
from wardround.api.task import Failure, Upload
from wardround.api.timeline import Stage
from wardround.api.times import to_seconds
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import SPARE, Scratch
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Cancel,
    CleanUp,
    Dispatch,
    Grant,
)
from wardround.plans.round.upload import granted_text
from wardround.reasons.parameter import UNNAMED


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


def test_an_update_that_a_hospital_sent_before_its_revocation_counts() -> None:
    """It is signed by keys that no token gives away."""
    participants = {name: participant(name) for name in NAMES} | {"site-c": revoked("site-c")}
    seen = collecting(sent("site-a"), sent("site-b"), sent("site-c"))
    (job,) = of_type(plan(replace(seen, participants=participants)), Aggregate)
    assert [each.metadata.namespace for each in job.tasks] == list(NAMES)


def test_an_update_of_a_thief_of_the_token_does_not_count_after_the_revocation() -> None:
    """The thief publishes own keys, and the aggregation would verify the update with them."""
    gone = revoked("site-c")
    assert gone.status.site is not None
    stolen = replace(gone.status, site=replace(gone.status.site, keys=keys("thief")))
    participants = {name: participant(name) for name in NAMES} | {"site-c": replace(gone, status=stolen)}
    seen = collecting(sent("site-a"), sent("site-b"), sent("site-c"))
    made = plan(replace(seen, participants=participants))
    assert attention_of(made) == {"site-c": "ParticipantRevoked"}
    (job,) = of_type(made, Aggregate)
    assert [each.metadata.namespace for each in job.tasks] == ["site-a", "site-b"]


def test_stragglers_are_waited_for_as_long_as_the_grace_lasts_and_no_longer() -> None:
    tasks = (sent("site-a", 50), sent("site-b", 100), accepted("site-c"))
    before = plan(collecting(*tasks, now=at(159)))
    assert (of_type(before, Aggregate), before.requeue_after) == ([], 1)
    after = plan(collecting(*tasks, now=at(160)))
    assert [each.metadata.namespace for each in of_type(after, Aggregate)[0].tasks] == ["site-a", "site-b"]


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
    """The message names no hospital whose task the round then cancels, and no hospital that still waits."""
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
        ("patient-17", UNNAMED),
        (None, UNNAMED),
    ],
)
def test_the_author_reads_which_parameter_of_the_round_is_refused_and_no_other_word(named: str, reported: str) -> None:
    failure = Failure.by("ParametersNotAllowed", parameter=named, bound="maximum 1")
    spec = {"parameters": {"epochs": "5", "learningrate": "0.1"}}
    refusing = refused("site-a", "ParametersNotAllowed", failure=failure)
    made = plan(collecting(refusing, sent("site-b"), sent("site-c"), spec=spec))
    [message] = [each.message for each in made.status.attention if each.participant == "site-a"]
    assert f"The parameter is {reported}. Compare its name" in str(message)
    assert len(message) < 1024


def test_the_author_reads_which_parameter_the_training_code_refuses() -> None:
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
    message = "1 of 3 hospitals sent an update. 1 hospital still has to approve or deny the task: site-a."
    assert message_of(one, "Reconciling") == message
    two = plan(collecting(*(refused(name, "WaitingForApproval") for name in NAMES[:2]), sent("site-c")))
    assert message_of(two, "Reconciling").endswith(
        "2 hospitals still have to approve or deny the task: site-a, site-b."
    )


@pytest.mark.parametrize(
    ("reason", "shown"), [("StoreUnreachable", True), ("Unschedulable", True), ("Training", False)]
)
def test_the_round_shows_why_a_hospital_waits(reason: str, shown: bool) -> None:
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


def test_a_hospital_that_takes_back_its_failures_gets_no_further_attempts() -> None:
    """Without this, it made attempts and aggregations without end."""
    spec = {"retryLimit": 1}
    tasks = (accepted("site-a"), failed("site-a", attempt=2), accepted("site-b"), accepted("site-c"))
    made = plan(collecting(*tasks, spec=spec))
    assert of_type(made, Dispatch) == []
    assert attention_of(made) == {"site-a": "Evicted"}
    called_back = accepted("site-a", cancel=True, annotations={CANCELLED: "Suspended"})
    again = plan(collecting(called_back, *tasks[1:], spec=spec))
    assert [(each.participant, each.attempt) for each in of_type(again, Dispatch)] == [("site-a", 3)]


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
    model = replace(STORED, aggregated=("site-a", "site-b"))
    seen = collecting(sent("site-a"), sent("site-b"), late, now=at(800), model=model)
    made = plan(seen)
    assert attention_of(made) == {"site-c": "ImagePullFailed"}
    assert [each.reason for each in of_type(then(seen, made), Cancel)] == ["ImagePullFailed"]


@pytest.mark.parametrize(
    ("late", "now", "reason"),
    [
        (task("site-a"), 600, "NotAnswered"),
        (task("site-a", replace(condition("Accepted", False, "NoKeys"), status="Unknown")), 600, "NotAnswered"),
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
        (waits("site-a", "JobNotAdmitted", timeline=stages("Started")), 2820, "JobNotAdmitted"),
        (waits("site-a", "StepFailed", timeline=stages("Started")), 2820, "StepFailed"),
        (waits("site-a", "IsolationUnproven", timeline=stages("Started")), 2820, "IsolationUnproven"),
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


def test_upload_grants_follow_as_soon_as_the_size_is_known() -> None:
    upload = Upload(bytes=77)
    made = plan(collecting(accepted("site-a", upload=upload), accepted("site-b"), accepted("site-c")))
    assert [(each.task.metadata.namespace, each.upload) for each in of_type(made, Grant)] == [("site-a", upload)]


def test_upload_grants_follow_anew_for_another_ciphertext_of_the_same_length() -> None:
    """The courier has sealed its update anew, or names the digests only since its upgrade."""
    uploads = [Upload(bytes=77), Upload(bytes=77, md5=("one",)), Upload(bytes=77, md5=("other",))]
    for before in uploads:
        for upload in uploads:
            notes = {GRANTS_EXPIRE: to_seconds(at(3600)), GRANTS_BYTES: granted_text(before)}
            task = accepted("site-a", upload=upload, annotations=notes)
            made = of_type(plan(collecting(task, accepted("site-b"), accepted("site-c"))), Grant)
            assert [each.upload for each in made] == ([] if upload == before else [upload])


def test_grants_are_renewed_before_they_expire() -> None:
    tasks = [accepted(name, timeline=stages("Started")) for name in NAMES]
    assert plan(collecting(*tasks)).requeue_after == pytest.approx(1920)
    long = {"deadlines": {"totalSeconds": 20000, "trainSeconds": 20000}}
    assert plan(collecting(*tasks, spec=long)).requeue_after == 2700
    assert len(of_type(plan(collecting(*tasks, spec=long, now=at(2700))), Grant)) == 3
