"""A lone etcd and kube-apiserver on loopback, for integration tests: a real API without nodes."""

import datetime
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import controlplane, toolchain
from lab.client import Client
from lab.pki import Names
from lab.processes import Process, wait_for


@dataclass(frozen=True)
class ApiServer:
    """A running API server: an administrator's kubeconfig, its URL, and the PEM of its CA."""

    kubeconfig: Path
    server: str
    ca: bytes
    client: Client


@contextmanager
def apiserver(folder: Path) -> Iterator[ApiServer]:
    """Run an API server with its state in `folder`. It ends with the context, or with the calling thread."""
    binaries = toolchain.ensure()
    pki = folder / "pki"
    names = Names(controlplane.KUBERNETES_NAMES, ("127.0.0.1", controlplane.SERVICE_ADDRESS))
    credentials = controlplane.credentials(pki, names, datetime.datetime.now(datetime.UTC))
    client_port, peer_port, secure_port = _free_ports(3)
    endpoints = controlplane.Endpoints(client_port, peer_port, secure_port, "127.0.0.1", "127.0.0.1")
    server = f"https://127.0.0.1:{endpoints.secure}"
    client = Client(server, credentials.cluster.certificate, credentials.admin)
    etcd, api = Process("etcd", folder), Process("kube-apiserver", folder)
    # Both programs end if the test run is killed.
    tied = ["setpriv", "--pdeathsig", "KILL"]
    try:
        etcd.start([*tied, *controlplane.etcd(binaries / "etcd", folder / "etcd", endpoints, credentials)])
        # The Service `kubernetes` cannot point to 127.0.0.1, and nothing here uses it.
        command = [
            *controlplane.apiserver(binaries / "kube-apiserver", endpoints, credentials),
            "--endpoint-reconciler-type=none",
        ]
        api.start([*tied, *command])
        wait_for("the API server", client.ready, api)
        config = controlplane.kubeconfig(
            folder / "kubeconfig", server, credentials.cluster.certificate, credentials.admin, "integration"
        )
        yield ApiServer(config, server, credentials.cluster.certificate.read_bytes(), client)
    finally:
        api.stop()
        etcd.stop()


def _free_ports(count: int) -> list[int]:
    # All sockets stay open until all ports are known, so that no port is returned twice.
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
