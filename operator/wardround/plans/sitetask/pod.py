"""Reads a training Job and its pod: how far it is, and why it failed. Decides nothing about the task.

Free text of a container is believed only from our own ones, and even then only its enumerated reason; the text is for
the people of the site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wardround.api.task import Failure
from wardround.api.times import parse_time
from wardround.reasons.registry import REASONS
from wardround.reasons.training import POD
from wardround.wire import outcome
from wardround.wire.outcome import Outcome

# What a training image may say by its exit code (docs/training-image.md).
BY_EXIT_CODE: Mapping[int, str] = {64: "ParametersRefused", 65: "DataUnreadable", 75: "PodFailed"}
# What the launcher says of a command that is no program, and a shell of one that a script calls.
EXIT_NOT_STARTED = (126, 127)
# Of a container that waits: these do not heal by waiting.
NEVER_PULLED = ("ErrImageNeverPull", "InvalidImageName")
NEVER_STARTED = ("StartError", "ContainerCannotRun")
# The pod's deadline counts from when its node begins with it. A start that takes longer than this is not training.
USUAL_START_SECONDS = 30.0
# So long a kubelet has to stop a pod whose time is over and to say so, and to remove one that was deleted.
VERDICT, REMOVAL = timedelta(seconds=90), timedelta(seconds=120)
NOT_PULLED = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", *NEVER_PULLED)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One container. `said`: its termination message, if it is such a one as ours write."""

    name: str
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    said: Outcome | None = None

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def failed(self) -> bool:
        return self.exit_code is not None and self.exit_code != 0


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The newest pod of a Job. `isolation`: how the sidecar ended, if it did; `watched_again`: it was started anew.

    `deleted`: somebody has deleted the pod, so the kubelet ends its containers.
    """

    name: str
    namespace: str
    phase: str
    reason: str
    disrupted: bool
    unschedulable: str
    steps: Mapping[str, Step]
    isolation: Step | None = None
    watched_again: bool = False
    created: datetime | None = None
    taken: datetime | None = None  # when its node began with it: what comes before is waiting
    deleted: datetime | None = None  # by when it should be gone
    deadline_seconds: int | None = None

    def step(self, name: str) -> Step:
        return self.steps.get(name, Step(name=name))

    @property
    def leaving(self) -> bool:
        """Whether it is being removed from its node, or was, or its node has gone: its Job makes another."""
        return self.disrupted or self.deleted is not None or self.phase == "Unknown"

    @property
    def ended(self) -> bool:
        """Its work is over, well or not: what remains of it is logs for people."""
        return self.phase in ("Succeeded", "Failed") or any(step.failed for step in self.steps.values())


@dataclass(frozen=True, kw_only=True)
class Job:
    name: str
    namespace: str
    uid: str
    suspended: bool = False
    complete: bool = False
    failed: str = ""

    @property
    def finished(self) -> bool:
        return self.complete or bool(self.failed)


def parse_job(value: Mapping[str, Any]) -> Job:
    true = {c["type"]: c for c in value.get("status", {}).get("conditions", ()) if c["status"] == "True"}
    # FailureTarget and SuccessCriteriaMet come first, seconds before the pods are gone and Failed or Complete is set.
    failed = true.get("Failed") or true.get("FailureTarget")
    return Job(
        name=value["metadata"]["name"],
        namespace=value["metadata"]["namespace"],
        uid=value["metadata"]["uid"],
        suspended=bool(value["spec"].get("suspend")),
        complete="Complete" in true,
        failed=str(failed.get("reason") or "Failed") if failed else "",
    )


def parse_pod(value: Mapping[str, Any]) -> Pod:
    status: Mapping[str, Any] = value.get("status", {})
    meta = value["metadata"]
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    waits = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    isolation = next((c for c in containers if c["name"] == "isolation"), None)
    return Pod(
        name=meta["name"],
        namespace=meta["namespace"],
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        disrupted=conditions.get("DisruptionTarget", {}).get("status") == "True",
        unschedulable=(scheduled.get("message") or "no node fits") if waits else "",
        steps={c["name"]: _step(c) for c in containers if c["name"] != "isolation"},
        isolation=_end_of_sidecar(isolation) if isolation else None,
        watched_again=bool(isolation and isolation.get("lastState", {}).get("terminated")),
        created=_time(meta.get("creationTimestamp")),
        taken=_time(status.get("startTime")),
        deleted=_time(meta.get("deletionTimestamp")),
        deadline_seconds=value.get("spec", {}).get("activeDeadlineSeconds"),
    )


def _step(container: Mapping[str, Any]) -> Step:
    state = container.get("state", {})
    if ended := state.get("terminated"):
        return Step(
            name=container["name"],
            started=_time(ended.get("startedAt")),
            finished=_time(ended.get("finishedAt")),
            exit_code=ended.get("exitCode", 0),
            reason=ended.get("reason", ""),
            said=outcome.read(ended.get("message") or ""),
        )
    if running := state.get("running"):
        return Step(name=container["name"], started=_time(running.get("startedAt")))
    return Step(name=container["name"], reason=state.get("waiting", {}).get("reason", ""))


def _end_of_sidecar(container: Mapping[str, Any]) -> Step | None:
    """A sidecar is started again when it ends, so how it ended may be its last state. A reason counts most."""
    states = (container.get("state", {}), container.get("lastState", {}))
    ends = [_step({**container, "state": state}) for state in states if "terminated" in state]
    return next((step for step in ends if step.said and step.said.reason), ends[0] if ends else None)


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def failure(
    job: Job | None, pod: Pod | None, *, ours: frozenset[str], train_seconds: int | None = None, now: datetime
) -> Failure | None:
    """Why the Job has failed or is about to, by the first rule that knows. `ours`: containers of our own image.

    `train_seconds`: what the round gives training. Containers of a pod that is stopped for time end as whoever is
    interrupted ends, and a node that has died says nothing any more.
    """
    if pod is not None and (found := _opened(pod, ours) or _out_of_time(pod, train_seconds)):
        return found
    if job is not None and job.failed == "DeadlineExceeded":
        message = "The Job ran longer than its activeDeadlineSeconds, which the round has not set: kubectl describe "
        f"job/{job.name} -n {job.namespace}"
        return Failure.by("DeadlineExceeded", message)
    if pod is not None:
        for rule in RULES:
            if found := rule(pod, ours):
                return found
    if job is not None and job.failed:
        evicted = pod is not None and (pod.reason == "Evicted" or pod.disrupted)
        return Failure.by(
            "Evicted" if evicted else "PodFailed",
            f"The Job failed with {job.failed}: kubectl describe job/{job.name} -n {job.namespace}",
        )
    return _node_lost(pod, now) if pod is not None else None


def _out_of_time(pod: Pod, train_seconds: int | None) -> Failure | None:
    """A pod that the kubelet has stopped for time. Only time in which training could run is training's; a deadline that
    somebody set at the site is not the round's."""
    if pod.reason != "DeadlineExceeded":
        return None
    if pod.deadline_seconds != train_seconds:
        message = f"Pod {pod.name} ran longer than its activeDeadlineSeconds, which the round has not set."
        return Failure.by("DeadlineExceeded", message)
    began = pod.step("prepare").started
    starting = (began - pod.taken).total_seconds() if began and pod.taken else None
    if starting is not None and starting <= USUAL_START_SECONDS:
        message = f"Training ran longer than the {train_seconds} s that the round gives it (deadlines.trainSeconds)."
        return Failure.by("TrainDeadline", message)
    reason = "ImagePullFailed" if began is None and not_pulled(pod) else "StartDeadline"
    took = "did not begin to train" if starting is None else f"took {starting:.0f} s to start"
    message = (
        f"Pod {pod.name} {took} within the {train_seconds} s that its node had for it: "
        f"kubectl describe pod {pod.name} -n {pod.namespace}"
    )
    return Failure.by(reason, message)


