"""A hub and a site with real keys, from which tests make assignments and observations that differ in one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.players.hospital import OURS, Hospital
from tests.players.hub import DATASET, Hub
from wardround.api import roundtask, site, sitetask
from wardround.plans.pod import Job, Pod, Source, parse_pod
from wardround.plans.schema import assigned
from wardround.plans.sitetask.held import HeldTask, SignedAssignment, held, read_signed
from wardround.plans.sitetask.types import Change, Control, Observation, ObservedDataset, Plan, TellDataset, TellHub
from wardround.sealing.keys import SUITE
from wardround.wire.assignment import AssignedReference, Assignment, Exchange, Quorum, Resources
from wardround.wire.versions import LATEST, critical

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HUB, HOSPITAL = Hub(), Hospital("site-a")
HUB_DER, ROUND_KEY = HUB.identity.public, HUB.round_key
FINGERPRINT = HOSPITAL.fingerprint
IMAGE_DIGEST = "sha256:" + "b" * 64
IMAGE = f"registry.example/trainer@{IMAGE_DIGEST}"
SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "radius", "type": "number", "unit": "mm"},
        {"name": "area", "type": "number", "unit": "mm2"},
        {"name": "malignant", "type": "boolean"},
    ],
    "target": "malignant",
}

ASSIGNMENT = Assignment(
    version=LATEST,
    critical=critical(LATEST),
    round_uid="round-uid",
    round_namespace="breast-cancer",
    round_name="train-1",
    attempt=1,
    task="Train",
    participant="site-a",
    site_fingerprint=FINGERPRINT,
    round_public_key=ROUND_KEY.public.raw,
    suite=SUITE,
    image=IMAGE,
    image_digest=IMAGE_DIGEST,
    command=("python", "-m", "wardround_trainer"),
    dataset_name="breast",
    parameters={"epochs": "5"},
    seed=7,
    exchange=Exchange(("input.*",)),
    metrics=("loss",),
    initial=True,
    base=None,
    roster=("site-a", "site-b"),
    quorum=Quorum(2, (), 60, "Fail"),
    resources=Resources(1, 0, local_sockets=False),
    wait_seconds=900,
    train_seconds=1800,
    upload_seconds=600,
    state_round="",
    schema=assigned(SCHEMA),
    rows="Validation",
    threads=2,
    release="Participants",
    pushed=(),
    references=(),
    keyed_digest=True,
    admission_seconds=900,
    issued=(NOW - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    expires=(NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
)


def a_reference(number: int = 1, **changes: Any) -> AssignedReference:
    """A model with which an evaluation compares its own, as a site may allow it."""
    known = AssignedReference(
        round_name=f"heart-{number}",
        manifest=f"manifest {number}",
        wrapped_key=bytes([number]),
        image=IMAGE,
        image_digest=IMAGE_DIGEST,
        command=("python", "-m", "wardround_trainer"),
        parameters={"epochs": "5"},
        state_round="",
    )
    return dataclasses.replace(known, **changes)


def signed(**changes: Any) -> str:
    return HUB.sign(dataclasses.replace(ASSIGNMENT, **changes))


def a_site(**policy: Any) -> site.Site:
    return site.parse(
        {
            "metadata": {"name": "site", "namespace": "hospital-a", "generation": 1},
            "spec": {
                "hub": {"participantNamespace": "site-a", "fingerprint": HUB.identity.fingerprint},
                "store": {"origin": "https://store.example:443"},
                "policy": {
                    "tasks": ["Train", "Statistics", "Evaluate"],
                    "images": [IMAGE],
                    "datasets": [{"name": "breast", "federations": ["breast-cancer"]}],
                    "minQuorum": 2,
                    "approval": "Policy",
                    **policy,
                },
                "workload": {"limits": {"cpu": "1", "memory": "2Gi"}},
            },
            "status": {"courier": {"fingerprint": FINGERPRINT}},
        }
    )


def a_task(
    name: str = "train-1-a8e051da-a1",
    *,
    envelope: str | None = None,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    created: str = "2026-11-24T11:59:00Z",
) -> sitetask.SiteTask:
    return sitetask.parse(
        {
            "metadata": {
                "name": name,
                "namespace": "hospital-a",
                "uid": f"uid-of-{name}",
                "generation": 1,
                "creationTimestamp": created,
            },
            "spec": {
                "roundRef": {"namespace": "breast-cancer", "name": "train-1", "uid": "round-uid"},
                "roundTaskUID": "round-task-uid",
                "attempt": 1,
                "assignment": envelope or signed(),
                "hubKey": HUB.key,
                **(spec or {}),
            },
            "status": dict(status or {}),
        }
    )


def a_round_task(task: sitetask.SiteTask, **spec: Any) -> roundtask.RoundTask:
    return roundtask.parse(
        {
            "metadata": {"name": task.metadata.name, "namespace": "site-a", "uid": "round-task-uid", "generation": 3},
            "spec": {
                "roundRef": {"namespace": "breast-cancer", "name": "train-1", "uid": "round-uid"},
                "attempt": 1,
                "assignment": task.spec.assignment,
                "hubKey": task.spec.hub_key,
                **spec,
            },
        }
    )


@cache
def _signed(envelope: str, hub_key: str) -> SignedAssignment | None:
    """As the site holds it: a task's assignment is opened once, not for each look at another task."""
    return read_signed(envelope, hub_key)


