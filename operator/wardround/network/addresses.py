"""Reads this pod's addresses and its neighbours from the kernel's files under /proc/net; sends nothing.

It uses no netlink: a restricted container may have no such socket, but every process may read these files.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INTERFACES = Path("/proc/net/if_inet6")
SETTINGS = Path("/proc/sys/net/ipv6/conf")
DEVICES = Path("/sys/class/net")
ROUTES = Path("/proc/net/fib_trie")
NEIGHBOURS = Path("/proc/net/arp")
LOOPBACK = "lo"
NO_INTERFACES = ("all", "default", LOOPBACK)
# Flags of an address (linux/if_addr.h): duplicate address detection found a duplicate, or is not over.
DAD_FAILED, TENTATIVE = 0x08, 0x40
# Flag of an interface (linux/if.h).
UP = 0x1
NO_HARDWARE = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Link:
    """An interface with IPv6, except lo. `own`: this pod's addresses on it. `usable`: the kernel sends from one.

    `early`: no address is usable yet. The kernel makes one up to a second after the interface, and checks it for
    duplicates first.
    """

    name: str
    index: int
    own: frozenset[str]
    usable: bool
    early: bool


def links() -> tuple[Link, ...]:
    """All links with IPv6. If there is none, nothing leaves this pod over IPv6: the pod cannot turn IPv6 on."""
    addressed: dict[str, tuple[int, dict[str, int]]] = {name: (0, {}) for name in _enabled()}
    for address, index, _, _, flags, name in _rows(INTERFACES):
        if name != LOOPBACK:
            _, known = addressed.get(name, (0, {}))
            addressed[name] = (int(index, 16), {**known, _ipv6(address): int(flags, 16)})
    return tuple(_link(name, index, flags) for name, (index, flags) in sorted(addressed.items()))


def _link(name: str, index: int, flags: dict[str, int]) -> Link:
    usable = any(not each & (DAD_FAILED | TENTATIVE) for each in flags.values())
    failed = bool(flags) and all(each & DAD_FAILED for each in flags.values())
    return Link(name, index, frozenset(flags), usable, early=not usable and not failed)


def _enabled() -> list[str]:
    """Names of interfaces that are up and have IPv6, with or without an address."""
    try:
        names = [each.name for each in SETTINGS.iterdir() if each.name not in NO_INTERFACES]
    except FileNotFoundError:
        return []
    return [name for name in names if _is_up(name) and _rows(SETTINGS / name / "disable_ipv6") == [["0"]]]


def _is_up(name: str) -> bool:
    """Whether the interface is up, or its flags cannot be read."""
    flags = _rows(DEVICES / name / "flags")
    return not flags or bool(int(flags[0][0], 16) & UP)


def own_link_local() -> list[str]:
    """This pod's own link-local addresses, without a scope: a link's index differs from host to host."""
    return sorted(address for link in links() for address in link.own if ipaddress.ip_address(address).is_link_local)


def has(family: socket.AddressFamily) -> bool:
    """Whether the pod has an address of the family, except on lo."""
    if family == socket.AF_INET6:
        return any(link.own for link in links())
    return any(not ipaddress.ip_address(address).is_loopback for address in _local_ipv4())


def likely(links: Sequence[Link]) -> list[tuple[str, int]]:
    """Probable link-local addresses of the pod's IPv4 neighbours, each with the link's index.

    They are derived from hardware addresses, as Linux does by default (EUI-64; RFC 4291, appendix A).
    """
    index = {link.name: link.index for link in links}
    rows = [row for row in _rows(NEIGHBOURS)[1:] if len(row) == 6 and row[5] in index and row[3] != NO_HARDWARE]
    return [(eui64(row[3]), index[row[5]]) for row in rows]


def eui64(hardware: str) -> str:
    octets = bytes.fromhex(hardware.replace(":", ""))
    return str(
        ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
    )


def _local_ipv4() -> list[str]:
    """Local IPv4 addresses. In the kernel's routing trie, `|-- ADDRESS` precedes its routes: `/32 host LOCAL`."""
    local, leaf = [], ""
    for row in _rows(ROUTES):
        if row[0] == "|--":
            leaf = row[1]
        elif row == ["/32", "host", "LOCAL"]:
            local.append(leaf)
    return local


def _ipv6(digits: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _rows(path: Path) -> list[list[str]]:
    """The file's lines, split at blanks. Empty if there is no file: the kernel lacks the protocol."""
    try:
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    return [row for line in lines if (row := line.split())]
