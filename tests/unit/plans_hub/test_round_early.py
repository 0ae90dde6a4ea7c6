"""An aggregation that begins while its round collects: when it begins, what it gets, and when another one combines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    NOW,
    STORED,
    accepted,
    at,
    collecting,
    combined,
    condition,
    federated_round,
    meaning,
    over,
    participant,
    refused,
    sent,
    task,
)
from tests.unit.plans_hub.reading import condition_of, of_type
from wardround.api import conditions
from wardround.api.roundtask import RoundTask
from wardround.api.task import Update
from wardround.documents import aggregations
from wardround.plans.round.confirmation import confirmation
from wardround.plans.round.counted import counted_digest
from wardround.plans.round.early import NOTHING, mark, note, noted
from wardround.plans.round.plan import plan
from wardround.plans.round.status import begins_later
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Collects,
    EarlyList,
    EarlyRefusal,
    ListUpdates,
    Observation,
    StopEarly,
    StoreModel,
)
from wardround.plans.round.upload import largest_upload
from wardround.sealing.body import SEALED_SEGMENT
from wardround.wire.aggregation import AggregationFailure, AggregationResult

BASE = replace(STORED, result=replace(STORED.result, bytes=5000))
FROM_BASE: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}}
WAITING = Aggregation(number=0)
A, B, C = NAMES


def early(*tasks: RoundTask, **changes: Any) -> Observation:
    """A round with a base whose hub begins aggregations early."""
    spec = {**FROM_BASE, **changes.pop("spec", {})}
    base = over(federated_round("train-0", uid="uid-0"), "Complete")
    known = {"early_seconds": 600, "base": base, "base_uid": "uid-0", "base_model": BASE}
    return collecting(*tasks, spec=spec, **{**known, **changes})


def listing(seen: Observation, tasks: Sequence[RoundTask], **changes: Any) -> EarlyList:
    return EarlyList(**{"pages": 1, "listed": frozenset(mark(seen, each) for each in tasks), **changes})


def names_in(tasks: Sequence[RoundTask] | None) -> list[str]:
    return [task.metadata.namespace for task in tasks or ()]


def test_an_aggregation_begins_with_the_first_update_and_gets_it() -> None:
    seen = early(sent(A), accepted(B), accepted(C))
    [begun] = of_type(plan(seen), Aggregate)
    assert of_type(plan(seen), ListUpdates) == []  # the API server may refuse the Job
    assert (begun.number, begun.tasks) == (0, ())
    assert begun.collects == Collects(most=3, largest=largest_upload(seen.round, BASE), seconds=600)
    assert not begun.scratch.reads_twice
    assert condition_of(plan(seen), "Reconciling")[1] == "Collecting"
    begun_round = replace(seen, aggregation=WAITING, early=NOTHING)
    [listed] = of_type(plan(begun_round), ListUpdates)
    assert (names_in(listed.tasks), listed.counted, listed.after.closed) == ([A], None, "")
    assert A in confirmation(seen, plan(begun_round)).names


def test_an_early_job_that_the_api_server_refuses_is_made_at_closing_and_the_round_says_why() -> None:
    seen = early(sent(A), accepted(B), accepted(C))
    status = begins_later(seen, plan(seen).status, (EarlyRefusal(cause="Forbidden"),))
    reconciling = conditions.find(status.conditions, "Reconciling")
    assert reconciling is not None
    assert (reconciling.status, reconciling.reason) == ("True", "Collecting")
    assert "1 of 3 hospitals sent an update." in reconciling.message
    assert (
        "The aggregation has not begun early, because the hub's API server refused it or did not answer (Forbidden)"
        in reconciling.message
    )
    again = replace(seen, round=replace(seen.round, status=status))
    assert [each.number for each in of_type(plan(again), Aggregate)] == [0]
    made = plan(replace(again, tasks=tuple(map(sent, NAMES))))
    assert [each.number for each in of_type(made, Aggregate)] == [1]


def test_nothing_begins_before_an_update_is_there() -> None:
    assert of_type(plan(early(accepted(A), accepted(B))), Aggregate) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"early_seconds": 0},
        {"scratch_limit": 1},
        {"spec": {"aggregation": {"strategy": "Median"}, "quorum": {"min": 3}}},
        {"spec": {"initial": {}, "base": None}, "base": None, "base_model": None, "base_uid": ""},
    ],
)
def test_some_rounds_have_no_aggregation_that_begins_early(changes: dict[str, Any]) -> None:
    """The chart says so, or scratch has no room, or the strategy reads all updates at once, or no size is known."""
    seen = early(sent(A), accepted(B), accepted(C), **changes)
    assert of_type(plan(seen), Aggregate) == of_type(plan(seen), ListUpdates) == []
    assert condition_of(plan(seen), "Reconciling")[1] == "Collecting"


def test_a_delivery_begins_no_aggregation() -> None:
    delivery = {"modelName": "breast", "modelUID": "uid", "version": 3, "versions": 5}
    spec = {"task": "Deliver", "image": None, "quorum": {"min": 1}, "delivery": delivery}
    delivered = task(A, condition("Accepted", True, "Accepted"), condition("Complete", True, "Delivered", 100))
    seen = early(delivered, accepted(B), accepted(C), spec=spec, base_card=True)
    assert condition_of(plan(seen), "Reconciling")[1] == "Collecting"
    assert of_type(plan(seen), Aggregate) == of_type(plan(seen), ListUpdates) == []


def test_sums_are_read_early_too() -> None:
    spec = {"task": "Statistics", "initial": None, "image": None, "base": None}
    seen = early(sent(A), accepted(B), accepted(C), spec=spec, base=None, base_model=None, base_uid="")
    [begun] = of_type(plan(seen), Aggregate)
    assert begun.collects == Collects(most=3, largest=SEALED_SEGMENT, seconds=600)


def test_each_new_update_is_listed_once() -> None:
    tasks = sent(A), sent(B), accepted(C)
    seen = early(*tasks, aggregation=WAITING)
    made = plan(replace(seen, early=listing(seen, tasks[:1])))
    [listed] = of_type(made, ListUpdates)
    assert names_in(listed.tasks) == [B]
    assert listed.after.listed == {mark(seen, task) for task in tasks[:2]}
    assert of_type(made, Aggregate) == []
    assert of_type(plan(replace(seen, early=listing(seen, tasks[:2]))), ListUpdates) == []


def test_an_update_with_another_manifest_is_listed_again() -> None:
    first, second = sent(A), sent(A, update=Update(manifest="{ }", samples=10))
    seen = early(second, accepted(B), accepted(C), aggregation=WAITING)
    [listed] = of_type(plan(replace(seen, early=listing(seen, [first]))), ListUpdates)
    assert names_in(listed.tasks) == [A]


def test_a_hub_operator_that_stopped_before_the_job_makes_the_job() -> None:
    """The Secret is there, the Job is not."""
    made = plan(early(sent(A), accepted(B), accepted(C), early=NOTHING))
    assert [each.number for each in of_type(made, Aggregate)] == [0]


@pytest.mark.parametrize(
    "answer", [None, AggregationFailure("StillCollecting"), AggregationFailure("AggregatorFailed")]
)
def test_a_job_that_ends_before_closing_is_not_made_again_until_then(answer: AggregationFailure | None) -> None:
    tasks = sent(A), sent(B), accepted(C)
    ended = Aggregation(number=0, over=True, answer=answer)
    seen = early(*tasks, aggregation=ended)
    seen = replace(seen, early=listing(seen, tasks[:1]))
    assert of_type(plan(seen), Aggregate) == of_type(plan(seen), ListUpdates) == []
    assert condition_of(plan(seen), "Reconciling")[1] == "Collecting"
    [begun] = of_type(plan(replace(seen, tasks=tuple(map(sent, NAMES)))), Aggregate)
    assert (begun.number, begun.collects, names_in(begun.tasks)) == (1, None, list(NAMES))


def test_a_job_that_the_cluster_has_deleted_is_not_made_again_before_closing() -> None:
    tasks = sent(A), accepted(B), accepted(C)
    seen = early(*tasks)
    assert of_type(plan(replace(seen, early=listing(seen, tasks[:1]))), Aggregate) == []


@pytest.mark.parametrize("seconds", [60, 86400])
def test_a_job_that_begins_early_has_an_hour_after_the_latest_closing(seconds: int) -> None:
    """Without this, Kubernetes ends the Job in the middle of its work, and the time of the next Job is too short."""
    seen = early(sent(A), accepted(B), accepted(C), spec={"deadlines": {"totalSeconds": seconds}}, now=at(10))
    [begun] = of_type(plan(seen), Aggregate)
    job = aggregations.job(seen.round, begun, namespace="hub", image="image", now=seen.now)
    assert job.active_seconds == 3600 + 600


def test_a_job_without_an_hour_left_is_replaced_at_closing() -> None:
    """Its pod has waited for a node so long that Kubernetes would end the Job before it has combined the updates."""
    tasks = tuple(map(sent, NAMES))
    seen = early(*tasks, aggregation=replace(WAITING, until=at(110 + 3599)), now=at(110))
    seen = replace(seen, early=listing(seen, tasks[:1]))
    made = plan(seen)
    assert of_type(made, ListUpdates) == []
    assert [(each.number, names_in(each.tasks)) for each in of_type(made, Aggregate)] == [(1, list(NAMES))]
    assert len(of_type(made, StopEarly)) == 1
    in_time = plan(replace(seen, aggregation=replace(WAITING, until=at(110 + 3600))))
    assert (len(of_type(in_time, ListUpdates)), of_type(in_time, Aggregate), of_type(in_time, StopEarly)) == (1, [], [])


def test_closing_tells_the_waiting_job_what_counts() -> None:
    tasks = sent(A), refused(B, "ImageNotAllowed"), sent(C)
    seen = early(*tasks, aggregation=WAITING)
    made = plan(replace(seen, early=listing(seen, tasks[:1])))
    [listed] = of_type(made, ListUpdates)
    assert (names_in(listed.tasks), names_in(listed.counted)) == ([C], [A, C])
    assert listed.after.closed == counted_digest(seen, [tasks[0], tasks[2]])
    assert of_type(made, Aggregate) == []
    assert condition_of(made, "Reconciling")[1] == "Aggregating"
    assert [each.stage for each in made.status.timeline][-1] == "Collected"
    assert {A, C} <= confirmation(seen, made).names


def test_closing_does_not_count_a_listed_hospital_that_is_out_meanwhile() -> None:
    tasks = tuple(map(sent, NAMES))
    participants = {name: participant(name, suspend=name == B) for name in NAMES}
    seen = early(*tasks, aggregation=WAITING, participants=participants)
    [listed] = of_type(plan(replace(seen, early=listing(seen, tasks))), ListUpdates)
    assert (names_in(listed.tasks), names_in(listed.counted)) == ([], [A, C])


def test_closing_below_the_quorum_fails_the_round_and_then_stops_the_job() -> None:
    tasks = sent(A), refused(B, "ImageNotAllowed"), refused(C, "ImageNotAllowed")
    seen = early(*tasks, aggregation=WAITING, now=at(20))
    made = plan(replace(seen, early=listing(seen, tasks[:1])))
    assert condition_of(made, "Failed")[1] == "QuorumNotMet"
    assert of_type(made, ListUpdates) == of_type(made, Aggregate) == []
    ended = replace(seen, round=over(seen.round, "Failed"))
    assert len(of_type(plan(ended), StopEarly)) == 1
    assert of_type(plan(replace(ended, aggregation=Aggregation(number=0, over=True))), StopEarly) == []
    assert of_type(plan(replace(ended, aggregation=Aggregation(number=1))), StopEarly) == []


def closed(answer: Any = None, **changes: Any) -> Observation:
    tasks = tuple(map(sent, NAMES))
    seen = early(*tasks, aggregation=Aggregation(**{"number": 0, "over": True, "answer": answer, **changes}))
    return replace(seen, early=listing(seen, tasks, closed=counted_digest(seen, tasks)))


def over_all(*names: str) -> AggregationResult:
    """The answer of a Job whose last page counts the updates of these hospitals."""
    seen = early(*map(sent, names))
    return replace(combined(*names), closed=counted_digest(seen, seen.tasks))


@pytest.mark.parametrize("noted_last_page", [True, False])
@pytest.mark.parametrize("answer", [over_all(A, B), combined(*NAMES)], ids=["other updates", "of no list"])
def test_a_result_over_other_updates_than_the_round_closed_with_is_not_kept(
    answer: AggregationResult, noted_last_page: bool
) -> None:
    """The hub operator stopped after it had written a last page, and closed with other hospitals when it ran again."""
    seen = closed(answer)
    assert seen.early
    made = plan(seen if noted_last_page else replace(seen, early=replace(seen.early, closed="")))
    assert of_type(made, StoreModel) == []
    assert [(each.number, names_in(each.tasks)) for each in of_type(made, Aggregate)] == [(1, list(NAMES))]


def test_the_result_of_a_hospital_that_is_suspended_meanwhile_is_not_kept() -> None:
    seen = closed(over_all(*NAMES))
    assert seen.early
    participants = {name: participant(name, suspend=name == B) for name in NAMES}
    unnoted = replace(seen, early=replace(seen.early, closed=""), participants=participants)
    made = plan(unnoted)
    assert of_type(made, StoreModel) == []
    assert [(each.number, names_in(each.tasks)) for each in of_type(made, Aggregate)] == [(1, [A, C])]


def test_a_closed_list_is_not_written_again() -> None:
    made = plan(closed(over=False))
    assert (made.actions, condition_of(made, "Reconciling")[1]) == ((), "Aggregating")


def test_the_result_of_a_job_that_began_early_is_kept() -> None:
    [kept] = of_type(plan(closed(over_all(*NAMES))), StoreModel)
    assert (kept.number, kept.model.result.location) == (0, f"models/{closed().round.metadata.uid}/0")


def test_a_result_is_kept_although_the_hub_operator_stopped_before_it_noted_the_last_page() -> None:
    seen = closed(over_all(*NAMES))
    assert seen.early
    assert len(of_type(plan(replace(seen, early=replace(seen.early, closed=""))), StoreModel)) == 1


@pytest.mark.parametrize(
    "answer", [None, AggregationFailure("StillCollecting"), AggregationFailure("StoreInconsistent")]
)
def test_a_job_that_began_early_and_fails_takes_none_of_the_tries(answer: AggregationFailure | None) -> None:
    [begun] = of_type(plan(closed(answer)), Aggregate)
    assert (begun.number, names_in(begun.tasks)) == (1, list(NAMES))
    seen = closed(answer, number=2)
    assert [each.number for each in of_type(plan(seen), Aggregate)] == [3]


def test_a_job_whose_node_died_while_the_round_collected_combines_nothing() -> None:
    tasks = tuple(map(sent, NAMES))
    seen = early(*tasks, aggregation=Aggregation(number=0, gone_by=NOW), now=at(100))
    [begun] = of_type(plan(replace(seen, early=listing(seen, tasks))), Aggregate)
    assert begun.number == 1


def test_another_signing_key_makes_another_update() -> None:
    seen = early(sent(A))
    other = replace(seen, participants={A: meaning(B, "")})
    assert mark(seen, sent(A)) != mark(other, sent(A))


def test_a_list_that_the_hub_operator_has_given_up_gets_no_page_and_another_job_combines_at_closing() -> None:
    """Another version has made the plan, and this version cannot read it."""
    tasks = sent(A), sent(B), accepted(C)
    seen = early(*tasks, aggregation=WAITING)
    seen = replace(seen, early=listing(seen, tasks[:1], given_up=True))
    assert of_type(plan(seen), Aggregate) == of_type(plan(seen), ListUpdates) == []
    assert condition_of(plan(seen), "Reconciling")[1] == "Collecting"
    made = plan(replace(seen, tasks=tuple(map(sent, NAMES))))
    assert [each.number for each in of_type(made, Aggregate)] == [1]
    assert of_type(made, ListUpdates) == []


@pytest.mark.parametrize(
    "each",
    [
        NOTHING,
        EarlyList(pages=3, listed=frozenset({"ab", "cd"})),
        EarlyList(pages=3, listed=frozenset({"ab"}), closed="sha256:12"),
        EarlyList(pages=2, listed=frozenset({"ab"}), given_up=True),
    ],
)
def test_a_note_reads_back(each: EarlyList) -> None:
    assert noted(note(each)) == each


@pytest.mark.parametrize("text", ["", "x", "1", "-1 closed", "{}"])
def test_a_note_that_a_person_has_changed_says_nothing(text: str) -> None:
    assert noted(text) == NOTHING
