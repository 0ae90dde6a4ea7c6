"""A series that a hospital has approved, its tasks and Approvals, for tests of what an Approval covers."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from tests.worlds.site import (
    ASSIGNMENT,
    HUB,
    IMAGE,
    NOW,
    a_site,
    a_task,
    seen,
    signed,
)
from wardround.api import approval
from wardround.api.approval import Approval, ApprovalStatus
from wardround.api.times import to_seconds
from wardround.plans import approval as approvals
from wardround.plans.approval import Approvals, EarlierTask
from wardround.plans.sitetask.types import Observation, Plan
from wardround.plans.terms import SeriesTerms, digest, series_terms, text
from wardround.wire.assignment import (
    AssignedModel,
    AssignedSchedule,
    AssignedStep,
    Assignment,
    Exchange,
    Quorum,
)

MODEL = AssignedModel(
    name="breast",
    uid="model-uid",
    series=1,
    round=2,
    rounds=3,
    tasks=("Statistics", "Train", "Evaluate Validation"),
    image=IMAGE,
    command=ASSIGNMENT.command,
    parameters={"epochs": "5"},
    schedules=(AssignedSchedule("epochs", (AssignedStep(3, "2"),)),),
    frozen=("input.*",),
    metrics=("loss",),
    quorum=ASSIGNMENT.quorum,
    evaluation_quorum=Quorum(3, (), 60, "Fail"),
    resources=ASSIGNMENT.resources,
)
TRAIN = dataclasses.replace(ASSIGNMENT, model=MODEL)
EVALUATE = dataclasses.replace(
    TRAIN, task="Evaluate", initial=False, quorum=MODEL.evaluation_quorum, exchange=Exchange(())
)
STATISTICS = dataclasses.replace(
    TRAIN,
    task="Statistics",
    image="",
    image_digest="",
    initial=False,
    parameters={},
    model=dataclasses.replace(MODEL, round=0),
)


def terms(task: Assignment) -> SeriesTerms:
    series = series_terms(task)
    assert series is not None
    return series


TERMS = terms(TRAIN)
UNTIL = NOW + timedelta(days=30)
MANUAL = a_site(approval="Manual", localSockets=True, minQuorum=1, release="Readers")


def an_approval(
    series: SeriesTerms = TERMS, *, name: str = "breast-s1", status: dict[str, Any] | None = None, **spec: Any
) -> Approval:
    known = {"author": "alice", "terms": text(series), "maxRounds": 8, "maxEvaluations": 2}
    times = {} if spec.get("verdict") == "Deny" else {"until": to_seconds(UNTIL)}
    return approval.parse(
        {
            "metadata": {"name": name, "namespace": "hospital-a", "uid": f"uid-of-{name}", "generation": 1},
            "spec": {**known, **times, **spec},
            "status": status or {},
        }
    )


def key_of(task: Assignment) -> str:
    """By what an Approval counts this task."""
    return approvals.task_key(task, HUB.sign(task))


def covers(task: Assignment, *every: Approval, earlier: tuple[EarlierTask, ...] = ()) -> bool:
    return approvals.covering(task, key_of(task), Approvals(every=every, earlier=earlier), NOW) is not None


def counted(task: Assignment, *every: Approval, earlier: tuple[EarlierTask, ...] = ()) -> ApprovalStatus:
    return approvals.count(every[0], task, key_of(task), Approvals(every=every, earlier=earlier))


def earlier_task(key: str, series: SeriesTerms = TERMS, *, evaluation: bool = False) -> EarlierTask:
    return EarlierTask(key=key, terms=digest(text(series)), evaluation=evaluation)


def waiting(task: Assignment = TRAIN, *every: Approval, **spec: Any) -> Observation:
    changes = {name: getattr(task, name) for name in Assignment.__dataclass_fields__}
    return seen(a_task(envelope=signed(**changes), spec=spec), site=MANUAL, approvals=every)


def accepts(planned: Plan) -> bool:
    known = [each for each in planned.status.conditions if each.type == "Accepted"]
    return bool(known) and known[0].status == "True"
