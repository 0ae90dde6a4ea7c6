"""What the plan of a task is made from and what it says: observation in, actions and status out. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from wardround.api.approval import Approval, ApprovalStatus
from wardround.api.dataset import DatasetStatus
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.site import Site, SiteStatus
from wardround.api.sitetask import SiteTask, SiteTaskSpec, SiteTaskStatus
from wardround.api.task import Failure
from wardround.manifests.pod import Manifest
from wardround.plans.pod import Job, Pod
from wardround.plans.sitetask.held import HeldTask
from wardround.wire.assignment import Assignment
from wardround.wire.isolation import IsolationTarget

# Status and reason of a condition, by its type.
Marks = Mapping[str, tuple[bool | Literal["Unknown"], str]]


@dataclass(frozen=True, kw_only=True)
class ObservedDataset:
    """`spec` as it stands in the object: what `prepare` gets must be what was applied. `schema`: the spec of its
    DataSchema likewise, None if that is missing."""

    spec: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    status: DatasetStatus = field(default_factory=DatasetStatus)
    generation: int = 1


@dataclass(frozen=True)
class Control:
    """The positive control of the isolation gate: all targets for the pod. `proven`: at least one of those that prove
    something answered outside of the pod. `seconds`: how long the pod waits for an answer."""

    targets: tuple[IsolationTarget, ...]
    proven: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that the plan of one task may know.

    `round_task`: what the hub has under the task's name, perhaps a later object than the SiteTask mirrors. With
    `hub_reached` False, the site does not know what the hub has. `hub_heard`: when this process last told the hub of
    the task, if it did. `others`: the site's other tasks. `control` is there when the site may make the Job now.
    `max_samples`: what this site may claim, if its hub sets a limit. `operator_image`: the image of the containers of
    the Job that run our own code. `approvals`: the Approvals of the site, as long as the task may depend on one.
    """

    site: Site
    task: SiteTask
    round_task: RoundTask | None
    hub_reached: bool
    hub_heard: datetime | None = None
    others: Sequence[HeldTask] = ()
    datasets: Mapping[str, ObservedDataset]
    job: Job | None = None
    pod: Pod | None = None
    control: Control | None = None
    max_samples: int | None = None
    operator_image: str
    approvals: tuple[Approval, ...] = ()
    now: datetime

    @property
    def mirrored(self) -> RoundTask | None:
        """The RoundTask that this SiteTask mirrors."""
        there = self.round_task
        return there if there is not None and there.metadata.uid == self.task.spec.round_task_uid else None

    @property
    def gone(self) -> bool:
        """Whether the hub has deleted the RoundTask that this SiteTask mirrors."""
        return self.hub_reached and self.mirrored is None


@dataclass(frozen=True, kw_only=True)
class RefuseReplay:
    """Tell the hub that the site refuses a RoundTask whose name another one had."""

    status: RoundTaskStatus


@dataclass(frozen=True, kw_only=True)
class TellDataset:
    """Write the status of a Dataset whose rows a training pod has read."""

    name: str
    status: DatasetStatus


@dataclass(frozen=True, kw_only=True)
class TellSite:
    """Write the Site's status: what the sidecar of a training pod heard."""

    status: SiteStatus


@dataclass(frozen=True, kw_only=True)
class CountTask:
    """Write the status of the Approval that covers the task. Before the task is accepted, or rests on the Approval:
    after a crash in between, the task is counted once all the same."""

    name: str
    status: ApprovalStatus


@dataclass(frozen=True, kw_only=True)
class WriteStatus:
    """Write the SiteTask's status."""

    status: SiteTaskStatus


@dataclass(frozen=True, kw_only=True)
class WakeTasks:
    """Look at these tasks, which wait for what this one gives up."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Take over into the SiteTask what the hub may still change: grants, and that the task is cancelled."""

    grants: str | None
    cancel: bool


@dataclass(frozen=True, kw_only=True)
class CreateJob:
    """Create this training Job. `job`: the whole object."""

    job: Manifest


@dataclass(frozen=True, kw_only=True)
class DeleteJob:
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class DeleteTask:
    """Delete the SiteTask: the site forgets it."""

    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class TellHub:
    """Write the RoundTask's status. `last`: the hub hears nothing more of this task."""

    status: RoundTaskStatus
    last: bool


@dataclass(frozen=True, kw_only=True)
class TakeTask:
    """Make the SiteTask of a RoundTask that has none."""

    name: str
    labels: Mapping[str, str]
    spec: SiteTaskSpec


@dataclass(frozen=True, kw_only=True)
class LeaveAlone:
    """Tell the hub why the RoundTask has no SiteTask yet. `words` are for this site's log: the hub hears the reason
    alone."""

    status: RoundTaskStatus
    words: str


# When one of these fails, the status says so, and the hub still hears how the task stands.
Change = Mirror | CreateJob | DeleteJob | DeleteTask
Action = RefuseReplay | TellDataset | TellSite | CountTask | WriteStatus | WakeTasks | Change | TellHub
ArrivalAction = TakeTask | LeaveAlone


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order. `status`: the SiteTask's, which WriteStatus writes before any Change. `assignment`: as it is
    signed, if it opened; `plan.interrupted` needs it."""

    status: SiteTaskStatus
    actions: tuple[Action, ...]
    requeue_after: float | None = None
    assignment: Assignment | None = None


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one rule says: how the task stands and why, what to do, which stages are reached, `requeue_after`."""

    reason: str
    message: str = ""
    stages: Mapping[str, datetime] = field(default_factory=dict)
    marks: Marks = field(default_factory=dict)
    failure: Failure | None = None
    final: Literal["Complete", "Failed", ""] = ""
    changes: tuple[Change, ...] = ()
    requeue_after: float | None = None
