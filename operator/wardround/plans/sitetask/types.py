"""What the plan of a task is made from and what it says: observation in, actions and status out. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from wardround.api.roundtask import RoundTask
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask, SiteTaskStatus
from wardround.api.task import Failure
from wardround.plans.sitetask.pod import Job, Pod, Step
from wardround.wire.assignment import Assignment

Action = Literal["CreateJob", "DeleteJob", "DeleteTask", "Mirror"]
# Status and reason of a condition, by its type.
Marks = Mapping[str, tuple[bool | Literal["Unknown"], str]]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`round_task` None: the hub has no RoundTask of this UID. With `hub_reached` False, the site does not know.

    `others` and `busy` (names of SiteTasks whose Jobs are not over) are empty where the plan does not look at them.
    `datasets`: the specs of the site's Datasets, by name. `isolation_proven`: the positive control holds.
    """

    site: Site
    task: SiteTask
    round_task: RoundTask | None
    hub_reached: bool
    others: Sequence[SiteTask]
    busy: Collection[str]
    datasets: Mapping[str, Mapping[str, Any]]
    job: Job | None
    pod: Pod | None
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
    prepared: Step | None = None
    watched: Step | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule says: how the task stands and why, what to do, which stages are reached, when to look again."""

    reason: str
    message: str = ""
    stages: Mapping[str, datetime] = field(default_factory=dict)
    marks: Marks = field(default_factory=dict)
    failure: Failure | None = None
    final: Literal["Complete", "Failed", ""] = ""
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None


def sooner(*seconds: float | None) -> float | None:
    """The least of the waits that there are."""
    return min((each for each in seconds if each is not None), default=None)
