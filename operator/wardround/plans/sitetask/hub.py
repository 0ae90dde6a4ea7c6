"""Decides what the site operator tells the hub about a task, and when: reasons, numbers and times, but no text of a
container."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime

from wardround.api import conditions, timeline
from wardround.api.conditions import Condition, Conditions
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.sitetask import CourierReport, SiteTaskStatus
from wardround.plans.approval import LACKING
from wardround.plans.assignment import LOCAL_SOCKETS
from wardround.plans.sitetask.state import is_final
from wardround.plans.sitetask.types import Observation, RefuseReplay, TellHub
from wardround.reasons.registry import REASONS
from wardround.wire.assignment import Assignment
from wardround.wire.outcome import ToldOutcome

# Stages on which the hub's deadlines depend. The hub hears of the others with the next message.
STAGES_AT_ONCE = ("Started",)
# Conditions on which the hub acts. The rest is progress for people, and each write loads an API server that all share.
CONDITIONS_AT_ONCE = ("Accepted", "Sent", "Complete", "Failed")
PROGRESS_SECONDS = 5.0


def tell(
    seen: Observation, status: SiteTaskStatus, assignment: Assignment | None
) -> tuple[tuple[TellHub, ...], float | None]:
    """What to tell the hub now, and else `requeue_after`. `status`: the SiteTask's."""
    task = seen.mirrored
    if task is None:
        return (), None
    after = mirror(status, task, assignment, tells=seen.site.spec.policy.tell_verdicts)
    heard_ago = (seen.now - seen.hub_heard).total_seconds() if seen.hub_heard else math.inf
    requeue_after = due(task.status, after, heard_ago)
    if requeue_after != 0:
        return (), requeue_after
    return (TellHub(status=after, last=is_final(dataclasses.replace(seen.task, status=status))),), None


def refuse_replay(seen: Observation) -> tuple[RefuseReplay, ...]:
    """For a RoundTask that the hub has made anew under the name of the one that the SiteTask mirrors."""
    there = seen.round_task
    if there is None or seen.mirrored is not None or is_final(there):
        return ()
    return (RefuseReplay(status=refuse_recreated(there, seen.now)),)


def mirror(
    status: SiteTaskStatus, task: RoundTask, assignment: Assignment | None, *, tells: bool = False
) -> RoundTaskStatus:
    """The RoundTask's status, from the SiteTask's. `tells`: policy.tellVerdicts of the Site."""
    courier = status.courier or CourierReport()
    failure = dataclasses.replace(status.failure, message=None) if status.failure else None
    return RoundTaskStatus(
        observed_generation=task.metadata.generation,
        conditions=_conditions(status.conditions, task.metadata.generation, assignment),
        failure=failure,
        upload=courier.upload,
        update=courier.update,
        verdicts=_verdicts(status, task, tells=tells),
        timeline=status.timeline,
    )


def _verdicts(status: SiteTaskStatus, task: RoundTask, *, tells: bool) -> tuple[ToldOutcome, ...] | None:
    """The hospital's verdicts, if its Site tells them. TooFewPeople is not told: it says how many people the hospital
    has.

    A policy that changes does not concern a task whose RoundTask says that it ended. A hub that empties that status
    gets the verdicts of the task once the Site tells them (docs/security.md).
    """
    if is_final(task):
        return task.status.verdicts
    outcomes = tuple(each.outcome for each in status.verdicts if each.outcome != "TooFewPeople")
    return outcomes if tells and outcomes and len(outcomes) == len(status.verdicts) else None


def due(before: RoundTaskStatus, after: RoundTaskStatus, heard_ago: float) -> float | None:
    """In how many seconds the hub has to hear the status `after` (0: at once), or None if it knows it.

    `heard_ago`: seconds since the hub last heard anything of this task.
    """
    if _acted_on(before) != _acted_on(after):
        return 0.0
    # Times alone are never a reason.
    if dataclasses.replace(before, timeline=()) == dataclasses.replace(after, timeline=()):
        return None
    # A clock that was set back is no reason to be silent for longer.
    return min(max(0.0, PROGRESS_SECONDS - heard_ago), PROGRESS_SECONDS)


def _acted_on(status: RoundTaskStatus) -> object:
    stages = tuple(timeline.reached(status.timeline, stage) for stage in STAGES_AT_ONCE)
    states = tuple((c.type, c.status, c.reason) for c in status.conditions if c.type in CONDITIONS_AT_ONCE)
    return stages, states, status.failure, status.upload, status.update


def refuse_recreated(task: RoundTask, now: datetime) -> RoundTaskStatus:
    """The status of a RoundTask whose name another one had before: its round and attempt are taken."""
    current = task.status.conditions
    generation = task.metadata.generation
    for kind, status in (("Accepted", False), ("Failed", True)):
        current = conditions.set_condition(current, kind, status, "Replayed", now=now, generation=generation)
    return dataclasses.replace(
        task.status,
        observed_generation=generation,
        conditions=conditions.stalled(current, "Replayed", "", now=now, generation=generation),
    )


def left_alone(task: RoundTask, reason: str, now: datetime) -> RoundTaskStatus:
    """The status of a RoundTask that waits at the hub because the site can make no SiteTask for it."""
    current, generation = task.status.conditions, task.metadata.generation
    current = conditions.set_condition(current, "Accepted", "Unknown", reason, now=now, generation=generation)
    current = conditions.progressing(current, reason, "", now=now, generation=generation)
    return dataclasses.replace(task.status, observed_generation=generation, conditions=current)


def _conditions(current: Conditions, generation: int, assignment: Assignment | None) -> Conditions:
    return tuple(
        dataclasses.replace(each, message=_message(each, assignment), observed_generation=generation)
        for each in current
    )


def _message(condition: Condition, assignment: Assignment | None) -> str:
    if condition.type == "Accepted" and condition.status == "True":
        # The site's own message says it, since a task that has ended is mirrored without its assignment. The hub's
        # admission policy has room for one note. Until people have approved the task, theirs goes first.
        return next((each for each in (LACKING, LOCAL_SOCKETS) if each in condition.message), "")
    if condition.reason != "Unschedulable" or condition.status != "True":
        return ""
    wanted = assignment.resources.accelerators_per_node if assignment else 0
    if not wanted:
        return REASONS["Unschedulable"].meaning
    return f"No node of the site has {wanted} free accelerators."
