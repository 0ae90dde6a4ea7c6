"""Decides whether a pod can reach anything it must not: probes given addresses; standard library only, knows no data.

A closed port proves nothing by itself, since a policy engine that rejects looks the same as a host where nothing
listens. Therefore the site operator names only targets that it reaches itself (the positive control): what answers
there and not here is closed by policy. With no policy engine running everything is open, and with one there is a
window of about 0.1 s after the start of a pod: hence several rounds in a row.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from wardround.pod.outcome import Failure, log

ROUNDS = 3
ROUND_SECONDS = 0.25
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 10.0

# Any resolver answers this: id 0x5752, recursion desired, one question, the root's name servers (RFC 1035, 4.1).
DNS_QUERY = bytes.fromhex("575201000001000000000000" + "00" + "0002" + "0001")
# Nearly any host answers this: an echo request; checksum and identifier are the kernel's (RFC 792; RFC 4443, 4.1).
ECHO = {socket.AF_INET: bytes((8, 0, 0, 0, 0, 0, 0, 1)), socket.AF_INET6: bytes((128, 0, 0, 0, 0, 0, 0, 1))}
PROTOCOLS = ("TCP", "UDP", "ICMP")
# What a kernel says that lets us make no socket for it (net.ipv4.ping_group_range), or knows none.
NO_PING = (errno.EPROTONOSUPPORT, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Target:
    """ICMP has no port."""

    name: str
    host: str
    port: int
    protocol: str

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def called(self) -> str:
        return f"{self.name} (ICMP)" if self.protocol == "ICMP" else self.name


def parse(text: str) -> tuple[Target, ...]:
    """WARDROUND_ISOLATION. No target at all would pass every gate, so it is refused like a malformed one."""
    try:
        targets = tuple(_target(raw) for raw in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise Failure("PodFailed", "WARDROUND_ISOLATION cannot be read: a fault of the site operator") from error
    if not targets:
        raise Failure("PodFailed", "no target to probe, so isolation cannot be shown: the site operator reaches none")
    return targets


def hold(targets: Sequence[Target], *, rounds: int = ROUNDS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Returns once all targets were closed in `rounds` consecutive rounds; raises NetworkOpen at the deadline."""
    say_what_cannot_be_asked(targets)
    deadline = time.monotonic() + deadline_seconds
    closed = 0
    while closed < rounds:
        found = probe(targets)
        closed = 0 if found else closed + 1
        if found and time.monotonic() >= deadline:
            raise network_open(found)
        time.sleep(PAUSE_SECONDS)


def say_what_cannot_be_asked(targets: Sequence[Target]) -> None:
    """Once, for whoever reads the log: where a pod cannot ask by ICMP, only what it does not do keeps it closed."""
    for family in sorted({target.family for target in targets if target.protocol == "ICMP"}):
        if (asked := _socket(family, "ICMP")) is not None:
            asked.close()
        else:
            log(f"gate: nothing is asked by ICMP ({family.name}): this node lets no pod make such a socket")


def network_open(names: Sequence[str]) -> Failure:
    if all(name.endswith("(ICMP)") for name in names):
        why = "the policy engine on this node lets ICMP through; see what closes it (docs/security.md)"
    else:
        why = (
            "no NetworkPolicy is enforced here; is a policy engine (Calico, Cilium, kube-router) running on this node?"
        )
    return Failure("NetworkOpen", f"the training pod reaches {', '.join(names)}: {why}")


def probe(targets: Sequence[Target], seconds: float = ROUND_SECONDS) -> list[str]:
    """Names of the targets that answered, all tried at once. A TCP handshake or any other answer is an answer."""
    answered: set[str] = set()
    deadline = time.monotonic() + seconds
    sockets: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        try:
            for target in targets:
                attempt = _start(target)
                if attempt is not None:
                    sockets.append(attempt)
                    tcp = target.protocol == "TCP"
                    selector.register(attempt, selectors.EVENT_WRITE if tcp else selectors.EVENT_READ, target)
            while selector.get_map() and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    attempt = cast(socket.socket, key.fileobj)
                    if _answered(attempt, key.data):
                        answered.add(key.data.called)
                    selector.unregister(attempt)
        finally:
            for attempt in sockets:
                attempt.close()
    return sorted(answered)


def _start(target: Target) -> socket.socket | None:
    """A connection under way, or nothing where this host cannot even try: no such family, no route, not permitted."""
    attempt = _socket(target.family, target.protocol)
    if attempt is None:
        return None
    attempt.setblocking(False)
    code = attempt.connect_ex((target.host, target.port))
    question = ECHO[target.family] if target.protocol == "ICMP" else DNS_QUERY
    if code in (0, errno.EINPROGRESS) and (target.protocol == "TCP" or _sent(attempt, question)):
        return attempt
    attempt.close()
    return None


def _socket(family: socket.AddressFamily, protocol: str) -> socket.socket | None:
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    ping = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
    try:
        return socket.socket(family, kind, ping[family] if protocol == "ICMP" else 0)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT or (protocol == "ICMP" and error.errno in NO_PING):
            return None
        raise


def _sent(attempt: socket.socket, question: bytes) -> bool:
    try:
        attempt.send(question)
    except OSError:
        return False
    return True


def _answered(attempt: socket.socket, target: Target) -> bool:
    if target.protocol == "TCP":
        return attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    try:
        attempt.recv(512)
    except OSError:
        return False
    return True


def _target(raw: dict[str, Any]) -> Target:
    target = Target(str(raw["name"]), str(ipaddress.ip_address(raw["host"])), int(raw["port"]), str(raw["protocol"]))
    ports = range(1) if target.protocol == "ICMP" else range(1, 1 << 16)
    if target.protocol not in PROTOCOLS or target.port not in ports:
        raise ValueError("protocol or port")
    return target
