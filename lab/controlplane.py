"""What etcd and kube-apiserver are started with: certificates and command lines.

Shared by whole clusters and by the lone API server of integration tests; starts nothing itself.
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
    """Where a control plane listens. `advertised` is what the Service `kubernetes` leads to."""

    etcd_client: int
    etcd_peer: int
    secure: int
    bind: str
    advertised: str


@dataclass(frozen=True)
class Credentials:
    """What a control plane proves itself with. Two authorities: a client of one is nobody to the other."""

    cluster: Authority
    etcd: Authority
    etcd_server: KeyPair
    etcd_client: KeyPair
    serving: KeyPair
    kubelet_client: KeyPair
    service_accounts: KeyPair
    admin: KeyPair


def credentials(folder: Path, serving: Names, now: datetime.datetime) -> Credentials:
    """Make what is missing of a control plane's certificates in the folder."""
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


def etcd(binary: Path, data: Path, at: Endpoints, held: Credentials) -> list[str]:
    client, peer = f"https://127.0.0.1:{at.etcd_client}", f"https://127.0.0.1:{at.etcd_peer}"
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
        f"--trusted-ca-file={held.etcd.certificate}",
        f"--cert-file={held.etcd_server.certificate}",
        f"--key-file={held.etcd_server.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={held.etcd.certificate}",
        f"--peer-cert-file={held.etcd_server.certificate}",
        f"--peer-key-file={held.etcd_server.key}",
        "--log-level=warn",
        # A lab that loses power is made anew.
        "--unsafe-no-fsync",
    ]


def apiserver(binary: Path, at: Endpoints, held: Credentials) -> list[str]:
    return [
        str(binary),
        f"--bind-address={at.bind}",
        f"--secure-port={at.secure}",
        f"--advertise-address={at.advertised}",
        f"--etcd-servers=https://127.0.0.1:{at.etcd_client}",
        f"--etcd-cafile={held.etcd.certificate}",
        f"--etcd-certfile={held.etcd_client.certificate}",
        f"--etcd-keyfile={held.etcd_client.key}",
        f"--tls-cert-file={held.serving.certificate}",
        f"--tls-private-key-file={held.serving.key}",
        f"--client-ca-file={held.cluster.certificate}",
        f"--kubelet-certificate-authority={held.cluster.certificate}",
        f"--kubelet-client-certificate={held.kubelet_client.certificate}",
        f"--kubelet-client-key={held.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={held.service_accounts.certificate}",
        f"--service-account-signing-key-file={held.service_accounts.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--allow-privileged",
        "--profiling=false",
    ]


def kubeconfig(path: Path, server: str, ca: Path, user: KeyPair, name: str) -> Path:
    """Write a kubeconfig that stands alone, certificates inside, readable by its owner only."""

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
