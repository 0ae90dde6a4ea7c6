"""The verdicts that hospitals tell are counted, and decide nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, aggregating, combined, sent
from wardround.api.federatedround import HospitalVerdicts, Result
from wardround.api.roundtask import RoundTask
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Plan
from wardround.wire.aggregation import AggregationResult, CombinedVerdict

COMPARISON = {
    "task": "Evaluate",
    "initial": None,
    "base": {"roundName": "train-3"},
    "references": ["train-2", "train-1"],
    "gate": {"minEvents": 20},
}
ANSWER = replace(
    combined(*NAMES), verdict=CombinedVerdict(outcome="Accepted", reason="NotWorse", reference="", unseen=())
)


def judged(name: str, *verdicts: Any) -> RoundTask:
    task = sent(name)
    return replace(task, status=replace(task.status, verdicts=verdicts))


def made(*tasks: RoundTask, answer: AggregationResult = ANSWER) -> Plan:
    return plan(replace(aggregating(spec=COMPARISON, answer=answer), tasks=tasks))


def result(*tasks: RoundTask, answer: AggregationResult = ANSWER) -> Result:
    shown = made(*tasks, answer=answer).status.result
    assert shown is not None
    return shown


def test_a_result_counts_the_verdicts_of_the_hospitals_that_told_theirs() -> None:
    shown = result(
        judged("site-a", "Better", "Worse"),
        judged("site-b", "Undecided", "Worse"),
        judged("site-c"),
    )
    assert shown.hospital_verdicts == (
        HospitalVerdicts(reference="train-2", hospitals=2, better=1, worse=0, undecided=1),
        HospitalVerdicts(reference="train-1", hospitals=2, better=0, worse=2, undecided=0),
    )


def test_a_result_has_no_verdicts_if_nobody_told_one() -> None:
    assert result(*map(judged, NAMES)).hospital_verdicts == ()


@pytest.mark.parametrize("verdicts", [("Worse",), ("Worse", "Worse", "Worse")])
def test_a_list_that_does_not_fit_the_references_does_not_count(verdicts: tuple[str, ...]) -> None:
    shown = result(judged("site-a", *verdicts), judged("site-b", "Better", "Better"), judged("site-c"))
    assert [each.hospitals for each in shown.hospital_verdicts] == [1, 1]


def test_a_hospital_that_is_not_in_the_result_does_not_count() -> None:
    answer = replace(ANSWER, aggregated=("site-a", "site-b"), counted=(10, 10), uncounted=("site-c",))
    shown = result(
        judged("site-a"),
        judged("site-b", "Better", "Better"),
        judged("site-c", "Worse", "Worse"),
        answer=answer,
    )
    assert [(each.hospitals, each.worse) for each in shown.hospital_verdicts] == [(1, 0), (1, 0)]


def test_the_verdicts_of_hospitals_change_nothing_else() -> None:
    """All hospitals say Worse, and the gate's verdict, the actions and the rest of the status stay as they are."""
    silent, loud = made(*map(judged, NAMES)), made(*(judged(name, "Worse", "Worse") for name in NAMES))
    assert silent.status.result is not None
    assert loud.status.result is not None
    assert loud.status.result.verdict == silent.status.result.verdict
    assert replace(loud.status.result, hospital_verdicts=()) == silent.status.result
    assert replace(loud.status, result=None) == replace(silent.status, result=None)
    assert [type(each) for each in loud.actions] == [type(each) for each in silent.actions]
