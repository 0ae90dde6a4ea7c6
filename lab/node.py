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
    controlplane.kubeconfig(cluster.kubeconfig, cluster.server, held.cluster.certificate, held.admin, cluster.name)
    if "SUDO_UID" in os.environ:
        os.chown(cluster.kubeconfig, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    at = Endpoints(2379, 2380, API_PORT, "0.0.0.0", cluster.wan)  # noqa: S104 (the namespace decides who reaches it)
    commands = {
        "etcd": controlplane.etcd(tools / "etcd", cluster.state / "etcd", at, held),
        "kube-apiserver": controlplane.apiserver(tools / "kube-apiserver", at, held),
        "containerd": _containerd(cluster, tools, sandbox_image),
        "kube-controller-manager": _controller_manager(cluster, tools, held),
        "kube-scheduler": _scheduler(cluster, tools, held),
        "kube-proxy": _proxy(cluster, tools, held),
        "kubelet": _kubelet(cluster, tools, held),
        "kube-router": _router(cluster, tools, held),
    }
    return Node(cluster, held, commands, str(tools))


def _containerd(cluster: Cluster, tools: Path, sandbox_image: str) -> list[str]:
    _write(cluster.state / "cni" / "10-pods.conflist", json.dumps(cni(cluster), indent=2))
    config = _write(cluster.state / "containerd.toml", containerd(cluster, tools, sandbox_image))
    return [str(tools / "containerd"), f"--config={config}"]


def _controller_manager(cluster: Cluster, tools: Path, held: Credentials) -> list[str]:
    return [
        str(tools / "kube-controller-manager"),
        f"--kubeconfig={_component(cluster, held, 'kube-controller-manager')}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={held.service_accounts.key}",
        f"--root-ca-file={held.cluster.certificate}",
        "--allocate-node-cidrs",
        f"--cluster-cidr={cluster.pods}",
        "--node-cidr-mask-size=24",
    ]


def _scheduler(cluster: Cluster, tools: Path, held: Credentials) -> list[str]:
    return [
        str(tools / "kube-scheduler"),
        f"--kubeconfig={_component(cluster, held, 'kube-scheduler')}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _proxy(cluster: Cluster, tools: Path, held: Credentials) -> list[str]:
    return [
        str(tools / "kube-proxy"),
        f"--kubeconfig={_component(cluster, held, 'kube-proxy')}",
        f"--hostname-override={cluster.name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={cluster.pods}",
        f"--nodeport-addresses={cluster.wan}/32,{cluster.management}/32",
        "--healthz-bind-address=127.0.0.1:10256",
        # 0 keeps the limit, which holds for the whole machine.
        "--conntrack-max-per-core=0",
    ]


def _kubelet(cluster: Cluster, tools: Path, held: Credentials) -> list[str]:
    name = f"system:node:{cluster.name}"
    user = held.cluster.issue("node", name, "system:nodes")
    serving = held.cluster.issue(
        "kubelet", name, "system:nodes", client=False, serving=Names((cluster.name,), (cluster.wan,))
    )
    settings = kubelet(cluster, held.cluster.certificate, serving)
    config = _write(cluster.state / "kubelet.yaml", yaml.safe_dump(settings))
    return [
        str(tools / "kubelet"),
        f"--kubeconfig={_kubeconfig(cluster, held, 'kubelet', user)}",
        f"--config={config}",
        f"--hostname-override={cluster.name}",
        f"--node-ip={cluster.wan}",
        f"--root-dir={cluster.state / 'kubelet'}",
    ]


def _router(cluster: Cluster, tools: Path, held: Credentials) -> list[str]:
    return [
        str(tools / "kube-router"),
        f"--kubeconfig={_component(cluster, held, 'kube-router')}",
        f"--hostname-override={cluster.name}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        f"--service-cluster-ip-range={controlplane.SERVICE_RANGE}",
    ]


def _component(cluster: Cluster, held: Credentials, name: str) -> Path:
    return _kubeconfig(cluster, held, name, held.cluster.issue(name, f"system:{name}"))


def _kubeconfig(cluster: Cluster, held: Credentials, name: str, user: KeyPair) -> Path:
    """Components use the API server's address inside their namespace."""
    path = cluster.pki / f"{name}.kubeconfig"
    return controlplane.kubeconfig(path, f"https://127.0.0.1:{API_PORT}", held.cluster.certificate, user, name)


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
