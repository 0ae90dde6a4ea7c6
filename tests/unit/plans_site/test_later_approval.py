"""A hospital sets policy.approval to Manual while tasks run: an Approval covers them, and counts them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.plans_site.approved import EVALUATE, MANUAL, MODEL, TRAIN, an_approval, key_of
from tests.unit.plans_site.test_sweep_approval import approved, member
from tests.worlds.site import JOB, NOW, a_site, a_task, accepted, change_names, condition, seen, signed
from wardround.api.approval import Approval
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.times import to_seconds
from wardround.plans.approval import stands_for
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CountTask, Observation, WriteStatus
from wardround.wire.assignment import Assignment

DECISION = TaskDecision(verdict="Approve", by="alice", at=to_seconds(NOW), approval="breast-s1")


SENT = {"update": {"manifest": "signed"}}


def trained(
    task: Assignment = TRAIN, name: str = "train-1-a8e051da-a1", *, sent: bool = False, **spec: Any
) -> SiteTask:
    """A task that the site accepted without a person. The courier has `sent` its update, or holds it back."""
    changes = {each: getattr(task, each) for each in Assignment.__dataclass_fields__}
    courier = {"input": "Ready", "reason": "WaitingForApproval"} | (SENT if sent else {})
    status = accepted(condition("InputReady"), condition("Trained"), courier=courier)
    reference = {"namespace": "breast-cancer", "name": "train-1", "uid": task.round_uid}
    return a_task(name, envelope=signed(**changes), spec={"roundRef": reference, **spec}, status=status)


def look(task: SiteTask, *every: Approval, others: tuple[SiteTask, ...] = ()) -> Observation:
    return seen(task, site=MANUAL, approvals=every, job=JOB, others=others)


def counts(observation: Observation) -> list[CountTask]:
    return [each for each in plan(observation).actions if isinstance(each, CountTask)]


def rests_on(observation: Observation) -> TaskDecision | None:
    return plan(observation).status.decision


@pytest.mark.parametrize(
    ("task", "approval"),
    [(TRAIN, an_approval()), (EVALUATE, an_approval()), (dataclasses.replace(member(0), round_uid="r"), approved())],
    ids=["model", "evaluation", "sweep"],
)
def test_an_approval_covers_a_task_that_was_accepted_before(task: Assignment, approval: Approval) -> None:
    observation = look(trained(task), approval)
    planned = plan(observation)
    assert planned.status.decision == DECISION
    kinds = [type(each) for each in planned.actions]
    assert kinds.index(CountTask) < kinds.index(WriteStatus)
    [count] = counts(observation)
    after = dataclasses.replace(approval, status=count.status)
    assert stands_for(after, task, key_of(task), NOW), "the courier agrees"


def test_the_task_is_counted_once_though_the_operator_stops_before_it_writes_the_decision() -> None:
    [count] = counts(look(trained(), an_approval()))
    again = look(trained(), dataclasses.replace(an_approval(), status=count.status))
    assert (counts(again), rests_on(again)) == ([], DECISION)


def test_the_tasks_that_were_accepted_before_count_against_the_limit() -> None:
    earlier = [dataclasses.replace(TRAIN, round_uid=each) for each in ("one", "two")]
    others = tuple(trained(each, name=each.round_uid, sent=True) for each in earlier)
    assert rests_on(look(trained(), an_approval(maxRounds=2), others=others)) is None
    enough = look(trained(), an_approval(maxRounds=3), others=others)
    [count] = counts(enough)
    assert set(count.status.round_tasks) == {key_of(each) for each in (TRAIN, *earlier)}
    assert rests_on(enough) == DECISION


OTHER_TERMS = dataclasses.replace(
    TRAIN, parameters={"epochs": "6"}, model=dataclasses.replace(MODEL, parameters={"epochs": "6"})
)
NOT_COVERED: dict[str, Observation] = {
    "there is no Approval": look(trained()),
    "the Approval is withdrawn": look(trained(), an_approval(withdrawnBy="bob")),
    "its time is over": look(trained(), an_approval(until=to_seconds(NOW))),
    "its terms are others": look(trained(OTHER_TERMS), an_approval()),
    "the task is not as its terms say": look(
        trained(dataclasses.replace(TRAIN, parameters={"epochs": "6"})), an_approval()
    ),
    "a denial of the model applies": look(trained(), an_approval(), an_approval(name="denial", verdict="Deny")),
    "a person has denied the task": look(trained(denied=True, decidedBy="bob"), an_approval()),
    "the policy asks nobody": dataclasses.replace(look(trained(), an_approval()), site=a_site(approval="Policy")),
}


@pytest.mark.parametrize("case", NOT_COVERED)
def test_no_approval_covers_the_task_where(case: str) -> None:
    decision = rests_on(NOT_COVERED[case])
    assert decision is None or decision.approval is None
    assert counts(NOT_COVERED[case]) == []


def test_a_person_who_withdraws_the_approval_ends_the_task_again() -> None:
    observation = look(trained(), an_approval())
    task = dataclasses.replace(observation.task, status=plan(observation).status)
    ended = plan(look(task, an_approval(withdrawnBy="bob")))
    assert ended.status.failure is not None
    assert ended.status.failure.reason == "ApprovalEnded"
    assert change_names(plan(look(dataclasses.replace(task, status=ended.status)))) == ("DeleteJob",)
