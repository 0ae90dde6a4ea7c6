"""Decides whether the site makes a SiteTask of a RoundTask that has none. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wardround.api import names
from wardround.api.roundtask import RoundTask
from wardround.api.sitetask import SiteTaskSpec
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.hub import left_alone
from wardround.plans.sitetask.state import is_final
from wardround.plans.sitetask.types import ArrivalAction, LeaveAlone, TakeTask

# Between two looks at a RoundTask for which there was no room.
FULL_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """`held`: how many SiteTasks this site has."""

    round_task: RoundTask
    held: int
    now: datetime


@dataclass(frozen=True, kw_only=True)
class ArrivalPlan:
    actions: tuple[ArrivalAction, ...] = ()
    requeue_after: float | None = None


def plan(seen: Arrival) -> ArrivalPlan:
    """The site does not begin a task that the hub has ended, and takes no more tasks than it may hold."""
    task = seen.round_task
    if is_final(task) or task.spec.cancel:
        return ArrivalPlan()
    if memory.is_full(seen.held):
        return ArrivalPlan(actions=_leave_alone(seen, "TooManyTasks", memory.FULL), requeue_after=FULL_SECONDS)
    spec = SiteTaskSpec.copied(task.spec, task.metadata.uid)
    labels = names.task_labels(
        task.spec.round_ref.name, task.spec.round_ref.uid, task.metadata.namespace, task.spec.attempt
    )
    return ArrivalPlan(actions=(TakeTask(name=task.metadata.name, labels=labels, spec=spec),))


def not_admitted(seen: Arrival, words: str) -> tuple[LeaveAlone, ...]:
    """After the site's API server did not admit the SiteTask. `words` of the API server."""
    return _leave_alone(seen, "SiteTaskNotAdmitted", words)


def _leave_alone(seen: Arrival, reason: str, words: str) -> tuple[LeaveAlone, ...]:
    status = left_alone(seen.round_task, reason, seen.now)
    return (LeaveAlone(status=status, words=words),) if status != seen.round_task.status else ()
