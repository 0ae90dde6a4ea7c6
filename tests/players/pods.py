"""Plays the Job controller and the kubelet for one Job: its pod, and how the containers end. Knows no API server."""

from __future__ import annotations

import copy

from wardround.aggregate import plan
from wardround.ports import Object
from wardround.wire.aggregation import AggregationAnswer

JOB_NAME = "batch.kubernetes.io/job-name"


def pod_of(job: Object, name: str = "") -> Object:
    """The pod that the Job controller makes. `name`: by default that of the Job."""
    meta, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    metadata = {
        **template["metadata"],
        "name": name or meta["name"],
        "namespace": meta["namespace"],
        "labels": {**template["metadata"].get("labels", {}), JOB_NAME: meta["name"]},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def container_status(name: str, state: Object) -> Object:
    """What the kubelet says of a container."""
    return {"name": name, "state": state, "image": "x", "imageID": "x", "ready": False, "restartCount": 0}


def terminated(code: int, message: str, started: str, finished: str) -> Object:
    """The state of a container that has ended."""
    reason = "Error" if code else "Completed"
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": started,
            "finishedAt": finished,
        }
    }


def over(name: str, state: Object) -> Object:
    """The status of a pod whose only container has ended."""
    phase = "Failed" if state["terminated"]["exitCode"] else "Succeeded"
    return {"phase": phase, "containerStatuses": [container_status(name, state)]}


def ended(answer: AggregationAnswer, time: str) -> Object:
    """The status of an aggregation's pod after its end. `time`: when its container began and ended."""
    return over("aggregate", terminated(0, plan.spell(answer).decode(), time, time))
