"""A round whose aggregation could count too few updates collects on, as long as others may still fill the quorum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    UID,
    accepted,
    at,
    collecting,
    combined,
    condition,
    failed,
    federated_round,
    over,
    participant,
    refused,
    sent,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type, then
from wardround.api import names
from wardround.api.names import CANCELLED
from wardround.api.roundtask import RoundTask
from wardround.api.task import Update, Upload
from wardround.api.timeline import Stage, reached
from wardround.api.times import to_microseconds
from wardround.plans.round.counted import attempt
from wardround.plans.round.plan import plan
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Cancel,
    Dispatch,
    EarlyList,
    Grant,
    Observation,
    Plan,
    StoreModel,
)
from wardround.wire.aggregation import AggregationAnswer, AggregationFailure, LeftOut

A, B, C = NAMES
D, E = "site-d", "site-e"
BAD = (LeftOut(participant=A, reason="Altered"),)
SHORT = combined(B, left_out=BAD)
EVALUATE = {"task": "Evaluate", "initial": None, "base": {"roundName": "train-0"}}
BASE: dict[str, Any] = {
    "base": over(federated_round("train-0", uid="uid-0"), "Complete"),
    "base_uid": "uid-0",
    "base_model": STORED,
}


def closed(
    *tasks: RoundTask, given: tuple[RoundTask, ...], answer: AggregationAnswer | None, number: int = 1, **changes: Any
) -> Observation:
    """A round that closed after 160 s, when `given` had sent. Its aggregation then answered."""
    every = sorted({*NAMES, *(each.metadata.namespace for each in tasks)})
    spec = {"participants": {"names": every}, **changes.pop("spec", {})}
    job: dict[str, Any] = {"number": number, "over": answer is not None, "answer": answer, **changes.pop("job", {})}
    known: dict[str, Any] = {"participants": {name: participant(name) for name in every}, "now": at(170)}
    seen = collecting(*tasks, spec=spec, **{**known, **changes})
    timeline = (*seen.round.status.timeline, Stage("Collected", to_microseconds(at(160))))
    return replace(
        seen,
        round=replace(seen.round, status=replace(seen.round.status, timeline=timeline)),
        aggregation=Aggregation(**{"given": frozenset(map(attempt, given)), **job}),
    )


def cancelled(task: RoundTask, reason: str) -> RoundTask:
    notes = {**task.metadata.annotations, CANCELLED: reason}
    return replace(task, metadata=replace(task.metadata, annotations=notes), spec=replace(task.spec, cancel=True))


def cancels(made: Plan) -> dict[str, str]:
    return {each.task.metadata.namespace: each.reason for each in of_type(made, Cancel)}


def combined_tasks(made: Plan) -> list[str]:
    [job] = of_type(made, Aggregate)
    return [each.metadata.namespace for each in job.tasks]


def noted(*others: RoundTask, **changes: Any) -> Observation:
    """The round after the left-out update of A was noted."""
    left = cancelled(sent(A), "Altered")
    return closed(left, sent(B), *others, given=(sent(A), sent(B)), answer=SHORT, **changes)


def test_one_bad_update_does_not_end_a_round_that_another_hospital_may_fill() -> None:
    seen = closed(sent(A), sent(B), accepted(C), given=(sent(A), sent(B)), answer=SHORT)
    made = plan(seen)
    assert cancels(made) == {A: "Altered"}
    assert condition_of(made, "Reconciling") == ("True", "CollectingAgain")
    assert message_of(made, "Reconciling") == (
        f"Job {names.aggregation_name(UID, 1)} has made no result: 1 hospital could be counted, but quorum.min is 2. "
        "Left out: site-a (Altered). Other hospitals can still send an update, at the latest at 2026-11-24T17:00:00Z."
    )
    assert reached(made.status.timeline, "Collected") is None


def test_the_round_waits_for_the_other_hospital_until_its_deadline() -> None:
    """The grace is over, but too few of those that have sent can be counted."""
    made = plan(noted(accepted(C), now=at(500)))
    assert of_type(made, Aggregate) == []
    assert condition_of(made, "Reconciling") == ("True", "CollectingAgain")
    assert message_of(made, "Reconciling").startswith("1 of 3 hospitals sent an update. Job ")
    assert attention_of(made) == {A: "Altered"}


def test_the_update_of_the_other_hospital_is_combined_with_the_good_ones() -> None:
    seen = noted(sent(C, 500), now=at(501), job={"failures": 2})
    made = plan(seen)
    assert combined_tasks(made) == [B, C]
    [job] = of_type(made, Aggregate)
    assert (job.number, job.failures) == (2, 2)
    assert "This is try 2. Job" in message_of(made, "Reconciling")


def test_the_time_for_the_next_aggregation_counts_from_the_next_closing() -> None:
    """Otherwise it ends at the round's deadline, although it begins there."""
    made = plan(noted(accepted(C), now=at(500)))
    assert reached(made.status.timeline, "Collected") is None
    again = plan(replace(noted(sent(C, 3590)), now=at(3600)))
    assert reached(again.status.timeline, "Collected") is not None


