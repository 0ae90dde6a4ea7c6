"""Decides when a pod of our own reads a Dataset without any round, and what its end says; knows no rows and no I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wardround.api import conditions
from wardround.api.dataset import READ_SECONDS, DatasetStatus, Limits, Reading
from wardround.api.site import Site
from wardround.api.times import parse_time, sooner, to_seconds
from wardround.manifests.reading import ReadingJob, build
from wardround.plans import dataset, listed, published
from wardround.plans.closed_job import ADMISSION_SECONDS, UNPROVEN_SECONDS, WITHOUT_A_POD, ClosedJobPlan
from wardround.plans.pod import JOB_NOT_ADMITTED, Job, Pod, Step, out_of_time
from wardround.plans.sitetask.job import workload
from wardround.plans.sitetask.types import Control
from wardround.reasons.registry import REASONS

# After a reading that did not come to the file.
RETRY_SECONDS = 600.0
# While the site chart does not list the Dataset or its DataSchema.
UNLISTED_SECONDS = 60.0
PAUSES = {JOB_NOT_ADMITTED: ADMISSION_SECONDS, "IsolationUnproven": UNPROVEN_SECONDS}
# So many characters of the API server's answer fit into a status.
MOST_WORDS = 1024
# A Job whose controller has made no pod after this time probably cannot get one. Kubernetes makes a pod within seconds.
NO_POD_SECONDS = 60.0
# A Job that has not ended after this time, for example because no node can mount the volume, is deleted.
LONGEST = timedelta(seconds=READ_SECONDS + 600)
# The file or its objects have to change first. After a reason that is tried again, the next reading can go well.
ANSWERS = frozenset(
    name for name in {"Read"} | dataset.UNREAD | dataset.OF_THE_DATA | dataset.OF_THE_SPLIT if not REASONS[name].retried
)
# A reading with other limits may end with another of these.
DEPENDING_ON_LIMITS = frozenset(name for name, each in REASONS.items() if name == "Read" or each.concerns == "Limits")


@dataclass(frozen=True, kw_only=True)
class ObservedReading:
    """The Job of a reading, its newest pod, and for which generation and which request it was made."""

    job: Job
    pod: Pod | None
    generation: int
    schema_digest: str | None
    request: str | None
    created: datetime

    @property
    def ended(self) -> bool:
        return self.job.finished or (self.pod is not None and self.pod.ended)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`spec`, `schema`: as they stand in the API; `schema` is None if the DataSchema is missing. `request`: the value
    of the annotation READ. `site`: None if there is no Site. `control`: None if the site operator has not taken it for
    this look. `operator_image`: the image of the Job's container."""

    namespace: str
    name: str
    uid: str
    spec: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    status: DatasetStatus
    generation: int
    request: str | None
    site: Site | None
    reading: ObservedReading | None
    control: Control | None = None
    operator_image: str
    now: datetime


Plan = ClosedJobPlan[DatasetStatus]


def plan(seen: Observation) -> Plan:
    """What to do about readings, and what the hub may read of the newest one."""
    planned = _plan(seen)
    if seen.site is None or not listed.is_listed(seen.site.spec.policy, seen.name):
        return planned
    policy = seen.site.spec.policy
    status = published.publish(planned.status, policy, seen.now)
    after = sooner(planned.requeue_after, published.seconds_to_next(status, policy, seen.now))
    return dataclasses.replace(planned, status=status, requeue_after=after)


def _plan(seen: Observation) -> Plan:
    """1. A Job that has ended: its report becomes the status, and the Job goes.
    2. A Job that takes too long: it goes.
    3. A Job that runs: nothing, until then.
    4. A reading that is due: its Job, if the API server can admit it.
    5. Else the time when the next one is due.
    """
    if seen.reading is not None:
        return _running(seen, seen.reading)
    status = _status(seen, None)
    if seen.site is None:
        return Plan(status=status)
    wait = _wait(seen, status, seen.site)
    if wait is None or wait > 0:
        return Plan(status=status, requeue_after=wait)
    return _due(seen, status, seen.site)


