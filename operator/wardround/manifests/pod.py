"""Builds what the pods of both kinds of Job share: one try, a user without rights, closed containers, volumes.

Knows neither training nor aggregation. A caller adds its own fields to the object that it gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wardround.api import names

Manifest = dict[str, Any]


def job(metadata: Manifest, template: Manifest, **fields: Any) -> Manifest:
    """A Job that makes no second pod while the first one is there, and none after a container has failed.

    `fields` are further fields of its spec.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": template, **fields},
    }


def pod(service_account: str, volumes: Sequence[Manifest]) -> Manifest:
    """A pod without a token of the API server. Its containers run as one user, and its volumes are of that group."""
    return {
        "restartPolicy": "Never",
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.USER,
            "runAsGroup": names.USER,
            "fsGroup": names.USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": list(volumes),
    }


def container(name: str, image: str, mounts: Sequence[Manifest], resources: Manifest) -> Manifest:
    """A container that can write to its mounts alone, and cannot get more rights than it starts with."""
    return {
        "name": name,
        "image": image,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # `FallbackToLogsOnError` would copy log lines of code that sees patient data into an API object.
        "terminationMessagePolicy": "File",
        "volumeMounts": list(mounts),
        "resources": resources,
    }


def unswapped(requests: Mapping[str, str], limits: Mapping[str, str]) -> Manifest:
    """Resources of a container that holds keys or patient data.

    The kubelet lets no container swap that requests all the memory that it may have.
    """
    memory = {"memory": limits["memory"]} if "memory" in limits else {}
    return {"requests": {**requests, **memory}, "limits": dict(limits)}


def mount(volume: str, path: str, *, sub_path: str = "", read_only: bool = False) -> Manifest:
    """One line of a container's volumeMounts."""
    line: Manifest = {"name": volume, "mountPath": path}
    if sub_path:
        line["subPath"] = sub_path
    if read_only:
        line["readOnly"] = True
    return line


def empty(name: str, limit: str, *, in_memory: bool = False) -> Manifest:
    """A volume that the kubelet makes for the pod, and removes with it."""
    medium = {"medium": "Memory"} if in_memory else {}
    return {"name": name, "emptyDir": {**medium, "sizeLimit": limit}}


def claim(name: str, claim_name: str, *, read_only: bool = False) -> Manifest:
    """A volume of a PersistentVolumeClaim."""
    source: Manifest = {"claimName": claim_name}
    if read_only:
        source["readOnly"] = True
    return {"name": name, "persistentVolumeClaim": source}


def secret(name: str, secret_name: str) -> Manifest:
    """A volume of a Secret that the pod's group can read."""
    return {"name": name, "secret": {"secretName": secret_name, "defaultMode": 0o440}}


def variable(name: str, value: str) -> Manifest:
    """An environment variable with exactly this text. Kubernetes replaces `$(NAME)` by another variable, and `$$` by
    `$`. So `$` is escaped in texts of rounds and Datasets."""
    return {"name": name, "value": value.replace("$", "$$")}
