"""Decides what a site does about one task of the hub: an ordered list of rules from arrival to its end; does no I/O.

Level-triggered: everything is decided anew from what is observed, and the order of writing is: the Dataset, the
SiteTask's status, then actions, then the RoundTask's status. A crash in between repeats, and repeating is harmless.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from wardround.api import conditions, dataset_text, timeline
from wardround.api.sitetask import CourierReport, SiteTask, SiteTaskStatus, approval
from wardround.api.task import Failure
from wardround.api.times import parse_time
from wardround.plans import assignment as assignments
from wardround.plans import waits
from wardround.plans.assignment import LOCAL_SOCKETS, Claim, Decision, Terms
from wardround.plans.sitetask import memory
from wardround.plans.sitetask import pod as pods
from wardround.plans.sitetask.types import (
    NOT_ADMITTED,
    Action,
    Observation,
    Plan,
    Standing,
    is_accepted,
    is_final,
    is_refused,
    is_trained,
    sooner,
)
from wardround.reasons.reason import NOBODY
from wardround.reasons.registry import REASONS
from wardround.sealing.refused import Refused

# What no time heals, and the courier gives up on. What is not here it tries again, and the task waits.
COURIER_FAILURES = frozenset(
    {
        "HubNotPinned",
        "AssignmentUnreadable",
        "NotAddressee",
        "Replayed",
        "StoreNotPinned",
        "Denied",
        "KeyUnusable",
        "ManifestUnreadable",
        "SignatureInvalid",
        "Altered",
        "Expired",
        "WrongBase",
        "OutputLink",
        "OutputNotSafetensors",
        "MetricsInvalid",
    }
)
ACTIONS: Mapping[Action, str] = {
    "CreateJob": "make the training Job",
    "DeleteJob": "delete the training Job",
    "DeleteTask": "delete this SiteTask",
    "Mirror": "take over grants or a cancellation from the hub",
}
HAMPERED = "The site operator could not"
RETRY_SECONDS = 10.0
# Whoever gives up a place wakes those who wait. This is for a place that went with a task that people deleted.
QUEUE_SECONDS = 30.0
CLOCK_SECONDS = 30.0
WAITING = "WaitingForApproval"


def plan(seen: Observation) -> Plan:
    """What to do, and how the task stands."""
    found = _after_the_end(seen) if is_final(seen.task) else _before_the_end(seen)
    return dataclasses.replace(found, watched=seen.pod.isolation if seen.pod else None)


def _before_the_end(seen: Observation) -> Plan:
    decision = _decide(seen)
    view = _View(seen, decision)
    standing = next(found for rule in RULES if (found := rule(view)) is not None)
    until = None if standing.final else _until(view, standing)
    if until is not None and until <= seen.now:
        standing = _waited_too_long(standing)
    actions = (*_mirror(seen), *standing.actions)
    prepare = seen.pod.step("prepare") if seen.pod else None
    first_look = prepare is not None and prepare.exit_code is not None and not _reached(seen, "Prepared")
    return Plan(
        status=_status(view, standing),
        actions=actions,
        again_seconds=sooner(standing.again_seconds, *view.left(until)),
        assignment=decision.assignment,
        prepared=prepare if first_look else None,
    )


def looks_at_others(task: SiteTask, job: pods.Job | None) -> bool:
    """Whether the plan depends on what other tasks there are: to accept one, to give it a place, and to forget it. Of
    one whose input is fetched, that trains or that sends, it does not."""
    if is_final(task) or not is_accepted(task):
        return True
    courier = task.status.courier or CourierReport()
    return job is None and courier.input == "Ready"


def hampered(task: SiteTask, action: Action, said: str, now: datetime, *, refused: bool = False) -> SiteTaskStatus:
    """The status after an action failed that will be tried again. `task` as it was written last. `refused`: the API
    server did not take the object, because of a policy, a quota or its schema, which people may correct.

    What is final stays so: its message says in addition what is left to do.
    """
    trouble = f"{HAMPERED} {ACTIONS[action]}, and tries again: {said}"
    found, generation = task.status.conditions, task.metadata.generation
    if not is_final(task):
        reason = NOT_ADMITTED if refused and action == "CreateJob" else "StepFailed"
        found = conditions.progressing(found, reason, trouble, now=now, generation=generation)
    else:
        for kind in ("Complete", "Failed"):
            end = conditions.find(found, kind)
            if end is not None and end.status == "True":
                message = f"{_without_trouble(end.message)} {trouble}"
                found = conditions.set_condition(found, kind, True, end.reason, message, now=now, generation=generation)
    return dataclasses.replace(task.status, conditions=found)


def _without_trouble(message: str) -> str:
    return message.partition(f" {HAMPERED}")[0]


class _View:
    """An observation with what follows from it."""

    def __init__(self, seen: Observation, decision: Decision) -> None:
        self.seen = seen
        self.decision = decision
        self.courier = seen.task.status.courier or CourierReport()
        self.assignment = decision.assignment
        statistics = self.assignment is not None and self.assignment.task == "Statistics"
        ours = {"prepare", "check"} | ({"train"} if statistics else set())
        seconds = self.assignment.train_seconds if self.assignment else None
        failure = pods.failure(seen.job, seen.pod, ours=frozenset(ours), train_seconds=seconds, now=seen.now)
        self.failure = _in_the_rounds_words(failure, self.assignment.parameters if self.assignment else {})

    @property
    def told(self) -> str:
        """What people here are told of the decision, before they approve and after."""
        said = self.says(WAITING) if self.decision.reason == WAITING else self.decision.message
        local = self.assignment is not None and self.assignment.resources.local_sockets
        if self.decision.outcome == "Refused" or not local:
            return said
        return f"{LOCAL_SOCKETS} {said}" if said else LOCAL_SOCKETS

    def says(self, name: str) -> str:
        """What people here are told of a reason: its meaning, and what to do if somebody has to act."""
        metadata = self.seen.task.metadata
        if name not in REASONS:
            return ""
        reason = REASONS[name].about(task=metadata.name, site_namespace=metadata.namespace)
        if name == WAITING:
            command = approval(metadata.name, metadata.namespace, metadata.uid)
            return f"{reason.meaning} To approve it, run `{command}`."
        return reason.meaning if reason.owner == NOBODY else reason.text

    @property
    def seconds_left(self) -> float | None:
        if self.assignment is None:
            return None
        return (parse_time(self.assignment.expires) - self.seen.now).total_seconds()

    def left(self, until: datetime | None) -> list[float]:
        """Seconds to what will be decided anew though nothing happens: the end of a stage, of a node, of the task."""
        silent = pods.silent_from(self.seen.pod) if self.seen.pod else None
        times = [(time - self.seen.now).total_seconds() for time in (until, silent) if time is not None]
        return [seconds for seconds in (*times, self.seconds_left) if seconds is not None and seconds > 0]

    @property
    def accelerators(self) -> int:
        return self.assignment.resources.accelerators_per_node if self.assignment else 0


def _in_the_rounds_words(failure: Failure | None, parameters: Mapping[str, str]) -> Failure | None:
    """Training code may name a parameter that it refuses. Only a name that the round itself has written leaves."""
    if failure is None or failure.parameter is None or failure.parameter in parameters:
        return failure
    return dataclasses.replace(failure, parameter=None)


def _decide(seen: Observation) -> Decision:
    spec, site = seen.task.spec, seen.site
    if is_accepted(seen.task):
        # Taken is taken: a policy that changes later is for later tasks.
        try:
            return Decision(
                "Accepted",
                "Accepted",
                assignments.open_pinned(spec.assignment, spec.hub_key, site.spec.hub.fingerprint),
            )
        except Refused as refused:
            return Decision("Refused", refused.reason, field=refused.field)
    identity = site.status.courier
    claim = Claim(
        envelope=spec.assignment,
        hub_key=spec.hub_key,
        hub_fingerprint=site.spec.hub.fingerprint,
        round_uid=spec.round_ref.uid,
        attempt=spec.attempt,
        site_fingerprint=(identity.fingerprint if identity else None) or "",
        now=seen.now,
    )
    same = [o.spec.attempt for o in seen.others if o.spec.round_ref.uid == spec.round_ref.uid and is_accepted(o)]
    terms = Terms(
        participant=site.spec.hub.participant_namespace,
        policy=site.spec.policy,
        datasets=seen.datasets,
        taken=max(same, default=0),
        accepted=memory.issues(seen.others),
        approved=spec.approved,
    )
    return assignments.decide(claim, terms)


# The rules, in the order in which they are asked. The first that answers is how the task stands.


def _cancelled(view: _View) -> Standing | None:
    gone = view.seen.hub_reached and view.seen.round_task is None
    asked = view.seen.round_task is not None and view.seen.round_task.spec.cancel
    if gone or asked or view.seen.task.spec.cancel:
        return Standing(reason="Cancelled", message=_ended_by_the_hub(view.seen), final="Failed")
    return None


def _ended_by_the_hub(seen: Observation) -> str:
    """With what it waited for then, which the hub may have given up on."""
    meaning = REASONS["Cancelled"].meaning
    last = conditions.find(seen.task.status.conditions, "Reconciling")
    if last is None or last.status != "True" or last.reason not in waits.TROUBLE:
        return meaning
    return f"{meaning} Until then it waited for {last.reason}: {last.message}"


def _refused(view: _View) -> Standing | None:
    if view.decision.outcome != "Refused":
        return None
    decision = view.decision
    failure = Failure.by(
        decision.reason, decision.message, parameter=decision.parameter or None, bound=decision.bound or None
    )
    # What was accepted stays so, though the pin has changed: it is the memory against replay (memory.py).
    return _failed(failure, marks={} if is_accepted(view.seen.task) else {"Accepted": (False, decision.reason)})


def _waits_for_people(view: _View) -> Standing | None:
    if view.decision.outcome != "Waiting":
        return None
    reason = view.decision.reason
    again = CLOCK_SECONDS if reason == assignments.AHEAD_REASON else None
    return Standing(reason=reason, message=view.told, marks={"Accepted": ("Unknown", reason)}, again_seconds=again)


def _expired(view: _View) -> Standing | None:
    if view.seconds_left is None or view.seconds_left > 0:
        return None
    return _failed(Failure.by("Expired", REASONS["Expired"].meaning))


def _pod_failed(view: _View) -> Standing | None:
    return _failed(view.failure, stages=_stages(view)) if view.failure else None


def _courier_failed(view: _View) -> Standing | None:
    reason = view.courier.reason or ""
    if reason not in COURIER_FAILURES:
        return None
    message = f"The courier gave up. Its log: kubectl logs deployment/courier -n {view.seen.task.metadata.namespace}"
    return _failed(Failure.by(reason, message), stages=_stages(view))


def _sent(view: _View) -> Standing | None:
    if view.courier.update is None:
        return None
    marks = {"Accepted": (True, "Accepted"), "InputReady": (True, "Ready"), "Trained": (True, "Trained")}
    stages = {**_stages(view), "Sealed": view.seen.now, "Sent": view.seen.now}
    marks = {**marks, "Sent": (True, "Sent")}
    message = REASONS["Sent"].meaning
    return Standing(reason="Complete", message=message, marks=marks, stages=stages, final="Complete")


def _sends(view: _View) -> Standing | None:
    checked = view.seen.pod is not None and view.seen.pod.step("check").succeeded
    if view.courier.upload is None and not checked:
        return None
    stages = {**_stages(view), **({"Sealed": view.seen.now} if view.courier.upload else {})}
    marks = {**INPUT_READY, "Trained": (True, "Trained")}
    return _progress(view, view.courier.reason or "Sending", marks=marks, stages=stages)


def _fetches(view: _View) -> Standing | None:
    if view.courier.input == "Ready":
        return None
    return _progress(view, view.courier.reason or "Fetching", marks=ACCEPTED)


def _queues(view: _View) -> Standing | None:
    """Oldest first. With a Job it has its place already."""
    if view.seen.job is not None:
        return None
    ahead = _ahead(view.seen)
    places = view.seen.site.spec.workload.max_concurrent_tasks
    if len(ahead) < places:
        return None
    message = f"behind {', '.join(ahead[:8])}: the Site runs {places} at a time (workload.maxConcurrentTasks)"
    # While others train, it still waits for what kept the Job out.
    reason, message = _last_try(view.seen) if is_refused(view.seen.task) else ("Queued", message)
    return _progress(view, reason, message, marks=INPUT_READY, again_seconds=QUEUE_SECONDS)


def _last_try(seen: Observation) -> tuple[str, str]:
    """Reason and message that a failed try to make the Job has left: they stand until a try succeeds."""
    last = conditions.find(seen.task.status.conditions, "Reconciling")
    failed = last is not None and last.status == "True" and last.reason in ("StepFailed", NOT_ADMITTED)
    return (last.reason, last.message) if last is not None and failed else ("Starting", "")


def _dataset_gone(view: _View) -> Standing | None:
    name = view.assignment.dataset_name if view.assignment else ""
    if view.seen.job is not None or name in view.seen.datasets:
        return None
    return _failed(
        Failure.by("DatasetNotFound", f"Somebody deleted Dataset {name} after the site had accepted the task.")
    )


def _dataset_unusable(view: _View) -> Standing | None:
    name = view.assignment.dataset_name if view.assignment else ""
    spec = view.seen.datasets.get(name)
    fault = "" if view.seen.job is not None or spec is None else dataset_text.fault(spec)
    if not fault:
        return None
    return _failed(Failure.by("DataUnreadable", f"Dataset {name}: {fault}"))


def _creates_job(view: _View) -> Standing | None:
    if view.seen.job is not None:
        return None
    if not view.seen.isolation_proven:
        return _progress(view, "IsolationUnproven", marks=INPUT_READY, again_seconds=RETRY_SECONDS)
    reason, message = _last_try(view.seen)
    return _progress(view, reason, message, marks=INPUT_READY, actions=("CreateJob",))


def _waits_for_a_node(view: _View) -> Standing | None:
    job, pod = view.seen.job, view.seen.pod
    if job is not None and job.suspended:
        queue = view.seen.site.spec.workload.queue_name
        return _progress(view, "Queued", f"Kueue has not admitted the Job yet (queue {queue}).", marks=INPUT_READY)
    if pod is None or not pod.unschedulable:
        return None
    asks = _asks(view.accelerators, view.seen.site.spec.workload.accelerator.resource_name)
    return _progress(
        view,
        "Unschedulable",
        f"The training pod waits for a node{asks}. The scheduler says: {pod.unschedulable}",
        marks=INPUT_READY,
    )


def _waits_for_image(view: _View) -> Standing | None:
    pod = view.seen.pod
    container = pods.not_pulled(pod) if pod else ""
    if pod is None or not container:
        return None
    why = f"kubectl describe pod {pod.name} -n {pod.namespace}"
    message = f"The node cannot pull the image of container {container} yet. Its events say why: {why}"
    return _progress(view, "ImagePullFailed", message, marks=INPUT_READY)


def _leaves_its_node(view: _View) -> Standing | None:
    pod = view.seen.pod
    if pod is None or not pod.leaving:
        return None
    message = (
        "Kubernetes removed the training pod from its node. The Job makes another pod: "
        f"kubectl describe job/{pod.name} -n {pod.namespace}"
    )
    return _progress(view, "Evicted", message, marks=INPUT_READY)


def _trains(view: _View) -> Standing:
    stages = _stages(view)
    return _progress(view, "Training" if "Started" in stages else "Starting", marks=INPUT_READY, stages=stages)


RULES: tuple[Callable[[_View], Standing | None], ...] = (
    _cancelled,
    _refused,
    _waits_for_people,
    _pod_failed,
    _courier_failed,
    _sent,
    _expired,
    _sends,
    _fetches,
    _queues,
    _dataset_gone,
    _dataset_unusable,
    _creates_job,
    _leaves_its_node,
    _waits_for_a_node,
    _waits_for_image,
    _trains,
)
# Of several pods the newest one's: the hub counts training from there.
OF_THE_POD = frozenset({"Started", "Prepared"})
Marks = Mapping[str, tuple[bool | Literal["Unknown"], str]]
ACCEPTED: Marks = {"Accepted": (True, "Accepted")}
INPUT_READY: Marks = {**ACCEPTED, "InputReady": (True, "Ready")}


def _failed(failure: Failure, *, marks: Marks | None = None, stages: Mapping[str, datetime] | None = None) -> Standing:
    return Standing(
        reason=failure.reason,
        message=failure.message or "",
        failure=failure,
        final="Failed",
        marks=marks or {},
        stages=stages or {},
    )


def _progress(
    view: _View,
    reason: str,
    message: str = "",
    *,
    marks: Marks,
    stages: Mapping[str, datetime] | None = None,
    actions: tuple[Action, ...] = (),
    again_seconds: float | None = None,
) -> Standing:
    now = view.seen.now
    reached = {"Accepted": now, **({"InputReady": now} if "InputReady" in marks else {}), **(stages or {})}
    return Standing(
        reason=reason,
        message=message or view.says(reason),
        marks=marks,
        stages=reached,
        actions=actions,
        again_seconds=again_seconds,
    )


def _until(view: _View, standing: Standing) -> datetime | None:
    """When the time of the stage is over that this standing is of.

    The kubelet counts the time of training: it stops the pod. Nobody else knows whether the pod's node still lives.
    """
    seen, assignment = view.seen, view.assignment
    if assignment is None or standing.marks.get("Accepted", (False, ""))[0] is not True:
        return None
    found = seen.task.status.conditions
    if "Trained" in standing.marks:
        return (conditions.since(found, "Trained") or seen.now) + timedelta(seconds=assignment.upload_seconds)
    if standing.reason == "Training":
        return None
    begun = conditions.since(found, "Accepted") or seen.now
    if _reached(seen, "Started"):
        # It waits once more, for a pod in the place of one that has left its node.
        begun = (seen.pod.created if seen.pod else None) or seen.now
    return begun + timedelta(seconds=assignment.wait_seconds)


def _waited_too_long(standing: Standing) -> Standing:
    """What it waited for is why it has failed."""
    otherwise = "Sending" if "Trained" in standing.marks else "Starting"
    reason = waits.too_long(standing.reason, otherwise)
    message = f"The time for this stage is over (deadlines of the round). The task waited for this: {standing.message}"
    failure = Failure.by(reason, message[:2048])
    return _failed(failure, marks=standing.marks, stages=standing.stages)


def _stages(view: _View) -> dict[str, datetime]:
    """What the containers' own times say, in whole seconds as the kubelet gives them."""
    pod = view.seen.pod
    times = {
        "Started": pod.step("prepare").started if pod else None,
        "Prepared": pod.step("prepare").finished if pod else None,
        "Trained": pod.step("train").finished if pod else None,
        "Checked": pod.step("check").finished if pod else None,
    }
    return {stage: time for stage, time in times.items() if time is not None}


