"""Decides whether a pod reaches anything it must not, by probing given targets and its neighbours; knows no data.

A closed port alone proves nothing: a policy engine that rejects looks like a host where nothing listens. So the site
operator names only targets that it reaches itself (the positive control). A target that answers the site operator but
not the pod is closed by policy. A policy engine may need about 0.1 s after a pod's start, so several looks in a row
must find everything closed. A target that the pod could not probe does not count as closed.

Over IPv6 link-local a pod may reach its neighbours past a policy engine. There is no positive control for them: an
answer shows that link-local is open, and silence shows nothing. Standard library only.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from wardround.network import addresses
from wardround.network.addresses import Link
from wardround.network.probe import ALL_HOSTS, Answers, ProbeTarget, can_ping, probe
from wardround.pod.outcome import UNREADABLE, PodError, log
from wardround.wire import isolation
from wardround.wire.isolation import LEAST_SECONDS, MOST_SECONDS, IsolationTarget
from wardround.wire.outcome import Heard, LinkLocalHeard, Outcome

LinkLocal = Literal["Warn", "Refuse"]

ROUNDS = 3
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 10.0
# A link may get its address one second late. Duplicate address detection takes one second, after a delay of up to one
# second (RFC 4862, 5.4). A link without an address after that gets none.
EARLY_SECONDS = 3.0
# TCP ports probed on a neighbour: DNS, the Kubernetes API, site operator and courier, kubelet.
NEIGHBOUR_PORTS = (53, 443, 6443, 8080, 10250)
DNS_PORT = 53
# A node has about 110 pods. One answer is enough to show that link-local is open.
MOST_NEIGHBOURS = 64


@dataclass(frozen=True)
class Timer:
    """How the gate and the sidecar measure time and wait. Both are in seconds. A probe waits on sockets instead, so the
    kernel measures its time. `wardround.clock` would load the modules of random numbers into the sidecar."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM_TIMER = Timer()


@dataclass(frozen=True)
class Settings:
    """The gate's settings from the pod's environment. `seconds`: how long a probe waits for answers."""

    targets: tuple[ProbeTarget, ...]
    seconds: float = LEAST_SECONDS
    link_local: LinkLocal = "Warn"

    @property
    def refuses(self) -> bool:
        return self.link_local == "Refuse"


@dataclass(frozen=True)
class Finding:
    """The result of probing neighbours over link-local. `answers`: labels (no addresses) of targets that answered."""

    heard: Heard
    answers: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The sidecar's termination message."""
        return Outcome(link_local=LinkLocalHeard(self.heard, self.answers))

    def line(self) -> str:
        """The finding as a log line."""
        if self.heard == "Open":
            return f"IPv6 link-local is open: {', '.join(self.answers)} answered"
        if self.heard == "Absent":
            return "IPv6 link-local is closed: this pod has no IPv6"
        return (
            "no neighbour answered over IPv6 link-local. This does not prove that link-local is closed, because "
            "perhaps no neighbour was there. Training goes on"
        )


@dataclass(frozen=True)
class Look:
    """The result of one probe. `open`: targets that answered. `neighbours`: targets that answered over link-local.

    `unknown`: targets that could not be probed, each with the cause."""

    open: tuple[ProbeTarget, ...]
    neighbours: tuple[ProbeTarget, ...]
    unknown: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def early(self) -> bool:
        """Whether the pod has no usable address on a link yet, so that it could not probe neighbours there."""
        return any(link.early for link in self.links)

    def failure(self, settings: Settings) -> PodError | None:
        reached = (*self.open, *(self.neighbours if settings.refuses else ()))
        if reached:
            return network_open(reached)
        return isolation_unknown(self.unknown) if self.unknown else None


