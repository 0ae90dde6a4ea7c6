"""What the plan of a task sees and says, and how a task stands by its conditions; decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from wardround.api import conditions
from wardround.api.roundtask import RoundTask
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask, SiteTaskStatus
from wardround.api.task import Failure
from wardround.plans.sitetask import pod as pods
from wardround.wire.assignment import Assignment

NOT_ADMITTED = "JobNotAdmitted"
Action = Literal["CreateJob", "DeleteJob", "DeleteTask", "Mirror"]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`round_task` None: the hub has none of this UID, or, with `hub_reached` False, nothing is known of it.

    `others` and `busy` (names of SiteTasks whose Jobs are not over) are empty where the plan does not look at them.
    `datasets`: the specs of those here, by name. `isolation_proven`: the positive control holds.
    """

    site: Site
    task: SiteTask
    round_task: RoundTask | None
    hub_reached: bool
    others: Sequence[SiteTask]
    busy: Collection[str]
    datasets: Mapping[str, Mapping[str, Any]]
    job: pods.Job | None
    pod: pods.Pod | None
    isolation_proven: bool
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`prepared`: what `prepare` said of the dataset, when this is the first look at it; for the Dataset's status.

    `watched`: how the sidecar ended once the pod's work was over; for the Site's status.
    """

    status: SiteTaskStatus
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None
    assignment: Assignment | None = None
    prepared: pods.Step | None = None
    watched: pods.Step | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What one rule says: how the task stands. `waiting`: nothing moves until something else does."""

    reason: str
    message: str = ""
    stages: Mapping[str, datetime] = dataclasses.field(default_factory=dict)
    marks: Mapping[str, tuple[bool | Literal["Unknown"], str]] = dataclasses.field(default_factory=dict)
    failure: Failure | None = None
    final: Literal["Complete", "Failed", ""] = ""
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None


def is_final(task: SiteTask | RoundTask) -> bool:
    """Of either side's object: the hub's is told of the site's end a little later."""
    found = task.status.conditions
    return conditions.is_true(found, "Complete") or conditions.is_true(found, "Failed")


def is_accepted(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Accepted")


def is_refused(task: SiteTask) -> bool:
    """Whether the site's API server does not admit its Job now."""
    found = conditions.find(task.status.conditions, "Reconciling")
    return found is not None and (found.status, found.reason) == ("True", NOT_ADMITTED)


def is_trained(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Trained")


def sooner(*seconds: float | None) -> float | None:
    return min((s for s in seconds if s is not None), default=None)