def test_the_grace_counts_only_updates_that_can_be_combined() -> None:
    others = (sent(C, 500), accepted(D))
    assert of_type(plan(noted(*others, now=at(559))), Aggregate) == []
    assert combined_tasks(plan(noted(*others, now=at(560)))) == [B, C]


def test_a_round_that_nobody_can_fill_any_more_fails_at_once() -> None:
    made = plan(closed(sent(A), sent(B), failed(C, "Code", "ColumnMissing"), given=(sent(A), sent(B)), answer=SHORT))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert made.actions == ()


def test_a_round_whose_deadline_is_over_fails() -> None:
    late = accepted(C, timeline=(Stage("Started", to_microseconds(at(3000))),))
    seen = closed(sent(A), sent(B), late, given=(sent(A), sent(B)), answer=SHORT, now=at(3600))
    assert condition_of(plan(seen), "Failed") == ("True", "QuorumNotMet")
    assert condition_of(plan(replace(seen, now=at(3599))), "Reconciling") == ("True", "CollectingAgain")


def test_an_update_that_arrived_during_the_aggregation_saves_a_round_whose_deadline_is_over() -> None:
    seen = closed(sent(A), sent(B), sent(C), given=(sent(A), sent(B)), answer=SHORT, now=at(3600))
    made = plan(seen)
    assert cancels(made) == {A: "Altered"}
    left = replace(seen, tasks=(cancelled(sent(A), "Altered"), sent(B), sent(C)))
    assert combined_tasks(plan(left)) == [B, C]


def test_a_round_without_any_usable_update_collects_on_too() -> None:
    both = tuple(LeftOut(participant=name, reason="Altered") for name in (A, B))
    for reason in ("NothingToAggregate", "TooFewForStrategy"):
        answer = AggregationFailure(reason=reason, left_out=both)
        seen = closed(sent(A), sent(B), accepted(C), accepted(D), given=(sent(A), sent(B)), answer=answer)
        assert cancels(plan(seen)) == {A: "Altered", B: "Altered"}


def test_updates_that_differ_from_each_other_are_no_shortage() -> None:
    answer = AggregationFailure(reason="SchemasDiffer")
    seen = closed(sent(A), sent(B), accepted(C), given=(sent(A), sent(B)), answer=answer)
    assert condition_of(plan(seen), "Failed") == ("True", "SchemasDiffer")


@pytest.mark.parametrize("named", [(A,), ()], ids=["with names", "without room for names"])
def test_a_hospital_that_withholds_its_numbers_is_waited_beside_and_not_named(named: tuple[str, ...]) -> None:
    answer = replace(combined(B), withheld=1, uncounted=named)
    tasks = (sent(A), sent(B), accepted(C))
    seen = closed(*tasks, given=tasks[:2], answer=answer, spec=EVALUATE, now=at(500), **BASE)
    waits = plan(seen)
    assert (waits.actions, attention_of(waits)) == ((), {})
    assert condition_of(waits, "Reconciling") == ("True", "CollectingAgain")
    assert "1 hospital withholds its numbers" in message_of(waits, "Reconciling")
    arrived = replace(seen, tasks=(sent(A), sent(B), sent(C, 500)))
    assert combined_tasks(plan(arrived)) == [A, B, C]
    lost = replace(seen, tasks=(sent(A), sent(B), failed(C, "Code", "ColumnMissing")))
    assert condition_of(plan(lost), "Failed") == ("True", "QuorumNotMet")


