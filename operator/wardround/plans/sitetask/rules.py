"""The rules of a task before its end, in the order in which they are asked. The first that answers is the ruling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from wardround.api import conditions
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.task import Failure
from wardround.api.times import to_seconds
from wardround.manifests.training import build
from wardround.plans import assignment as assignments
from wardround.plans import waits
from wardround.plans.approval import is_approval
from wardround.plans.dataset import texts_fault
from wardround.plans.denial import denial, in_place
from wardround.plans.pod import JOB_NOT_ADMITTED
from wardround.plans.sitetask import failure as failures
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.places import ahead
from wardround.plans.sitetask.stages import failed, pod_times
from wardround.plans.sitetask.state import is_accepted, is_refused
from wardround.plans.sitetask.types import Change, CreateJob, Marks, Observation, Ruling
from wardround.plans.sitetask.view import View, has_reached
from wardround.reasons.registry import COURIER, REASONS
from wardround.sealing.refused import Refused
from wardround.wire.training import LiveRounds

RETRY_SECONDS = 10.0
# A task that gives up its place wakes the tasks that wait. This is for a place that went with a task that people
# deleted.
QUEUE_SECONDS = 30.0
CLOCK_SECONDS = 30.0
ACCEPTED: Marks = {"Accepted": (True, "Accepted")}
INPUT_READY: Marks = {**ACCEPTED, "InputReady": (True, "InputFetched")}
TRAINED: Marks = {**INPUT_READY, "Trained": (True, "Trained")}


def _cancelled(view: View) -> Ruling | None:
    there = view.seen.mirrored
    cancelled = there is not None and there.spec.cancel
    if view.seen.gone or cancelled or view.seen.task.spec.cancel:
        return Ruling(reason="Cancelled", message=_ended_by_the_hub(view.seen), final="Failed")
    return None


def _ended_by_the_hub(seen: Observation) -> str:
    """The message of a task that the hub has ended: with what the task waited for, since that may be why."""
    meaning = REASONS["Cancelled"].meaning
    last = conditions.find(seen.task.status.conditions, "Reconciling")
    if last is None or last.status != "True" or last.reason not in waits.TROUBLE:
        return meaning
    return f"{meaning} Until then, the task waited because of {last.reason}: {last.message}"


def _refused(view: View) -> Ruling | None:
    if view.acceptance.outcome != "Refused":
        return None
    refusal, meta = view.acceptance, view.seen.task.metadata
    message = refusal.message_at(meta.name, meta.namespace)
    failure = Failure.by(refusal.reason, message, parameter=refusal.parameter or None, bound=refusal.bound or None)
    # An accepted task stays accepted though the pin has changed: it is the memory against replay (memory.py).
    return failed(failure, marks={} if is_accepted(view.seen.task) else {"Accepted": (False, refusal.reason)})


def _approval_ended(view: View) -> Ruling | None:
    """An accepted task ends with the approval on which it rests: a person has withdrawn it, or its time is over. It
    also ends if a person denies it before anybody has approved it."""
    task, site = view.seen.task, view.seen.site
    if not is_accepted(task) or site.spec.policy.approval != "Manual":
        return None
    decision = task.status.decision
    if task.spec.denied:
        return failed(_denied(task, decision))
    if task.spec.approved or decision is None or decision.approval is None:
        return None
    if view.approval is not None and is_approval(view.approval, view.seen.now):
        return None
    message = (
        f"This task has ended, because Approval {decision.approval} no longer applies: a person has withdrawn or "
        "deleted it, or its time is over."
    )
    return failed(Failure.by("ApprovalEnded", message))


def _denied(task: SiteTask, decision: TaskDecision | None) -> Failure:
    """`decision`: the one before the denial."""
    if decision is None or decision.verdict == "Deny":
        text = denial(policy="", denied=True, earlier="", approval=None)
        return Failure.by("Denied", in_place(text, task.metadata.name, task.metadata.namespace))
    if decision.approval is None:
        return Failure.by(
            "ApprovalEnded", "This task has ended, because a person at this hospital has withdrawn its approval."
        )
    return Failure.by(
        "ApprovalEnded",
        f"This task has ended, because a person at this hospital has denied it. Before, Approval {decision.approval} "
        "covered the task.",
    )


def _waits_for_people(view: View) -> Ruling | None:
    if view.acceptance.outcome != "Waiting":
        return None
    reason = view.acceptance.reason
    requeue_after = CLOCK_SECONDS if reason == assignments.AHEAD_REASON else None
    return Ruling(
        reason=reason,
        message=view.acceptance_text,
        marks={"Accepted": ("Unknown", reason)},
        requeue_after=requeue_after,
    )


def _expired(view: View) -> Ruling | None:
    if view.seconds_left is None or view.seconds_left > 0:
        return None
    return failed(Failure.by("Expired", REASONS["Expired"].meaning))


def _pod_failed(view: View) -> Ruling | None:
    return failed(view.failure, stages=pod_times(view)) if view.failure else None


def _courier_failed(view: View) -> Ruling | None:
    reason = view.courier.reason or ""
    if reason not in COURIER:
        return None
    message = (
        "The courier cannot do its part of the task. Read the courier's log: kubectl logs deployment/courier -n "
        f"{view.seen.task.metadata.namespace}"
    )
    return failed(Failure.by(reason, message), stages=pod_times(view))


def _sent(view: View) -> Ruling | None:
    if view.courier.update is None:
        return None
    stages = {**pod_times(view), "Sealed": view.seen.now, "Sent": view.seen.now}
    marks = {**TRAINED, "Sent": (True, "Sent")}
    return Ruling(reason="Complete", message=REASONS["Sent"].meaning, marks=marks, stages=stages, final="Complete")


def _is_delivery(view: View) -> bool:
    return view.assignment is not None and view.assignment.task == "Deliver"


def _delivered(view: View) -> Ruling | None:
    if not _is_delivery(view) or view.courier.delivery is None:
        return None
    return Ruling(reason="Delivered", message=REASONS["Delivered"].meaning, marks=ACCEPTED, final="Complete")


def _delivers(view: View) -> Ruling | None:
    """A Deliver task has no Job and needs no place: only the courier works on it."""
    return _progress(view, view.courier.reason or "Delivering", marks=ACCEPTED) if _is_delivery(view) else None


def _sends(view: View) -> Ruling | None:
    checked = view.seen.pod is not None and view.seen.pod.step("check").succeeded
    if view.courier.upload is None and not checked:
        return None
    stages = {**pod_times(view), **({"Sealed": view.seen.now} if view.courier.upload else {})}
    return _progress(view, view.courier.reason or "Sending", marks=TRAINED, stages=stages)


def _fetches(view: View) -> Ruling | None:
    if view.courier.input == "Ready":
        return None
    return _progress(view, view.courier.reason or "Fetching", marks=ACCEPTED)


def _queues(view: View) -> Ruling | None:
    """The oldest task goes first. A task that has a Job has its place already."""
    if view.seen.job is not None:
        return None
    names = ahead(view.seen)
    places = view.seen.site.spec.workload.max_concurrent_tasks
    if len(names) < places:
        return None
    message = (
        f"The task waits for {', '.join(names[:8])}: the Site runs {places} at a time (workload.maxConcurrentTasks)"
    )
    # While other tasks train, the cause still is what kept the Job out.
    reason, message = _last_try(view.seen) if is_refused(view.seen.task) else ("Queued", message)
    return _progress(view, reason, message, marks=INPUT_READY, requeue_after=QUEUE_SECONDS)


def _last_try(seen: Observation) -> tuple[str, str]:
    """Reason and message that a failed try to make the Job has left. They stand until a try succeeds."""
    last = conditions.find(seen.task.status.conditions, "Reconciling")
    if last is None or last.status != "True" or last.reason not in ("StepFailed", JOB_NOT_ADMITTED):
        return "Starting", ""
    return last.reason, last.message


def _dataset_gone(view: View) -> Ruling | None:
    name = view.assignment.dataset_name if view.assignment else ""
    if view.seen.job is not None or name in view.seen.datasets:
        return None
    return failed(
        Failure.by(
            "DatasetNotFound",
            f"This task cannot go on, because somebody deleted Dataset {name} after the site had accepted the task.",
        )
    )


def _dataset_unusable(view: View) -> Ruling | None:
    name = view.assignment.dataset_name if view.assignment else ""
    dataset = view.seen.datasets.get(name)
    if view.seen.job is not None or dataset is None:
        return None
    if dataset.schema is None:
        fault = f"There is no DataSchema {dataset.spec['schemaName']} in this namespace. Apply this DataSchema again"
    else:
        fault = texts_fault(dataset.spec, dataset.schema)
    return failed(Failure.by("DataUnreadable", f"Dataset {name}: {fault}")) if fault else None


def _creates_job(view: View) -> Ruling | None:
    seen, assignment = view.seen, view.assignment
    if seen.job is not None or assignment is None:
        return None
    if seen.control is None or not seen.control.proven:
        return _progress(view, "IsolationUnproven", marks=INPUT_READY, requeue_after=RETRY_SECONDS)
    try:
        job = training_job(
            seen.site,
            seen.task,
            assignment,
            seen.datasets[assignment.dataset_name],
            control=seen.control,
            max_samples=seen.max_samples,
            live=_live(view),
            operator_image=seen.operator_image,
        )
    except Refused as refused:
        return failed(Failure.by(refused.reason, str(refused)))
    reason, message = _last_try(seen)
    return _progress(view, reason, message, marks=INPUT_READY, changes=(CreateJob(job=build(job)),))


def _live(view: View) -> LiveRounds:
    """Whose checkpoints and states `prepare` keeps."""
    seen, pin = view.seen, view.seen.site.spec.hub.fingerprint
    rounds = memory.live_rounds(view.own, seen.others, pin, seen.now)
    states = memory.live_states(view.own, seen.others, pin, rounds)
    return LiveRounds(rounds, states, to_seconds(seen.now))


def _waits_for_its_pod(view: View) -> Ruling | None:
    """Why the Job controller makes no pod, for example because of a ResourceQuota, only Events of the Job tell. The
    site operator may not read Events."""
    job = view.seen.job
    if job is None or job.suspended or view.seen.pod is not None:
        return None
    state = "The Job of this task has no pod yet, so training has not begun."
    if has_reached(view.seen, "Started"):
        state = "The training pod of this task is gone. The Job has not made another one yet."
    message = (
        f"{state} If this lasts for minutes, the events of the Job say why, for example a ResourceQuota: kubectl "
        f"describe job/{job.name} -n {job.namespace}"
    )
    return _progress(view, "Starting", message, marks=INPUT_READY)


def _waits_for_a_node(view: View) -> Ruling | None:
    job, pod = view.seen.job, view.seen.pod
    if job is not None and job.suspended:
        queue = view.seen.site.spec.workload.queue_name
        return _progress(
            view,
            "Queued",
            f"The Job of this task waits in Kueue's queue {queue}: Kueue has not admitted the Job yet.",
            marks=INPUT_READY,
        )
    if pod is None or not pod.unschedulable:
        return None
    accelerators, resource = view.accelerators, view.seen.site.spec.workload.accelerator.resource_name
    asks = f" with {accelerators} x {resource}" if accelerators else ""
    return _progress(
        view,
        "Unschedulable",
        f"The training pod waits for a node{asks}. The scheduler says: {pod.unschedulable}",
        marks=INPUT_READY,
    )


def _waits_for_image(view: View) -> Ruling | None:
    pod = view.seen.pod
    container = failures.not_pulled(pod) if pod else ""
    if pod is None or not container:
        return None
    why = f"kubectl describe pod {pod.name} -n {pod.namespace}"
    message = f"The node cannot pull the image of container {container} yet. The events of the pod say why: {why}"
    return _progress(view, "ImagePullFailed", message, marks=INPUT_READY)


def _leaves_its_node(view: View) -> Ruling | None:
    pod = view.seen.pod
    if pod is None or not pod.leaving:
        return None
    message = (
        "Kubernetes removed the training pod from its node. The Job makes another pod: "
        f"kubectl describe job/{pod.name} -n {pod.namespace}"
    )
    return _progress(view, "Evicted", message, marks=INPUT_READY)


def _trains(view: View) -> Ruling:
    stages = pod_times(view)
    return _progress(view, "Training" if "Started" in stages else "Starting", marks=INPUT_READY, stages=stages)


def _progress(
    view: View,
    reason: str,
    message: str = "",
    *,
    marks: Marks,
    stages: Mapping[str, datetime] | None = None,
    changes: tuple[Change, ...] = (),
    requeue_after: float | None = None,
) -> Ruling:
    now = view.seen.now
    reached = {"Accepted": now, **({"InputReady": now} if "InputReady" in marks else {}), **(stages or {})}
    return Ruling(
        reason=reason,
        message=message or view.text(reason),
        marks=marks,
        stages=reached,
        changes=changes,
        requeue_after=requeue_after,
    )


RULES: tuple[Callable[[View], Ruling | None], ...] = (
    _cancelled,
    _refused,
    _approval_ended,
    _waits_for_people,
    _pod_failed,
    _courier_failed,
    _sent,
    _delivered,
    _expired,
    _delivers,
    _sends,
    _fetches,
    _queues,
    _dataset_gone,
    _dataset_unusable,
    _creates_job,
    _leaves_its_node,
    _waits_for_its_pod,
    _waits_for_a_node,
    _waits_for_image,
    _trains,
)