def _running(seen: Observation, made: ObservedReading) -> Plan:
    left = (made.created + LONGEST - seen.now).total_seconds()
    if not made.ended and left > 0:
        return _waiting(seen, made, left)
    # The next look sees what is due then.
    return Plan(status=_after_the_end(seen, made), delete=made.job, requeue_after=0.0)


def _waiting(seen: Observation, made: ObservedReading, left: float) -> Plan:
    """A Job that runs, or whose pod the API server does not admit, for example because of a quota."""
    if made.pod is not None:
        return Plan(status=_status(_admitted(seen), None), requeue_after=left)
    without = NO_POD_SECONDS - (seen.now - made.created).total_seconds()
    status = _status(seen, None)
    if made.job.suspended or without > 0:
        return Plan(status=status, requeue_after=min(left, without) if without > 0 else left)
    return Plan(status=refused(seen, status, JOB_NOT_ADMITTED, _no_pod(made)), requeue_after=left)


def _no_pod(made: ObservedReading) -> str:
    """Why there is no pod, only Events of the Job tell. The site operator may not read Events."""
    return (
        "The Job that reads this Dataset has no pod. The events of the Job say why, for example a ResourceQuota: "
        f"kubectl describe job/{made.job.name} -n {made.job.namespace}"
    )


def _admitted(seen: Observation) -> Observation:
    """Without the refusal before: the API server has admitted the Job and its pod, so nobody has to act."""
    last = seen.status.reading
    if last is None or last.reason not in WITHOUT_A_POD:
        return seen
    return dataclasses.replace(seen, status=dataclasses.replace(seen.status, reading=None))


def _due(seen: Observation, status: DatasetStatus, site: Site) -> Plan:
    if fault := _unreadable(status):
        return Plan(status=refused(seen, status, *fault))
    if unlisted := listed.unlisted(site.spec.policy, seen.name, seen.spec):
        return Plan(status=refused(seen, status, JOB_NOT_ADMITTED, unlisted), requeue_after=UNLISTED_SECONDS)
    if seen.control is None:
        return Plan(status=status, needs_control=True)
    if not seen.control.proven:
        after = refused(seen, status, "IsolationUnproven", REASONS["IsolationUnproven"].meaning)
        return Plan(status=after, requeue_after=UNPROVEN_SECONDS)
    return Plan(status=status, create=build(job(seen, site, seen.control, status)))


def _unreadable(status: DatasetStatus) -> tuple[str, str] | None:
    """Reason and message if the objects allow no reading. The status of the Dataset says the same. The person who asked
    for a reading sees it there."""
    ready = conditions.find(status.conditions, "Ready")
    if status.schema_digest is not None and (ready is None or ready.reason not in dataset.UNREAD):
        return None
    return (ready.reason, ready.message) if ready is not None else ("SchemaInvalid", "")


def not_admitted(seen: Observation, planned: Plan, words: str) -> Plan:
    """The plan after the API server has refused the Job, with its `words`."""
    return Plan(
        status=refused(seen, planned.status, JOB_NOT_ADMITTED, words[:MOST_WORDS]), requeue_after=ADMISSION_SECONDS
    )


def job(seen: Observation, site: Site, control: Control, status: DatasetStatus) -> ReadingJob:
    """All that the Job of the reading depends on."""
    policy = site.spec.policy
    assert seen.schema is not None, "a reading is due only with a DataSchema"
    return ReadingJob(
        namespace=seen.namespace,
        dataset_name=seen.name,
        dataset_uid=seen.uid,
        generation=seen.generation,
        schema_digest=status.schema_digest or "",
        request=seen.request or "",
        operator_image=seen.operator_image,
        isolation=control.targets,
        isolation_seconds=control.seconds,
        link_local=policy.link_local,
        dataset=seen.spec,
        schema=seen.schema,
        split_fingerprint=status.split_fingerprint or "",
        min_samples=policy.min_samples,
        min_cell=policy.min_cell,
        max_left_out=policy.max_left_out,
        workload=workload(site),
    )


