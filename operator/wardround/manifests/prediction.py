"""Builds the Job of a Prediction: a closed pod that reads rows and a model, and writes an answer.

Our own image alone runs in it, unless the Prediction names the code of its model (`prediction_code` beside this).
The shape is what the site chart's ValidatingAdmissionPolicy admits and nothing else: a change here shows as a diff in
`tests/unit/golden/` and has to be made in the policy as well.
"""

from __future__ import annotations

from wardround.api import dataset_text, names, schema_text
from wardround.api.prediction import KIND, PREDICT_SECONDS
from wardround.manifests import pod, prediction_code
from wardround.manifests.closed import (
    OUR_COMMAND,
    SMALL,
    Owner,
    closed_pod,
    isolation_variables,
    job_metadata,
    one_pod,
    pod_labels,
)
from wardround.manifests.pod import Manifest
from wardround.manifests.prediction_job import PredictionJob
from wardround.wire import prediction as wire
from wardround.wire.training import DATASET_TEXT, SCHEMA_TEXT

CONTAINER = "predict"


def build(job: PredictionJob) -> Manifest:
    """The Job. Its name is that of the Prediction's UID, so that each Prediction has one."""
    labels, owner = pod_labels(job.uid), Owner(KIND, job.name, job.uid)
    compared = {
        names.PREDICTION: names.label_value(job.name),
        names.DATASET: job.spec.dataset_name,
        names.SCHEMA: job.dataset["schemaName"],
    }
    name = names.prediction_name(job.uid)
    metadata = job_metadata(name, job.namespace, owner, labels, job.workload, compared)
    # Read-only as volumes too: else the kubelet would change the group of the files to fsGroup.
    volumes = [
        pod.claim("rows", job.spec.rows.claim_name, read_only=True),
        pod.claim("models", job.models_claim, read_only=True),
        pod.claim("answers", job.spec.answer.claim_name),
    ]
    if job.spec.code is None:
        containers: Manifest = {"containers": [_predict(job)]}
    else:
        volumes += prediction_code.volumes(job.workload)
        containers = prediction_code.containers(job, job.spec.code, _asked(job), _isolation(job))
    spec = closed_pod(job.workload, volumes, PREDICT_SECONDS) | containers
    return one_pod(metadata, {"metadata": {"labels": labels}, "spec": spec})


def _predict(job: PredictionJob) -> Manifest:
    mounts = [
        pod.mount("rows", wire.ROWS, read_only=True),
        pod.mount("models", wire.MODELS, read_only=True),
        pod.mount("answers", wire.ANSWERS),
    ]
    container = pod.container(CONTAINER, job.operator_image, mounts, pod.unswapped(SMALL, job.workload.limits))
    return container | {
        "imagePullPolicy": "IfNotPresent",
        "command": [*OUR_COMMAND, "prediction"],
        "env": [*_asked(job), *_isolation(job)],
    }


def _asked(job: PredictionJob) -> list[Manifest]:
    """The Prediction in variables, which the admission policy compares with it."""
    return [
        pod.variable(wire.UID, job.uid),
        pod.variable(wire.MODEL, job.spec.model.name),
        pod.variable(wire.VERSION, job.spec.model.version),
        pod.variable(wire.ROWS_PATH, job.spec.rows.path),
        pod.variable(wire.ANSWER_PATH, job.spec.answer.path),
        pod.variable(wire.HUB_FINGERPRINT, job.hub_fingerprint),
        pod.variable(DATASET_TEXT, dataset_text.dump(job.dataset)),
        pod.variable(SCHEMA_TEXT, schema_text.dump(job.schema)),
    ]


def _isolation(job: PredictionJob) -> list[Manifest]:
    return isolation_variables(job.isolation, job.isolation_seconds, job.link_local)
