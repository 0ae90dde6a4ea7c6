"""SiteTask: the site's mirror of a RoundTask and owner of its Job. `status.courier` is the courier's alone to write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.meta import Meta
from wardround.api.task import TaskSpec, TaskStatus, Update, Upload
from wardround.wire import codec

KIND = "SiteTask"


@dataclass(frozen=True, kw_only=True)
class SiteTaskSpec(TaskSpec):
    """`approved` is for people of the hospital."""

    round_task_uid: str
    approved: bool = False


@dataclass(frozen=True, kw_only=True)
class CourierReport:
    """`input` is `Ready` when the base lies in the workspace; `reason` says why the courier failed."""

    input: str | None = None
    upload: Upload | None = None
    update: Update | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTaskStatus(TaskStatus):
    courier: CourierReport | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    metadata: Meta
    spec: SiteTaskSpec
    status: SiteTaskStatus = field(default_factory=SiteTaskStatus)


def parse(value: Mapping[str, Any]) -> SiteTask:
    return codec.parse(SiteTask, value)


def approval(task: str, namespace: str, uid: str) -> str:
    """The command with which a person at the site approves this very task. Its UID keeps the person from approving
    another task that the hub puts under the same name while the person reads."""
    merge = f"""-p '{{"metadata":{{"uid":"{uid}"}},"spec":{{"approved":true}}}}'"""
    return f"kubectl patch sitetask {task} -n {namespace} --type merge {merge}"
