"""Decides what a look at an Approval does: which tasks it wakes, its status, and when the next look comes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wardround.api.approval import Approval, ApprovalStatus
from wardround.plans import approval as approvals
from wardround.plans.site.types import WakeTasks
from wardround.plans.sitetask.held import HeldTask, under_way


@dataclass(frozen=True)
class Remembered:
    """An Approval as this process last looked at it. The count of a task changes none of it."""

    uid: str
    generation: int
    over: bool


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`approval`: None if it is gone. `before`: None if this process has not looked at it yet. `held`: records of all
    SiteTasks of the site."""

    approval: Approval | None
    before: Remembered | None
    held: Sequence[HeldTask]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """First the tasks to wake, then the status. `remembered`, `status`: None for an Approval that is gone."""

    wake: WakeTasks
    remembered: Remembered | None = None
    status: ApprovalStatus | None = None
    requeue_after: float | None = None


def plan(seen: Observation) -> Plan:
    """The tasks that have not ended may depend on an Approval that is new, changed, over or gone."""
    approval, now = seen.approval, seen.now
    current = None
    if approval is not None:
        current = Remembered(approval.metadata.uid, approval.metadata.generation, approvals.is_over(approval, now))
    wake = WakeTasks(names=under_way(seen.held) if current != seen.before else ())
    if approval is None:
        return Plan(wake=wake)
    ends = approvals.until(approval, now)
    return Plan(
        wake=wake,
        remembered=current,
        status=approvals.status(approval, now),
        requeue_after=(ends - now).total_seconds() if ends is not None else None,
    )
