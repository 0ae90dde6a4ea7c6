"""Decides which addresses a training pod must not reach, and what the positive control of the isolation gate proves.

What is refused inside the training pod proves isolation only if it answers outside. The site operator itself reaches
the hub and the Kubernetes API; without one of them no Job is made. The other targets (store, node, resolver, cloud
metadata, a neighbouring pod, and each of all by ICMP) are probed in the pod all the same: no answer from them is right
in any case. So is this pod over IPv6 link-local, where no control proves anything. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wardround.plans.sitetask.types import Control
from wardround.wire.isolation import LEAST_SECONDS, MOST_SECONDS, IsolationTarget

PROVING = ("hub", "kubernetes-api")
METADATA = ("169.254.169.254", "fd00:ec2::254")
KUBELET_PORT, DNS_PORT, HEALTH_PORT, METADATA_PORT = 10250, 53, 8080, 80
FRESH_SECONDS = 60.0


@dataclass(frozen=True)
class Endpoint:
    """The addresses of a server; none if its name does not resolve now."""

    hosts: Sequence[str] = ()
    port: int = 443


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The addresses around a training pod. `node`: of this pod's node. `own`: of this pod, over link-local too.
    `resolvers`: name servers of this pod."""

    hub: Endpoint
    store: Endpoint
    kubernetes_api: Endpoint
    node: Sequence[str] = ()
    own: Sequence[str] = ()
    resolvers: Sequence[str] = ()


def targets(around: Surroundings) -> tuple[IsolationTarget, ...]:
    """Everything that a training pod must not reach."""
    closed = [
        *_tcp("hub", around.hub),
        *_tcp("store", around.store),
        *_tcp("kubernetes-api", around.kubernetes_api),
        *_tcp("node", Endpoint(around.node, KUBELET_PORT)),
        *_tcp("metadata", Endpoint(METADATA, METADATA_PORT)),
        *_tcp("site-operator", Endpoint(around.own, HEALTH_PORT)),
    ]
    for address in filter(_is_outside, around.resolvers):
        closed += [
            IsolationTarget("resolver", address, DNS_PORT, "TCP"),
            IsolationTarget("resolver", address, DNS_PORT, "UDP"),
        ]
    # An engine may close the ports that NetworkPolicies name and let an echo through, which carries data as well.
    closed += [IsolationTarget(each.name, each.host, 0, "ICMP") for each in closed]
    return tuple(dict.fromkeys(closed))


def proving(closed: Iterable[IsolationTarget]) -> tuple[IsolationTarget, ...]:
    """The targets whose answer outside of the pod proves something."""
    return tuple(each for each in closed if each.name in PROVING and each.port)


def control(closed: tuple[IsolationTarget, ...], *, answered: bool, slowest_seconds: float) -> Control:
    """`answered`: one of the proving targets did. The pod waits twice as long as the slowest answer took outside of
    it."""
    seconds = min(max(2 * slowest_seconds, LEAST_SECONDS), MOST_SECONDS)
    return Control(closed, answered, seconds)


def is_fresh(last: Control | None, age_seconds: float) -> bool:
    """Whether a control still holds. One that proves nothing never does."""
    return last is not None and last.proven and age_seconds <= FRESH_SECONDS


def _tcp(name: str, server: Endpoint) -> list[IsolationTarget]:
    return [IsolationTarget(name, host, server.port, "TCP") for host in server.hosts]


def _is_outside(resolver: str) -> bool:
    """Whether a name server is at another host, with an address that a training pod could use too."""
    return not resolver.startswith("127.") and "%" not in resolver
