"""Certificates and command lines of etcd and kube-apiserver. Starts nothing.

The lab's clusters and the API server of integration tests share them.
"""

import base64
import datetime
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.pki import Authority, KeyPair, Names, signing_key, write_secret

SERVICE_RANGE = "10.96.0.0/24"
SERVICE_ADDRESS = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
KUBERNETES_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True)
class Endpoints:
    """Ports and addresses of a control plane. `advertised`: the address to which the Service `kubernetes` leads."""

    etcd_client: int
    etcd_peer: int
    secure: int
    bind: str
    advertised: str


@dataclass(frozen=True)
class Credentials:
    """Keys and certificates of a control plane. etcd has its own authority: the cluster's clients cannot use etcd."""

    cluster: Authority
    etcd: Authority
    etcd_server: KeyPair
    etcd_client: KeyPair
    serving: KeyPair
    kubelet_client: KeyPair
    service_accounts: KeyPair
    admin: KeyPair


def credentials(folder: Path, serving: Names, now: datetime.datetime) -> Credentials:
    """Make the missing certificates of a control plane in `folder`, and return all."""
    cluster = Authority(folder, "ca", now)
    etcd = Authority(folder, "etcd-ca", now)
    return Credentials(
        cluster=cluster,
        etcd=etcd,
        etcd_server=etcd.issue("etcd", "etcd", serving=Names(("localhost",), ("127.0.0.1",))),
        etcd_client=etcd.issue("etcd-client", "kube-apiserver"),
        serving=cluster.issue("kube-apiserver", "kube-apiserver", client=False, serving=serving),
        kubelet_client=cluster.issue("kubelet-client", "kube-apiserver-kubelet-client"),
        service_accounts=signing_key(folder, "service-accounts"),
        admin=cluster.issue("admin", "admin", "system:masters"),
    )


def etcd(binary: Path, data: Path, endpoints: Endpoints, credentials: Credentials) -> list[str]:
    client, peer = f"https://127.0.0.1:{endpoints.etcd_client}", f"https://127.0.0.1:{endpoints.etcd_peer}"
    return [
        str(binary),
        "--name=lab",
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={credentials.etcd.certificate}",
        f"--cert-file={credentials.etcd_server.certificate}",
        f"--key-file={credentials.etcd_server.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={credentials.etcd.certificate}",
        f"--peer-cert-file={credentials.etcd_server.certificate}",
        f"--peer-key-file={credentials.etcd_server.key}",
        "--log-level=warn",
        # The lab need not survive a power cut.
        "--unsafe-no-fsync",
    ]


def apiserver(binary: Path, endpoints: Endpoints, credentials: Credentials) -> list[str]:
    return [
        str(binary),
        f"--bind-address={endpoints.bind}",
        f"--secure-port={endpoints.secure}",
        f"--advertise-address={endpoints.advertised}",
        f"--etcd-servers=https://127.0.0.1:{endpoints.etcd_client}",
        f"--etcd-cafile={credentials.etcd.certificate}",
        f"--etcd-certfile={credentials.etcd_client.certificate}",
        f"--etcd-keyfile={credentials.etcd_client.key}",
        f"--tls-cert-file={credentials.serving.certificate}",
        f"--tls-private-key-file={credentials.serving.key}",
        f"--client-ca-file={credentials.cluster.certificate}",
        f"--kubelet-certificate-authority={credentials.cluster.certificate}",
        f"--kubelet-client-certificate={credentials.kubelet_client.certificate}",
        f"--kubelet-client-key={credentials.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={credentials.service_accounts.certificate}",
        f"--service-account-signing-key-file={credentials.service_accounts.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--allow-privileged",
        "--profiling=false",
    ]


def kubeconfig(path: Path, server: str, ca: Path, user: KeyPair, name: str) -> Path:
    """Write a kubeconfig with embedded certificates. Only its owner can read it."""

    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": embedded(ca)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": embedded(user.certificate),
                    "client-key-data": embedded(user.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    write_secret(path, yaml.safe_dump(content, sort_keys=False).encode())
    return path
