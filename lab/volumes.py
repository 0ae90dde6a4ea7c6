"""PersistentVolumes on folders of this machine. They are `local`, not hostPath, because fsGroup needs that."""

import shutil
from pathlib import Path
from typing import Any

from lab.client import Client
from lab.errors import LabError
from lab.topology import Cluster

# The claims of the charts in their default namespaces. Their volumes are made before an install.
HUB_NAMESPACE = "wardround-hub"
SITE_NAMESPACE = "wardround-site"
DEFAULTS = {
    True: [(HUB_NAMESPACE, "store")],
    False: [(SITE_NAMESPACE, name) for name in ("workspace", "state", "data")],
}
DEFAULT_SIZE = "20Gi"


def create(cluster: Cluster, client: Client, namespace: str, claim: str, size: str = DEFAULT_SIZE) -> Path:
    """Make a volume that only the claim `namespace`/`claim` can bind. Returns the folder with its content.

    Idempotent. If the claim was deleted, the next claim of that name gets the volume with its content.
    """
    manifest = volume(cluster, namespace, claim, size)
    folder = Path(manifest["spec"]["local"]["path"])
    folder.mkdir(parents=True, exist_ok=True)
    path = f"/api/v1/persistentvolumes/{manifest['metadata']['name']}"
    if client.apply(manifest).get("status", {}).get("phase") == "Released":
        client.request("DELETE", path)
        client.apply(manifest)
    return folder


def remove(cluster: Cluster, client: Client, namespace: str, claim: str) -> None:
    """Delete a volume and its content. Its claim must be gone."""
    name = volume(cluster, namespace, claim, DEFAULT_SIZE)["metadata"]["name"]
    phase = client.request("GET", f"/api/v1/persistentvolumes/{name}")["status"].get("phase")
    if phase == "Bound":
        raise LabError(f"volume {name} of {cluster.name} is bound: delete its claim {namespace}/{claim} first")
    client.request("DELETE", f"/api/v1/persistentvolumes/{name}")
    shutil.rmtree(folder_of(cluster, namespace, claim), ignore_errors=True)


def folder_of(cluster: Cluster, namespace: str, claim: str) -> Path:
    return cluster.volumes / namespace / claim


def volume(cluster: Cluster, namespace: str, claim: str, size: str) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [cluster.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{claim}"},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
            "local": {"path": str(folder_of(cluster, namespace, claim))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