@dataclass
class Gate:
    """Probes repeatedly, and remembers which neighbours have answered."""

    settings: Settings
    timer: Timer = SYSTEM_TIMER
    _begun: float = field(init=False)
    _known: dict[tuple[str, int], None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = self.timer.now()

    def log_unprobed_protocols(self) -> None:
        """Logs address families that this pod cannot probe by ICMP."""
        families = {target.family for target in self.settings.targets if target.protocol == "ICMP"}
        for family in sorted(families):
            if not can_ping(family):
                log(f"gate: no target is probed by ICMP ({family.name}): this node lets no pod open an ICMP socket")

    def look(self, *, neighbours: bool = True) -> Look:
        """Probes the targets and, with `neighbours`, the pod's neighbours."""
        links = addresses.links()
        targets = [each for each in self.settings.targets if not _is_link_local(each.host)]
        targets += self._neighbours(links) if neighbours else []
        own = {address for link in links for address in link.own}
        answers = probe(targets, self.settings.seconds, own)
        self._remember(answers)
        return Look(
            tuple(each for each in answers.open if not each.scope),
            tuple(each for each in answers.open if each.scope),
            self._unknown(answers, links),
            links,
        )

    def _neighbours(self, links: Sequence[Link]) -> list[ProbeTarget]:
        """Targets on each link: all hosts (multicast), the targets that the site operator named, and likely hosts."""
        usable = [link for link in links if link.usable]
        targets = [ProbeTarget("neighbour", ALL_HOSTS, 0, "ICMP", link.index) for link in usable]
        own = {address for link in links for address in link.own}
        named = [each for each in self.settings.targets if _is_link_local(each.host) and each.host not in own]
        targets += [replace(each, scope=link.index) for each in named for link in usable]
        likely = dict.fromkeys([*addresses.likely(usable), *self._known])
        for host, scope in list(likely)[:MOST_NEIGHBOURS]:
            if host not in own:
                targets += [ProbeTarget("neighbour", host, port, "TCP", scope) for port in NEIGHBOUR_PORTS]
                targets += [
                    ProbeTarget("neighbour", host, DNS_PORT, "UDP", scope),
                    ProbeTarget("neighbour", host, 0, "ICMP", scope),
                ]
        return list(dict.fromkeys(targets))

    def _remember(self, answers: Answers) -> None:
        for each in answers.open:
            if each.scope:
                self._known.setdefault((each.host, each.scope))

    def _unknown(self, answers: Answers, links: Sequence[Link]) -> tuple[str, ...]:
        """Link-local counts only if the site refuses it: otherwise the gate does not depend on it."""
        refuses = self.settings.refuses
        unprobed = [f"{each.label}: {cause}" for each, cause in answers.unknown if not each.scope or refuses]
        if refuses and self.timer.now() < self._begun + EARLY_SECONDS:
            unprobed += [f"neighbours on {link.name}: this pod has no address yet" for link in links if link.early]
        return tuple(unprobed)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the environment. Raises PodError (PodFailed) for malformed text: a default could weaken the gate."""
    return Settings(
        parse(environment.get("WARDROUND_ISOLATION", "")),
        _seconds(environment.get("WARDROUND_ISOLATION_SECONDS", "")),
        _link_local(environment.get("WARDROUND_LINK_LOCAL", "")),
    )


def parse(text: str) -> tuple[ProbeTarget, ...]:
    """Parses WARDROUND_ISOLATION. Raises PodError (PodFailed), also for an empty list: every pod would pass it."""
    try:
        targets = tuple(map(_target, isolation.read(text)))
    except ValueError as error:
        raise PodError("PodFailed", f"WARDROUND_ISOLATION {UNREADABLE}") from error
    if all(_is_link_local(each.host) for each in targets):
        message = (
            "isolation is not proven: the site operator reaches neither the hub nor the Kubernetes API, so the gate "
            "has no address to test with. Restore the site operator's access to one of them"
        )
        raise PodError("PodFailed", message)
    return targets


def hold(settings: Settings, *, deadline_seconds: float = DEADLINE_SECONDS, timer: Timer = SYSTEM_TIMER) -> Finding:
    """Returns after ROUNDS consecutive looks found everything closed. Raises PodError (NetworkOpen,
    IsolationUnknown) if that has not happened at the deadline.

    The finding is what these looks showed of link-local. Unless the site refuses link-local, the gate does not wait for
    the pod's link-local address, which may become usable a second or two after the pod's start.
    """
    gate = Gate(settings, timer)
    gate.log_unprobed_protocols()
    deadline = timer.now() + deadline_seconds
    closed: list[Look] = []
    while len(closed) < ROUNDS:
        look = gate.look()
        failure = look.failure(settings)
        if failure is not None and timer.now() >= deadline:
            raise failure
        closed = [] if failure is not None else [*closed, look]
        timer.sleep(PAUSE_SECONDS)
    finding = summary(closed)
    log(f"gate: {finding.line()}")
    return finding


def network_open(reached: Sequence[ProbeTarget]) -> PodError:
    names = sorted({each.label for each in reached})
    if all(each.scope for each in reached):
        why = (
            "IPv6 link-local is open on this node, and policy.linkLocal of the site chart is Refuse. "
            "docs/operations.md (IPv6 link-local) has the commands that close it"
        )
    elif all(each.protocol == "ICMP" for each in reached):
        why = (
            "the policy engine on this node lets ICMP through. Use a policy engine that blocks ICMP, such as "
            "kube-router"
        )
    else:
        why = "this node enforces no NetworkPolicy. Start a policy engine on this node (Calico, Cilium, kube-router)"
    return PodError("NetworkOpen", f"the training pod reaches {', '.join(names)}: {why}")


def isolation_unknown(unprobed: Sequence[str]) -> PodError:
    names = ", ".join(sorted(set(unprobed)))
    why = "so nobody knows whether the pod's network is closed. Look for a process in the pod that uses all ports"
    return PodError("IsolationUnknown", f"the training pod could not probe ({names}), {why}")


def summary(looks: Sequence[Look]) -> Finding:
    """Combines the answers of all looks. The last look says whether the pod has IPv6."""
    answered = [each for look in looks for each in look.neighbours]
    heard: Heard = "Open" if answered else "Silent" if looks[-1].links else "Absent"
    return Finding(heard, tuple(sorted({each.label for each in answered})))


def _is_link_local(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.version == 6 and address.is_link_local


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise PodError("PodFailed", f"WARDROUND_ISOLATION_SECONDS {UNREADABLE}")
    return min(max(seconds, LEAST_SECONDS), MOST_SECONDS)


def _link_local(text: str) -> LinkLocal:
    if text not in ("Warn", "Refuse"):
        raise PodError("PodFailed", f"WARDROUND_LINK_LOCAL {UNREADABLE}")
    return cast(LinkLocal, text)


def _target(target: IsolationTarget) -> ProbeTarget:
    ports = range(1) if target.protocol == "ICMP" else range(1, 1 << 16)
    if target.port not in ports:
        raise ValueError("a port that the protocol does not have")
    return ProbeTarget(target.name, str(ipaddress.ip_address(target.host)), target.port, target.protocol)
