"""A round's plan, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    FEDERATION,
    NAMES,
    NOW,
    accepted,
    at,
    condition,
    dispatched,
    failed,
    federated_round,
    keys,
    observation,
    over,
    participant,
    refused,
    sent,
    stages,
    task,
)
from wardround.api import conditions
from wardround.api.federatedround import Counts, Result
from wardround.api.task import Upload
from wardround.api.timeline import Stage
from wardround.plans.round import plan
from wardround.plans.round_parts import CANCELLED
from wardround.plans.round_types import (
    Aggregate,
    Aggregation,
    Answer,
    Cancel,
    CleanUp,
    Dispatch,
    Grant,
    LeftOut,
    MakeRoundKey,
    Observation,
    Plan,
    StoredModel,
    StoreModel,
)

HEADER = {"length": 1234}


def of_type(made: Plan, kind: type[Any]) -> list[Any]:
    return [action for action in made.actions if isinstance(action, kind)]


def condition_of(made: Plan, kind: str) -> tuple[str, str]:
    found = conditions.find(made.status.conditions, kind)
    assert found is not None
    return found.status, found.reason


def counts(made: Plan) -> Counts:
    assert made.status.participants is not None
    return made.status.participants


def attention_of(made: Plan) -> dict[str, str]:
    return {each.participant: each.reason for each in made.status.attention}


def collecting(*tasks: Any, **changes: Any) -> Observation:
    spec = changes.pop("spec", {})
    return observation(dispatched(federated_round(**spec)), tasks=tasks, leftovers=True, **changes)


def answer(*names: str, left_out: tuple[LeftOut, ...] = ()) -> Answer:
    return Answer(
        header=HEADER,
        digest="sha256:" + "d" * 64,
        segments_digest="sha256:" + "e" * 64,
        bytes=1250,
        samples=42,
        metrics={"loss": "0.5"},
        aggregated=names,
        left_out=left_out,
    )


# Who is asked


def test_all_approved_participants_are_asked_at_once_after_the_key_is_made() -> None:
    made = plan(observation())
    assert isinstance(made.actions[0], MakeRoundKey)
    asked = of_type(made, Dispatch)
    assert [(each.participant, each.attempt, each.roster) for each in asked] == [(name, 1, NAMES) for name in NAMES]
    assert [each.stage for each in made.status.timeline] == ["Started", "Dispatched"]
    assert condition_of(made, "Reconciling") == ("True", "Dispatched")
    assert counts(made).selected == 3


def test_an_assignment_outlives_the_deadline_so_that_the_last_update_still_counts() -> None:
    asked = of_type(plan(observation()), Dispatch)
    assert asked[0].expires == at(3600 + 3600)


def test_after_a_crash_between_dispatches_only_the_missing_are_asked() -> None:
    made = plan(observation(tasks=(task("site-a"),)))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-b", "site-c"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"key_fingerprint": None}, "ParticipantNotApproved"),
        ({"key_fingerprint": "sha256:" + "0" * 64}, "FingerprintMismatch"),
        ({"allowed_federations": ()}, "FederationNotAllowed"),
    ],
)
def test_a_named_participant_who_may_not_take_part_is_waited_for_and_the_round_says_why(
    changed: dict[str, Any], reason: str
) -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-b": participant("site-b", **changed)}
    made = plan(observation(participants=participants))
    assert made.actions == ()
    assert condition_of(made, "Stalled") == ("True", reason)
    assert attention_of(made) == {"site-b": reason}
    assert made.requeue_after == 600


def test_an_unknown_participant_stalls_the_round() -> None:
    made = plan(observation(participants={name: participant(name) for name in NAMES[:2]}))
    assert condition_of(made, "Stalled") == ("True", "ParticipantUnknown")


def test_a_participant_without_keys_stalls_the_round() -> None:
    bare = participant("site-b")
    bare = replace(bare, status=replace(bare.status, site=None))
    participants = {name: participant(name) for name in NAMES} | {"site-b": bare}
    assert condition_of(plan(observation(participants=participants)), "Stalled")[1] == "ParticipantNoKeys"


def test_a_dataset_that_a_site_does_not_offer_stalls_the_round() -> None:
    made = plan(observation(federated_round(datasetName="lung")))
    assert condition_of(made, "Stalled") == ("True", "DatasetNotFound")


def test_a_site_that_has_not_said_what_it_offers_is_asked() -> None:
    silent = participant("site-b")
    assert silent.status.site is not None
    silent = replace(silent, status=replace(silent.status, site=replace(silent.status.site, datasets=None)))
    participants = {name: participant(name) for name in NAMES} | {"site-b": silent}
    assert len(of_type(plan(observation(participants=participants)), Dispatch)) == 3


def test_a_suspended_participant_is_left_out_without_waiting() -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-b": participant("site-b", suspend=True)}
    made = plan(observation(participants=participants))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-c"]
    assert attention_of(made) == {"site-b": "ParticipantSuspended"}


def test_after_the_admission_deadline_a_quorum_goes_on_without_the_unfit() -> None:
    started = federated_round()
    started = replace(started, status=replace(started.status, timeline=stages("Started")))
    participants = {name: participant(name) for name in NAMES[:2]}
    made = plan(observation(started, participants=participants, now=at(600)))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-b"]


def test_after_the_admission_deadline_too_few_fail_the_round_for_the_common_reason() -> None:
    started = federated_round()
    started = replace(started, status=replace(started.status, timeline=stages("Started")))
    participants = {"site-a": participant("site-a")} | {
        name: participant(name, key_fingerprint=None) for name in NAMES[1:]
    }
    made = plan(observation(started, participants=participants, now=at(601)))
    assert condition_of(made, "Failed") == ("True", "ParticipantNotApproved")


@pytest.mark.parametrize("quorum", [{"min": 4}, {"min": 2, "required": ["site-z"]}])
def test_a_quorum_that_can_never_be_met_fails_at_once(quorum: dict[str, Any]) -> None:
    made = plan(observation(federated_round(quorum=quorum)))
    assert condition_of(made, "Failed") == ("True", "QuorumImpossible")
    assert of_type(made, Dispatch) == []


def test_a_selector_takes_who_is_fit_and_does_not_wait_for_the_others() -> None:
    selecting = federated_round(participants={"selector": {"matchLabels": {"country": "de"}}})
    participants = {name: participant(name) for name in NAMES} | {"site-b": participant("site-b", key_fingerprint=None)}
    made = plan(observation(selecting, participants=participants))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-c"]


def test_a_selector_that_finds_too_few_stalls() -> None:
    selecting = federated_round(participants={"selector": {"matchLabels": {"country": "fr"}}})
    assert condition_of(plan(observation(selecting)), "Stalled") == ("True", "TooFewParticipants")


# The base


def with_base(**changes: Any) -> Observation:
    return observation(federated_round(initial=None, base={"roundName": "train-0"}), **changes)


def test_a_round_waits_for_a_base_that_may_still_complete() -> None:
    made = plan(with_base(base=federated_round("train-0", "other")))
    assert (made.actions, condition_of(made, "Reconciling")) == ((), ("True", "WaitingForBase"))
    assert made.status.timeline == ()


def test_a_base_that_does_not_exist_stalls_the_round_and_fails_it_after_the_admission_deadline() -> None:
    assert condition_of(plan(with_base()), "Stalled") == ("True", "BaseNotFound")
    assert condition_of(plan(with_base(now=at(600))), "Failed") == ("True", "BaseNotFound")


@pytest.mark.parametrize(
    ("base", "stored", "reason"),
    [
        (over(federated_round("train-0", "other"), "Failed"), False, "BaseFailed"),
        (over(federated_round("train-0", "other", task="Statistics"), "Complete"), True, "BaseUnusable"),
        (over(federated_round("train-0", "other"), "Complete"), False, "BaseLost"),
    ],
)
def test_a_base_that_can_never_be_used_fails_the_round(base: Any, stored: bool, reason: str) -> None:
    made = plan(with_base(base=base, base_stored=stored))
    assert condition_of(made, "Failed") == ("True", reason)


def test_a_complete_base_starts_the_round() -> None:
    base = over(federated_round("train-0", "other"), "Complete")
    assert len(of_type(plan(with_base(base=base, base_stored=True)), Dispatch)) == 3


def test_an_initial_round_waits_for_its_statistics() -> None:
    initial = federated_round(initial={"seed": 1, "statisticsRoundName": "stats"})
    running = federated_round("stats", "other", task="Statistics", initial=None, image=None)
    assert condition_of(plan(observation(initial, base=running)), "Reconciling")[1] == "WaitingForBase"
    done = over(running, "Complete")
    assert len(of_type(plan(observation(initial, base=done, base_stored=True)), Dispatch)) == 3


# Suspension


def test_a_suspended_round_asks_nobody() -> None:
    made = plan(observation(federated_round(suspend=True)))
    assert (made.actions, condition_of(made, "Suspended")) == ((), ("True", "Suspended"))


def test_suspending_calls_back_what_is_on_its_way_and_keeps_what_was_sent() -> None:
    made = plan(collecting(sent("site-a"), accepted("site-b"), spec={"suspend": True}))
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [("site-b", "Suspended")]


def test_after_a_suspension_the_called_back_are_asked_anew_and_deadlines_start_anew() -> None:
    called_back = task("site-b", cancel=True, annotations={CANCELLED: "Suspended"})
    resumed = dispatched(federated_round(), (condition("Suspended", False, "Resumed", 5000),))
    made = plan(observation(resumed, tasks=(sent("site-a"), sent("site-c", 5000), called_back), now=at(5001)))
    assert [(each.participant, each.attempt) for each in of_type(made, Dispatch)] == [("site-b", 2)]
    assert of_type(made, Dispatch)[0].expires == at(5000 + 7200)


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
    made = plan(collecting(*tasks, now=at(3600)))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert of_type(made, Aggregate) == []
    assert len(of_type(made, Cancel)) == 2
    assert isinstance(made.actions[-1], CleanUp)


def test_a_round_fails_as_soon_as_the_quorum_is_out_of_reach() -> None:
    tasks = (refused("site-a", "ImageNotAllowed"), refused("site-b", "ImageNotAllowed"), accepted("site-c"))
    made = plan(collecting(*tasks))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert attention_of(made) == {"site-a": "ImageNotAllowed", "site-b": "ImageNotAllowed"}


def test_a_lost_required_participant_fails_the_round() -> None:
    quorum = {"min": 1, "required": ["site-a"]}
    made = plan(collecting(refused("site-a", "Denied"), sent("site-b"), sent("site-c"), spec={"quorum": quorum}))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")


def test_waiting_for_approval_is_no_refusal() -> None:
    made = plan(collecting(refused("site-a", "WaitingForApproval"), accepted("site-b"), accepted("site-c")))
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert attention_of(made) == {"site-a": "WaitingForApproval"}


@pytest.mark.parametrize("failure_class", ["Platform", "Network"])
def test_failures_of_platform_and_network_are_tried_again(failure_class: str) -> None:
    made = plan(collecting(failed("site-a", failure_class), accepted("site-b"), accepted("site-c")))
    assert [(each.participant, each.attempt) for each in of_type(made, Dispatch)] == [("site-a", 2)]


@pytest.mark.parametrize("failure_class", ["Site", "Code"])
def test_failures_of_site_and_code_are_not_tried_again(failure_class: str) -> None:
    made = plan(collecting(failed("site-a", failure_class, "ColumnMissing"), accepted("site-b"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    assert attention_of(made) == {"site-a": "ColumnMissing"}


def test_tries_end_at_the_retry_limit() -> None:
    attempts = [failed("site-a", attempt=number) for number in (1, 2, 3)]
    made = plan(collecting(*attempts, accepted("site-b"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    assert counts(made).failed == 1


def test_a_second_attempt_replaces_the_first() -> None:
    made = plan(collecting(failed("site-a"), sent("site-a", attempt=2), sent("site-b"), sent("site-c")))
    (job,) = of_type(made, Aggregate)
    assert (job.tasks[0].metadata.namespace, job.tasks[0].spec.attempt) == ("site-a", 2)


@pytest.mark.parametrize(
    ("late", "now", "reason"),
    [
        (task("site-a"), 600, "NotAnswered"),
        (refused("site-a", "WaitingForApproval"), 600, "WaitingForApproval"),
        (accepted("site-a"), 900, "QueueDeadline"),
        (accepted("site-a", timeline=stages("Started")), 1830, "TrainDeadline"),
        (task("site-a", condition("Trained", True, "Trained", 100)), 700, "UploadDeadline"),
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
    assert plan(collecting(*tasks)).requeue_after == pytest.approx(1830)
    long = {"deadlines": {"totalSeconds": 20000, "trainSeconds": 20000}}
    assert plan(collecting(*tasks, spec=long)).requeue_after == 2700
    assert len(of_type(plan(collecting(*tasks, spec=long, now=at(2700))), Grant)) == 3


# Aggregation


def aggregating(number: int = 1, **changes: Any) -> Observation:
    job = Aggregation(number=number, over=True, **changes)
    return collecting(*map(sent, NAMES), aggregation=job)


def test_a_result_is_stored_before_keys_are_deleted_and_the_round_is_complete() -> None:
    made = plan(aggregating(answer=answer(*NAMES)))
    assert [type(each) for each in made.actions] == [StoreModel, CleanUp]
    assert condition_of(made, "Complete") == ("True", "Complete")
    assert condition_of(made, "Reconciling")[0] == "False"
    assert made.status.result == Result(
        digest="sha256:" + "d" * 64,
        location=f"models/{observation().round.metadata.uid}/1",
        bytes=1234,
        samples=42,
        metrics=made.status.result.metrics if made.status.result else (),
    )
    assert counts(made).aggregated == 3
    assert [each.stage for each in made.status.timeline][-2:] == ["Aggregated", "Complete"]


def test_a_result_from_fewer_than_the_quorum_is_thrown_away() -> None:
    left_out = tuple(LeftOut(participant=name, reason="SignatureInvalid") for name in NAMES[1:])
    made = plan(aggregating(answer=answer("site-a", left_out=left_out)))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert of_type(made, StoreModel) == []
    assert attention_of(made) == {"site-b": "SignatureInvalid", "site-c": "SignatureInvalid"}


def test_an_answer_without_room_for_names_counts_all_but_those_left_out() -> None:
    left_out = (LeftOut(participant="site-c", reason="Altered"),)
    made = plan(aggregating(answer=answer(left_out=left_out)))
    assert counts(made).aggregated == 2
    assert attention_of(made) == {"site-c": "Altered"}


@pytest.mark.parametrize("reason", ["InitialWeightsDiffer", "NothingToAggregate"])
def test_what_another_try_would_not_change_fails_the_round(reason: str) -> None:
    made = plan(aggregating(answer=Answer(reason=reason)))
    assert condition_of(made, "Failed") == ("True", reason)


def test_an_aggregation_that_died_is_tried_again_elsewhere_three_times() -> None:
    assert of_type(plan(aggregating()), Aggregate)[0].number == 2
    assert of_type(plan(aggregating(2, answer=Answer(reason="StoreUnreachable"))), Aggregate)[0].number == 3
    assert condition_of(plan(aggregating(3)), "Failed") == ("True", "AggregationFailed")


def test_nothing_is_decided_while_the_aggregation_runs() -> None:
    running = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1), now=at(9999))
    assert (plan(running).actions, condition_of(plan(running), "Reconciling")[1]) == ((), "Aggregating")


def test_after_a_crash_a_stored_result_completes_the_round_whatever_else_is_there() -> None:
    stored = StoredModel(result=Result(digest="d", location="l", bytes=1, samples=2), aggregated=NAMES)
    made = plan(collecting(accepted("site-a"), model=stored, now=at(9999)))
    assert condition_of(made, "Complete")[0] == "True"
    assert [type(each) for each in made.actions] == [Cancel, CleanUp]


# The end


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_final_condition_is_never_taken_back(kind: str) -> None:
    ended = over(federated_round(), kind)
    seen = observation(ended, tasks=tuple(map(sent, NAMES)), leftovers=True, now=at(99999))
    made = plan(seen)
    assert made.status == ended.status
    assert made.actions == (CleanUp(),)
    assert plan(replace(seen, leftovers=False)).actions == ()


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