def test_a_hospital_that_writes_its_update_again_and_again_makes_no_further_aggregation() -> None:
    again = replace(sent(B).status, update=Update(manifest='{"again": 1}', samples=10))
    seen = noted(accepted(C), now=at(500))
    rewritten = replace(seen, tasks=(cancelled(sent(A), "Altered"), replace(sent(B), status=again), accepted(C)))
    assert of_type(plan(rewritten), Aggregate) == []


def test_the_grace_does_not_count_hospitals_that_withhold_their_numbers() -> None:
    answer = replace(combined(B), withheld=1, uncounted=(A,))
    tasks = (sent(A, 50), sent(B, 100))
    seen = closed(*tasks, sent(C, 500), accepted(D), given=tasks, answer=answer, spec=EVALUATE, now=at(559), **BASE)
    assert of_type(plan(seen), Aggregate) == []
    assert combined_tasks(plan(replace(seen, now=at(560)))) == [A, B, C]


def test_nothing_is_aggregated_twice_without_a_new_update() -> None:
    """Whatever a Job answers."""
    tasks = (sent(A), sent(B))
    answer = AggregationFailure(reason="TooFewForStrategy")
    waits = plan(closed(*tasks, accepted(C), given=tasks, answer=answer, now=at(500)))
    assert of_type(waits, Aggregate) == []
    assert condition_of(waits, "Reconciling") == ("True", "CollectingAgain")
    lost = plan(closed(*tasks, failed(C, "Code", "ColumnMissing"), given=tasks, answer=answer, now=at(500)))
    assert condition_of(lost, "Failed") == ("True", "TooFewForStrategy")


def test_an_initial_update_of_another_length_begins_no_grace() -> None:
    """With it, the round would close without enough updates, and fail."""
    other = sent(D, 200, upload=Upload(bytes=9999))
    given = (sent(A), sent(B), sent(C))
    tasks = (cancelled(sent(A), "Altered"), *given[1:], other, accepted(E))
    spec = {"quorum": {"min": 3, "graceSeconds": 60}}
    seen = closed(*tasks, given=given, answer=combined(B, C, left_out=BAD), spec=spec, now=at(500))
    waits = plan(seen)
    assert of_type(waits, Aggregate) == []
    assert condition_of(waits, "Reconciling") == ("True", "CollectingAgain")


def test_an_update_that_is_too_large_beside_the_others_is_combined_again_with_further_ones() -> None:
    """The middle of two norms is the smaller one. So an honest hospital beside a hostile one can be too large."""
    tasks = (sent(A), sent(B))
    answer = combined(A, left_out=(LeftOut(participant=B, reason="UpdateTooLarge"),))
    seen = closed(*tasks, accepted(C), given=tasks, answer=answer, now=at(500))
    waits = plan(seen)
    assert waits.actions == ()
    assert condition_of(waits, "Reconciling") == ("True", "CollectingAgain")
    assert "Left out: site-b (UpdateTooLarge)." in message_of(waits, "Reconciling")
    assert combined_tasks(plan(replace(seen, tasks=(*tasks, sent(C, 500))))) == [A, B, C]


def test_hospitals_that_take_turns_to_send_make_no_further_aggregation() -> None:
    """Two that withhold their numbers can withdraw what their RoundTasks say, one after the other."""
    answer = replace(combined(A), withheld=1, uncounted=(C,))
    job = {"earlier": frozenset({"site-b/1"})}
    tasks = (sent(A), sent(B), accepted(C), accepted(D))
    seen = closed(*tasks, given=(sent(A), sent(C)), answer=answer, job=job, spec=EVALUATE, now=at(500), **BASE)
    assert of_type(plan(seen), Aggregate) == []
    assert combined_tasks(plan(replace(seen, tasks=(*tasks[:3], sent(D, 400))))) == [A, B, D]


def test_an_aggregation_knows_what_those_before_it_were_given() -> None:
    made = plan(noted(sent(C, 500), now=at(501), job={"earlier": frozenset({"site-x/1"})}))
    [job] = of_type(made, Aggregate)
    assert job.earlier == {"site-a/1", "site-x/1"}