def a_record(task: sitetask.SiteTask, *, holds_job: bool = False) -> HeldTask:
    return held(task, _signed(task.spec.assignment, task.spec.hub_key), holds_job=holds_job)


def a_dataset(schema: Mapping[str, Any] | None = SCHEMA, **spec: Any) -> ObservedDataset:
    """A Dataset with this DataSchema, None for one that is missing."""
    return ObservedDataset(spec={**DATASET, **spec}, schema=schema)


BREAST = a_dataset()
CONTROL = Control((), proven=True, seconds=1.0)
UNPROVEN = Control((), proven=False, seconds=1.0)


def seen(
    task: sitetask.SiteTask | None = None,
    *,
    others: Sequence[sitetask.SiteTask] = (),
    busy: Collection[str] = (),
    **changes: Any,
) -> Observation:
    """`busy`: names of the others whose Jobs are not over."""
    task = task or a_task()
    return dataclasses.replace(
        Observation(
            site=a_site(),
            task=task,
            round_task=a_round_task(task),
            hub_reached=True,
            others=tuple(a_record(each, holds_job=each.metadata.name in busy) for each in others),
            datasets={"breast": BREAST},
            job=None,
            pod=None,
            control=CONTROL,
            operator_image=OURS,
            now=NOW,
        ),
        **changes,
    )


def change_names(plan: Plan) -> tuple[str, ...]:
    """What the plan does to other objects than statuses, by name."""
    return tuple(type(each).__name__ for each in plan.actions if isinstance(each, Change))


def tell_hub_action(plan: Plan) -> TellHub | None:
    return next((each for each in plan.actions if isinstance(each, TellHub)), None)


def tell_dataset_action(plan: Plan) -> TellDataset | None:
    return next((each for each in plan.actions if isinstance(each, TellDataset)), None)


def condition(kind: str, status: str = "True", reason: str = "") -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason or kind,
        "message": "",
        "lastTransitionTime": "2026-11-24T11:59:00Z",
    }


def accepted(*more: dict[str, str], **status: Any) -> dict[str, Any]:
    return {"conditions": [condition("Accepted"), *more], **status}


def ready(*more: dict[str, str], **courier: Any) -> dict[str, Any]:
    """Accepted, and the courier has the input."""
    return accepted(condition("InputReady"), *more, courier={"input": "Ready", **courier})


JOB = Job(
    name="train-1-a8e051da-a1",
    namespace="hospital-a",
    uid="job-uid",
    source=Source.described(BREAST.spec, SCHEMA),
)


def ended(name: str, code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    times = {"startedAt": "2026-11-24T11:59:30Z", "finishedAt": "2026-11-24T11:59:40Z"}
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}
    return {"name": name, "state": state}


def running(name: str) -> dict[str, Any]:
    return {"name": name, "state": {"running": {"startedAt": "2026-11-24T11:59:30Z"}}}


def waiting(name: str, reason: str = "PodInitializing") -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason}}}


def a_pod(*containers: dict[str, Any], **status: Any) -> Pod:
    return parse_pod(
        {
            "metadata": {"name": "pod-1", "namespace": "hospital-a"},
            "status": {"phase": "Running", "initContainerStatuses": list(containers), **status},
        }
    )
