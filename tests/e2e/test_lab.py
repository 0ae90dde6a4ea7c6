"""The lab has real clusters and real policies, and its sites accept no connections."""

import json
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import lifecycle, mounts, network, volumes
from lab.errors import LabError
from lab.topology import ROOT, RUNTIME, STATE, named
from tests.e2e.clusters import PATIENCE_SECONDS, Kubectl, Lab, eventually

DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}


@dataclass(frozen=True)
class Namespace:
    """The namespace of one test on one cluster."""

    kubectl: Kubectl
    name: str

    def pod(self, name: str, script: str = "sleep 3600", **spec: Any) -> None:
        sandbox = self.kubectl.get("deployment", "coredns", "-n", "kube-system")["spec"]["template"]["spec"]
        container = {
            "name": "main",
            "image": sandbox["containers"][0]["image"],
            # Commands have no path, because this busybox searches its own applets first.
            "command": ["/bin/sh", "-c", f'for a in $(busybox --list); do alias $a="busybox $a"; done; {script}'],
        } | spec.pop("container", {})
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self.name, "labels": {"app": name}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
            }
        )
        self("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={PATIENCE_SECONDS:.0f}s")

    def __call__(self, *arguments: str) -> str:
        return self.kubectl("-n", self.name, *arguments)

    def inside(self, pod: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.kubectl.run("-n", self.name, "exec", pod, "--", "busybox", *command, check=False)

    def reaches(self, pod: str, host: str, port: int) -> bool:
        """Whether a TCP connection from the pod is answered."""
        return self.inside(pod, "nc", "-w", "1", host, str(port), "-e", "/bin/busybox", "true").returncode == 0


@pytest.fixture
def namespace(lab: Lab) -> Iterator[Namespace]:
    yield from _namespace(lab.kubectl("site-a"))


@pytest.fixture
def hub_namespace(lab: Lab) -> Iterator[Namespace]:
    yield from _namespace(lab.kubectl("hub"))


def _namespace(kubectl: Kubectl) -> Iterator[Namespace]:
    name = f"lab-test-{uuid.uuid4().hex[:8]}"
    with kubectl.namespace(name):
        yield Namespace(kubectl, name)


def from_site(site: str, address: str, port: int) -> bool:
    """Whether a TCP connection from the site's node is answered."""
    command = [*network.inside(named(site)), "busybox", "nc", "-w", "1", address, str(port), "-e", "/bin/true"]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_logs_and_exec_work(namespace: Namespace) -> None:
    namespace.pod("talker", "echo from the pod; sleep 3600")
    # A container is Ready as soon as it has started, before its script has reached this point.
    eventually("the pod has spoken", lambda: namespace("logs", "talker") == "from the pod\n")
    assert namespace.inside("talker", "echo", "inside").stdout == "inside\n"


def test_dns_knows_services_and_the_hub_only(namespace: Namespace) -> None:
    namespace.pod("asker")
    for name, answer in (
        ("kubernetes.default.svc.cluster.local", "10.96.0.1"),
        ("store.lab.internal", "198.18.0.1"),
        ("example.com.", "NXDOMAIN"),
    ):
        asked = ("asker", "nslookup", name)
        eventually(f"{name} is {answer}", lambda asked=asked, answer=answer: answer in namespace.inside(*asked).stdout)  # type: ignore[misc]


def test_a_policy_between_pods_is_enforced(namespace: Namespace) -> None:
    namespace.pod("server", "nc -ll -p 8080 -e true")
    namespace.pod("asker")
    address = namespace("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    eventually("the server answers", lambda: namespace.reaches("asker", address, 8080))
    namespace.kubectl.apply({**DENY_ALL, "metadata": {"name": "deny-all", "namespace": namespace.name}})

    def closed() -> bool:
        """Waits for all probes: a probe that is late on a busy machine looks like a blocked one."""
        open_ways = (namespace.reaches("asker", *way) for way in ((address, 8080), ("198.18.0.1", 6443)))
        asked = ("asker", "nslookup", "kubernetes.default.svc.cluster.local")
        return not any(open_ways) and namespace.inside(*asked).returncode != 0

    eventually("the policy stops it", closed)


def test_without_the_policy_engine_everything_is_open(namespace: Namespace) -> None:
    namespace.kubectl.apply({**DENY_ALL, "metadata": {"name": "deny-all", "namespace": namespace.name}})
    namespace.pod("asker")
    eventually("the policy stops it", lambda: not namespace.reaches("asker", "198.18.0.1", 6443))
    site = lifecycle.open_existing("site-a")
    site.stop("kube-router")
    try:
        eventually("the way is open", lambda: namespace.reaches("asker", "198.18.0.1", 6443))
    finally:
        site.start("kube-router")
        site.await_usable("kube-router")
    eventually("the policy stops it again", lambda: not namespace.reaches("asker", "198.18.0.1", 6443))


def test_a_site_reaches_the_hub_and_no_cluster_reaches_a_site(lab: Lab, hub_namespace: Namespace) -> None:
    hub_namespace.pod("asker")
    for site in lab.sites:
        eventually("the hub answers", lambda site=site: from_site(site, named("hub").wan, 6443))  # type: ignore[misc]
        assert not hub_namespace.reaches("asker", named(site).wan, 6443)
        assert not from_site("hub", named(site).wan, 6443)
        assert not from_site("hub", named(site).wan, 10250)
    assert not from_site("site-a", named("site-b").wan, 6443)
    assert not from_site("site-a", named("hub").wan, 10250)


def test_a_pod_cannot_reach_the_administrators_machine(namespace: Namespace) -> None:
    namespace.pod("asker")
    peer = named("site-a").management_peer
    with socket.create_server((peer, 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((peer, port), timeout=2).close()
        assert not namespace.reaches("asker", peer, port)
        assert not from_site("site-a", peer, port)


def test_a_site_works_while_it_is_cut_off(lab: Lab) -> None:
    site = named("site-b")
    network.cut(site)
    try:
        assert not from_site("site-b", named("hub").wan, 6443)
        assert lab.kubectl("site-b").get("node", "site-b")["kind"] == "Node"
    finally:
        network.heal(site)
    eventually("the line is there again", lambda: from_site("site-b", named("hub").wan, 6443))


def test_inbound_connections_to_the_hub_can_be_blocked(lab: Lab) -> None:
    hub = named("hub")
    network.inbound(hub, ())
    try:
        assert not from_site("site-a", hub.wan, 6443)
    finally:
        network.inbound(hub, network.usual_inbound(hub))
    eventually("the hub hears again", lambda: from_site("site-a", hub.wan, 6443))


def test_a_volume_belongs_to_the_pods_group(namespace: Namespace) -> None:
    site = lifecycle.open_existing("site-a")
    folder = volumes.create(site.cluster, site.client, namespace.name, "data")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    namespace.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": namespace.name},
            "spec": claim,
        }
    )
    namespace.pod(
        "writer",
        "echo written > /data/file; sleep 3600",
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        securityContext={"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": True},
    )
    eventually("the file is there", (folder / "file").exists)
    assert (folder / "file").stat().st_uid == 65532
    namespace("delete", "pod/writer", "pvc/data", "--wait")
    volume = f"{namespace.name}-data"
    # The controller of volumes notices after the claim is gone.
    eventually("the volume is free", lambda: namespace.kubectl.get("pv", volume)["status"]["phase"] == "Released")
    volumes.remove(site.cluster, site.client, namespace.name, "data")
    assert not folder.exists()


def test_a_killed_component_can_be_started_again(lab: Lab) -> None:
    site = lifecycle.open_existing("site-c")
    site.process("kube-apiserver").stop(grace=0)
    assert not site.client.ready()
    lifecycle.up(len(lab.sites))
    assert site.client.ready()


def test_another_checkout_gets_an_error_that_names_the_owner(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = str(ROOT)
    monkeypatch.setattr("lab.lifecycle.ROOT", tmp_path)
    with pytest.raises(LabError, match=f"belongs to {owner}"):
        lifecycle.up(len(lab.sites))
    with pytest.raises(LabError, match=f"belongs to {owner}"):
        lifecycle.down()


def test_a_node_can_claim_accelerators(lab: Lab) -> None:
    lifecycle.open_existing("site-a").offer_accelerators(1)
    kubectl = lab.kubectl("site-a")
    eventually(
        "the scheduler may hand it out",
        lambda: kubectl.get("node", "site-a")["status"]["allocatable"].get("nvidia.com/gpu") == "1",
    )


def test_the_machine_sees_no_mount_of_a_pod(lab: Lab) -> None:
    own = {str(RUNTIME), *(str(mounts.handle(named(name))) for name in ("hub", *lab.sites))}
    assert {point for point in mounts.points() if point.startswith((str(RUNTIME), str(STATE)))} == own


def test_only_the_owner_can_read_kubeconfigs(lab: Lab) -> None:
    for name in ("hub", *lab.sites):
        path: Path = named(name).kubeconfig
        assert path.stat().st_mode & 0o077 == 0
        assert "insecure" not in path.read_text()


def test_the_pods_gateway_keeps_its_hardware_address(lab: Lab) -> None:
    """By default, a bridge has the hardware address of one of its ports, which changes with the ports."""
    for name in ("hub", *lab.sites):
        shown = subprocess.run(
            [*network.inside(named(name)), "ip", "-json", "link", "show"], capture_output=True, text=True, check=True
        )
        links = json.loads(shown.stdout)
        [gateway] = [link["address"] for link in links if link["ifname"] == "pods"]
        ports = [link["address"] for link in links if link.get("master") == "pods"]
        assert ports
        assert gateway not in ports