def silent_from(pod: Pod) -> datetime | None:
    """When a node that says nothing more of this pod counts as dead.

    By then the node should have removed a pod that was deleted, or stopped one whose time is over.
    """
    if pod.phase in ("Succeeded", "Failed") or pod.step("check").succeeded:
        return None
    times = [pod.deleted + REMOVAL] if pod.deleted else []
    if pod.taken and pod.deadline_seconds is not None:
        times.append(pod.taken + timedelta(seconds=pod.deadline_seconds) + VERDICT)
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
    said = (pod.isolation.said if pod.isolation else None) or Outcome()
    if said.reason != "NetworkOpen":
        return None
    return Failure.by("NetworkOpen", _text(said.message), exit_code=REASONS["NetworkOpen"].exit_code)


def _unwatched(pod: Pod, _: frozenset[str]) -> Failure | None:
    """The sidecar has ended, and not since the pod's work was over: nobody has seen what the pod could reach then."""
    ended = pod.isolation
    if ended is None or pod.disrupted or pod.deleted or pod.reason == "Evicted" or _ended_with_pod(pod, ended):
        return None
    said = ended.said or Outcome()
    message = _text(said.message) or (
        f"The sidecar that watches the training pod's network ended ({ended.reason or 'no reason'}, exit code "
        f"{ended.exit_code}), so nothing proves that the network stayed closed."
    )
    return Failure.by("IsolationUnknown", message, exit_code=ended.exit_code)