def test_a_hospital_that_was_called_back_is_asked_again_before_the_grace_counts() -> None:
    seen = collecting(sent(A), sent(B), cancelled(accepted(C), "Suspended"))
    resumed = condition("Suspended", False, "Resumed", 500)
    status = replace(seen.round.status, conditions=(resumed,))
    seen = replace(seen, round=replace(seen.round, status=status), now=at(500))
    assert [(each.participant, each.attempt) for each in of_type(plan(seen), Dispatch)] == [(C, 2)]
    assert of_type(plan(replace(seen, now=at(559))), Aggregate) == []
    assert combined_tasks(plan(replace(seen, now=at(560)))) == [A, B]


def test_a_hospital_that_was_not_asked_again_is_told() -> None:
    tasks = (sent(A), sent(B), cancelled(accepted(C), "Suspended"))
    made = plan(closed(*tasks, given=tasks[:2], answer=combined(A, B)))
    assert (attention_of(made), counts(made).failed) == ({C: "NotSentInTime"}, 1)


@pytest.mark.parametrize("over", [True, False], ids=["dead", "running"])
def test_a_suspended_round_makes_no_further_aggregation(over: bool) -> None:
    tasks = (sent(A), sent(B), accepted(C))
    job = {"over": over, "disrupted": over, "ended": at(165) if over else None}
    seen = closed(*tasks, given=tasks[:2], answer=None, job=job, spec={"suspend": True}, now=at(300))
    made = plan(seen)
    assert cancels(made) == {C: "Suspended"}
    assert of_type(made, Aggregate) == []
    assert condition_of(made, "Suspended") == ("True", "Suspended")
    assert message_of(made, "Suspended").startswith("The round pauses, because its spec.suspend is true.")
    assert condition_of(made, "Reconciling")[0] == "False"


def test_a_suspended_round_keeps_the_result_of_a_job_that_ran_already() -> None:
    tasks = (sent(A), sent(B), cancelled(accepted(C), "Suspended"))
    made = plan(closed(*tasks, given=tasks[:2], answer=combined(A, B), spec={"suspend": True}))
    assert condition_of(made, "Complete") == ("True", "Complete")


def test_a_suspended_round_collects_on_after_its_suspension() -> None:
    tasks = (sent(A), sent(B), cancelled(accepted(C), "Suspended"))
    seen = closed(*tasks, given=tasks[:2], answer=SHORT, spec={"suspend": True})
    pauses = plan(seen)
    assert (pauses.actions, condition_of(pauses, "Suspended")) == ((), ("True", "Suspended"))
    resumed = replace(seen, round=replace(seen.round, spec=replace(seen.round.spec, suspend=False)))
    assert cancels(plan(resumed)) == {A: "Altered"}


def test_a_hospital_whose_update_is_in_the_result_is_never_told_that_it_is_not() -> None:
    """It has withdrawn what its RoundTask said, has sent another attempt, or says now that it has failed."""
    for latest in (accepted(A), sent(A, 165, attempt=2), failed(A, "Site", "DataUnreadable"), refused(A, "Denied")):
        tasks = (latest, sent(B), sent(C))
        made = plan(closed(*tasks, given=(sent(A), sent(B), sent(C)), answer=combined(*NAMES)))
        assert (attention_of(made), counts(made).failed, counts(made).aggregated) == ({}, 0, 3)


def test_a_job_whose_key_is_deleted_is_followed_by_another_one() -> None:
    tasks = (sent(A), sent(B), sent(C))
    lost = {"given": None, "plan_lost": True, "ended": at(160)}
    waits = plan(closed(*tasks, given=tasks, answer=combined(*NAMES), job=lost, now=at(164)))
    assert condition_of(waits, "Reconciling") == ("True", "AggregatingAgain")
    assert message_of(waits, "Reconciling").startswith("Somebody has deleted Secret aggregate-")
    made = plan(closed(*tasks, given=tasks, answer=combined(*NAMES), job=lost, now=at(165)))
    [again] = of_type(made, Aggregate)
    assert (again.number, again.failures) == (2, 0)


