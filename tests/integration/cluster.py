"""An API server with our charts, for the tests of all folders: Helm, enrolment, tokens of accounts. No fixtures."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.controlplane import ISSUER
from tests.integration.api.apiserver import Api, Refused, until
from tests.integration.api.objects import (
    FEDERATION,
    HUB,
    PARTICIPANTS,
    ROOT,
    SITES,
    STORE_ORIGIN,
    data_schema,
    hub_values,
    site_values,
    training_job,
)
from wardround.cli.enrolment import manifests


@dataclass(frozen=True)
class Helm:
    """The real Helm against one API server."""

    binary: Path
    kubeconfig: Path
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run([self.binary, *arguments], capture_output=True, text=True, env=environment)

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def values(self, values: dict[str, Any]) -> str:
        path = self.folder / f"values-{len(list(self.folder.glob('values-*')))}.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    def install(self, release: str, chart: str, namespace: str, values: dict[str, Any], *flags: str) -> str:
        return self.ok(
            *("upgrade", "--install", release, str(ROOT / "charts" / chart), "--namespace", namespace),
            *("--create-namespace", "--values", self.values(values), *flags),
        )


def install(api: Api, helm: Helm) -> None:
    """Installs a hub, two participants enrolled, and both their sites."""
    helm.install("wardround-crds", "crds", "default", {}, "--wait")
    helm.install("wardround-hub", "hub", HUB, hub_values())
    # The setup of docs/one-cluster.md.
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.patch("Namespace", HUB, restricted, "")
    for participant, namespace in SITES.items():
        helm.install("wardround-site", "site", namespace, site_values(participant))
    _namespace(api, FEDERATION)
    api.create(data_schema(FEDERATION))
    # The hub operator writes this when it starts.
    published = {"storeOrigin": STORE_ORIGIN, "tokenAudiences": ISSUER}
    metadata = {"name": "wardround-hub", "namespace": HUB}
    api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": published})
    for participant in PARTICIPANTS:
        enrol(api, participant)
    _wait_for_policies(api)


def enrol(api: Api, participant: str) -> None:
    """Applies the command line's manifests for this hospital."""
    for manifest in manifests(participant, f"Hospital {participant}", [FEDERATION]):
        _create(api, manifest)


def _namespace(api: Api, name: str) -> None:
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _create(api: Api, manifest: dict[str, Any]) -> None:
    namespace = manifest["metadata"].get("namespace")
    if manifest["kind"] == "RoleBinding":
        api.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", manifest)
    elif manifest["kind"] == "ResourceQuota":
        path = f"/api/v1/namespaces/{namespace}/resourcequotas"
        made = api.call("POST", path, manifest)
        # The controller manager's first count, without which the API server admits nothing that is counted.
        hard = manifest["spec"]["hard"]
        made["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
        api.call("PUT", f"{path}/{manifest['metadata']['name']}/status", made)
    else:
        api.create(manifest)


def _wait_for_policies(api: Api) -> None:
    """Admission policies work a moment after they were made, the last one no sooner than the others: this is for it."""
    job = training_job(namespace=[*SITES.values()][-1])
    job["metadata"]["labels"].update({"wardround.io/dataset": "unlisted", "wardround.io/schema": "unlisted"})

    def refused() -> bool:
        try:
            api.create(job, dry_run=True)
        except Refused as refusal:
            return "-unlisted" in str(refusal)
        return False

    until("the last admission policy refuses", refused)


def token(api: Api, namespace: str, account: str) -> str:
    """A token of a service account, for an hour."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    return str(answer["status"]["token"])


def authority(api: Api) -> str:
    """The authority of the API server, as PEM."""
    return Path(api._client.configuration.ssl_ca_cert).read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
