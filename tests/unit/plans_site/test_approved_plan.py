"""The plan of a task that needs an Approval: counted before it is accepted, refused, and ended with its Approval."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.approved import (
    MANUAL,
    MODEL,
    TRAIN,
    accepts,
    an_approval,
    waiting,
)
from tests.worlds.site import (
    JOB,
    NOW,
    a_site,
    a_task,
    accepted,
    change_names,
    seen,
    signed,
    tell_hub_action,
)
from tests.worlds.site import condition as site_condition
from wardround.api.approval import Approval
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.times import to_seconds
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CountTask, Observation, WriteStatus


def test_a_covered_task_is_counted_before_it_is_accepted() -> None:
    planned = plan(waiting(TRAIN, an_approval()))
    assert accepts(planned)
    kinds = [type(each) for each in planned.actions]
    assert kinds.index(CountTask) < kinds.index(WriteStatus)
    [count] = [each for each in planned.actions if isinstance(each, CountTask)]
    assert (count.name, count.status.round_tasks) == ("breast-s1", ("round-uid/1",))
    assert planned.status.decision == TaskDecision(
        verdict="Approve", by="alice", at=to_seconds(NOW), approval="breast-s1"
    )


def test_a_task_that_counts_already_is_accepted_without_a_second_count() -> None:
    status = {"rounds": 8, "roundTasks": [*(f"{n}/1" for n in range(7)), "round-uid/1"]}
    planned = plan(waiting(TRAIN, an_approval(status=status)))
    assert accepts(planned)
    assert not [each for each in planned.actions if isinstance(each, CountTask)]


def test_a_task_that_is_not_covered_waits_and_its_people_read_why() -> None:
    changed = dataclasses.replace(
        TRAIN, parameters={"epochs": "6"}, model=dataclasses.replace(MODEL, parameters={"epochs": "6"})
    )
    planned = plan(waiting(changed, an_approval()))
    assert not accepts(planned)
    [accepted_condition] = [each for each in planned.status.conditions if each.type == "Accepted"]
    assert accepted_condition.reason == "WaitingForApproval"
    assert "Approval breast-s1 does not cover the task: the hub now asks for other terms (parameters)." in (
        accepted_condition.message
    )
    action = tell_hub_action(planned)
    assert action is not None
    assert not any("breast-s1" in each.message for each in action.status.conditions)


def test_an_approval_does_not_replace_the_policy() -> None:
    site = a_site(approval="Manual", images=[])
    planned = plan(dataclasses.replace(waiting(TRAIN, an_approval()), site=site))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "ImageNotAllowed"


def test_a_task_that_a_person_has_approved_does_not_count() -> None:
    planned = plan(waiting(TRAIN, an_approval(), approved=True, decidedBy="bob"))
    assert accepts(planned)
    assert not [each for each in planned.actions if isinstance(each, CountTask)]
    assert planned.status.decision == TaskDecision(verdict="Approve", by="bob", at=to_seconds(NOW))


def test_tasks_that_were_accepted_without_a_person_are_remembered() -> None:
    def other(name: str, uid: str, **spec: Any) -> SiteTask:
        envelope = signed(round_uid=uid, model=MODEL)
        reference = {"namespace": "breast-cancer", "name": "train-1", "uid": uid}
        return a_task(name, envelope=envelope, spec={"roundRef": reference, **spec}, status=accepted())

    others = [other("one", "one"), other("two", "two", approved=True)]
    observation = dataclasses.replace(waiting(TRAIN, an_approval(maxRounds=1)), others=seen(others=others).others)
    assert not accepts(plan(observation))
    two = dataclasses.replace(waiting(TRAIN, an_approval(maxRounds=2)), others=seen(others=others).others)
    [count] = [each for each in plan(two).actions if isinstance(each, CountTask)]
    assert count.status.round_tasks == ("one/1", "round-uid/1")


@pytest.mark.parametrize("spec", [{"denied": True, "decidedBy": "bob"}, {}], ids=["the task", "the model"])
def test_a_denied_task_is_refused(spec: dict[str, Any]) -> None:
    denial = () if spec else (an_approval(verdict="Deny"),)
    planned = plan(waiting(TRAIN, *denial, **spec))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "Denied"
    decision = planned.status.decision
    assert decision is not None
    assert (decision.verdict, decision.by) == ("Deny", "bob" if spec else "alice")


def running(*every: Approval, decision: dict[str, Any] | None = None, **spec: Any) -> Observation:
    """A task that rests on the Approval breast-s1, with its Job."""
    rests_on = {"verdict": "Approve", "by": "alice", "at": to_seconds(NOW), "approval": "breast-s1"}
    status = accepted(site_condition("InputReady"), courier={"input": "Ready"}, decision=decision or rests_on)
    task = a_task(envelope=signed(model=MODEL), spec=spec, status=status)
    return seen(task, site=MANUAL, approvals=every, job=JOB)


ENDED: dict[str, Observation] = {
    "withdrawn": running(an_approval(withdrawnBy="bob")),
    "deleted": running(),
    "its time is over": running(an_approval(until=to_seconds(NOW))),
    "another one is there": running(an_approval(name="another")),
    "the task is denied": running(an_approval(), denied=True, decidedBy="bob"),
    "the approval of the task is withdrawn": running(
        decision={"verdict": "Approve", "by": "bob", "at": to_seconds(NOW)}, denied=True, decidedBy="bob"
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_a_running_task_fails_when_its_approval_ends(name: str) -> None:
    planned = plan(ENDED[name])
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "ApprovalEnded"
    after = dataclasses.replace(ENDED[name].task, status=planned.status)
    assert change_names(plan(dataclasses.replace(ENDED[name], task=after))) == ("DeleteJob",)


STANDS: dict[str, Observation] = {
    "the Approval stands": running(an_approval()),
    "it stands and is used up": running(an_approval(maxRounds=0)),
    "a person has approved the task too": running(approved=True, decidedBy="bob"),
    "the policy asks nobody any more": dataclasses.replace(running(), site=a_site(approval="Policy")),
}


@pytest.mark.parametrize("name", STANDS)
def test_a_running_task_goes_on_while_its_approval_stands(name: str) -> None:
    assert plan(STANDS[name]).status.failure is None


def test_the_plan_looks_again_when_the_approval_ends() -> None:
    soon = an_approval(until=to_seconds(NOW + timedelta(seconds=7)))
    assert plan(running(soon)).requeue_after == 7
