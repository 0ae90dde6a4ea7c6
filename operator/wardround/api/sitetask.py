"""SiteTask: the site's copy of a RoundTask, and the owner of its Job. Only the courier writes `status.courier`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.meta import Meta
from wardround.api.task import TaskSpec, TaskStatus, Update, Upload
from wardround.wire import codec
from wardround.wire.outcome import OwnMetric, OwnOutcome

KIND = "SiteTask"


@dataclass(frozen=True, kw_only=True)
class SiteTaskSpec(TaskSpec):
    """`approved`, `denied`: set by a person of the hospital. `decided_by`: the user name of that person."""

    round_task_uid: str
    approved: bool = False
    denied: bool = False
    decided_by: str | None = None

    @classmethod
    def copied(cls, spec: TaskSpec, round_task_uid: str) -> SiteTaskSpec:
        """Of a RoundTask that the hub has not cancelled."""
        return cls(
            round_ref=spec.round_ref,
            round_task_uid=round_task_uid,
            attempt=spec.attempt,
            assignment=spec.assignment,
            hub_key=spec.hub_key,
            grants=spec.grants,
        )


@dataclass(frozen=True, kw_only=True)
class CourierReport:
    """`input`: `Ready` when the base is in the workspace. `delivery`: `Done` when the models claim has the model.
    `reason`: why the courier failed."""

    input: str | None = None
    delivery: str | None = None
    upload: Upload | None = None
    update: Update | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskDecision:
    """A person's decision about the task. `by`: the user. `at`: when the site operator saw it. `approval`: the Approval
    by which the person decided about the task's whole series."""

    verdict: Literal["Approve", "Deny"]
    by: str
    at: str
    approval: str | None = None


@dataclass(frozen=True, kw_only=True)
class OwnVerdict:
    """Whether the model of an Evaluate round is better than a reference on the hospital's own people. `reference`: the
    round that made it, as the assignment names it."""

    reference: str
    outcome: OwnOutcome


@dataclass(frozen=True, kw_only=True)
class SiteTaskStatus(TaskStatus):
    """`metrics`: the hospital's own numbers. Neither they nor `decision` leave the hospital. `verdicts`: the hospital's
    own, in the order of the references. The hub hears them only if policy.tellVerdicts allows it."""

    metrics: tuple[OwnMetric, ...] = ()
    verdicts: tuple[OwnVerdict, ...] = ()
    decision: TaskDecision | None = None
    courier: CourierReport | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    metadata: Meta
    spec: SiteTaskSpec
    status: SiteTaskStatus = field(default_factory=SiteTaskStatus)


def parse(value: Mapping[str, Any]) -> SiteTask:
    return codec.parse(SiteTask, value)


def review(task: str, namespace: str) -> str:
    """The command that shows what this task asks for, and how to approve it."""
    return f"kubectl wardround review sitetask/{task} -n {namespace}"


def approval(task: str, namespace: str, uid: str) -> str:
    """The command that approves this task alone. The UID makes it fail if the hub has replaced the task since a person
    read it."""
    return f"kubectl wardround approve sitetask/{task} -n {namespace} --uid {uid}"
