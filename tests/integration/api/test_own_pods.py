"""The pods of the site chart's Deployments mount no patient data. Each attack adds one volume to a pod of the chart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.test_charts import of_kind, render
from tests.integration.cluster import Helm

Object = dict[str, Any]
REPLICAS = account("kube-system", "replicaset-controller")
REFUSED = "The courier mounts no claims but workspace, models, the site operator none"


def claim(name: str) -> Object:
    return {"persistentVolumeClaim": {"claimName": name}}


@pytest.fixture(scope="module")
def pods(helm: Helm) -> dict[str, Object]:
    """The pod of each Deployment, as the ReplicaSet controller makes it."""
    return {name: pod(each) for name, each in of_kind(render(helm, "site"), "Deployment").items()}


def pod(deployment: Object) -> Object:
    name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{name}-7d4b9c6f5",
        "uid": "00000000-0000-0000-0000-000000000001",
        "controller": True,
    }
    metadata = {**template["metadata"], "name": f"{name}-x", "namespace": "hospital-a", "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def with_volume(pod: Object, source: Object) -> Object:
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "volumes": [*spec["volumes"], {"name": "more", **source}]}}


@pytest.mark.parametrize("name", ["courier", "site-operator"])
def test_the_pods_of_the_chart_are_admitted_also_with_a_clusters_additions(
    api: Api, pods: dict[str, Object], name: str
) -> None:
    api.create(pods[name], user=REPLICAS, dry_run=True)
    token = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    own: list[Object] = [{"emptyDir": {}}, token]
    for source in own:
        api.create(with_volume(pods[name], source), user=REPLICAS, dry_run=True)


ATTACKS: dict[str, tuple[str, Object]] = {
    "the courier mounts the data of a Dataset": ("courier", claim("breast-data")),
    "the courier mounts the data read-only": (
        "courier",
        {"persistentVolumeClaim": {"claimName": "breast-data", "readOnly": True}},
    ),
    "the courier mounts the state of training": ("courier", claim("state")),
    "the courier mounts a folder of its node": ("courier", {"hostPath": {"path": "/var/lib"}}),
    "the courier mounts a share of the network": ("courier", {"nfs": {"server": "203.0.113.9", "path": "/rows"}}),
    "the courier mounts a volume of a driver": ("courier", {"csi": {"driver": "example.org"}}),
    "the site operator mounts the data of a Dataset": ("site-operator", claim("breast-data")),
    "the site operator mounts the workspace": ("site-operator", claim("workspace")),
    "the site operator mounts the models": ("site-operator", claim("models")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_pod_with_network_mounts_what_a_pod_beside_the_data_can_write(
    api: Api, pods: dict[str, Object], attack: str
) -> None:
    name, source = ATTACKS[attack]
    with pytest.raises(Refused, match=REFUSED):
        api.create(with_volume(pods[name], source), user=REPLICAS, dry_run=True)
