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

from wardround.pod.outcome import Failure

ROUNDS = 3
ROUND_SECONDS = 0.25
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 10.0

# Any resolver answers this: id 0x5752, recursion desired, one question, the root's name servers (RFC 1035, 4.1).
DNS_QUERY = bytes.fromhex("575201000001000000000000" + "00" + "0002" + "0001")


@dataclass(frozen=True)
class Target:
    name: str
    host: str
    port: int
    protocol: str


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
    deadline = time.monotonic() + deadline_seconds
    closed = 0
    while closed < rounds:
        found = probe(targets)
        closed = 0 if found else closed + 1
        if found and time.monotonic() >= deadline:
            raise network_open(found)
        time.sleep(PAUSE_SECONDS)


def network_open(names: Sequence[str]) -> Failure:
    return Failure(
        "NetworkOpen",
        f"the training pod reaches {', '.join(names)}: no NetworkPolicy is enforced here; "
        "is a policy engine (Calico, Cilium, kube-router) running on this node?",
    )


def probe(targets: Sequence[Target], seconds: float = ROUND_SECONDS) -> list[str]:
    """Names of the targets that answered, all tried at once. A TCP handshake or any UDP answer is an answer."""
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
                        answered.add(key.data.name)
                    selector.unregister(attempt)
        finally:
            for attempt in sockets:
                attempt.close()
    return sorted(answered)


def _start(target: Target) -> socket.socket | None:
    """A connection under way, or nothing where this host cannot even try: no such family, no route, not permitted."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    kind = socket.SOCK_STREAM if target.protocol == "TCP" else socket.SOCK_DGRAM
    try:
        attempt = socket.socket(family, kind)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    attempt.setblocking(False)
    code = attempt.connect_ex((target.host, target.port))
    if code in (0, errno.EINPROGRESS) and (target.protocol == "TCP" or _sent(attempt)):
        return attempt
    attempt.close()
    return None


def _sent(attempt: socket.socket) -> bool:
    try:
        attempt.send(DNS_QUERY)
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
    if target.protocol not in ("TCP", "UDP") or not 0 < target.port < 1 << 16:
        raise ValueError("protocol or port")
    return target
