"""Decides why a training Job has failed, or is about to, by an ordered list of rules; reads Job and pod alone. Pure.

A container's free text counts only when the container is ours, and then only its enumerated reason counts. The text is
for the site's people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from wardround.api.task import Failure
from wardround.plans.pod import Job, Pod, Step
from wardround.reasons.reason import EXIT_DATA, EXIT_PARAMETERS, EXIT_TRY_AGAIN
from wardround.reasons.registry import POD, REASONS
from wardround.wire.outcome import Outcome

# What a training image may say by its exit code (docs/training-image.md).
BY_EXIT_CODE: Mapping[int, str] = {
    EXIT_PARAMETERS: "ParametersRefused",
    EXIT_DATA: "DataUnreadable",
    EXIT_TRY_AGAIN: "PodFailed",
}
# Exit codes of the launcher for a command that is no program, and of a shell for a program that is not there.
EXIT_NOT_STARTED = (126, 127)
# Why a container waits. These causes do not heal by waiting.
NEVER_PULLED = ("ErrImageNeverPull", "InvalidImageName")
NEVER_STARTED = ("StartError", "ContainerCannotRun")
# The pod's deadline counts from when its node begins with it. A start that takes longer than this is not training.
USUAL_START_SECONDS = 30.0
# How long a kubelet may take to stop a pod whose time is over and report it, and to remove a pod that was deleted.
KUBELET_STOPS_WITHIN, KUBELET_REMOVES_WITHIN = timedelta(seconds=90), timedelta(seconds=120)
# The last container of a training pod, and of a Prediction's.
LAST = ("check", "merge")
NOT_PULLED = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", *NEVER_PULLED)


def failure(
    job: Job | None, pod: Pod | None, *, ours: frozenset[str], train_seconds: int | None = None, now: datetime
) -> Failure | None:
    """Why the Job has failed or is about to, by the first rule that knows. `ours`: containers of our own image.

    `train_seconds`: how long the round lets the pod train. When the kubelet stops a pod whose time is over, the exit
    codes of its containers say nothing about the cause. A node that has died says nothing any more.
    """
    if pod is None:
        return _job_out_of_time(job) or _job_failed(job, pod)
    return (
        _opened(pod, ours)
        or _out_of_time(pod, train_seconds)
        or _job_out_of_time(job)
        or next((cause for rule in RULES if (cause := rule(pod, ours))), None)
        or _job_failed(job, pod)
        or _node_lost(pod, now)
    )


def _job_out_of_time(job: Job | None) -> Failure | None:
    if job is None or job.failed != "DeadlineExceeded":
        return None
    message = (
        "The Job ran longer than its activeDeadlineSeconds. Not the round, but a person or a program in this cluster "
        f"has set this limit. To see the Job: kubectl describe job/{job.name} -n {job.namespace}"
    )
    return Failure.by("DeadlineExceeded", message)


def _job_failed(job: Job | None, pod: Pod | None) -> Failure | None:
    if job is None or not job.failed:
        return None
    evicted = pod is not None and (pod.reason == "Evicted" or pod.disrupted)
    return Failure.by(
        "Evicted" if evicted else "PodFailed",
        f"The Job failed with {job.failed}: kubectl describe job/{job.name} -n {job.namespace}",
    )


def _out_of_time(pod: Pod, train_seconds: int | None) -> Failure | None:
    """Why the kubelet has stopped a pod whose time is over. The round's code is the cause only if the pod could train
    for that time, and only if the deadline is the round's: somebody at the site may have set another."""
    if pod.reason != "DeadlineExceeded":
        return None
    if pod.deadline_seconds != train_seconds:
        message = (
            f"Kubernetes has stopped pod {pod.name} at its activeDeadlineSeconds. This limit is not the round's: a "
            "person or a program in this cluster has set it."
        )
        return Failure.by("DeadlineExceeded", message)
    began = pod.step("prepare").started
    starting = (began - pod.started).total_seconds() if began and pod.started else None
    if starting is not None and starting <= USUAL_START_SECONDS:
        message = (
            f"Kubernetes has stopped pod {pod.name}, because its training took longer than the {train_seconds} s of "
            "deadlines.trainSeconds. The round's author can apply a new round with a larger deadlines.trainSeconds, or "
            "with parameters that make training shorter."
        )
        return Failure.by("TrainDeadline", message)
    reason = "ImagePullFailed" if began is None and not_pulled(pod) else "StartDeadline"
    took = "did not begin to train" if starting is None else f"took {starting:.0f} s to start"
    message = (
        f"Pod {pod.name} {took} within the {train_seconds} s that its node had for it: "
        f"kubectl describe pod {pod.name} -n {pod.namespace}"
    )
    return Failure.by(reason, message)


def silent_from(pod: Pod) -> datetime | None:
    """When a node that no longer reports this pod counts as dead.

    By then the node should have removed a pod that was deleted, or stopped a pod whose time is over.
    """
    if pod.phase in ("Succeeded", "Failed") or any(pod.step(name).succeeded for name in LAST):
        return None
    times = [pod.gone_by + KUBELET_REMOVES_WITHIN] if pod.gone_by else []
    if pod.started and pod.deadline_seconds is not None:
        times.append(pod.started + timedelta(seconds=pod.deadline_seconds) + KUBELET_STOPS_WITHIN)
    return min(times, default=None)


