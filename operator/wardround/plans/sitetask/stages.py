"""Decides how long a stage of a task may take, and why a task that took longer has failed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from wardround.api import conditions, timeline
from wardround.api.task import Failure
from wardround.plans import waits
from wardround.plans.pod import Pod
from wardround.plans.sitetask.types import Marks, Ruling
from wardround.plans.sitetask.view import View
from wardround.wire.assignment import Assignment

# Stages that come anew with each pod: the hub counts training from the newest one's start.
POD_STAGES = frozenset({"Started", "Prepared"})


def deadline(view: View, ruling: Ruling) -> datetime | None:
    """When the time is over for the stage that this ruling is about.

    None while the task trains: the kubelet counts that time, since it stops the pod. The site counts only the time
    after which a node counts as dead (`failure.silent_from`).
    """
    seen, assignment = view.seen, view.assignment
    if ruling.final or assignment is None or ruling.marks.get("Accepted", (False, ""))[0] is not True:
        return None
    known = seen.task.status.conditions
    if "Trained" in ruling.marks:
        return (conditions.since(known, "Trained") or seen.now) + timedelta(seconds=assignment.upload_seconds)
    if ruling.reason == "Training":
        return None
    started = timeline.reached(seen.task.status.timeline, "Started")
    begun = _waits_again_since(seen.pod, started, assignment) if started else conditions.since(known, "Accepted")
    return (begun or seen.now) + timedelta(seconds=assignment.wait_seconds)


def _waits_again_since(pod: Pod | None, started: datetime, assignment: Assignment) -> datetime:
    """When the task began to wait for a pod that replaces the one of the time `started`.

    No object says when a pod went. So the latest time counts at which its kubelet would have stopped it. This time does
    not move, however often the site operator looks. The hub counts by it too.
    """
    if pod is not None and not pod.leaving and pod.created is not None:
        return pod.created
    return started + timedelta(seconds=assignment.train_seconds)


def overdue(ruling: Ruling) -> Ruling:
    """The failure of a task whose stage took too long. Its cause is what the task waited for."""
    otherwise = "UploadDeadline" if "Trained" in ruling.marks else "StartDeadline"
    reason = waits.too_long(ruling.reason, otherwise)
    message = f"The time for this stage is over (deadlines of the round). The task waited for this: {ruling.message}"
    return failed(Failure.by(reason, message[:2048]), marks=ruling.marks, stages=ruling.stages)


def failed(failure: Failure, *, marks: Marks | None = None, stages: Mapping[str, datetime] | None = None) -> Ruling:
    return Ruling(
        reason=failure.reason,
        message=failure.message or "",
        failure=failure,
        final="Failed",
        marks=marks or {},
        stages=stages or {},
    )


def pod_times(view: View) -> dict[str, datetime]:
    """When the pod reached its stages, by the containers' own times, which the kubelet gives in whole seconds."""
    pod = view.seen.pod
    times = {
        "Started": pod.step("prepare").started if pod else None,
        "Prepared": pod.step("prepare").finished if pod else None,
        "Trained": pod.step("train").finished if pod else None,
        "Checked": pod.step("check").finished if pod else None,
    }
    return {stage: time for stage, time in times.items() if time is not None}