def _ahead(seen: Observation) -> list[str]:
    """Tasks that hold a place, then older ones that wait for one. Whose Job is not admitted keeps nobody waiting."""
    me = seen.task.metadata
    holding: list[str] = []
    waiting: list[str] = []
    for other in sorted(seen.others, key=lambda o: (o.metadata.creation_timestamp, o.metadata.name)):
        if is_final(other) or is_trained(other) or is_refused(other):
            continue
        if other.metadata.name in seen.busy:
            holding.append(other.metadata.name)
        elif conditions.is_true(other.status.conditions, "InputReady") and (
            (other.metadata.creation_timestamp, other.metadata.name) < (me.creation_timestamp, me.name)
        ):
            waiting.append(other.metadata.name)
    return holding + waiting


def _asks(accelerators: int, resource: str) -> str:
    return f" with {accelerators} x {resource}" if accelerators else ""


def _mirror(seen: Observation) -> tuple[Action, ...]:
    if seen.round_task is None:
        return ()
    there, here = seen.round_task.spec, seen.task.spec
    return ("Mirror",) if (there.grants, there.cancel) != (here.grants, here.cancel) else ()


def _after_the_end(seen: Observation) -> Plan:
    """The Job stays for its logs, unless its pod would run on. How long it and the task stay: see memory.py."""
    actions: list[Action] = []
    running = seen.job is not None and not seen.job.finished and not (seen.pod is not None and seen.pod.ended)
    opened = seen.task.status.failure is not None and seen.task.status.failure.reason == "NetworkOpen"
    if conditions.is_true(seen.task.status.conditions, "Failed") and seen.job is not None and (running or opened):
        actions.append("DeleteJob")
    gone = seen.hub_reached and seen.round_task is None
    told = seen.round_task is not None and is_final(seen.round_task)
    every = (seen.task, *seen.others)
    surplus = told and seen.task in memory.surplus(every)
    if (gone or surplus) and memory.may_be_forgotten(seen.task, memory.issues(every)):
        actions.append("DeleteTask")
    return Plan(status=_final(seen.task, tidy=not actions), actions=tuple(actions))


