"""Asks addresses whether they answer, all at once: what did, what did not, and what this host could not even ask.

Knows no policy and no data; standard library only. What could not be asked is never taken for closed.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from wardround.network import addresses

# Any resolver answers this: id 0x5752, recursion desired, one question, the root's name servers (RFC 1035, 4.1).
DNS_QUERY = bytes.fromhex("575201000001000000000000" + "00" + "0002" + "0001")
# Nearly any host answers this: an echo request; checksum and identifier are the kernel's (RFC 792; RFC 4443, 4.1).
ECHO = {socket.AF_INET: bytes((8, 0, 0, 0, 0, 0, 0, 1)), socket.AF_INET6: bytes((128, 0, 0, 0, 0, 0, 0, 1))}
PING = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
PROTOCOLS = ("TCP", "UDP", "ICMP")
# How long a training pod waits for an answer. The site operator says how slow its control was; it must not say 0, nor
# for ever.
LEAST_SECONDS, MOST_SECONDS = 0.25, 1.0
# All hosts on a link (RFC 4291, 2.7.1).
EVERYBODY = "ff02::1"
# What a kernel says that lets us make no socket for ICMP (net.ipv4.ping_group_range), or knows none.
NO_PING = (errno.EPROTONOSUPPORT, errno.EACCES, errno.EPERM)
# What a kernel says where nothing can be sent: there is no such family, no route, or nobody who listens on this host.
NO_WAY = (errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED)


@dataclass(frozen=True)
class Target:
    """ICMP has no port. `scope`: the index of the link that a link-local address is on, else 0."""

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
    def called(self) -> str:
        """What people read. Never the address: it says nothing to them, and stands in objects that are copied."""
        if self.scope:
            return f"{self.name} over link-local ({self.protocol}{f' {self.port}' if self.port else ''})"
        return f"{self.name} (ICMP)" if self.protocol == "ICMP" else self.name


@dataclass(frozen=True)
class Answers:
    """`open`: what answered; of those who answered a question to everybody, each. `slowest_seconds`: of the answers.

    `unknown`: what could not be asked, each with the kernel's name for why.
    """

    open: tuple[Target, ...] = ()
    unknown: tuple[tuple[Target, str], ...] = ()
    slowest_seconds: float = 0.0


def probe(targets: Sequence[Target], seconds: float, own: Collection[str] = ()) -> Answers:
    """A TCP handshake or any other answer is an answer. `own`: this host's addresses; its kernel answers itself."""
    answered: dict[Target, float] = {}
    unknown: list[tuple[Target, str]] = []
    sockets: list[socket.socket] = []
    begun = time.monotonic()
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
            while selector.get_map() and (left := begun + seconds - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    target, asked = key.data
                    for each in _heard(cast(socket.socket, key.fileobj), target):
                        if each.host not in own:
                            answered.setdefault(each, time.monotonic() - asked)
                    # Of everybody, more may answer.
                    if target.host != EVERYBODY:
                        selector.unregister(key.fileobj)
        finally:
            for attempt in sockets:
                attempt.close()
    named = sorted(answered, key=lambda each: (each.called, each.host))
    return Answers(tuple(named), tuple(unknown), max(answered.values(), default=0.0))


def can_ping(family: socket.AddressFamily) -> bool:
    """Whether this node lets the pod ask by ICMP. Raises OSError where that cannot be seen."""
    attempt = _socket(family, "ICMP")
    if attempt is not None:
        attempt.close()
    return attempt is not None


def _start(target: Target) -> socket.socket | None:
    """A question under way, or nothing where nothing leads there. Raises OSError where it could not be asked."""
    attempt = _socket(target.family, target.protocol)
    if attempt is None:
        return None
    question = ECHO[target.family] if target.protocol == "ICMP" else DNS_QUERY
    try:
        attempt.setblocking(False)
        if target.host == EVERYBODY:
            # Answers come from other addresses than the one that was asked, which a connected socket does not take.
            attempt.sendto(question, target.address)
            return attempt
        code = attempt.connect_ex(target.address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        if target.protocol != "TCP":
            attempt.send(question)
    except OSError as error:
        attempt.close()
        # Where every port is taken the kernel says the same as where the pod has no address to ask from.
        nowhere = error.errno == errno.EADDRNOTAVAIL and not addresses.has(target.family)
        if error.errno in NO_WAY or nowhere:
            return None
        raise
    return attempt


def _socket(family: socket.AddressFamily, protocol: str) -> socket.socket | None:
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    try:
        return socket.socket(family, kind, PING[family] if protocol == "ICMP" else 0)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT or (protocol == "ICMP" and error.errno in NO_PING):
            return None
        raise


def _heard(attempt: socket.socket, target: Target) -> list[Target]:
    """Who has answered. Errors that come now are the network's."""
    if target.protocol == "TCP":
        return [] if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else [target]
    try:
        _, sender = attempt.recvfrom(512)
    except OSError:
        return []
    return [replace(target, host=sender[0].partition("%")[0])] if target.host == EVERYBODY else [target]
