"""Probes targets, all at once: which answered, and which this host could not probe.

Knows no policy and no data; standard library only. A target that could not be probed does not count as closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from wardround.network import addresses

# Any resolver answers this query: id 0x5752, recursion desired, the root's name servers (RFC 1035, 4.1).
DNS_QUERY = bytes.fromhex("575201000001000000000000" + "00" + "0002" + "0001")
# Nearly any host answers an echo request. The kernel sets checksum and identifier (RFC 792; RFC 4443, 4.1).
ECHO = {socket.AF_INET: bytes((8, 0, 0, 0, 0, 0, 0, 1)), socket.AF_INET6: bytes((128, 0, 0, 0, 0, 0, 0, 1))}
PING = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
# The multicast address of all hosts on a link (RFC 4291, 2.7.1).
ALL_HOSTS = "ff02::1"
# How many answers of all hosts are read at a time. The first one is of this host itself.
MOST_ANSWERS = 256
# Errors of a kernel that forbids ICMP sockets (net.ipv4.ping_group_range) or has none.
PING_REFUSED = (errno.EPROTONOSUPPORT, errno.EACCES, errno.EPERM)
# Errors of a kernel that cannot send: no such family, no route, or no listener on this host.
UNREACHABLE = (errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED)


@dataclass(frozen=True)
class ProbeTarget:
    """`port`: 0 for ICMP. `scope`: the index of a link-local address's link, else 0."""

    name: str
    host: str
    port: int
    protocol: str
    scope: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def address(self) -> tuple[str, int] | tuple[str, int, int, int]:
        return (self.host, self.port, 0, self.scope) if self.family == socket.AF_INET6 else (self.host, self.port)

    @property
    def label(self) -> str:
        """The target's name for people. Never its address: the label is written to objects that the hub copies."""
        if self.scope:
            return f"{self.name} over link-local ({self.protocol}{f' {self.port}' if self.port else ''})"
        return f"{self.name} (ICMP)" if self.protocol == "ICMP" else self.name


@dataclass(frozen=True)
class Answers:
    """`open`: targets that answered; for ALL_HOSTS, one target for each host that answered.

    `unknown`: targets that could not be probed, each with the name of the error. `slowest_seconds`: the slowest answer.
    """

    open: tuple[ProbeTarget, ...] = ()
    unknown: tuple[tuple[ProbeTarget, str], ...] = ()
    slowest_seconds: float = 0.0


def probe(targets: Sequence[ProbeTarget], seconds: float, own: Collection[str] = ()) -> Answers:
    """Probes all targets, and waits `seconds` for answers. `own`: this host's addresses, which answer and do not count.

    An answer that came in time counts, also if this process gets the processor only after `seconds`.
    """
    answered: dict[ProbeTarget, float] = {}
    unknown: list[tuple[ProbeTarget, str]] = []
    sockets: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        try:
            for target in targets:
                try:
                    attempt = _start(target)
                except OSError as error:
                    unknown.append((target, errno.errorcode.get(error.errno or 0, "an error without a name")))
                    continue
                if attempt is not None:
                    sockets.append(attempt)
                    tcp = target.protocol == "TCP"
                    event = selectors.EVENT_WRITE if tcp else selectors.EVENT_READ
                    selector.register(attempt, event, (target, time.monotonic()))
            end, over = time.monotonic() + seconds, False
            while selector.get_map() and not over:
                left = end - time.monotonic()
                over = left <= 0
                for key, _ in selector.select(max(left, 0)):
                    target, started = key.data
                    for each in _answers(cast(socket.socket, key.fileobj), target):
                        if each.host not in own:
                            answered.setdefault(each, time.monotonic() - started)
                    if target.host != ALL_HOSTS:
                        selector.unregister(key.fileobj)
        finally:
            for attempt in sockets:
                attempt.close()
    ordered = sorted(answered, key=lambda each: (each.label, each.host))
    return Answers(tuple(ordered), tuple(unknown), max(answered.values(), default=0.0))


def can_ping(family: socket.AddressFamily) -> bool:
    """Whether this node lets the pod open an ICMP socket. Raises OSError for any other error."""
    attempt = _socket(family, "ICMP")
    if attempt is not None:
        attempt.close()
    return attempt is not None


def _start(target: ProbeTarget) -> socket.socket | None:
    """Sends the probe. Returns None if the target is unreachable. Raises OSError if it could not be probed."""
    attempt = _socket(target.family, target.protocol)
    if attempt is None:
        return None
    question = ECHO[target.family] if target.protocol == "ICMP" else DNS_QUERY
    try:
        attempt.setblocking(False)
        if target.host == ALL_HOSTS:
            # Hosts answer from their own addresses, which a connected socket would drop.
            attempt.sendto(question, target.address)
            return attempt
        code = attempt.connect_ex(target.address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        if target.protocol != "TCP":
            attempt.send(question)
    except OSError as error:
        attempt.close()
        # EADDRNOTAVAIL: the pod has no address of this family, or all its ports are in use.
        no_address = error.errno == errno.EADDRNOTAVAIL and not addresses.has(target.family)
        if error.errno in UNREACHABLE or no_address:
            return None
        raise
    return attempt


def _socket(family: socket.AddressFamily, protocol: str) -> socket.socket | None:
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    try:
        return socket.socket(family, kind, PING[family] if protocol == "ICMP" else 0)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT or (protocol == "ICMP" and error.errno in PING_REFUSED):
            return None
        raise


def _answers(attempt: socket.socket, target: ProbeTarget) -> list[ProbeTarget]:
    """The target, if it answered; for ALL_HOSTS, the host that answered. An error means that nothing answered."""
    if target.protocol == "TCP":
        return [] if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else [target]
    senders = _senders(attempt, MOST_ANSWERS if target.host == ALL_HOSTS else 1)
    return [replace(target, host=each) for each in senders] if target.host == ALL_HOSTS else [target] * len(senders)


def _senders(attempt: socket.socket, most: int) -> list[str]:
    """The hosts of the answers that are there now."""
    senders: list[str] = []
    with contextlib.suppress(OSError):
        while len(senders) < most:
            _, sender = attempt.recvfrom(512)
            senders.append(sender[0].partition("%")[0])
    return senders
