"""Plays the Job controller and the kubelet for an aggregation: its pod, and how the pod ended. Knows no API server."""

from __future__ import annotations

from wardround.aggregate import plan
from wardround.ports import Object
from wardround.wire.aggregation import AggregationAnswer


def pod_of(job: Object) -> Object:
    """The pod that the Job's controller makes. It has the Job's name."""
    metadata, template = job["metadata"], job["spec"]["template"]
    meta = {"name": metadata["name"], "namespace": metadata["namespace"], **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": dict(template["spec"])}


def ended(answer: AggregationAnswer, time: str) -> Object:
    """The status of the pod after its end. `time`: when its container began and ended."""
    message = plan.spell(answer).decode()
    container = {"name": "aggregate", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
    over = {"exitCode": 0, "message": message, "startedAt": time, "finishedAt": time}
    return {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": over}}]}
