"""One API server for all tests of this folder, with the CRDs, a hub and two sites that Helm installed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import toolchain
from lab.apiserver import apiserver
from lab.controlplane import ISSUER
from tests.integration.api.apiserver import Api, Refused, until
from tests.integration.api.objects import (
    FEDERATION,
    HUB,
    PARTICIPANTS,
    ROOT,
    SITES,
    data_schema,
    hub_values,
    site_values,
    training_job,
)
from wardround.cli.enrolment import manifests


def pytest_configure(config: pytest.Config) -> None:
    # The lab's processes outlive the objects that started them. The fixture stops them by PID.
    config.addinivalue_line("filterwarnings", "ignore:subprocess .* is still running:ResourceWarning")


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


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with apiserver(tmp_path_factory.mktemp("apiserver")) as server:
        api = Api(server.kubeconfig)
        yield api
        api.close()


@pytest.fixture(scope="session")
def helm(bare: Api, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(toolchain.tool("helm"), bare.kubeconfig, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def kubectl(bare: Api) -> Callable[..., subprocess.CompletedProcess[str]]:
    binary = toolchain.tool("kubectl")

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(binary), "--kubeconfig", str(bare.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=stdin)

    return run


@pytest.fixture(scope="session")
def api(bare: Api, helm: Helm) -> Api:
    """The administrator of a cluster with a hub, two participants enrolled, and both their sites."""
    helm.install("wardround-crds", "crds", "default", {}, "--wait")
    helm.install("wardround-hub", "hub", HUB, hub_values())
    # The setup of docs/one-cluster.md.
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    bare.patch("Namespace", HUB, restricted, "")
    for participant, namespace in SITES.items():
        helm.install("wardround-site", "site", namespace, site_values(participant))
    _namespace(bare, FEDERATION)
    bare.create(data_schema(FEDERATION))
    # The hub operator writes this when it starts.
    published = {"metadata": {"name": "wardround-hub", "namespace": HUB}, "data": {"tokenAudiences": ISSUER}}
    bare.create({"apiVersion": "v1", "kind": "ConfigMap", **published})
    for participant in PARTICIPANTS:
        enrol(bare, participant)
    _wait_for_policies(bare)
    return bare


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