@pytest.mark.parametrize("over", [True, False])
def test_a_job_whose_plan_is_deleted_is_not_waited_for_whatever_it_answers(over: bool) -> None:
    """Its pod cannot begin without the plan. With a failure, nobody knows what the Job was given."""
    tasks = (sent(A), sent(B), accepted(C))
    both = tuple(LeftOut(participant=name, reason="Altered") for name in (A, B))
    answer = AggregationFailure(reason="NothingToAggregate", left_out=both) if over else None
    lost = {"given": None, "plan_lost": True, "over": over, "ended": at(160) if over else None}
    made = plan(closed(*tasks, given=tasks[:2], answer=answer, job=lost, now=at(170)))
    [again] = of_type(made, Aggregate)
    assert (again.number, again.failures) == (2, 0)


def test_a_round_that_collects_on_does_not_mind_that_the_plan_before_is_gone() -> None:
    seen = noted(accepted(C), now=at(500))
    collects = plan(seen)
    lost = Aggregation(number=1, over=True, answer=SHORT, plan_lost=True)
    gone = replace(seen, round=replace(seen.round, status=collects.status), aggregation=lost)
    waits = plan(gone)
    assert (waits.actions, condition_of(waits, "Reconciling")[0]) == ((), "True")
    arrived = replace(gone, tasks=(*seen.tasks[:2], sent(C, 500)))
    assert [each.number for each in of_type(plan(arrived), Aggregate)] == [2]


def test_first_weights_beyond_scratch_wait_for_hospitals_that_may_be_the_majority() -> None:
    large = [sent(each, upload=Upload(bytes=(8 << 30) - number)) for number, each in enumerate((A, B))]
    tasks = (*large, sent(C), accepted(D), accepted(E))
    spec = {"quorum": {"min": 3, "graceSeconds": 60}, "aggregation": {"strategy": "Median"}}
    seen = replace(
        closed(*tasks, given=(), answer=None, spec=spec, now=at(500), scratch_limit=4 << 30), aggregation=None
    )
    assert condition_of(plan(seen), "Reconciling") == ("True", "Collecting")
    made = plan(replace(seen, tasks=(*large, sent(C), sent(D, 500), sent(E, 500))))
    assert (combined_tasks(made), attention_of(made)) == ([C, D, E], dict.fromkeys((A, B), "UpdateLengthDiffers"))


def test_a_round_that_fails_after_all_names_all_who_are_missing() -> None:
    left = cancelled(sent(A), "Altered")
    made = plan(closed(left, sent(B), failed(C, "Code", "ColumnMissing"), given=(sent(A), sent(B)), answer=SHORT))
    assert "Left out: site-a (Altered). Missing: site-c (ColumnMissing)." in message_of(made, "Failed")


def test_a_try_whose_updates_nobody_noted_decides_as_before() -> None:
    """A hub operator of the version before has made it."""
    seen = closed(sent(A), sent(B), accepted(C), given=(), answer=SHORT, job={"given": None})
    assert condition_of(plan(seen), "Failed") == ("True", "QuorumNotMet")


def test_an_aggregation_that_began_early_can_be_short_too() -> None:
    early = EarlyList(pages=2, closed="sha256:" + "c" * 64)
    answer = replace(SHORT, closed="sha256:" + "c" * 64)
    seen = closed(sent(A), sent(B), accepted(C), given=(sent(A), sent(B)), answer=answer, number=0, early=early)
    assert cancels(plan(seen)) == {A: "Altered"}
    arrived = replace(seen, tasks=(cancelled(sent(A), "Altered"), sent(B), sent(C, 500)), now=at(500))
    made = plan(arrived)
    assert combined_tasks(made) == [B, C]
    assert [each.number for each in of_type(made, Aggregate)] == [1]


def test_hospitals_go_on_while_the_others_are_combined_and_get_their_grants() -> None:
    working = accepted(C, upload=Upload(bytes=1000))
    tasks = (sent(A), sent(B), working)
    for answer, job in ((None, {}), (AggregationFailure("Unknown"), {"ended": at(169)})):
        made = plan(closed(*tasks, given=tasks[:2], answer=answer, job=job))
        assert [type(each) for each in made.actions] == [Grant]
    made = plan(collecting(*tasks, now=at(160)))
    assert [type(each) for each in made.actions] == [Aggregate, Grant]


def test_hospitals_do_not_go_on_after_the_deadline() -> None:
    working = accepted(C, timeline=(Stage("Started", to_microseconds(at(3000))),))
    tasks = (sent(A), sent(B), working)
    made = plan(closed(*tasks, given=tasks[:2], answer=None, now=at(3599)))
    assert (cancels(made), made.requeue_after) == ({}, 1)
    assert cancels(plan(closed(*tasks, given=tasks[:2], answer=None, now=at(3600)))) == {C: "NotSentInTime"}


