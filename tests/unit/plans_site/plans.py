"""Reads the plan of a site, and makes observations of a training pod."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.worlds.site import (
    ASSIGNMENT,
    JOB,
    a_pod,
    a_round_task,
    a_task,
    change_names,
    ended,
    ready,
    seen,
)
from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.roundtask import RoundTaskStatus
from wardround.api.sitetask import SiteTaskStatus
from wardround.plans.sitetask.hub import mirror
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CreateJob, DeleteJob, Observation, Plan

(CREATE,) = [each for each in plan(seen(a_task(status=ready()))).actions if isinstance(each, CreateJob)]
ROUND_TASK = a_round_task(a_task())
REPLAYED = dataclasses.replace(ROUND_TASK, metadata=dataclasses.replace(ROUND_TASK.metadata, uid="another"))
DELETE = DeleteJob(name=JOB.name, uid=JOB.uid)
UPDATE = {"manifest": "{}", "samples": 290, "metrics": [{"name": "loss", "value": "0.1"}]}


def holds(status: SiteTaskStatus | RoundTaskStatus, kind: str) -> Condition:
    condition = conditions.find(status.conditions, kind)
    assert condition is not None, f"no condition {kind}"
    return condition


def reason(plan: Plan) -> str:
    return holds(plan.status, "Reconciling").reason


def hub_status(observation: Observation) -> RoundTaskStatus:
    planned = plan(observation)
    assert observation.round_task is not None
    return mirror(planned.status, observation.round_task, ASSIGNMENT)


def training(*containers: dict[str, Any], **status: Any) -> Observation:
    return seen(a_task(status=ready()), job=JOB, pod=a_pod(*containers, **status))


def outcome(reason: str, message: str = "mean_radius of patient 17") -> str:
    return json.dumps({"reason": reason, "class": "Site", "message": message})


def sidecar(place: str, code: int, message: str = "", second: int = 40, cause: str = "Error") -> dict[str, Any]:
    """That ended in that second; containers beside it that have ended did so in second 40."""
    state = ended("isolation", code, message, cause)["state"]
    state["terminated"]["finishedAt"] = f"2026-11-24T11:59:{second}Z"
    return {"name": "isolation", place: state}


def assert_retried(observation: Observation, reason: str) -> None:
    planned = plan(observation)
    failure = planned.status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Platform", reason)
    after = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=planned.status))
    assert change_names(plan(after)) == ("DeleteJob",)
