"""A look at an Approval: which tasks it wakes, and when the next look comes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.approved import an_approval
from tests.worlds.site import NOW, a_record, a_task, accepted, condition
from wardround.api.approval import Approval
from wardround.plans import approval as approvals
from wardround.plans.site.approval import Observation, Plan, Remembered, plan
from wardround.plans.site.types import WakeTasks

RUNNING, OVER = a_record(a_task("running")), a_record(a_task("over", status=accepted(condition("Complete"))))
APPROVAL = an_approval()
KNOWN = Remembered(APPROVAL.metadata.uid, APPROVAL.metadata.generation, over=False)
WOKEN, NOBODY = WakeTasks(names=("running",)), WakeTasks()


def planned(approval: Approval | None, before: Remembered | None, **facts: Any) -> Plan:
    seen = Observation(approval=approval, before=before, held=(OVER, RUNNING), now=NOW)
    return plan(dataclasses.replace(seen, **facts))


@pytest.mark.parametrize(
    ("before", "wake"),
    [
        (None, WOKEN),
        (KNOWN, NOBODY),
        (dataclasses.replace(KNOWN, uid="another"), WOKEN),
        (dataclasses.replace(KNOWN, generation=KNOWN.generation + 1), WOKEN),
        (dataclasses.replace(KNOWN, over=True), WOKEN),
    ],
    ids=["first look", "unchanged", "made anew", "edited", "prolonged"],
)
def test_an_approval_wakes_the_tasks_under_way_when_it_has_changed(before: Remembered | None, wake: WakeTasks) -> None:
    made = planned(APPROVAL, before)
    assert (made.wake, made.remembered) == (wake, KNOWN)
    assert made.status == approvals.status(APPROVAL, NOW)


def test_a_task_that_counts_wakes_no_other_task() -> None:
    counted = dataclasses.replace(APPROVAL, status=dataclasses.replace(APPROVAL.status, rounds=2))
    assert planned(counted, KNOWN).wake == NOBODY


def test_an_approval_is_looked_at_again_when_its_time_is_over_and_wakes_the_tasks_then() -> None:
    until = approvals.until(APPROVAL, NOW)
    assert until is not None
    assert planned(APPROVAL, KNOWN).requeue_after == (until - NOW).total_seconds()
    late = planned(APPROVAL, KNOWN, now=until + timedelta(seconds=1))
    assert (late.wake, late.requeue_after) == (WOKEN, None)
    assert late.remembered is not None
    assert late.remembered.over


def test_an_approval_that_is_gone_wakes_the_tasks_once() -> None:
    assert planned(None, KNOWN) == Plan(wake=WOKEN)
    assert planned(None, None) == Plan(wake=NOBODY)
