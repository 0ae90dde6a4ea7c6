"""Decides whether a pod can reach anything it must not, by asking given addresses and its neighbours; knows no data.

A closed port proves nothing by itself, since a policy engine that rejects looks the same as a host where nothing
listens. Therefore the site operator names only targets that it reaches itself (the positive control): what answers
there and not here is closed by policy. With no policy engine running everything is open, and with one there is a
window of about 0.1 s after the start of a pod: hence several rounds in a row. What could not be asked is not closed.

Over IPv6 link-local a pod may reach its neighbours past a policy engine. Nothing outside can be the positive control
there: an answer is a finding, silence shows nothing. Standard library only.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from wardround.network import addresses
from wardround.network.addresses import Link
from wardround.network.probe import EVERYBODY, LEAST_SECONDS, MOST_SECONDS, Answers, Target, can_ping, probe
from wardround.pod.outcome import Failure, log
from wardround.wire import isolation
from wardround.wire.isolation import IsolationTarget
from wardround.wire.outcome import Heard, LinkLocalHeard, Outcome

LinkLocal = Literal["Warn", "Refuse"]

ROUNDS = 3
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 10.0
# An address of a link may come a second after the link; trying it for duplicates takes a second, and up to another one
# before it begins (RFC 4862, 5.4). Whoever has none by then has none.
EARLY_SECONDS = 3.0
# DNS, the Kubernetes API, site operator and courier, kubelet: what a neighbour on the link is asked for by TCP.
NEIGHBOUR_PORTS = (53, 443, 6443, 8080, 10250)
DNS_PORT = 53
# A node has about 110 pods. An answer by one is a finding; who else answers only says more about it.
MOST_NEIGHBOURS = 64


@dataclass(frozen=True)
class Settings:
    """What the pod is told of the gate. `seconds`: how long an answer is waited for."""

    targets: tuple[Target, ...]
    seconds: float = LEAST_SECONDS
    link_local: LinkLocal = "Warn"

    @property
    def refuses(self) -> bool:
        return self.link_local == "Refuse"


@dataclass(frozen=True)
class Finding:
    """What looks at the pod's links showed. `answers`: who answered and how, without addresses."""

    heard: Heard
    answers: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What the sidecar says at its end."""
        return Outcome(link_local=LinkLocalHeard(self.heard, self.answers))

    def line(self) -> str:
        """For the log of a container."""
        if self.heard == "Open":
            return f"IPv6 link-local is open: {', '.join(self.answers)} answered"
        if self.heard == "Absent":
            return "IPv6 link-local is closed: this pod has no IPv6"
        return (
            "IPv6 link-local is not shown to be closed: nobody answered, and nothing outside shows that anybody would"
        )


@dataclass(frozen=True)
class Look:
    """One look at everything. `neighbours`: what answered over link-local."""

    open: tuple[Target, ...]
    neighbours: tuple[Target, ...]
    unknown: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def early(self) -> bool:
        """Whether somebody could not be asked yet, since the kernel still tries the pod's address on a link."""
        return any(link.early for link in self.links)

    def failure(self, settings: Settings) -> Failure | None:
        reached = (*self.open, *(self.neighbours if settings.refuses else ()))
        if reached:
            return network_open(reached)
        return isolation_unknown(self.unknown) if self.unknown else None


@dataclass
class Gate:
    """Asks again and again, and remembers who has answered on the pod's links."""

    settings: Settings
    _begun: float = field(default_factory=time.monotonic)
    _known: dict[tuple[str, int], None] = field(default_factory=dict)

    def say_what_cannot_be_asked(self) -> None:
        """Once, for whoever reads the log: where a pod cannot ask by ICMP, only what it does not do keeps it closed."""
        asked = {target.family for target in self.settings.targets if target.protocol == "ICMP"}
        for family in sorted(asked):
            if not can_ping(family):
                log(f"gate: nothing is asked by ICMP ({family.name}): this node lets no pod make such a socket")

    def look(self, *, neighbours: bool = True) -> Look:
        """At the targets, and at the neighbours unless they are left out."""
        links = addresses.links()
        asked = [each for each in self.settings.targets if not _is_link_local(each.host)]
        asked += self._neighbours(links) if neighbours else []
        own = {address for link in links for address in link.own}
        answers = probe(asked, self.settings.seconds, own)
        self._remember(answers)
        return Look(
            tuple(each for each in answers.open if not each.scope),
            tuple(each for each in answers.open if each.scope),
            self._unknown(answers, links),
            links,
        )

    def _neighbours(self, links: Sequence[Link]) -> list[Target]:
        """Questions to everybody on each link, and to those of whom we know or think that they are there."""
        usable = [link for link in links if link.usable]
        asked = [Target("neighbour", EVERYBODY, 0, "ICMP", link.index) for link in usable]
        own = {address for link in links for address in link.own}
        named = [each for each in self.settings.targets if _is_link_local(each.host) and each.host not in own]
        asked += [replace(each, scope=link.index) for each in named for link in usable]
        likely = dict.fromkeys([*addresses.likely(usable), *self._known])
        for host, scope in list(likely)[:MOST_NEIGHBOURS]:
            if host not in own:
                asked += [Target("neighbour", host, port, "TCP", scope) for port in NEIGHBOUR_PORTS]
                asked += [
                    Target("neighbour", host, DNS_PORT, "UDP", scope),
                    Target("neighbour", host, 0, "ICMP", scope),
                ]
        return list(dict.fromkeys(asked))

    def _remember(self, answers: Answers) -> None:
        for each in answers.open:
            if each.scope:
                self._known.setdefault((each.host, each.scope))

    def _unknown(self, answers: Answers, links: Sequence[Link]) -> tuple[str, ...]:
        """Link-local, where nothing can be shown anyway, counts for those alone who refuse it."""
        unasked = [f"{each.called}: {why}" for each, why in answers.unknown if not each.scope or self.settings.refuses]
        if self.settings.refuses and time.monotonic() < self._begun + EARLY_SECONDS:
            unasked += [f"neighbours on {link.name}: no address to ask from yet" for link in links if link.early]
        return tuple(unasked)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """From the environment. What cannot be read is never replaced by a default: that would be a way around the gate."""
    return Settings(
        parse(environment.get("WARDROUND_ISOLATION", "")),
        _seconds(environment.get("WARDROUND_ISOLATION_SECONDS", "")),
        _link_local(environment.get("WARDROUND_LINK_LOCAL", "")),
    )