def _ended_with_pod(pod: Pod, sidecar: Step) -> bool:
    """The kubelet ends the sidecar by SIGTERM, upon which it exits with 0, or kills it, once the others have ended."""
    if pod.watched_again:
        return False
    if sidecar.succeeded:
        return True
    others = [step.finished for step in pod.steps.values() if step.finished is not None]
    over = pod.step("check").exit_code is not None or any(step.failed for step in pod.steps.values())
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
    said = step.said or Outcome()
    reason = said.reason or ""
    if reason not in POD:
        return Failure.by("PodFailed", _ended(pod, step), exit_code=step.exit_code)
    return Failure.by(reason, _text(said.message), exit_code=step.exit_code)


def _trainer(pod: Pod, ours: frozenset[str]) -> Failure | None:
    step = _failed_step(pod)
    if step is None or step.name in ours:
        return None
    reason = BY_EXIT_CODE.get(step.exit_code or 0, "TrainerFailed")
    parameter = step.said.parameter if step.said and reason == "ParametersRefused" else None
    return Failure.by(reason, _ended(pod, step), exit_code=step.exit_code, parameter=parameter)


def _ended(pod: Pod, step: Step) -> str:
    if step.reason in NEVER_STARTED:
        describe = f"kubectl describe pod {pod.name} -n {pod.namespace}"
        return f"Container {step.name} could not be started, so it has no log. Does the image fit this node? {describe}"
    logs = f"kubectl logs {pod.name} -n {pod.namespace} -c {step.name}"
    if step.exit_code in EXIT_NOT_STARTED:
        why = "its image does not contain the command, or a program that the command starts"
        return f"Container {step.name} ended with exit code {step.exit_code}: {why}: {logs}"
    return f"Container {step.name} ended with exit code {step.exit_code}: {logs}"


def _never_pulled(pod: Pod, _: frozenset[str]) -> Failure | None:
    for step in pod.steps.values():
        if step.reason in NEVER_PULLED:
            message = (
                f"The image of container {step.name} is not on the node, and the node may not pull it ({step.reason})."
            )
            return Failure.by("PodFailed", message)
    return None


def not_pulled(pod: Pod) -> str:
    """The container whose image cannot be pulled for now, or nothing."""
    return next((step.name for step in pod.steps.values() if step.reason in NOT_PULLED), "")


def _failed_step(pod: Pod) -> Step | None:
    # What a node that goes away kills is neither code nor data: the replacement pod will tell.
    if pod.disrupted or pod.reason == "Evicted":
        return None
    step = next((step for step in pod.steps.values() if step.failed), None)
    return None if step is not None and _stopped_for_time(pod, step) else step


def _stopped_for_time(pod: Pod, step: Step) -> bool:
    """Containers that the kubelet stops for time end some seconds before it says so of the pod."""
    if pod.taken is None or pod.deadline_seconds is None or step.finished is None:
        return False
    return step.finished >= pod.taken + timedelta(seconds=pod.deadline_seconds)


def _text(message: str | None) -> str:
    return (message or "")[:2048]


Rule = Callable[[Pod, frozenset[str]], Failure | None]
RULES: tuple[Rule, ...] = (_unwatched, _out_of_memory, _our_own, _trainer, _never_pulled)
