"""Builds the Job of a pod that only reads a Dataset: our own `prepare` alone, and no code of researchers.

The shape is what the site chart's ValidatingAdmissionPolicy admits and nothing else: a change here shows as a diff in
`tests/unit/golden/` and has to be made in the policy as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.api import dataset_text, names, schema_text
from wardround.api.dataset import KIND, READ_SECONDS
from wardround.api.site import LinkLocal
from wardround.manifests import pod
from wardround.manifests.closed import (
    OUR_COMMAND,
    SMALL,
    Owner,
    Workload,
    closed_pod,
    isolation_variables,
    job_metadata,
    one_pod,
    pod_labels,
)
from wardround.manifests.pod import Manifest
from wardround.wire import mounts
from wardround.wire.isolation import IsolationTarget
from wardround.wire.training import DATASET_TEXT, MAX_LEFT_OUT, MIN_CELL, MIN_SAMPLES, SCHEMA_TEXT


@dataclass(frozen=True, kw_only=True)
class ReadingJob:
    """All that the Job depends on. `dataset`, `schema`: specs as they stand in the API.

    `generation` and `schema_digest` of the Dataset and `request`, the value of its annotation READ, say which reading
    this is.
    """

    namespace: str
    dataset_name: str
    dataset_uid: str
    generation: int
    schema_digest: str
    request: str
    operator_image: str
    isolation: Sequence[IsolationTarget]
    isolation_seconds: float
    link_local: LinkLocal
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]
    split_fingerprint: str
    min_samples: int
    min_cell: int
    max_left_out: str
    workload: Workload


def build(job: ReadingJob) -> Manifest:
    """The Job. Its name is that of the Dataset's UID, so that no two pods read a Dataset at the same time."""
    labels, owner = pod_labels(job.dataset_uid), Owner(KIND, job.dataset_name, job.dataset_uid)
    compared = {names.DATASET: job.dataset_name, names.SCHEMA: job.dataset["schemaName"]}
    name = names.reading_name(job.dataset_uid)
    metadata = job_metadata(name, job.namespace, owner, labels, job.workload, compared) | {
        "annotations": {
            names.GENERATION: str(job.generation),
            names.SCHEMA_DIGEST: job.schema_digest,
            names.READ: job.request,
        },
    }
    # Read-only as a volume too: else the kubelet would change the group of the hospital's files to fsGroup.
    volumes = [
        pod.claim("dataset", job.dataset["claimName"], read_only=True),
        pod.claim("state", job.workload.state_claim),
    ]
    spec = closed_pod(job.workload, volumes, READ_SECONDS) | {"containers": [_prepare(job)]}
    return one_pod(metadata, {"metadata": {"labels": labels}, "spec": spec})


def _prepare(job: ReadingJob) -> Manifest:
    lines = [
        pod.mount(each.volume, each.path, sub_path=each.sub_path, read_only=each.mode == "ro")
        for each in mounts.reading_mounts()
    ]
    container = pod.container("prepare", job.operator_image, lines, pod.unswapped(SMALL, job.workload.limits))
    return container | {
        "imagePullPolicy": "IfNotPresent",
        "command": [*OUR_COMMAND, "prepare"],
        "env": [
            pod.variable("WARDROUND_KIND", "Read"),
            pod.variable("WARDROUND_DATASET_NAME", job.dataset_name),
            pod.variable(DATASET_TEXT, dataset_text.dump(job.dataset)),
            pod.variable(SCHEMA_TEXT, schema_text.dump(job.schema)),
            pod.variable("WARDROUND_SPLIT_FINGERPRINT", job.split_fingerprint or "none"),
            pod.variable(MIN_SAMPLES, str(job.min_samples)),
            pod.variable(MIN_CELL, str(job.min_cell)),
            pod.variable(MAX_LEFT_OUT, job.max_left_out),
            *isolation_variables(job.isolation, job.isolation_seconds, job.link_local),
        ],
    }