def refused(seen: Observation, status: DatasetStatus, reason: str, message: str) -> DatasetStatus:
    """There was no reading. The time of an equal refusal stays."""
    reading = Reading(
        generation=seen.generation,
        schema_digest=status.schema_digest,
        request=seen.request,
        ended_at=to_seconds(seen.now),
        reason=reason,
        message=message,
    )
    before = status.reading
    if before is not None and dataclasses.replace(reading, ended_at=before.ended_at) == before:
        return status
    return _with_reading(seen, status, reading)


def _with_reading(seen: Observation, status: DatasetStatus, reading: Reading) -> DatasetStatus:
    """Ready of a Dataset that no pod has read says why, in the same write."""
    return _status(dataclasses.replace(seen, status=dataclasses.replace(status, reading=reading)), None)


def _status(seen: Observation, step: Step | None, limits: Limits | None = None) -> DatasetStatus:
    return dataset.plan(
        seen.spec, seen.schema, seen.status, step, generation=seen.generation, now=seen.now, limits=limits
    )


def _after_the_end(seen: Observation, made: ObservedReading) -> DatasetStatus:
    """The status after a Job's end. Of another generation it says nothing: that Dataset is no more."""
    before = _status(seen, None)
    if (made.generation, made.schema_digest) != (seen.generation, before.schema_digest):
        return before
    if made.pod is None and not made.ended and not made.job.suspended:
        return refused(seen, before, JOB_NOT_ADMITTED, _no_pod(made))
    step = made.pod.step("prepare") if made.pod else Step(name="prepare")
    report = step.report
    if step.succeeded and report is not None and report.reason is None:
        reason, message = "Read", None
    elif report is not None and report.reason is not None:
        reason, message = report.reason, report.message
    else:
        reason, message = _unreported(seen, made)
    ended = to_seconds(step.finished or seen.now)
    reading = Reading(
        generation=made.generation,
        schema_digest=made.schema_digest,
        request=made.request,
        ended_at=ended,
        reason=reason,
        message=message,
    )
    return _with_reading(seen, _status(seen, step, made.job.limits), reading)


def _unreported(seen: Observation, made: ObservedReading) -> tuple[str, str]:
    """Why the pod ended without a word."""
    pod = made.pod
    if not made.ended:
        waits = (pod.unschedulable if pod else "") or "the pod did not end"
        return "DeadlineExceeded", f"no pod has read the file within {LONGEST.total_seconds():.0f} s: {waits}"
    if out_of_time(made.job, pod):
        return "DeadlineExceeded", f"the reading took longer than {READ_SECONDS} s"
    return (
        "PodFailed",
        f"the pod ended without a report: {(pod.reason if pod else '') or made.job.failed or 'no reason'}",
    )


def _wait(seen: Observation, status: DatasetStatus, site: Site) -> float | None:
    """In how many seconds a reading is due, at most 0 for now, or None: only after an event."""
    last = status.reading
    if seen.request and (last is None or last.request != seen.request):
        return 0.0
    same = last is not None and (last.generation, last.schema_digest) == (seen.generation, status.schema_digest)
    if last is not None and same and last.reason not in ANSWERS:
        return _left(seen, last.ended_at, PAUSES.get(last.reason, RETRY_SECONDS))
    # If there is no reading for this Dataset, a training pod may have read it.
    unread = not same and status.read_at is None
    return 0.0 if unread or _limits_differ(status, site) else _scheduled(seen, status)


def _limits_differ(status: DatasetStatus, site: Site) -> bool:
    """Whether the file was compared with other limits than those of the Site now, so that Ready may change."""
    ready, policy = conditions.find(status.conditions, "Ready"), site.spec.policy
    if status.limits is None or ready is None or ready.reason not in DEPENDING_ON_LIMITS:
        return False
    return status.limits != Limits(
        min_samples=policy.min_samples, min_cell=policy.min_cell, max_left_out=policy.max_left_out
    )


def _scheduled(seen: Observation, status: DatasetStatus) -> float | None:
    """In how many seconds the hospital's own schedule is due."""
    every = seen.spec.get("readEvery")
    times = [each for each in (status.read_at, status.reading.ended_at if status.reading else None) if each]
    if every is None or not times:
        return None
    return _left(seen, max(times, key=parse_time), float(every))


def _left(seen: Observation, since: str, seconds: float) -> float:
    return seconds - (seen.now - parse_time(since)).total_seconds()