def _node_lost(pod: Pod, now: datetime) -> Failure | None:
    silent = silent_from(pod)
    if silent is None or now < silent:
        return None
    message = (
        f"The node of pod {pod.name} no longer reports the pod's state, so the node counts as dead: "
        f"kubectl get pod {pod.name} -n {pod.namespace} -o wide"
    )
    return Failure.by("NodeLost", message)


def _opened(pod: Pod, _: frozenset[str]) -> Failure | None:
    report = (pod.isolation.report if pod.isolation else None) or Outcome()
    if report.reason != "NetworkOpen":
        return None
    return Failure.by("NetworkOpen", _text(report.message), exit_code=REASONS["NetworkOpen"].exit_code)


def _unwatched(pod: Pod, _: frozenset[str]) -> Failure | None:
    """The sidecar has ended before the pod's work was over, so nothing has watched what the pod could reach since."""
    ended = pod.isolation
    if ended is None or pod.disrupted or pod.gone_by or pod.reason == "Evicted" or _ended_with_pod(pod, ended):
        return None
    report = ended.report or Outcome()
    message = _text(report.message) or (
        "The task has failed, because the container `isolation` ended too early "
        f"({ended.reason or 'no reason'}, exit code {ended.exit_code}). This container tests that the training "
        "pod reaches no network."
    )
    return Failure.by("IsolationUnknown", message, exit_code=ended.exit_code)


def _ended_with_pod(pod: Pod, sidecar: Step) -> bool:
    """Once the other containers have ended, the kubelet sends the sidecar SIGTERM, and the sidecar exits with 0. If it
    takes too long, the kubelet kills it."""
    if pod.watched_again:
        return False
    if sidecar.succeeded:
        return True
    others = [step.finished for step in pod.steps.values() if step.finished is not None]
    over = any(pod.step(name).exit_code is not None for name in LAST) or any(step.failed for step in pod.steps.values())
    return over and sidecar.finished is not None and sidecar.finished >= max(others)


def _out_of_memory(pod: Pod, _: frozenset[str]) -> Failure | None:
    step = _failed_step(pod)
    if step is None or step.reason != "OOMKilled":
        return None
    message = f"Container {step.name} needed more memory than its limit (workload.limits.memory of the site chart)."
    return Failure.by("OutOfMemory", message, exit_code=step.exit_code)


def _our_own(pod: Pod, ours: frozenset[str]) -> Failure | None:
    step = _failed_step(pod)
    if step is None or step.name not in ours:
        return None
    report = step.report or Outcome()
    reason = report.reason or ""
    if reason not in POD:
        return Failure.by("PodFailed", _ended(pod, step), exit_code=step.exit_code)
    return Failure.by(reason, _text(report.message), exit_code=step.exit_code)


def _trainer(pod: Pod, ours: frozenset[str]) -> Failure | None:
    step = _failed_step(pod)
    if step is None or step.name in ours:
        return None
    reason = BY_EXIT_CODE.get(step.exit_code or 0, "TrainerFailed")
    parameter = step.report.parameter if step.report and reason == "ParametersRefused" else None
    return Failure.by(reason, _ended(pod, step), exit_code=step.exit_code, parameter=parameter)


def _ended(pod: Pod, step: Step) -> str:
    if step.reason in NEVER_STARTED:
        describe = f"kubectl describe pod {pod.name} -n {pod.namespace}"
        return (
            f"The node could not start container {step.name}, so the container has no log. Check whether the image "
            f"fits this node: {describe}"
        )
    logs = f"kubectl logs {pod.name} -n {pod.namespace} -c {step.name}"
    if step.exit_code in EXIT_NOT_STARTED:
        why = "its image does not contain the command, or a program that the command starts"
        return f"Container {step.name} ended with exit code {step.exit_code}: {why}: {logs}"
    return f"Container {step.name} ended with exit code {step.exit_code}: {logs}"


def _never_pulled(pod: Pod, _: frozenset[str]) -> Failure | None:
    for step in pod.steps.values():
        if step.reason in NEVER_PULLED:
            message = f"The node has no image for container {step.name}, and does not pull one ({step.reason})."
            return Failure.by("PodFailed", message)
    return None


def not_pulled(pod: Pod) -> str:
    """The container whose image cannot be pulled for now, or nothing."""
    return next((step.name for step in pod.steps.values() if step.reason in NOT_PULLED), "")


def _failed_step(pod: Pod) -> Step | None:
    # A container that ended with its node says nothing about code or data. The replacement pod will.
    if pod.disrupted or pod.reason == "Evicted":
        return None
    step = next((step for step in pod.steps.values() if step.failed), None)
    return None if step is not None and _stopped_for_time(pod, step) else step


def _stopped_for_time(pod: Pod, step: Step) -> bool:
    """When a pod's time is over, its containers end some seconds before the kubelet writes the cause to the pod."""
    if pod.started is None or pod.deadline_seconds is None or step.finished is None:
        return False
    return step.finished >= pod.started + timedelta(seconds=pod.deadline_seconds)


def _text(message: str | None) -> str:
    return (message or "")[:2048]


Rule = Callable[[Pod, frozenset[str]], Failure | None]
RULES: tuple[Rule, ...] = (_unwatched, _out_of_memory, _our_own, _trainer, _never_pulled)
