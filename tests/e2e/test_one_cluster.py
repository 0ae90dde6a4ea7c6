"""Hub and two hospitals in one real cluster, by the commands of docs/one-cluster.md."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import lifecycle, toolchain, volumes
from lab.install import SITE_NAMESPACE
from lab.topology import ROOT, named
from tests.documentation import Block, Shell, blocks, tools
from tests.e2e.clusters import Kubectl
from tests.e2e.federation import Federation
from wardround.api.names import PARTICIPANT

PAGE = "docs/one-cluster.md"
# The cluster of a hospital of the installed federation. The new federation must not affect it.
CLUSTER = "site-c"
CLAIMS = [
    ("wardround-hub", "store"),
    *((f"hospital-{x}", claim) for x in "ab" for claim in ("workspace", "state", "data")),
]
NAMESPACES = ("breast-cancer", "wardround-hub", *(f"{kind}-{x}" for x in "ab" for kind in ("site", "hospital")))
# Blocks that are not run, by their first line, and why.
NOT_RUN = {
    """base() { echo "$1@$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1")"; }""": (
        "the lab has no Docker: it builds the same Dockerfile with buildah, and its references are exported instead"
    ),
    "python3 -m venv build/cli && build/cli/bin/pip install '.[cli]' scikit-learn": (
        "done by tests.documentation.tools, without fetching the dependencies again"
    ),
    "kubectl get crd -o name | grep wardround.io | xargs kubectl delete": (
        "would take the objects of the federation that runs in this cluster with it"
    ),
}


def written_instead(block: Block, federation: Federation) -> str:
    if block.first.startswith("helm install wardround-crds"):
        return block.filled(
            {
                # The cluster has the CRDs already.
                "install wardround-crds charts/crds -n wardround-hub --wait": (
                    f"upgrade --install wardround-crds charts/crds -n {SITE_NAMESPACE} --wait"
                ),
                # The lab has no registry.
                "hub.yaml": f"hub.yaml --set store.image={federation.images.store.reference}",
            }
        )
    return block.text


@pytest.fixture
def shell(federation: Federation, tmp_path: Path) -> Iterator[Shell]:
    """A reader's shell, with the images and volumes that other clusters get from a registry and a storage class.
    Removes everything at the end."""
    running = lifecycle.open_existing(CLUSTER)
    running.import_image(federation.images.store.archive)
    for namespace, claim in CLAIMS:
        volumes.create(running.cluster, running.client, namespace, claim)
    images = {"OPERATOR": federation.images.operator.reference, "TRAINER": federation.images.trainer.reference}
    try:
        yield Shell(tmp_path, tools(), KUBECONFIG=str(running.cluster.kubeconfig), **images)
    finally:
        _remove(federation.kubectl(CLUSTER))
        for namespace, claim in CLAIMS:
            volumes.remove(running.cluster, running.client, namespace, claim)


def _remove(kubectl: Kubectl) -> None:
    """Removes the objects that a failed test has left."""
    for namespace in ("hospital-a", "hospital-b", "wardround-hub"):
        listed = _helm("list", "--short", "--namespace", namespace).stdout.split()
        for release in listed:
            _helm("uninstall", release, "--namespace", namespace)
    kubectl("delete", "namespace", "--ignore-not-found", *NAMESPACES)
    kubectl("delete", "flowschema,prioritylevelconfiguration", "-l", PARTICIPANT)


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(toolchain.tool("helm")), "--kubeconfig", str(named(CLUSTER).kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_all_commands_of_the_page_succeed_in_order(shell: Shell, federation: Federation) -> None:
    kubectl = federation.kubectl(CLUSTER)

    def neighbours() -> set[str]:
        pods = kubectl.get("pods", "-n", SITE_NAMESPACE, "-l", "wardround.io/role in (operator, courier)")["items"]
        return {pod["metadata"]["uid"] for pod in pods}

    before = neighbours()
    seen = dict.fromkeys(NOT_RUN, 0)
    for block in blocks(PAGE):
        if block.first in NOT_RUN:
            seen[block.first] += 1
            continue
        if block.heading.startswith("5"):
            _look_around(kubectl)
        started = time.monotonic()
        shell.run(written_instead(block, federation))
        print(f"{time.monotonic() - started:5.1f} s  {block.heading}: {block.first}")
    assert set(seen.values()) == {1}, f"what is not run is not on the page as it is named here: {seen}"
    left = {each["metadata"]["name"] for each in kubectl.get("namespaces")["items"]}
    assert not left & set(NAMESPACES)
    assert not kubectl.get("flowschemas,prioritylevelconfigurations", "-l", PARTICIPANT)["items"]
    assert neighbours() == before


def _look_around(kubectl: Kubectl) -> None:
    """Checks the page's claims about the two rounds, and that the cluster refuses a second hub."""
    rounds = {each["metadata"]["name"]: each for each in kubectl.get("fr", "-n", "breast-cancer")["items"]}
    assert set(rounds) == {"statistics", "train-1"}
    for each in rounds.values():
        assert each["status"]["participants"]["aggregated"] == 2, json.dumps(each["status"])
    tasks = [kubectl.get("sitetask", "-n", f"hospital-{x}")["items"] for x in "ab"]
    assert [len(each) for each in tasks] == [2, 2]
    second = _helm(
        *("install", "second", str(ROOT / "charts" / "hub"), "--namespace", "wardround-second", "--dry-run=server"),
        *("-f", str(ROOT / "examples" / "one-cluster" / "hub.yaml"), "--set", f"image=again/hub@sha256:{'0' * 64}"),
        *("--set", "network.kubernetesAPI[0].cidr=192.0.2.1/32,network.kubernetesAPI[0].port=6443"),
    )
    assert second.returncode != 0
    assert 'ClusterRole "wardround-participant"' in second.stderr
