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
    key_of,
    waiting,
)
from tests.worlds.site import (
    HUB,
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
from wardround.wire.assignment import Assignment


def test_a_covered_task_is_counted_before_it_is_accepted() -> None:
    planned = plan(waiting(TRAIN, an_approval()))
    assert accepts(planned)
    kinds = [type(each) for each in planned.actions]
    assert kinds.index(CountTask) < kinds.index(WriteStatus)
    [count] = [each for each in planned.actions if isinstance(each, CountTask)]
    assert (count.name, count.status.round_tasks) == ("breast-s1", (key_of(TRAIN),))
    assert planned.status.decision == TaskDecision(
        verdict="Approve", by="alice", at=to_seconds(NOW), approval="breast-s1"
    )


def test_a_task_that_counts_already_is_accepted_without_a_second_count() -> None:
    status = {"rounds": 8, "roundTasks": [*(f"{n}/1" for n in range(7)), key_of(TRAIN)]}
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
    def of_round(uid: str) -> Assignment:
        return dataclasses.replace(TRAIN, round_uid=uid)

    def other(name: str, uid: str, **spec: Any) -> SiteTask:
        envelope = HUB.sign(of_round(uid))
        reference = {"namespace": "breast-cancer", "name": "train-1", "uid": uid}
        return a_task(name, envelope=envelope, spec={"roundRef": reference, **spec}, status=accepted())

    others = [other("one", "one"), other("two", "two", approved=True)]
    observation = dataclasses.replace(waiting(TRAIN, an_approval(maxRounds=1)), others=seen(others=others).others)
    assert not accepts(plan(observation))
    two = dataclasses.replace(waiting(TRAIN, an_approval(maxRounds=2)), others=seen(others=others).others)
    [count] = [each for each in plan(two).actions if isinstance(each, CountTask)]
    assert count.status.round_tasks == (key_of(of_round("one")), key_of(TRAIN))


@pytest.mark.parametrize("spec", [{"denied": True, "decidedBy": "bob"}, {}], ids=["the task", "the model"])
def test_a_denied_task_is_refused(spec: dict[str, Any]) -> None:
    denial = () if spec else (an_approval(verdict="Deny"),)
    planned = plan(waiting(TRAIN, *denial, **spec))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "Denied"
    decision = planned.status.decision
    assert decision is not None
    assert (decision.verdict, decision.by) == ("Deny", "bob" if spec else "alice")


def denied_before(**changes: Any) -> SiteTask:
    """The task of a round that has failed, in whose place the hub has made the round of TRAIN."""
    known = {"model": MODEL, "round_uid": "first-uid", "round_name": "train-0", **changes}
    reference = {"namespace": "breast-cancer", "name": "train-0", "uid": known["round_uid"]}
    spec = {"roundRef": reference, "denied": True, "decidedBy": "bob"}
    status = {"conditions": [site_condition("Accepted", "False", "Denied"), site_condition("Failed")]}
    return a_task("first", envelope=signed(**known), spec=spec, status=status)


def after(earlier: SiteTask, task: Assignment = TRAIN, approval: str = "Policy") -> Observation:
    site = a_site(approval=approval, localSockets=True, minQuorum=1, release="Readers")
    return dataclasses.replace(waiting(task), site=site, others=seen(others=[earlier]).others)


@pytest.mark.parametrize("approval", ["Manual", "Policy"])
def test_a_denial_counts_for_the_round_that_takes_the_place_of_the_denied_one(approval: str) -> None:
    """A series tries a failed round again as a round of its own."""
    planned = plan(after(denied_before(), approval=approval))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "Denied"
    message = planned.status.failure.message or ""
    assert "for which a person at this hospital has denied SiteTask first." in message
    assert "kubectl wardround approve sitetask/first -n hospital-a" in message


def test_a_denial_counts_for_a_further_attempt_at_the_round_of_a_person() -> None:
    second = dataclasses.replace(TRAIN, model=None, attempt=2)
    observation = after(denied_before(model=None, round_uid=TRAIN.round_uid), second)
    first = observation.task
    metadata = dataclasses.replace(first.metadata, name="train-1-a8e051da-a2")
    task = dataclasses.replace(first, metadata=metadata, spec=dataclasses.replace(first.spec, attempt=2))
    planned = plan(dataclasses.replace(observation, task=task))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "Denied"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": dataclasses.replace(MODEL, round=1)},
        {"model": dataclasses.replace(MODEL, series=2)},
        {"model": dataclasses.replace(MODEL, parameters={"epochs": "6"})},
        {"model": dataclasses.replace(MODEL, uid="another")},
        {"model": None},
        {"task": "Statistics"},
    ],
    ids=["another round", "another series", "other terms", "another model", "the round of a person", "another task"],
)
def test_a_denied_task_says_nothing_about_other_work(changes: dict[str, Any]) -> None:
    assert plan(after(denied_before(**changes))).status.failure is None


def test_a_person_who_approves_the_denied_task_ends_the_denial() -> None:
    denied = denied_before()
    approved = dataclasses.replace(denied, spec=dataclasses.replace(denied.spec, denied=False, approved=True))
    assert plan(after(approved)).status.failure is None


DENIALS: dict[str, tuple[Observation, str]] = {
    "policy": (dataclasses.replace(waiting(TRAIN), site=a_site(approval="Deny")), "policy.approval of the Site is"),
    "task": (
        waiting(TRAIN, denied=True, decidedBy="bob"),
        "run `kubectl wardround approve sitetask/train-1-a8e051da-a1 -n hospital-a`",
    ),
    "earlier task": (after(denied_before()), "has denied SiteTask first"),
    "model": (waiting(TRAIN, an_approval(verdict="Deny")), "because Approval breast-s1 denies the task's model."),
    "any model": (waiting(TRAIN, an_approval(verdict="Deny", terms="{}")), "so it denies all models."),
}


@pytest.mark.parametrize("case", DENIALS)
def test_a_denied_task_says_what_denies_it_and_no_other_cause(case: str) -> None:
    failure = plan(DENIALS[case][0]).status.failure
    assert failure is not None
    message = failure.message or ""
    assert [name for name, (_, words) in DENIALS.items() if words in message] == [case]
    assert "This task stays refused." in message
    assert len(message) < 512


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