def _status(view: _View, standing: Standing) -> SiteTaskStatus:
    seen = view.seen
    now, generation = seen.now, seen.task.metadata.generation
    found = seen.task.status.conditions
    for kind, (status, reason) in standing.marks.items():
        message = view.told if kind == "Accepted" else ""
        found = conditions.set_condition(found, kind, status, reason, message, now=now, generation=generation)
    if standing.final:
        found = conditions.set_condition(
            found, standing.final, True, standing.reason, standing.message, now=now, generation=generation
        )
    if standing.final == "Complete":
        found = conditions.settled(found, standing.reason, now=now, generation=generation)
    elif standing.final or standing.reason == WAITING:
        found = conditions.stalled(found, standing.reason, standing.message, now=now, generation=generation)
    else:
        found = conditions.progressing(found, standing.reason, standing.message, now=now, generation=generation)
    reached = seen.task.status.timeline
    for stage, time in standing.stages.items():
        reached = timeline.move(reached, stage, time) if stage in OF_THE_POD else timeline.mark(reached, stage, time)
    return dataclasses.replace(
        seen.task.status,
        observed_generation=generation,
        conditions=found,
        failure=standing.failure or seen.task.status.failure,
        timeline=reached,
    )


def _final(task: SiteTask, *, tidy: bool) -> SiteTaskStatus:
    """What was said at the end, of the task as it is now: the hub may still have changed what is mirrored. Once it is
    `tidy`, without what was left to do."""
    generation = task.metadata.generation
    said = conditions.with_generation(task.status.conditions, generation)
    if tidy:
        said = tuple(dataclasses.replace(each, message=_without_trouble(each.message)) for each in said)
    return dataclasses.replace(task.status, observed_generation=generation, conditions=said)


def _reached(seen: Observation, stage: str) -> bool:
    return timeline.reached(seen.task.status.timeline, stage) is not None