def test_hospitals_that_were_not_needed_are_told_once_the_result_is_kept() -> None:
    tasks = (sent(A), sent(B), accepted(C), sent(D, 165))
    seen = closed(*tasks, given=tasks[:2], answer=combined(A, B))
    made = plan(seen)
    [store] = of_type(made, StoreModel)
    assert store.model.left_out == (LeftOut(participant=D, reason="NotSentInTime"),)
    assert attention_of(made) == {C: "NotSentInTime", D: "NotSentInTime"}
    assert (counts(made).sent, counts(made).failed, counts(made).aggregated) == (3, 1, 2)
    assert cancels(then(seen, made)) == {C: "NotSentInTime"}


def test_an_update_that_came_too_late_is_not_counted_where_the_answer_has_no_room_for_names() -> None:
    tasks = (sent(A), sent(B), sent(C, 165))
    seen = closed(*tasks, given=tasks[:2], answer=combined())
    [store] = of_type(plan(seen), StoreModel)
    assert store.model.aggregated == (A, B)


def test_an_initial_update_of_another_length_is_no_late_one() -> None:
    """It was left out at closing. The open task of another hospital does not change that."""
    other = sent(C, upload=Upload(bytes=9999))
    tasks = (sent(A), sent(B), other, accepted(D))
    made = plan(closed(*tasks, given=tasks[:2], answer=combined(A, B)))
    assert attention_of(made) == {C: "UpdateLengthDiffers", D: "NotSentInTime"}


def test_a_deleted_job_is_made_again_under_another_number_after_a_pause() -> None:
    tasks = (sent(A), sent(B), sent(C))
    gone: dict[str, Any] = {"over": True, "disrupted": True, "made": at(160), "failures": 1}
    waits = plan(closed(*tasks, given=tasks, answer=None, job=gone, now=at(164)))
    assert (waits.actions, waits.requeue_after) == ((), 1)
    assert condition_of(waits, "Reconciling") == ("True", "AggregatingAgain")
    assert message_of(waits, "Reconciling").startswith(f"Job {names.aggregation_name(UID, 1)} is not there any more: ")
    assert message_of(waits, "Reconciling").endswith("The API server's audit log shows who deleted the Job.")
    assert "kubectl" not in message_of(waits, "Reconciling")
    made = plan(closed(*tasks, given=tasks, answer=None, job=gone, now=at(165)))
    [again] = of_type(made, Aggregate)
    assert (again.number, again.failures) == (2, 1)


def test_a_round_that_collects_on_does_not_mind_that_the_job_before_is_gone() -> None:
    """Kubernetes deletes a Job a day after its end, and a round may take longer."""
    seen = noted(accepted(C), now=at(500))
    collects = plan(seen)
    gone = replace(
        seen,
        round=replace(seen.round, status=collects.status),
        aggregation=Aggregation(number=1, over=True, disrupted=True, made=at(160)),
    )
    waits = plan(gone)
    assert of_type(waits, Aggregate) == []
    assert condition_of(waits, "Reconciling") == ("True", "Collecting")
    arrived = replace(gone, tasks=(cancelled(sent(A), "Altered"), sent(B), sent(C, 500)))
    assert [each.number for each in of_type(plan(arrived), Aggregate)] == [2]


def test_a_hospital_that_has_not_answered_yet_may_fill_the_quorum() -> None:
    seen = closed(sent(A), sent(B), task(C), given=(sent(A), sent(B)), answer=SHORT)
    assert cancels(plan(seen)) == {A: "Altered"}


def test_a_suspended_round_that_collects_on_has_no_deadline() -> None:
    called_back = cancelled(accepted(C), "Suspended")
    made = plan(noted(called_back, now=at(90000), spec={"suspend": True}))
    assert made.actions == ()
    assert condition_of(made, "Failed")[0] == "False"
    assert message_of(made, "Suspended").startswith("The round pauses")


def test_a_suspension_calls_back_hospitals_that_go_on_while_others_are_combined() -> None:
    tasks = (sent(A), sent(B), accepted(C))
    made = plan(closed(*tasks, given=tasks[:2], answer=None, spec={"suspend": True}))
    assert (cancels(made), of_type(made, Grant)) == ({C: "Suspended"}, [])


