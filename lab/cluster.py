"""Runs one cluster: starts its components in order, waits until each is usable, and stops single components."""

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
    """One cluster, with everything that starting a component needs."""

    cluster: Cluster
    node: node.Node
    tools: Path
    sandbox: ImageRef

    @property
    def client(self) -> Client:
        """A client with the rights of the cluster's administrator, over the management link."""
        credentials = self.node.credentials
        return Client(self.cluster.server, credentials.cluster.certificate, credentials.admin)

    def process(self, component: str) -> Process:
        if component not in node.COMPONENTS:
            raise LabError(f"there is no component {component!r}; known are: {', '.join(node.COMPONENTS)}")
        return Process(component, self.cluster.logs)

    def start(self, component: str) -> bool:
        """Start a component unless it runs. Returns whether it was started. Does not wait until it is usable."""
        process = self.process(component)
        if process.pid() is not None:
            return False
        # Components find iptables, ipset and runc on the PATH, and containerd finds its shim there.
        path = f"{self.node.path}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
        process.start([*mounts.inside(self.cluster), *self.node.commands[component]], {"PATH": path})
        return True

    def stop(self, component: str) -> None:
        """Stop a component. With kube-router, its rules are removed, too: a stopped policy engine enforces nothing."""
        self.process(component).stop()
        if component == "kube-router":
            network.forget_policies(self.cluster)

    def up(self, hub: Cluster, progress: Progress) -> None:
        """Start all components that do not run, and wait until the cluster is usable."""
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
        """Wait until a started component works."""
        ready: dict[str, tuple[str, Callable[[], bool]]] = {
            "etcd": ("the API server", self.client.ready),
            "kube-apiserver": ("the API server", self.client.ready),
            "containerd": ("containerd's socket", self._containerd_answers),
            "kubelet": ("the node to be Ready", self.node_ready),
            "kube-router": ("network policies to be enforced", self._policies_enforced),
        }
        if component in ready:
            name, check = ready[component]
            wait_for(f"{name} of {self.cluster.name}", check, self.process(component))

    def import_image(self, archive: Path) -> None:
        """Import an OCI archive's image into this cluster's containerd, unless it is there."""
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
        """Let the node claim `count` accelerators. The scheduler counts them, but there are none."""
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
            item = self.client.request("GET", f"/api/v1/nodes/{self.cluster.name}")
        except LabError:
            return False
        conditions = item.get("status", {}).get("conditions", [])
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        # kube-router exits on a node without a range of pod addresses.
        return ready and bool(item["spec"].get("podCIDR"))

    def _policies_enforced(self) -> bool:
        """Whether kube-router reports that it is healthy (after a complete sync) and its chain is in FORWARD."""
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
            item = self.client.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
        except LabError:
            return False
        return bool(item.get("status", {}).get("readyReplicas"))


def open_cluster(cluster: Cluster, tools: Path, sandbox: ImageRef) -> Running:
    """Write the cluster's missing files. Starts nothing."""
    written = node.write(cluster, tools, sandbox.reference, datetime.datetime.now(datetime.UTC))
    return Running(cluster, written, tools, sandbox)
