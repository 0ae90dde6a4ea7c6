"""Network namespaces, links and packet rules of the lab. Knows no component.

Each cluster has a namespace with two links: `wan` to the lab's internet, and `mgmt` to this machine, for the cluster's
administrators. One nftables table holds all rules, with priority over the rules of kube-proxy and kube-router.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.mounts import points
from lab.topology import API_PORT, INTERNET, STORE_PORT, Cluster

TABLE = "wardround"


def exists(namespace: str) -> bool:
    """Whether the namespace exists, and is not only a name that a reboot left behind."""
    return f"/run/netns/{namespace}" in points()


def make_internet() -> None:
    """The bridge that joins all clusters. Its namespace has no address, so only the clusters are on it."""
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
            # The bridge is made here because the kubelet reads the node's addresses before the first pod makes it. It
            # gets a fixed hardware address: by default a bridge uses the lowest of its ports', which changes with the
            # pods. Packets to the former address are then lost, and connections are silent for 30 s.
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
    """The nftables table of a cluster. The functions `cut` and `inbound` fill the chains of that name."""
    return f"""
table inet {TABLE} {{
  chain cut {{ }}
  chain inbound {{ }}
  chain arriving {{
    # Before destination NAT, so that rules see the sender's ports.
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
    # The management link only accepts connections: a cluster must not connect to the administrators' machine.
    oifname "mgmt" ct state new drop
  }}
  chain masquerading {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" ip saddr {cluster.pods} masquerade
  }}
}}
"""


def inbound(cluster: Cluster, allowed: Iterable[int] | None) -> None:
    """Set the TCP ports that accept connections from the lab's internet; None for all. Open connections stay."""
    nft(cluster, inbound_rules(allowed))


def inbound_rules(allowed: Iterable[int] | None) -> str:
    lines = [f"flush chain inet {TABLE} inbound"]
    if allowed is not None:
        lines += [f"add rule inet {TABLE} inbound tcp dport {port} accept" for port in allowed]
        lines += [f"add rule inet {TABLE} inbound counter drop"]
    return "\n".join(lines)


def usual_inbound(cluster: Cluster) -> tuple[int, ...]:
    """The hub accepts connections to its API server and store. Sites accept none: they open all connections."""
    return (API_PORT, STORE_PORT) if cluster.is_hub else ()


def cut(cluster: Cluster) -> None:
    """Silently drop every packet to and from the lab's internet, like a dead line."""
    nft(cluster, f"flush chain inet {TABLE} cut\nadd rule inet {TABLE} cut counter drop")


def heal(cluster: Cluster) -> None:
    nft(cluster, f"flush chain inet {TABLE} cut")


def is_cut(cluster: Cluster) -> bool:
    return "drop" in _run([*inside(cluster), "nft", "list", "chain", "inet", TABLE, "cut"])


def forget_policies(cluster: Cluster) -> None:
    """Remove the rules of a stopped kube-router. Its own --cleanup-config crashes without a service proxy."""
    # Only kube-router uses these tables: kube-proxy and the lab use nftables.
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
    """A locally administered MAC address derived from an IPv4 address."""
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
