"""Valid objects, and valid values of the charts. Each call returns a new object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.players import pods

Object = dict[str, Any]

ROOT = Path(__file__).parents[3]
HUB = "wardround-hub"
STORE_ORIGIN = "https://203.0.113.1:30707"
FEDERATION = "breast-cancer"
# Two sites in the hub's cluster, as in most first trials. Each site has a namespace besides its participant namespace.
PARTICIPANTS = ("site-a", "site-b")
SITES = {"site-a": "hospital-a", "site-b": "hospital-b"}
OURS = "registry.example/wardround/operator@sha256:" + "a" * 64
TRAINER = "registry.example/wardround/trainer@sha256:" + "b" * 64
DIGEST = "sha256:" + "c" * 64
API = "wardround.io/v1alpha1"


def hub_values(store: str = STORE_ORIGIN) -> Object:
    """`store`: the origin of the store. The hub operator may publish no other one."""
    return {
        "image": OURS,
        "store": {"endpoint": store, "tls": {"existingSecret": "store-tls"}},
        "network": {"kubernetesAPI": [{"cidr": "203.0.113.1/32", "port": 6443}]},
    }


def site_values(participant: str) -> Object:
    return {
        "image": OURS,
        "hub": {"participantNamespace": participant, "fingerprint": DIGEST},
        "store": {"origin": STORE_ORIGIN, "caBundle": "-----BEGIN CERTIFICATE-----\n"},
        "policy": {
            "approval": "Policy",
            "tasks": ["Train", "Statistics", "Evaluate", "Deliver"],
            "images": [TRAINER],
            "datasets": [{"name": "breast", "federations": [FEDERATION]}],
            "dataSchemas": ["breast-v1"],
            "minQuorum": 1,
            "parameters": [
                {"name": "epochs", "minimum": "1", "maximum": "100"},
                {"name": "batchSize", "minimum": "16"},
                {"name": "model", "enum": ["mlp", "logistic"]},
                {"name": "hidden"},
            ],
        },
        "models": {"claimName": "models"},
        "predictions": {"rowsClaimNames": ["new-cases"], "answersClaimNames": ["answers"]},
        "network": {
            "kubernetesAPI": [{"cidr": "203.0.113.1/32", "port": 6443}],
            "hubAPI": [{"cidr": "203.0.113.1/32", "port": 6443}],
            "store": [{"namespace": HUB, "port": 7070}],
        },
    }


def federated_round(name: str = "train-1", **spec: Any) -> Object:
    return {
        "apiVersion": API,
        "kind": "FederatedRound",
        "metadata": {"name": name, "namespace": FEDERATION},
        "spec": {
            "task": "Train",
            "initial": {},
            "image": TRAINER,
            "datasetName": "breast",
            "schemaName": "breast-v1",
            "participants": {"names": ["site-a", "site-b"]},
            "quorum": {"min": 2},
        }
        | spec,
    }


def federated_model(name: str = "breast", **series: Any) -> Object:
    return {
        "apiVersion": API,
        "kind": "FederatedModel",
        "metadata": {"name": name, "namespace": FEDERATION},
        "spec": {
            "schemaName": "breast-v1",
            "round": {
                "image": TRAINER,
                "datasetName": "breast",
                "participants": {"names": ["site-a", "site-b"]},
                "quorum": {"min": 2},
            },
            "series": {"rounds": 2} | series,
        },
    }


def model_version(name: str = "breast-v1-0123abcd") -> Object:
    return {
        "apiVersion": API,
        "kind": "ModelVersion",
        "metadata": {"name": name, "namespace": FEDERATION},
        "spec": {
            "modelName": "breast",
            "version": 1,
            "series": 1,
            "roundName": "breast-s1-r2-0123abcd",
            "roundUID": "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
            "digest": DIGEST,
            "parents": [],
            "release": "Participants",
        },
    }


def model_transfer(name: str = "pull-1", **spec: Any) -> Object:
    return {
        "apiVersion": API,
        "kind": "ModelTransfer",
        "metadata": {"name": name, "namespace": FEDERATION},
        "spec": {"roundName": "train-1", "publicKey": "A" * 1624, "requestedBy": "alice"} | spec,
    }


def model_push(name: str = "pretrained", **spec: Any) -> Object:
    fields = {
        "schemaName": "breast-v1",
        "digest": DIGEST,
        "bytes": 1000,
        "tensorsDigest": DIGEST,
        "publicKey": "A" * 1624,
        "requestedBy": "alice",
    }
    return {
        "apiVersion": API,
        "kind": "ModelPush",
        "metadata": {"name": name, "namespace": FEDERATION},
        "spec": fields | spec,
    }


def without(obj: Object, *fields: str) -> Object:
    for field in fields:
        obj["spec"].pop(field, None)
    return obj


def round_task(namespace: str = "site-a", name: str = "train-1-1a2b3c4d-a1") -> Object:
    return {
        "apiVersion": API,
        "kind": "RoundTask",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "roundRef": {"namespace": FEDERATION, "name": "train-1", "uid": "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"},
            "attempt": 1,
            "assignment": "{}",
            "hubKey": "aGVsbG8=",
        },
    }


def site_task(namespace: str = "hospital-a", name: str = "train-1-1a2b3c4d-a1") -> Object:
    task = round_task(namespace, name) | {"kind": "SiteTask"}
    task["spec"]["roundTaskUID"] = "6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11"
    return task


def approval(name: str = "breast-s1", namespace: str = "hospital-a", **spec: Any) -> Object:
    known = {"author": "alice", "terms": "{}", "maxRounds": 4, "maxEvaluations": 2, "until": "2027-03-31T00:00:00Z"}
    return {
        "apiVersion": API,
        "kind": "Approval",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {name: value for name, value in {**known, **spec}.items() if value is not None},
    }


def dataset(namespace: str = "hospital-a", name: str = "breast") -> Object:
    return {
        "apiVersion": API,
        "kind": "Dataset",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "claimName": "breast-data",
            "schemaName": "breast-v1",
            "path": "cases.csv",
            "identifier": {"column": "patient_id", "type": "string"},
            "fields": [
                {"name": "mean_radius", "from": "RADIUS", "scale": "10", "offset": "0", "missingValues": ["-1"]},
                {"name": "side", "categories": [{"name": "left", "from": "links"}]},
            ],
            "split": {},
        },
    }


def data_schema(namespace: str = "hospital-a", name: str = "breast-v1") -> Object:
    return {
        "apiVersion": API,
        "kind": "DataSchema",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "fields": [
                {"name": "mean_radius", "type": "number", "unit": "mm", "minimum": "0", "maximum": "50"},
                {"name": "side", "type": "string", "categories": ["left", "right"], "required": True},
                {"name": "malignant", "type": "integer", "categories": ["0", "1"], "description": "As proven."},
            ],
            "target": "malignant",
        },
    }


def prediction(namespace: str = "hospital-a", name: str = "new-cases", **spec: Any) -> Object:
    return {
        "apiVersion": API,
        "kind": "Prediction",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"name": "heart"},
            "datasetName": "breast",
            "rows": {"claimName": "new-cases", "path": "2026/cases.csv"},
            "answer": {"claimName": "answers", "path": "2026/answers.csv"},
        }
        | spec,
    }


def keys() -> Object:
    return {"signing": "A" * 124, "decryption": "B" * 1622 + "=="}


def condition(kind: str, status: str = "True", reason: str = "Tested") -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def training_job(case: str = "train", namespace: str = "hospital-a") -> Object:
    """Returns the Job that the site operator creates, from the golden files of its builder."""
    job: Object = yaml.safe_load((ROOT / f"tests/unit/golden/training-{case}.yaml").read_text())
    job["metadata"]["namespace"] = namespace
    return job


def reading_job(uid: str, namespace: str = "hospital-a") -> Object:
    """Returns the Job that the site operator creates to read the Dataset with this UID without any round."""
    job = training_job("read", namespace)
    job["metadata"]["ownerReferences"][0]["uid"] = uid
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        labels["wardround.io/task-uid"] = uid
    return job


def prediction_job(uid: str, namespace: str = "hospital-a", golden: str = "prediction") -> Object:
    """Returns the Job that the site operator creates for the Prediction with this UID. `golden`: the file of it."""
    job: Object = yaml.safe_load((ROOT / f"tests/unit/golden/{golden}.yaml").read_text())
    job["metadata"]["namespace"] = namespace
    job["metadata"]["name"] = f"predict-{uid}"
    owner_uid = job["metadata"]["ownerReferences"][0]["uid"]
    job["metadata"]["ownerReferences"][0]["uid"] = uid
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        labels["wardround.io/task-uid"] = uid
    spec = job["spec"]["template"]["spec"]
    for container in spec.get("initContainers", []) + spec["containers"]:
        for variable in container.get("env", []):
            if variable["name"] == "WARDROUND_PREDICTION_UID":
                variable["value"] = uid
        container["command"] = [word.replace(owner_uid, uid) for word in container["command"]]
        for mount in container["volumeMounts"]:
            mount["mountPath"] = mount["mountPath"].replace(owner_uid, uid)
    return job


def pod_of(job: Object) -> Object:
    """Returns the pod that the Job controller creates for a Job that no API server has."""
    return pods.pod_of({**job, "metadata": {**job["metadata"], "uid": "u"}})
