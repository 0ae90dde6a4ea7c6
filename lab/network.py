"""Network namespaces, links and packet rules of the lab. Knows nothing of what runs in them.

Each cluster has a namespace with two links: `wan` to the lab's internet, and `mgmt` to this machine, over which its own
administrators reach it. All rules lie in one nftables table, ahead of those of kube-proxy and kube-router.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.mounts import points
from lab.topology import API_PORT, INTERNET, STORE_PORT, Cluster

TABLE = "wardround"


def exists(namespace: str) -> bool:
    """Whether it lives, and is not only a name that a reboot left behind."""
    return f"/run/netns/{namespace}" in points()


def make_internet() -> None:
    """The bridge that joins all clusters, in a namespace without any address: nobody but the clusters is on it."""
    _run(["ip", "netns", "add", INTERNET])
    _no_ipv6(INTERNET)
    _batch(["link add internet type bridge", "link set internet up"], INTERNET)


def make(cluster: Cluster) -> None:
    """The cluster's namespace, its links, addresses and packet rules."""
    _run(["ip", "netns", "add", cluster.namespace])
    _no_ipv6(cluster.namespace)
    _batch(
        [
            f"link add wan netns {cluster.namespace} type veth peer name {cluster.name} netns {INTERNET}",
            f"link add {cluster.namespace} type veth peer name mgmt netns {cluster.namespace}",
            f"addr add {cluster.management_peer}/30 dev {cluster.namespace}",
            f"link set {cluster.namespace} up",
        ]
    )
    _batch([f"link set {cluster.name} master internet up"], INTERNET)
    _batch(
        [
            "link set lo up",
            f"addr add {cluster.wan}/24 dev wan",
            "link set wan up",
            f"addr add {cluster.management}/30 dev mgmt",
            "link set mgmt up",
            # The kubelet asks for the node's addresses before the first pod makes the bridge. Without an address of its
            # own a bridge takes the lowest of its ports': it changes as pods come and go, and what other pods then send
            # to the former one is flooded, dropped and takes its connection's masquerading along (30 s of silence).
            f"link add pods address {_hardware(cluster.pod_gateway)} type bridge",
            f"addr add {cluster.pod_gateway}/24 dev pods",
            "link set pods up",
        ],
        cluster.namespace,
    )
    sysctl(cluster.namespace, {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"})
    nft(cluster, rules(cluster))
    inbound(cluster, usual_inbound(cluster))


def rules(cluster: Cluster) -> str:
    """The nftables table of a cluster. `cut` and `inbound` are filled by the commands of that name."""
    return f"""
table inet {TABLE} {{
  chain cut {{ }}
  chain inbound {{ }}
  chain arriving {{
    # Before destination NAT, so that ports are those that the sender asked for.
    type filter hook prerouting priority -150; policy accept;
    iifname "wan" jump cut
    iifname "wan" ct state new,invalid jump inbound
  }}
  chain forwarding {{
    type filter hook forward priority -150; policy accept;
    iifname "pods" oifname "mgmt" drop
  }}
  chain leaving {{
    type filter hook postrouting priority -150; policy accept;
    oifname "wan" jump cut
    # Management is entered, never left by: the administrators' machine is no target.
    oifname "mgmt" ct state new drop
  }}
  chain masquerading {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" ip saddr {cluster.pods} masquerade
  }}
}}
"""


def inbound(cluster: Cluster, allowed: Iterable[int] | None) -> None:
    """Which TCP ports may be connected to from the lab's internet; None: everything. Running connections stay."""
    nft(cluster, inbound_rules(allowed))


def inbound_rules(allowed: Iterable[int] | None) -> str:
    lines = [f"flush chain inet {TABLE} inbound"]
    if allowed is not None:
        lines += [f"add rule inet {TABLE} inbound tcp dport {port} accept" for port in allowed]
        lines += [f"add rule inet {TABLE} inbound counter drop"]
    return "\n".join(lines)


def usual_inbound(cluster: Cluster) -> tuple[int, ...]:
    """The hub is asked; hospitals are not: every connection is opened from the site."""
    return (API_PORT, STORE_PORT) if cluster.is_hub else ()


def cut(cluster: Cluster) -> None:
    """Drop every packet to and from the lab's internet without an answer, as a dead line does."""
    nft(cluster, f"flush chain inet {TABLE} cut\nadd rule inet {TABLE} cut counter drop")


def heal(cluster: Cluster) -> None:
    nft(cluster, f"flush chain inet {TABLE} cut")


def is_cut(cluster: Cluster) -> bool:
    return "drop" in _run([*inside(cluster), "nft", "list", "chain", "inet", TABLE, "cut"])


def forget_policies(cluster: Cluster) -> None:
    """Remove what a stopped kube-router leaves behind (its own --cleanup-config crashes without a service proxy)."""
    # Nothing else of a cluster works through these tables: kube-proxy and the lab have nftables of their own.
    for command in (["iptables", "-w", "-F"], ["iptables", "-w", "-X"], ["ipset", "destroy"]):
        _run([*inside(cluster), *command])


def inside(cluster: Cluster) -> list[str]:
    """The prefix that runs a command in the cluster's namespace. `ip netns exec` would hide the cgroups."""
    return ["nsenter", f"--net={cluster.netns}", "--"]


def nft(cluster: Cluster, script: str) -> None:
    _run([*inside(cluster), "nft", "-f", "-"], script)


def sysctl(namespace: str, settings: dict[str, str]) -> None:
    pairs = [f"{key}={value}" for key, value in settings.items()]
    _run(["nsenter", f"--net=/run/netns/{namespace}", "--", "sysctl", "-qw", *pairs])


def _hardware(address: str) -> str:
    """A locally administered MAC address made of an IPv4 address."""
    return "0a:58:" + ":".join(f"{int(octet):02x}" for octet in address.split("."))


def _no_ipv6(namespace: str) -> None:
    if Path("/proc/sys/net/ipv6").exists():
        sysctl(namespace, {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"})


def _batch(lines: Iterable[str], namespace: str = "") -> None:
    within = ["-n", namespace] if namespace else []
    _run(["ip", *within, "-batch", "-"], "\n".join(lines))


def _run(command: list[str], stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}\n{stdin}".rstrip())
    return done.stdout
