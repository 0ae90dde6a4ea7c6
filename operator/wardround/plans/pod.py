"""Reads a training Job and its pod: how far they are. Decides nothing about the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.api import dataset_text, schema_text
from wardround.api.dataset import Limits
from wardround.api.times import parse_time
from wardround.wire import outcome
from wardround.wire.outcome import Outcome
from wardround.wire.training import DATASET_TEXT, MAX_LEFT_OUT, MIN_CELL, MIN_SAMPLES, SCHEMA_TEXT

# The reason of a Job, or of its pod, that the site's API server does not admit.
JOB_NOT_ADMITTED = "JobNotAdmitted"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One container. `report`: its termination message, if it has the form that our own containers write."""

    name: str
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    report: Outcome | None = None

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def failed(self) -> bool:
        return self.exit_code is not None and self.exit_code != 0


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The newest pod of a Job. `isolation`: how the sidecar ended, if it did; `watched_again`: it was started anew.

    `started`: when its node began with it; the time before is waiting. `gone_by`: when a deleted pod should be gone.
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
    started: datetime | None = None
    gone_by: datetime | None = None
    deadline_seconds: int | None = None

    def step(self, name: str) -> Step:
        return self.steps.get(name, Step(name=name))

    @property
    def leaving(self) -> bool:
        """Whether it is being removed from its node, or was, or its node has gone: its Job makes another."""
        return self.disrupted or self.gone_by is not None or self.phase == "Unknown"

    @property
    def ended(self) -> bool:
        """Its work is over, well or not: what remains of it is logs for people."""
        return self.phase in ("Succeeded", "Failed") or any(step.failed for step in self.steps.values())


@dataclass(frozen=True, kw_only=True)
class Source:
    """The rows that `prepare` of a Job reads: the texts of a Dataset and its DataSchema, and the claim of the file."""

    dataset: str
    schema: str
    claim: str

    @classmethod
    def described(cls, dataset: Mapping[str, Any], schema: Mapping[str, Any]) -> Source:
        """The rows that these specs describe."""
        return cls(dataset=dataset_text.dump(dataset), schema=schema_text.dump(schema), claim=dataset["claimName"])


@dataclass(frozen=True, kw_only=True)
class Job:
    """`limits`: what `prepare` of its pod compares the file with. `source`: what it reads."""

    name: str
    namespace: str
    uid: str
    suspended: bool = False
    complete: bool = False
    failed: str = ""
    limits: Limits | None = None
    source: Source | None = None

    @property
    def finished(self) -> bool:
        return self.complete or bool(self.failed)


def out_of_time(job: Job, pod: Pod | None) -> bool:
    """Whether the Job ended because its pod ran for longer than it may."""
    return job.failed == "DeadlineExceeded" or (pod is not None and pod.reason == "DeadlineExceeded")


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
        limits=_limits(_prepare_environment(value["spec"])),
        source=_source(value["spec"]),
    )


def _prepare_environment(spec: Mapping[str, Any]) -> dict[str, str]:
    """The variables of `prepare`. A manifest has two dollar signs for each one (manifests/pod.py)."""
    pod = spec.get("template", {}).get("spec", {})
    containers = [*pod.get("initContainers", ()), *pod.get("containers", ())]
    lists = [each.get("env", ()) for each in containers if each["name"] == "prepare"]
    return {each["name"]: each.get("value", "").replace("$$", "$") for variables in lists for each in variables}


def _source(spec: Mapping[str, Any]) -> Source | None:
    """What `prepare` reads. Admission has compared it with the Dataset and the DataSchema of that time."""
    env = _prepare_environment(spec)
    volumes = spec.get("template", {}).get("spec", {}).get("volumes", ())
    claims = [each["persistentVolumeClaim"]["claimName"] for each in volumes if each["name"] == "dataset"]
    if not claims or not env.keys() >= {DATASET_TEXT, SCHEMA_TEXT}:
        return None
    return Source(dataset=env[DATASET_TEXT], schema=env[SCHEMA_TEXT], claim=claims[0])


def _limits(env: Mapping[str, str]) -> Limits | None:
    """The limits in the environment of `prepare`. Admission has compared them with the policy of the site chart."""
    if not env.keys() >= {MIN_SAMPLES, MIN_CELL, MAX_LEFT_OUT}:
        return None
    return Limits(min_samples=int(env[MIN_SAMPLES]), min_cell=int(env[MIN_CELL]), max_left_out=env[MAX_LEFT_OUT])


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
        started=_time(status.get("startTime")),
        gone_by=_time(meta.get("deletionTimestamp")),
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
            report=outcome.read(ended.get("message") or ""),
        )
    if running := state.get("running"):
        return Step(name=container["name"], started=_time(running.get("startedAt")))
    return Step(name=container["name"], reason=state.get("waiting", {}).get("reason", ""))


def _end_of_sidecar(container: Mapping[str, Any]) -> Step | None:
    """A sidecar is started again when it ends, so how it ended may be its last state. A reason counts most."""
    states = (container.get("state", {}), container.get("lastState", {}))
    ends = [_step({**container, "state": state}) for state in states if "terminated" in state]
    return next((step for step in ends if step.report and step.report.reason), ends[0] if ends else None)


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