def parse(text: str) -> tuple[Target, ...]:
    """WARDROUND_ISOLATION. No target at all would pass every gate, so it is refused like a malformed one."""
    try:
        targets = tuple(map(_target, isolation.read(text)))
    except ValueError as error:
        raise Failure("PodFailed", "WARDROUND_ISOLATION cannot be read: a fault of the site operator") from error
    if all(_is_link_local(each.host) for each in targets):
        raise Failure("PodFailed", "no target to probe, so isolation cannot be shown: the site operator reaches none")
    return targets


def hold(settings: Settings, *, rounds: int = ROUNDS, deadline_seconds: float = DEADLINE_SECONDS) -> Finding:
    """Returns once all was closed in `rounds` consecutive looks; at the deadline raises NetworkOpen, IsolationUnknown.

    What it returns is what those looks showed of link-local. Where that is refused, nothing answered; where it is not,
    nobody waited for the pod's address there, which may become usable a second or two after the pod has started.
    """
    gate = Gate(settings)
    gate.say_what_cannot_be_asked()
    deadline = time.monotonic() + deadline_seconds
    closed: list[Look] = []
    while len(closed) < rounds:
        look = gate.look()
        failure = look.failure(settings)
        if failure is not None and time.monotonic() >= deadline:
            raise failure
        closed = [] if failure is not None else [*closed, look]
        time.sleep(PAUSE_SECONDS)
    finding = summary(closed)
    log(f"gate: {finding.line()}")
    return finding


def network_open(reached: Sequence[Target]) -> Failure:
    names = sorted({each.called for each in reached})
    if all(each.scope for each in reached):
        why = (
            "nothing on this node closes IPv6 link-local, and this training pod may not run beside that "
            "(policy.linkLocal of the site chart); docs/operations.md, IPv6 link-local, has the commands that close it"
        )
    elif all(each.protocol == "ICMP" for each in reached):
        why = "the policy engine on this node lets ICMP through; see what closes it (docs/security.md)"
    else:
        why = (
            "no NetworkPolicy is enforced here; is a policy engine (Calico, Cilium, kube-router) running on this node?"
        )
    return Failure("NetworkOpen", f"the training pod reaches {', '.join(names)}: {why}")


def isolation_unknown(unasked: Sequence[str]) -> Failure:
    names = ", ".join(sorted(set(unasked)))
    why = "so nothing shows that its network is closed; does something in the pod take all ports?"
    return Failure("IsolationUnknown", f"the training pod could not ask ({names}), {why}")


def summary(looks: Sequence[Look]) -> Finding:
    """All answers of those looks. Whether the pod has IPv6 at all is what the last of them saw."""
    answered = [each for look in looks for each in look.neighbours]
    heard: Heard = "Open" if answered else "Silent" if looks[-1].links else "Absent"
    return Finding(heard, tuple(sorted({each.called for each in answered})))


def _is_link_local(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.version == 6 and address.is_link_local


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise Failure("PodFailed", "WARDROUND_ISOLATION_SECONDS cannot be read: a fault of the site operator")
    return min(max(seconds, LEAST_SECONDS), MOST_SECONDS)


def _link_local(text: str) -> LinkLocal:
    if text not in ("Warn", "Refuse"):
        raise Failure("PodFailed", "WARDROUND_LINK_LOCAL cannot be read: a fault of the site operator")
    return cast(LinkLocal, text)


def _target(told: IsolationTarget) -> Target:
    ports = range(1) if told.protocol == "ICMP" else range(1, 1 << 16)
    if told.port not in ports:
        raise ValueError("a port that the protocol does not have")
    return Target(told.name, str(ipaddress.ip_address(told.host)), told.port, told.protocol)
