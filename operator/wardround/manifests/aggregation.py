"""Builds Job and Secret of one aggregation (docs/contracts.md, section 7). Knows nothing of keys or the store."""

import base64
from dataclasses import dataclass

from wardround.api import names
from wardround.manifests import pod
from wardround.manifests.pod import Manifest

SERVICE_ACCOUNT = "aggregation"
FOLDER = "/wardround/aggregation"
SCRATCH = "/wardround/scratch"
ACTIVE_SECONDS = 3600
KEPT_SECONDS = 86400


@dataclass(frozen=True, kw_only=True)
class AggregationJob:
    """All that the manifests depend on. `number` counts the tries, from 1: each has one pod and one location.
    The one that begins early has the number 0. `failures`: how many tries before it failed, those not counted that the
    store ended. `given`: the attempts whose updates it combines; None if it begins early. `earlier`: the others that
    aggregations before it had. `active_seconds`: how long it may run, ACTIVE_SECONDS at most, and as much longer for
    the number 0 as a round may collect meanwhile. `scratch_bytes`: the size of its scratch volume."""

    namespace: str
    round_namespace: str
    round_name: str
    round_uid: str
    number: int
    image: str
    scratch_bytes: int
    failures: int = 0
    given: frozenset[str] | None = None
    earlier: frozenset[str] = frozenset()
    active_seconds: int = ACTIVE_SECONDS

    @property
    def name(self) -> str:
        return names.aggregation_name(self.round_uid, self.number)


def secret(job: AggregationJob, plan: bytes) -> Manifest:
    """Holds `plan.json`, keys and presigned URLs included: deleted when the round is over."""
    metadata = _metadata(job)
    notes = {names.FAILURES: str(job.failures)}
    if job.given is not None:
        notes[names.GIVEN] = " ".join(sorted(job.given))
    if job.earlier:
        notes[names.GIVEN_EARLIER] = " ".join(sorted(job.earlier))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "annotations": {**metadata["annotations"], **notes}},
        "type": "Opaque",
        "immutable": True,
        "data": {"plan.json": base64.b64encode(plan).decode()},
    }


def build(job: AggregationJob) -> Manifest:
    """The Job. One pod, never a second: another would write to the same location."""
    template = {"metadata": {"labels": _labels(job), "annotations": _annotations(job)}, "spec": _pod(job)}
    return pod.job(
        _metadata(job), template, activeDeadlineSeconds=job.active_seconds, ttlSecondsAfterFinished=KEPT_SECONDS
    )


def _pod(job: AggregationJob) -> Manifest:
    mounts = [
        pod.mount("plan", FOLDER, read_only=True),
        pod.mount("scratch", SCRATCH),
        pod.mount("tmp", "/tmp"),  # noqa: S108 - an emptyDir of this pod
    ]
    # Memory does not grow with the model or the participants. The rest of the limit caches scratch.
    resources = pod.unswapped({"cpu": "100m"}, {"memory": "512Mi"})
    container = pod.container("aggregate", job.image, mounts, resources) | {"args": ["aggregate"]}
    volumes = [
        pod.secret("plan", job.name),
        pod.empty("scratch", _mebibytes(job.scratch_bytes)),
        pod.empty("tmp", "16Mi"),
    ]
    return pod.pod(SERVICE_ACCOUNT, volumes) | {"containers": [container]}


def _mebibytes(count: int) -> str:
    return f"{-(-count // (1 << 20))}Mi"


def _metadata(job: AggregationJob) -> Manifest:
    return {
        "name": job.name,
        "namespace": job.namespace,
        "labels": _labels(job),
        "annotations": _annotations(job),
    }


def _labels(job: AggregationJob) -> dict[str, str]:
    return {
        **names.round_labels(job.round_name, job.round_uid),
        names.ROLE: names.ROLE_AGGREGATION,
        names.ATTEMPT: str(job.number),
    }


def _annotations(job: AggregationJob) -> dict[str, str]:
    return names.round_ref(job.round_namespace, job.round_name)
