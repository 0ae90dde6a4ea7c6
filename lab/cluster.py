"""Runs one cluster: starts its components in order, waits until each is of use, stops and restarts single ones."""

import datetime
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import addons, mounts, network, node, volumes
from lab.client import Client
from lab.errors import LabError
from lab.images_oci import ImageRef, read
from lab.processes import Process, wait_for
from lab.topology import Cluster

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """One cluster with all that is needed to start any of its components."""

    cluster: Cluster
    node: node.Node
    tools: Path
    sandbox: ImageRef

    @property
    def client(self) -> Client:
        """Speaks to the API server as the cluster's administrator, over the management link."""
        held = self.node.credentials
        return Client(self.cluster.server, held.cluster.certificate, held.admin)

    def process(self, component: str) -> Process:
        if component not in node.COMPONENTS:
            raise LabError(f"there is no component {component!r}; there are: {', '.join(node.COMPONENTS)}")
        return Process(component, self.cluster.logs)

    def start(self, component: str) -> bool:
        """Start it unless it runs; whether it was started. What needs waiting for is waited for."""
        process = self.process(component)
        if process.pid() is not None:
            return False
        # containerd finds its shim, and everything finds iptables, ipset and runc, on the PATH.
        path = f"{self.node.path}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
        process.start([*mounts.inside(self.cluster), *self.node.commands[component]], {"PATH": path})
        return True

    def stop(self, component: str) -> None:
        """Stop it. With the policy engine goes what it enforced: a stopped engine protects nobody."""
        self.process(component).stop()
        if component == "kube-router":
            network.forget_policies(self.cluster)

    def up(self, hub: Cluster, progress: Progress) -> None:
        """Start what does not run, and return when the cluster is of use."""
        for component in ("etcd", "kube-apiserver", "containerd"):
            self.start(component)
        self.await_usable("containerd")
        self.import_image(self.sandbox.archive)
        self.await_usable("kube-apiserver")
        progress("API server ready")
        for manifest in addons.access():
            self.client.apply(manifest)
        for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"):
            self.start(component)
        program = self.tools / "coredns"
        for manifest in addons.dns(hub, self.sandbox.reference, program):
            self.client.apply(manifest)
        for namespace, claim in volumes.DEFAULTS[self.cluster.is_hub]:
            volumes.create(self.cluster, self.client, namespace, claim)
        self.await_usable("kubelet")
        progress("node Ready")
        self.start("kube-router")
        self.await_usable("kube-router")
        progress("policies enforced")
        wait_for("CoreDNS", self._dns_ready, self.process("kubelet"))
        progress("DNS answers")

    def await_usable(self, component: str) -> None:
        """Wait until a started component does its work, not only runs."""
        ready: dict[str, tuple[str, Callable[[], bool]]] = {
            "etcd": ("the API server", self.client.ready),
            "kube-apiserver": ("the API server", self.client.ready),
            "containerd": ("containerd's socket", self._containerd_answers),
            "kubelet": ("the node to be Ready", self.node_ready),
            "kube-router": ("network policies to be enforced", self._policies_enforced),
        }
        if component in ready:
            what, check = ready[component]
            wait_for(f"{what} of {self.cluster.name}", check, self.process(component))

    def import_image(self, archive: Path) -> None:
        """Bring an OCI archive's image into this cluster's containerd, unless it is there."""
        ctr = [
            str(self.tools / "ctr"),
            f"--address={self.cluster.containerd_socket}",
            "--namespace=k8s.io",
        ]
        listed = subprocess.run(
            [*mounts.inside(self.cluster), *ctr, "images", "list", "--quiet", f"name=={read(archive).reference}"],
            capture_output=True,
        )
        if listed.stdout.strip():
            return
        command = [*mounts.inside(self.cluster), *ctr, "images", "import", str(archive.resolve())]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"{archive} could not be imported into {self.cluster.name}: {done.stderr.strip()}")

    def offer_accelerators(self, count: int, resource: str = "nvidia.com/gpu") -> None:
        """Let the node claim to have so many accelerators: the scheduler counts them, nothing backs them."""
        escaped = resource.replace("~", "~0").replace("/", "~1")
        patch: Any = [{"op": "add", "path": f"/status/capacity/{escaped}", "value": str(count)}]
        self.client.request(
            "PATCH", f"/api/v1/nodes/{self.cluster.name}/status", patch, content_type="application/json-patch+json"
        )

    def _containerd_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.cluster.containerd_socket)) == 0

    def node_ready(self) -> bool:
        try:
            found = self.client.request("GET", f"/api/v1/nodes/{self.cluster.name}")
        except LabError:
            return False
        conditions = found.get("status", {}).get("conditions", [])
        # kube-router exits on a node that has no range of pod addresses yet.
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return ready and bool(found["spec"].get("podCIDR"))

    def _policies_enforced(self) -> bool:
        """Healthy by its own account, which includes a first whole sync, and its chain is where packets pass."""
        healthy = subprocess.run(
            [*network.inside(self.cluster), "busybox", "wget", "-q", "-O-", "http://127.0.0.1:20244/healthz"],
            capture_output=True,
        )
        chains = subprocess.run(
            [*network.inside(self.cluster), "iptables", "-w", "-S", "FORWARD"], capture_output=True, text=True
        )
        return healthy.returncode == 0 and "KUBE-ROUTER-FORWARD" in chains.stdout

    def _dns_ready(self) -> bool:
        try:
            found = self.client.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
        except LabError:
            return False
        return bool(found.get("status", {}).get("readyReplicas"))


def open_cluster(cluster: Cluster, tools: Path, sandbox: ImageRef) -> Running:
    """Write the cluster's files where missing, start nothing."""
    written = node.write(cluster, tools, sandbox.reference, datetime.datetime.now(datetime.UTC))
    return Running(cluster, written, tools, sandbox)
