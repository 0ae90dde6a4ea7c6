"""Configuration files and command lines of one cluster's components. Starts nothing: cluster.py does."""

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import controlplane
from lab.controlplane import Credentials, Endpoints
from lab.pki import KeyPair, Names
from lab.topology import API_PORT, DNS_ADDRESS, HOST_NAMES, Cluster

# In the order of starting. They are stopped in the reverse order.
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "containerd",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kube-router",
)


@dataclass(frozen=True)
class Node:
    """A cluster whose files are written: credentials, the components' command lines, and their PATH."""

    cluster: Cluster
    credentials: Credentials
    commands: Mapping[str, list[str]]
    path: str


def write(cluster: Cluster, tools: Path, sandbox_image: str, now: datetime.datetime) -> Node:
    """Write the cluster's missing certificates and its configuration."""
    names = Names(
        (*controlplane.KUBERNETES_NAMES, cluster.name, *(HOST_NAMES if cluster.is_hub else ())),
        ("127.0.0.1", cluster.management, cluster.wan, controlplane.SERVICE_ADDRESS),
    )
    held = controlplane.credentials(cluster.pki, names, now)
    authority, ca = held.cluster, held.cluster.certificate

    def kubeconfig(file: str, user: KeyPair) -> Path:
        # Components use the API server's address inside their namespace.
        path = cluster.pki / f"{file}.kubeconfig"
        return controlplane.kubeconfig(path, f"https://127.0.0.1:{API_PORT}", ca, user, file)

    def component(name: str) -> Path:
        return kubeconfig(name, authority.issue(name, f"system:{name}"))

    node_user = authority.issue("node", f"system:node:{cluster.name}", "system:nodes")
    kubelet_serving = authority.issue(
        "kubelet",
        f"system:node:{cluster.name}",
        "system:nodes",
        client=False,
        serving=Names((cluster.name,), (cluster.wan,)),
    )
    controlplane.kubeconfig(cluster.kubeconfig, cluster.server, ca, held.admin, cluster.name)
    if "SUDO_UID" in os.environ:
        os.chown(cluster.kubeconfig, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    containerd_config = _write(cluster.state / "containerd.toml", containerd(cluster, tools, sandbox_image))
    _write(cluster.state / "cni" / "10-pods.conflist", json.dumps(cni(cluster), indent=2))
    kubelet_config = _write(cluster.state / "kubelet.yaml", yaml.safe_dump(kubelet(cluster, ca, kubelet_serving)))

    at = Endpoints(2379, 2380, API_PORT, "0.0.0.0", cluster.wan)  # noqa: S104 (the namespace decides who reaches it)
    commands = {
        "etcd": controlplane.etcd(tools / "etcd", cluster.state / "etcd", at, held),
        "kube-apiserver": controlplane.apiserver(tools / "kube-apiserver", at, held),
        "containerd": [str(tools / "containerd"), f"--config={containerd_config}"],
        "kube-controller-manager": [
            str(tools / "kube-controller-manager"),
            f"--kubeconfig={component('kube-controller-manager')}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={held.service_accounts.key}",
            f"--root-ca-file={ca}",
            "--allocate-node-cidrs",
            f"--cluster-cidr={cluster.pods}",
            "--node-cidr-mask-size=24",
        ],
        "kube-scheduler": [
            str(tools / "kube-scheduler"),
            f"--kubeconfig={component('kube-scheduler')}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ],
        "kube-proxy": [
            str(tools / "kube-proxy"),
            f"--kubeconfig={component('kube-proxy')}",
            f"--hostname-override={cluster.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={cluster.pods}",
            f"--nodeport-addresses={cluster.wan}/32,{cluster.management}/32",
            "--healthz-bind-address=127.0.0.1:10256",
            # 0 keeps the limit, which holds for the whole machine.
            "--conntrack-max-per-core=0",
        ],
        "kubelet": [
            str(tools / "kubelet"),
            f"--kubeconfig={kubeconfig('kubelet', node_user)}",
            f"--config={kubelet_config}",
            f"--hostname-override={cluster.name}",
            f"--node-ip={cluster.wan}",
            f"--root-dir={cluster.state / 'kubelet'}",
        ],
        "kube-router": [
            str(tools / "kube-router"),
            f"--kubeconfig={component('kube-router')}",
            f"--hostname-override={cluster.name}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--service-cluster-ip-range={controlplane.SERVICE_RANGE}",
        ],
    }
    return Node(cluster, held, commands, str(tools))


def containerd(cluster: Cluster, tools: Path, sandbox_image: str) -> str:
    """The configuration of containerd. Each cluster has one, because kubelets on one containerd would delete each
    other's pods. All its files lie in the lab's folders."""
    return f"""version = 3
root = "{cluster.images}"
state = "{cluster.run}/containerd"

[grpc]
  address = "{cluster.containerd_socket}"

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = "{cluster.run}/s"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{sandbox_image}"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  Root = "{cluster.run}/runc"

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{tools / "cni"}"]
  conf_dir = "{cluster.state}/cni"
  use_internal_loopback = true

[plugins.'io.containerd.internal.v1.opt']
  path = "{cluster.run}/opt"

[plugins.'io.containerd.nri.v1.nri']
  disable = true
"""


def cni(cluster: Cluster) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": cluster.cni_network,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": cluster.node_pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": f"{cluster.run}/ipam",
                },
            }
        ],
    }


def kubelet(cluster: Cluster, ca: Path, serving: KeyPair) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "address": cluster.wan,
        "healthzPort": 0,
        "readOnlyPort": 0,
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket}",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        # The lab's internet does not use this machine's resolvers.
        "resolvConf": "/dev/null",
        "podLogsDir": str(cluster.state / "pod-logs"),
        "volumePluginDir": str(cluster.state / "volume-plugins"),
        # These settings work with cgroup v1 and v2 and inside a container: the kubelet reserves nothing for the node.
        "cgroupDriver": "cgroupfs",
        # The kubelet sees a container's end at once, and not up to a second later (KEP-3386).
        "featureGates": {"EventedPLEG": True},
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        # The lab must not evict pods or delete imported images when the machine's disk is full.
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 60,
    }


def _write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path
