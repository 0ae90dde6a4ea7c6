"""Builds Job and Secret of one aggregation (docs/contracts.md, section 7). Knows nothing of keys or the store."""

import base64
from dataclasses import dataclass
from typing import Any

from wardround.api import names

Manifest = dict[str, Any]
SERVICE_ACCOUNT = "aggregation"
FOLDER = "/wardround/aggregation"
ACTIVE_SECONDS = 3600
KEPT_SECONDS = 86400


@dataclass(frozen=True, kw_only=True)
class AggregationJob:
    """All that the manifests depend on. `number` counts the tries, from 1: each has one pod and one location.
    `active_seconds`: how long it may run, ACTIVE_SECONDS at most."""

    namespace: str
    round_namespace: str
    round_name: str
    round_uid: str
    number: int
    image: str
    active_seconds: int = ACTIVE_SECONDS

    @property
    def name(self) -> str:
        return names.aggregation_name(self.round_uid, self.number)


def secret(job: AggregationJob, plan: bytes) -> Manifest:
    """Holds `plan.json`, keys and presigned URLs included: deleted when the round is over."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(job),
        "type": "Opaque",
        "immutable": True,
        "data": {"plan.json": base64.b64encode(plan).decode()},
    }


def build(job: AggregationJob) -> Manifest:
    """The Job. One pod, never a second: another would write to the same location."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(job),
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": job.active_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": _labels(job), "annotations": _annotations(job)},
                "spec": _pod(job),
            },
        },
    }


def _pod(job: AggregationJob) -> Manifest:
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.USER,
            "runAsGroup": names.USER,
            "fsGroup": names.USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "aggregate",
                "image": job.image,
                "args": ["aggregate"],
                # Memory does not grow with the model or the participants: a slice of the model at a time.
                # It asks for all the memory that it may have, so that the kubelet never swaps it: it holds keys.
                "resources": {
                    "requests": {"cpu": "100m", "memory": "512Mi"},
                    "limits": {"memory": "512Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePolicy": "File",
                "volumeMounts": [
                    {"name": "plan", "mountPath": FOLDER, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of this pod
                ],
            }
        ],
        "volumes": [
            {"name": "plan", "secret": {"secretName": job.name, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }


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
