"""The positive control of the isolation gate: which addresses must be closed, and whether they answer outside a pod.

What is refused inside the training pod proves isolation only if it answers outside. Hub and Kubernetes API are
reached by the site operator itself; without one of them no Job is made. The other targets (store, node, resolver,
cloud metadata, a neighbouring pod, and each of all by ICMP) are probed in the pod all the same: no answer from them is
right in any case. So is this pod over IPv6 link-local, where no control proves anything.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from wardround.network import addresses
from wardround.network.probe import LEAST_SECONDS, MOST_SECONDS, Answers, ProbeTarget
from wardround.network.probe import probe as ask
from wardround.plans.sitetask.types import Control
from wardround.wire.isolation import IsolationTarget

PROVING = ("hub", "kubernetes-api")
METADATA = ("169.254.169.254", "fd00:ec2::254")
KUBELET_PORT, DNS_PORT, HEALTH_PORT = 10250, 53, 8080
FRESH_SECONDS = 60.0
PROBE_SECONDS = 1.0


class TakesControl(Protocol):
    """Takes the positive control. `hub` and `store` are URLs, `node` and `own` the addresses of this pod's node and of
    this pod."""

    async def take(self, *, hub: str, store: str, node: Sequence[str], own: Sequence[str]) -> Control: ...


class Controls:
    """Probes at most once a minute: before a Job is made, never when idle."""

    def __init__(self) -> None:
        self._last: Control | None = None
        self._at = 0.0

    async def take(self, *, hub: str, store: str, node: Sequence[str], own: Sequence[str]) -> Control:
        """`hub` and `store` are URLs, `node` and `own` the addresses of this pod's node and of this pod."""
        now = asyncio.get_running_loop().time()
        if self._last is None or not self._last.proven or now - self._at > FRESH_SECONDS:
            # Names are looked up there too: a name server that does not answer takes half a minute.
            self._last = await asyncio.to_thread(lambda: probe(targets(hub, store, node, own)))
            self._at = now
        return self._last


def targets(hub: str, store: str, node: Sequence[str], own: Sequence[str]) -> tuple[IsolationTarget, ...]:
    """Everything that a training pod must not reach. Names that do not resolve now are left out."""
    closed = [
        *_url("hub", hub),
        *_url("store", store),
        *_hosts("kubernetes-api", _env("KUBERNETES_SERVICE_HOST"), int(os.environ.get("KUBERNETES_SERVICE_PORT", 443))),
        *_hosts("node", node, KUBELET_PORT),
        *_hosts("metadata", METADATA, 80),
        *_hosts("site-operator", [*own, *addresses.own_link_local()], HEALTH_PORT),
    ]
    for address in resolvers(Path("/etc/resolv.conf")):
        closed += [
            IsolationTarget("resolver", address, DNS_PORT, "TCP"),
            IsolationTarget("resolver", address, DNS_PORT, "UDP"),
        ]
    # An engine may close the ports that NetworkPolicies name and let an echo through, which carries data as well.
    closed += [IsolationTarget(each.name, each.host, 0, "ICMP") for each in closed]
    return tuple(dict.fromkeys(closed))


def probe(closed: tuple[IsolationTarget, ...]) -> Control:
    """Probes the targets that prove something, with the very probe that the pod uses."""
    proving = [ProbeTarget(t.name, t.host, t.port, t.protocol) for t in closed if t.name in PROVING and t.port]
    return judge(closed, ask(proving, PROBE_SECONDS))


def judge(closed: tuple[IsolationTarget, ...], answers: Answers) -> Control:
    """The pod waits twice as long as the slowest answer took outside of it."""
    seconds = min(max(2 * answers.slowest_seconds, LEAST_SECONDS), MOST_SECONDS)
    return Control(closed, bool(answers.open), seconds)


def resolvers(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except OSError:
        return []
    servers = re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)
    return [address for address in servers if not address.startswith("127.") and "%" not in address]


def _url(name: str, url: str) -> list[IsolationTarget]:
    parts = urlsplit(url)
    if not parts.hostname:
        return []
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        resolved = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return _hosts(name, sorted({str(address[4][0]) for address in resolved}), port)


def _hosts(name: str, hosts: Iterable[str], port: int) -> list[IsolationTarget]:
    return [IsolationTarget(name, host, port, "TCP") for host in hosts]


def _env(name: str) -> tuple[str, ...]:
    value = os.environ.get(name)
    return (value,) if value else ()