def test_a_round_that_too_few_others_may_fill_fails_at_once() -> None:
    both = tuple(LeftOut(participant=name, reason="Altered") for name in (A, B))
    answer = AggregationFailure(reason="NothingToAggregate", left_out=both)
    made = plan(closed(sent(A), sent(B), accepted(C), given=(sent(A), sent(B)), answer=answer))
    assert condition_of(made, "Failed") == ("True", "NothingToAggregate")


def test_a_hospital_that_was_not_asked_yet_may_fill_the_quorum() -> None:
    seen = closed(sent(A), sent(B), given=(sent(A), sent(B)), answer=SHORT, roster=NAMES)
    assert cancels(plan(seen)) == {A: "Altered"}


def test_late_updates_of_another_length_do_not_change_what_was_combined() -> None:
    """Most initial updates have another length by now, and the answer had no room for names."""
    late = [sent(name, 165, upload=Upload(bytes=9999)) for name in (C, D, "site-e")]
    tasks = (sent(A), sent(B), *late)
    everyone = (*NAMES, D, "site-e")
    known: dict[str, Any] = {"participants": {name: participant(name) for name in everyone}}
    seen = closed(*tasks, given=tasks[:2], answer=combined(), spec={"participants": {"names": list(everyone)}}, **known)
    [store] = of_type(plan(seen), StoreModel)
    assert store.model.aggregated == (A, B)


def test_the_next_aggregation_has_all_its_time_also_if_no_update_was_left_out() -> None:
    """Nothing has to be noted at a RoundTask, and so the round does not collect in between."""
    answer = replace(combined(B), withheld=1, uncounted=(A,))
    tasks = (sent(A), sent(B), sent(C, 165))
    made = plan(closed(*tasks, given=tasks[:2], answer=answer, spec=EVALUATE, now=at(3700), **BASE))
    [job] = of_type(made, Aggregate)
    assert job.until == at(3700 + 3600)
    assert reached(made.status.timeline, "Collected") == at(3700)


def test_a_deleted_job_makes_no_round_aggregate_the_same_updates_again() -> None:
    """The deleted Job had them, and its round collects on."""
    tasks = (sent(A), sent(B), accepted(C))
    gone: dict[str, Any] = {"over": True, "disrupted": True, "made": at(160)}
    seen = closed(*tasks, given=tasks[:2], answer=None, job=gone, spec=EVALUATE, now=at(500), **BASE)
    status = replace(seen.round.status, timeline=seen.round.status.timeline[:-1])
    seen = replace(seen, round=replace(seen.round, status=status))
    assert of_type(plan(seen), Aggregate) == []
    assert combined_tasks(plan(replace(seen, tasks=(*tasks[:2], sent(C, 500))))) == [A, B, C]


def test_an_early_aggregation_whose_last_page_nobody_noted_does_not_hold_the_round() -> None:
    both = tuple(LeftOut(participant=name, reason="Altered") for name in (A, B))
    tasks = (sent(A), sent(B), sent(C, 200), sent(D, 210), accepted(E))
    early: dict[str, Any] = {"number": 0, "early": EarlyList(pages=2), "job": {"given": None}}
    answer = AggregationFailure(reason="NothingToAggregate", left_out=both)
    seen = closed(*tasks, given=(), answer=answer, now=at(269), **early)
    assert of_type(plan(seen), Aggregate) == []
    [job] = of_type(plan(replace(seen, now=at(270))), Aggregate)
    assert job.number == 1


def test_no_hospital_of_an_aggregation_without_usable_updates_counts_as_one_that_may_fill_the_quorum() -> None:
    """The answer had no room for their names."""
    tasks = (sent(A), sent(B), sent(C, 170))
    answer = AggregationFailure(reason="NothingToAggregate")
    waits = plan(closed(*tasks, accepted(D), given=tasks[:2], answer=answer, now=at(500)))
    assert of_type(waits, Aggregate) == []
    lost = failed(D, "Code", "ColumnMissing")
    ends = plan(closed(*tasks, lost, given=tasks[:2], answer=answer, now=at(500)))
    assert condition_of(ends, "Failed") == ("True", "NothingToAggregate")
