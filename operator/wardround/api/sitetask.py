"""SiteTask: the site's copy of a RoundTask, and the owner of its Job. Only the courier writes `status.courier`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.meta import Meta
from wardround.api.task import TaskSpec, TaskStatus, Update, Upload
from wardround.wire import codec
from wardround.wire.outcome import OwnMetric

KIND = "SiteTask"


@dataclass(frozen=True, kw_only=True)
class SiteTaskSpec(TaskSpec):
    """`approved`: set by a person of the hospital."""

    round_task_uid: str
    approved: bool = False


@dataclass(frozen=True, kw_only=True)
class CourierReport:
    """`input`: `Ready` when the base is in the workspace. `reason`: why the courier failed."""

    input: str | None = None
    upload: Upload | None = None
    update: Update | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTaskStatus(TaskStatus):
    """`metrics`: the hospital's own numbers, which never leave it."""

    metrics: tuple[OwnMetric, ...] = ()
    courier: CourierReport | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    metadata: Meta
    spec: SiteTaskSpec
    status: SiteTaskStatus = field(default_factory=SiteTaskStatus)


def parse(value: Mapping[str, Any]) -> SiteTask:
    return codec.parse(SiteTask, value)


def approval(task: str, namespace: str, uid: str) -> str:
    """The command that approves this task. The UID makes it fail if the hub has replaced the task since a person read
    it."""
    merge = f"""-p '{{"metadata":{{"uid":"{uid}"}},"spec":{{"approved":true}}}}'"""
    return f"kubectl patch sitetask {task} -n {namespace} --type merge {merge}"
