"""Decides what the hub is told of a task: enumerated words, numbers and times; no text of a container or scheduler."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from wardround.api import conditions, timeline
from wardround.api.conditions import Condition, Conditions
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.sitetask import CourierReport, SiteTask, SiteTaskStatus
from wardround.plans.assignment import LOCAL_SOCKETS
from wardround.reasons.registry import REASONS
from wardround.wire.assignment import Assignment

# Stages that the hub's deadlines hang on; the others travel along with the next thing that is told.
STAGES_AT_ONCE = ("Started",)
# What the hub acts on. The rest is progress for people's eyes, and each write is a request to a shared API server.
CONDITIONS_AT_ONCE = ("Accepted", "Sent", "Complete", "Failed")
PROGRESS_SECONDS = 5.0


def mirror(status: SiteTaskStatus, task: RoundTask, assignment: Assignment | None) -> RoundTaskStatus:
    """The RoundTask's status, from the SiteTask's."""
    courier = status.courier or CourierReport()
    failure = dataclasses.replace(status.failure, message=None) if status.failure else None
    return RoundTaskStatus(
        observed_generation=task.metadata.generation,
        conditions=_conditions(status.conditions, task.metadata.generation, assignment),
        failure=failure,
        upload=courier.upload,
        update=courier.update,
        timeline=status.timeline,
    )


def due(told: RoundTaskStatus, now: RoundTaskStatus, told_ago: float) -> float | None:
    """In how many seconds the hub has to hear what is `now` (0: at once), or None where it knows.

    `told_ago`: seconds since it was last told anything of this task.
    """
    if _acted_on(told) != _acted_on(now):
        return 0.0
    # Times alone are never a reason.
    if dataclasses.replace(told, timeline=()) == dataclasses.replace(now, timeline=()):
        return None
    # A clock that was set back is no reason to be silent for longer.
    return min(max(0.0, PROGRESS_SECONDS - told_ago), PROGRESS_SECONDS)


def _acted_on(status: RoundTaskStatus) -> object:
    stages = tuple(timeline.reached(status.timeline, stage) for stage in STAGES_AT_ONCE)
    found = tuple((c.type, c.status, c.reason) for c in status.conditions if c.type in CONDITIONS_AT_ONCE)
    return stages, found, status.failure, status.upload, status.update


def refuse_recreated(task: RoundTask, now: datetime) -> RoundTaskStatus:
    """For a RoundTask whose name another one had: its round and attempt are taken."""
    found = task.status.conditions
    generation = task.metadata.generation
    for kind, status in (("Accepted", False), ("Failed", True)):
        found = conditions.set_condition(found, kind, status, "Replayed", now=now, generation=generation)
    return dataclasses.replace(
        task.status,
        observed_generation=generation,
        conditions=conditions.stalled(found, "Replayed", "", now=now, generation=generation),
    )


def left_alone(task: RoundTask, reason: str, now: datetime) -> RoundTaskStatus:
    """For a RoundTask that waits at the hub because the site can make no SiteTask of it."""
    found, generation = task.status.conditions, task.metadata.generation
    found = conditions.set_condition(found, "Accepted", "Unknown", reason, now=now, generation=generation)
    found = conditions.progressing(found, reason, "", now=now, generation=generation)
    return dataclasses.replace(task.status, observed_generation=generation, conditions=found)


def mirrored(task: RoundTask, site_task: SiteTask) -> bool:
    return task.metadata.uid == site_task.spec.round_task_uid


def _conditions(found: Conditions, generation: int, assignment: Assignment | None) -> Conditions:
    return tuple(
        dataclasses.replace(each, message=_message(each, assignment), observed_generation=generation) for each in found
    )


def _message(condition: Condition, assignment: Assignment | None) -> str:
    if condition.type == "Accepted" and condition.status == "True":
        # By the site's own word: a task that is over is mirrored without its assignment.
        return LOCAL_SOCKETS if LOCAL_SOCKETS in condition.message else ""
    if condition.reason != "Unschedulable" or condition.status != "True":
        return ""
    wanted = assignment.resources.accelerators_per_node if assignment else 0
    if not wanted:
        return REASONS["Unschedulable"].meaning
    return f"No node of the site has {wanted} free accelerators."
