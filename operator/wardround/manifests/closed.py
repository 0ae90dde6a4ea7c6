"""Builds what the Jobs of a hospital share: a pod that reads patients, without a network, under our own launcher.

Training, reading and prediction add their volumes and containers. The site chart's ValidatingAdmissionPolicies admit
this shape and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardround.api import names
from wardround.api.site import LinkLocal
from wardround.manifests import pod
from wardround.manifests.pod import Manifest
from wardround.wire import isolation
from wardround.wire.isolation import IsolationTarget

SERVICE_ACCOUNT = "training"
OUR_COMMAND = ("python", "-m", "wardround")
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SMALL = {"cpu": "50m", "memory": "64Mi"}


@dataclass(frozen=True)
class Workload:
    """The part of Site.spec.workload that shapes a pod."""

    workspace_claim: str
    state_claim: str
    limits: Mapping[str, str]
    queue_name: str = ""
    runtime_class: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    supplemental_groups_policy: str = ""
    accelerator_resource: str = "nvidia.com/gpu"


@dataclass(frozen=True)
class Owner:
    """The object for which a Job is made. Kubernetes deletes the Job with it."""

    kind: str
    name: str
    uid: str


def pod_labels(uid: str) -> dict[str, str]:
    """`uid`: of the SiteTask, Dataset or Prediction for which the pod runs."""
    return {"app.kubernetes.io/name": "wardround", names.ROLE: names.ROLE_TRAINING, names.TASK_UID: uid}


def job_metadata(
    name: str,
    namespace: str,
    owner: Owner,
    labels: Mapping[str, str],
    workload: Workload,
    compared: Mapping[str, str],
) -> Manifest:
    """The Job's metadata. By the labels `compared`, the API server finds the objects to compare the Job with."""
    queue = {QUEUE_LABEL: workload.queue_name} if workload.queue_name else {}
    return {
        "name": name,
        "namespace": namespace,
        "labels": {**labels, **queue, **compared},
        "ownerReferences": [
            {
                "apiVersion": "wardround.io/v1alpha1",
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def one_pod(metadata: Manifest, template: Manifest) -> Manifest:
    """A Job of one pod, which waits for its queue if it has one."""
    # A drained or evicted pod is replaced and goes on from its checkpoint; whatever else fails is final.
    evicted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    suspend = {"suspend": True} if QUEUE_LABEL in metadata["labels"] else {}
    return pod.job(metadata, template, parallelism=1, completions=1, podFailurePolicy={"rules": [evicted]}, **suspend)


def closed_pod(workload: Workload, volumes: Sequence[Manifest], seconds: int) -> Manifest:
    """A pod of this site without a network, still without containers. `seconds`: how long it may run."""
    spec = pod.pod(SERVICE_ACCOUNT, volumes) | {
        # The pod's, not the Job's: it counts from when a node begins with the pod. Waiting for a node is not training.
        "activeDeadlineSeconds": seconds,
        "terminationGracePeriodSeconds": 10,
        # No resolver is reachable: asking one on loopback, where none listens, is refused at once instead of
        # timing out, and the pod learns no address or search domain of the hospital.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
    }
    spec["securityContext"]["fsGroupChangePolicy"] = "OnRootMismatch"
    if workload.supplemental_groups_policy:
        spec["securityContext"]["supplementalGroupsPolicy"] = workload.supplemental_groups_policy
    if workload.runtime_class:
        spec["runtimeClassName"] = workload.runtime_class
    if workload.node_selector:
        spec["nodeSelector"] = dict(workload.node_selector)
    if workload.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in workload.tolerations]
    return spec


def isolation_variables(targets: Sequence[IsolationTarget], seconds: float, link_local: LinkLocal) -> list[Manifest]:
    """The gate's environment variables."""
    return [
        pod.variable("WARDROUND_ISOLATION", isolation.write(targets)),
        # Two digits always: the admission policy compares text.
        pod.variable("WARDROUND_ISOLATION_SECONDS", f"{seconds:.2f}"),
        pod.variable("WARDROUND_LINK_LOCAL", link_local),
    ]


def sidecar(container: Manifest, variables: Sequence[Manifest]) -> Manifest:
    """The container `isolation`, which tests the network while the others run."""
    return container | {
        "env": list(variables),
        "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }


def launched_in(folder: str, *flags: str) -> list[str]:
    """What takes the network away from the command after it (launcher/launch.c). `folder`: the launcher's."""
    return [f"{folder}/launch", *flags, "--"]
