"""A pod that dies takes no round with it: after a pause there is another, and the round tells how the last ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, UID, aggregating, at, collecting, combined, sent
from tests.unit.plans_hub.reading import condition_of, message_of, of_type
from wardround.api import names
from wardround.api.timeline import Stage
from wardround.api.times import to_microseconds
from wardround.plans.events import transitions
from wardround.plans.round.plan import plan
from wardround.plans.round.tries import LONGEST_PAUSE
from wardround.plans.round.types import Aggregate, Aggregation, EarlyList, Observation
from wardround.wire.aggregation import AggregationAnswer, AggregationFailure

KILLED: dict[str, Any] = {"exit_code": 137, "cause": "OOMKilled"}


def tried(number: int, seconds: float, **changes: Any) -> Observation:
    """A round that collected until 100 s after its start. A try ended then, so many seconds ago."""
    seen = aggregating(number, ended=at(100), **changes)
    timeline = (*seen.round.status.timeline, Stage("Collected", to_microseconds(at(100))))
    status = replace(seen.round.status, timeline=timeline)
    return replace(seen, round=replace(seen.round, status=status), now=at(100 + seconds))


def job(number: int) -> str:
    return f"Job {names.aggregation_name(UID, number)}"


@pytest.mark.parametrize("answer", [None, AggregationFailure("StoreInconsistent"), AggregationFailure("Unknown")])
@pytest.mark.parametrize(("number", "failures", "pause"), [(1, 0, 30), (2, 1, 60), (900, 0, 30), (900, 1, 60)])
def test_another_job_is_made_after_a_pause_that_grows(
    answer: AggregationFailure | None, number: int, failures: int, pause: int
) -> None:
    """A node that lacks memory for half a minute does not cost the training of all hospitals."""
    waits = plan(tried(number, pause - 1, answer=answer, failures=failures))
    assert (waits.actions, waits.requeue_after) == ((), 1)
    assert condition_of(waits, "Reconciling") == ("True", "AggregatingAgain")
    [again] = of_type(plan(tried(number, pause, answer=answer, failures=failures)), Aggregate)
    assert (again.number, again.failures) == (number + 1, failures + 1)


@pytest.mark.parametrize(("number", "pause"), [(1, 5), (2, 10), (3, 20), (9, 60), (900, LONGEST_PAUSE.seconds)])
def test_the_pause_while_the_store_is_away_grows_to_a_minute(number: int, pause: int) -> None:
    away = AggregationFailure("StoreUnreachable")
    waits = plan(tried(number, pause - 1, answer=away, failures=2))
    assert (waits.actions, waits.requeue_after) == ((), 1)
    assert condition_of(waits, "Reconciling") == ("True", "StoreUnreachable")
    [again] = of_type(plan(tried(number, pause, answer=away, failures=2)), Aggregate)
    assert (again.number, again.failures) == (number + 1, 2)


@pytest.mark.parametrize(("number", "pause"), [(1, 5), (4, 40), (5, 80), (7, 320), (8, 600), (900, 600)])
def test_the_pause_after_a_disruption_grows_to_ten_minutes(number: int, pause: int) -> None:
    """A node that lacks memory or disk can evict each pod, and no number of disruptions ends the round."""
    assert plan(tried(number, pause - 1, disrupted=True)).requeue_after == 1
    [again] = of_type(plan(tried(number, pause, disrupted=True)), Aggregate)
    assert (again.number, again.failures) == (number + 1, 0)


@pytest.mark.parametrize("answer", [None, AggregationFailure("StoreUnreachable"), combined(*NAMES)])
def test_after_the_job_that_began_early_there_is_no_pause(answer: AggregationAnswer | None) -> None:
    """It counts for nothing, so it also takes no time from a round that has closed."""
    seen = replace(tried(0, 1, answer=answer), early=EarlyList(pages=2, closed="sha256:other"))
    [first] = of_type(plan(seen), Aggregate)
    assert (first.number, first.failures) == (1, 0)


@pytest.mark.parametrize(
    ("end", "pause"),
    [({}, 30), ({"disrupted": True}, 5), ({"answer": AggregationFailure("StoreUnreachable")}, 5)],
    ids=["failed", "lost", "store"],
)
def test_a_node_whose_clock_is_fast_removes_no_pause_and_makes_none_much_longer(
    end: dict[str, Any], pause: int
) -> None:
    """Without a pause, three deaths in a row end a round, and tries that do not count never rest."""
    for ahead in (1, 60):
        assert plan(tried(1, -ahead, **end)).requeue_after == pause + ahead
    assert of_type(plan(tried(1, -61, **end)), Aggregate)


def test_a_pod_that_was_taken_away_is_no_failure_as_long_as_the_round_may_be_combined() -> None:
    waits = plan(tried(7, 1, failures=2, disrupted=True, **KILLED))
    assert message_of(waits, "Reconciling").startswith(
        f"The pod of {job(7)} was deleted or evicted, or its node was lost (OOMKilled, exit code 137). This is none of "
        "the 3 failures after which the round fails."
    )
    [again] = of_type(plan(tried(7, 320, failures=2, disrupted=True)), Aggregate)
    assert (again.number, again.failures) == (8, 2)
    ended = plan(tried(70, 3600, failures=2, disrupted=True))
    assert condition_of(ended, "Failed") == ("True", "AggregationFailed")
    assert message_of(ended, "Failed").startswith("The aggregation made no result in 70 tries. The pod of Job ")


def test_a_pod_that_was_taken_away_after_its_answer_counts_by_its_answer() -> None:
    answer = AggregationFailure("StoreInconsistent")
    seen = tried(3, 60, failures=2, disrupted=True, answer=answer)
    assert condition_of(plan(seen), "Failed") == ("True", "AggregationFailed")


def test_a_job_on_a_dead_node_is_no_failure() -> None:
    """Its pod is being deleted for ever, since no kubelet says that it is gone."""
    job_on_it = Aggregation(number=4, failures=2, gone_by=at(100), disrupted=True)
    seen = collecting(*map(sent, NAMES), aggregation=job_on_it, now=at(130))
    assert condition_of(plan(seen), "Reconciling") == ("True", "AggregatingAgain")
    [again] = of_type(plan(replace(seen, now=at(130 + 40))), Aggregate)
    assert (again.number, again.failures) == (5, 2)


def test_the_end_of_a_round_says_how_its_last_job_ended_and_how_to_look_at_it() -> None:
    name = names.aggregation_name(UID, 3)
    made = plan(aggregating(3, failures=2, **KILLED))
    assert message_of(made, "Failed") == (
        f"The aggregation made no result in 3 tries. The pod of Job {name} ended before it wrote an answer (OOMKilled, "
        "exit code 137). The hub's administrator: On the hub, run "
        f"`kubectl describe pod -l job-name={name} -n HUB_NAMESPACE`. "
        f"If the exit code is below 128, `kubectl logs job/{name} -n HUB_NAMESPACE` says why the Job failed. If there "
        f"is no pod, run `kubectl describe job/{name} -n HUB_NAMESPACE`. Remove the cause. Then ask the round's author "
        "to apply a new round."
    )
    answer = AggregationFailure("AggregatorFailed", "KeyError.")
    assert message_of(plan(aggregating(3, failures=2, answer=answer)), "Failed").startswith(
        f"The aggregation made no result in 3 tries. Job {name} ended with AggregatorFailed. KeyError. The hub's "
    )


def test_each_try_is_told_while_it_waits_and_while_it_runs() -> None:
    first = collecting(*map(sent, NAMES), aggregation=Aggregation(number=1), now=at(99))
    running, waiting = plan(first), plan(tried(1, 1, **KILLED))
    [event] = transitions(running.status.conditions, waiting.status.conditions)
    assert (event.type, event.reason) == ("Warning", "AggregatingAgain")
    sentence = f"The pod of {job(1)} ended before it wrote an answer (OOMKilled, exit code 137)."
    assert event.note.startswith(
        f"{sentence} This is failure 1 of 3. The hub's administrator: Nobody has to act at once."
    )
    before = tried(1, 30, **KILLED).aggregation
    for seen in (tried(1, 30, **KILLED), replace(first, aggregation=Aggregation(number=2, before=before))):
        assert condition_of(plan(seen), "Reconciling") == ("True", "Aggregating")
        assert f" This is try 2. {sentence}" in message_of(plan(seen), "Reconciling")
    [event] = transitions(waiting.status.conditions, plan(tried(1, 30, **KILLED)).status.conditions)
    assert (event.type, event.reason) == ("Normal", "Aggregating")


def test_a_first_try_says_nothing_of_the_one_that_began_early() -> None:
    early = Aggregation(number=0, over=True, ended=at(10), **KILLED)
    seen = collecting(*map(sent, NAMES), aggregation=early, now=at(100))
    assert "This is try" not in message_of(plan(seen), "Reconciling")
