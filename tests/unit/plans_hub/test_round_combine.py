"""How a round combines updates, what its result tells, and when combining is given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    ASSIGNED,
    LOSS,
    NAMES,
    STORED,
    UID,
    accepted,
    aggregating,
    at,
    collecting,
    combined,
    failed,
    observation,
    participant,
    sent,
    stages,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type, then
from wardround.api import names
from wardround.api.federatedround import Base, HospitalResult, Initial, Release, Result, ResultMetric, RoundVerdict
from wardround.api.task import Metric
from wardround.api.timeline import Stage
from wardround.api.times import to_microseconds
from wardround.plans.round.plan import plan
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Cancel,
    CleanUp,
    Observation,
    Plan,
    StoreModel,
)
from wardround.wire.aggregation import AggregationFailure, CombinedVerdict, LeftOut
from wardround.wire.assignment import AssignedPushed

EVALUATE = {"task": "Evaluate", "initial": None, "base": {"roundName": "train-0"}}


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
        schema_digest=ASSIGNED.digest,
    )
    assert counts(made).aggregated == 3
    assert [each.stage for each in made.status.timeline][-2:] == ["Aggregated", "Complete"]


def test_only_metrics_that_the_round_declares_stand_in_its_result() -> None:
    """Each site signs what it likes as reported metrics, under names of its own choice."""
    reported = replace(combined(*NAMES), metrics=dict.fromkeys(("loss", "accuracy", "CallThisNumber"), LOSS))
    for declared in (["loss"], ["accuracy", "loss"]):
        assert metrics_of(plan(aggregating(spec={"metrics": declared}, answer=reported))) == declared


@pytest.mark.parametrize(("spec", "samples"), [(EVALUATE, 390), ({}, 393)], ids=["Evaluate", "Train"])
def test_the_number_of_samples_of_an_evaluation_is_rounded_like_its_other_numbers(spec: Any, samples: int) -> None:
    """With the exact number, shares over some hundred people would give the exact confusion table."""
    made = plan(aggregating(spec=spec, answer=replace(combined(*NAMES), samples=393)))
    assert made.status.result is not None
    assert made.status.result.samples == samples


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
    hidden_names = replace(combined(*NAMES), by_hospital={"site-b": {"loss": "0.25", "CallThisNumber": "1"}})
    result = plan(aggregating(answer=hidden_names)).status.result
    assert result is not None
    assert result.hospitals == (HospitalResult(name="site-b", metrics=(Metric(name="loss", value="0.25"),)),)
    assert not result.hospitals_omitted
    result = plan(aggregating(answer=replace(hidden_names, by_hospital=None))).status.result
    assert result is not None
    assert (result.hospitals, result.hospitals_omitted) == ((), True)


def test_a_result_says_how_many_hospitals_are_withheld() -> None:
    made = plan(aggregating(answer=replace(combined(*NAMES), withheld=1)))
    assert made.status.result is not None
    assert made.status.result.withheld == 1
    assert counts(made).aggregated == 3
    assert "1 hospital withholds its numbers" in message_of(made, "Complete")


@pytest.mark.parametrize("named", [("site-a", "site-b"), ()], ids=["with names", "without room for names"])
def test_a_withheld_evaluation_is_not_aggregated_and_nobody_has_failed(named: tuple[str, ...]) -> None:
    answer = replace(combined(*named), withheld=1, uncounted=("site-c",))
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Complete") == ("True", "Complete")
    numbers = counts(made)
    assert (numbers.sent, numbers.failed, numbers.aggregated) == (3, 0, 2)
    assert attention_of(made) == {}
    [store] = of_type(made, StoreModel)
    assert store.model.aggregated == ("site-a", "site-b")


@pytest.mark.parametrize("names", [NAMES[1:], ()], ids=["with names", "without room for names"])
def test_a_withheld_evaluation_does_not_count_for_the_quorum(names: tuple[str, ...]) -> None:
    answer = replace(combined("site-a"), withheld=2, uncounted=names)
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Failed") == ("True", "NumbersWithheld")
    assert of_type(made, StoreModel) == []
    assert attention_of(made) == {}
    message = message_of(made, "Failed")
    assert message.startswith("1 hospital could be counted, but quorum.min is 2. 2 hospitals withhold ")
    assert "These hospitals have not failed." in message


def test_a_required_hospital_that_is_withheld_is_missing() -> None:
    answer = replace(combined(*NAMES[:2]), withheld=1, uncounted=NAMES[2:])
    made = plan(aggregating(spec={**EVALUATE, "quorum": {"min": 1, "required": ["site-c"]}}, answer=answer))
    assert condition_of(made, "Failed") == ("True", "NumbersWithheld")
    assert message_of(made, "Failed").startswith(
        "site-c is missing, and quorum.required of the round names this hospital. 1 hospital withholds"
    )


def test_a_round_of_withheld_hospitals_alone_fails_by_the_quorum() -> None:
    answer = AggregationFailure("NothingToAggregate", "", (LeftOut("site-a", "Altered"),), withheld=2)
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Failed") == ("True", "NumbersWithheld")
    assert attention_of(made) == {"site-a": "Altered"}
    message = message_of(made, "Failed")
    assert message.startswith("0 hospitals could be counted, but quorum.min is 2. 2 hospitals withhold ")


@pytest.mark.parametrize("names", [NAMES[2:], ()], ids=["with names", "without room for names"])
def test_a_round_that_the_hospitals_that_do_not_withhold_could_complete_fails_by_the_quorum(
    names: tuple[str, ...],
) -> None:
    left_out = (LeftOut(participant="site-b", reason="Altered"),)
    answer = replace(combined("site-a", left_out=left_out), withheld=1, uncounted=names)
    made = plan(aggregating(spec=EVALUATE, answer=answer))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")


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
def test_a_failure_that_another_try_cannot_change_fails_the_round(reason: str) -> None:
    made = plan(aggregating(answer=AggregationFailure(reason=reason)))
    assert condition_of(made, "Failed") == ("True", reason)


def test_an_aggregation_that_died_is_tried_again_elsewhere_three_times() -> None:
    assert of_type(plan(aggregating()), Aggregate)[0].number == 2
    assert of_type(plan(aggregating(2, answer=AggregationFailure("StoreInconsistent"))), Aggregate)[0].number == 3
    assert of_type(plan(aggregating(2, failures=1)), Aggregate)[0].failures == 2
    assert condition_of(plan(aggregating(3, failures=2)), "Failed") == ("True", "AggregationFailed")


def test_an_aggregation_on_a_dead_node_is_tried_again_elsewhere() -> None:
    """Its pod is being deleted for ever, since no kubelet says that it is gone."""
    job = Aggregation(number=1, gone_by=at(100), disrupted=True)
    terminating = collecting(*map(sent, NAMES), aggregation=job, now=at(129))
    assert (plan(terminating).actions, plan(terminating).requeue_after) == ((), 1)
    assert of_type(plan(replace(terminating, now=at(135))), Aggregate)[0].number == 2


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
        f"The aggregation made no result in 1 try. The pod of Job {names.aggregation_name(UID, 1)} ended before it "
        "wrote an answer."
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


def test_tries_that_the_store_ended_are_none_of_the_three() -> None:
    away = AggregationFailure(reason="StoreUnreachable", message="the store failed")
    [again] = of_type(plan(aggregating(9, failures=1, answer=away)), Aggregate)
    assert (again.number, again.failures) == (10, 1)
    for answer in (None, AggregationFailure(reason="AggregatorFailed")):
        [again] = of_type(plan(aggregating(17, answer=answer)), Aggregate)
        assert (again.number, again.failures) == (18, 1)
        assert condition_of(plan(aggregating(19, failures=2, answer=answer)), "Failed") == ("True", "AggregationFailed")


def test_nothing_is_decided_while_the_aggregation_runs() -> None:
    running = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1), now=at(9999))
    assert (plan(running).actions, condition_of(plan(running), "Reconciling")[1]) == ((), "Aggregating")


def test_after_a_crash_a_stored_result_completes_the_round_whatever_else_is_there() -> None:
    seen = collecting(accepted("site-a"), model=STORED, now=at(9999))
    made = plan(seen)
    assert condition_of(made, "Complete")[0] == "True"
    assert made.actions == ()
    assert [type(each) for each in then(seen, made).actions] == [Cancel, CleanUp]


def test_a_result_has_the_verdict_of_the_gate_and_the_hub_keeps_who_trained_how_much() -> None:
    verdict = CombinedVerdict(outcome="Undecided", reason="TooFewSeen", reference="", unseen=("site-b",))
    made = plan(aggregating(answer=replace(combined(*NAMES), verdict=verdict, counted=(7, 0, 9))))
    assert made.status.result is not None
    assert made.status.result.verdict == RoundVerdict(
        outcome="Undecided", reason="TooFewSeen", unseen=("site-b",), too_few_people=("site-b",)
    )
    [store] = made.actions
    assert isinstance(store, StoreModel)
    assert store.model.result.verdict == made.status.result.verdict
    # The RoundTasks say 10. A hospital's account writes them, and nobody signs them.
    assert store.model.samples == {NAMES[0]: 7, NAMES[2]: 9}


def test_a_verdict_tells_hospitals_with_too_few_people_from_those_that_did_not_answer() -> None:
    """One withholds its sums, one has too few people after its sums were scaled down, one is left out by the
    aggregation, one has failed, and one was never asked."""
    names = ("site-a", "site-b", "small", "scaled", "altered", "failed")
    everybody = {name: participant(name) for name in names}
    unseen = ("altered", "away", "failed", "scaled", "small")
    verdict = CombinedVerdict(outcome="Undecided", reason="TooFewSeen", reference="", unseen=unseen)
    answer = combined("site-a", "site-b", "scaled", left_out=(LeftOut("altered", "Altered"),))
    answer = replace(answer, verdict=verdict, uncounted=("small",), withheld=1)
    for each in (answer, replace(answer, aggregated=()), replace(answer, uncounted=())):
        made = plan(
            collecting(
                *map(sent, names[:-1]),
                failed("failed", "Code", "TrainDeadline"),
                spec={**EVALUATE, "participants": {"names": list(names)}},
                aggregation=Aggregation(number=1, over=True, answer=each),
                participants=everybody,
            )
        )
        assert made.status.result is not None
        assert made.status.result.verdict is not None
        assert made.status.result.verdict.unseen == unseen
        assert made.status.result.verdict.too_few_people == ("scaled", "small")


def test_without_room_for_their_rows_all_hospitals_count_the_same() -> None:
    [store] = plan(aggregating(answer=replace(combined(*NAMES), aggregated=(), counted=()))).actions
    assert isinstance(store, StoreModel)
    assert store.model.samples == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize(
    ("release", "base", "kept"),
    [
        ("Participants", None, "Participants"),
        ("Readers", None, "Readers"),
        ("Readers", "Readers", "Readers"),
        ("Readers", "Participants", "Participants"),
        ("Participants", "Readers", "Participants"),
    ],
)
def test_a_result_goes_to_readers_only_if_its_round_and_all_before_it_say_so(
    release: Release, base: Release | None, kept: Release
) -> None:
    seen = aggregating(answer=combined(*NAMES))
    spec = replace(seen.round.spec, release=release, quorum=replace(seen.round.spec.quorum, min=2))
    if base:
        spec = replace(spec, initial=Initial(statistics_round_name="statistics"))
    model = replace(STORED, task="Statistics", release=base) if base else None
    made = plan(replace(seen, round=replace(seen.round, spec=spec), base_model=model))
    [store] = of_type(made, StoreModel)
    assert (store.model.release, store.model.quorum) == (kept, 2)


def test_a_result_remembers_the_pushed_weights_that_led_to_it() -> None:
    seen = aggregating(answer=combined(*NAMES))
    spec = replace(seen.round.spec, initial=None, base=Base(round_name="train-0"))
    pushed = AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda")
    for base in (None, pushed):
        made = plan(replace(seen, round=replace(seen.round, spec=spec), base_model=replace(STORED, pushed=base)))
        [store] = of_type(made, StoreModel)
        assert store.model.pushed == base
