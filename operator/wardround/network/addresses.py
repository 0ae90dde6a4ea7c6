"""Says which addresses this pod has, and who is on its links, from what the kernel shows under /proc/net; asks nobody.

No netlink: a restricted container may have no such socket, and these files are every process's to read.
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
# Flags of an address (linux/if_addr.h): duplicate address detection has found another such host, or is not over yet.
DAD_FAILED, TENTATIVE = 0x08, 0x40
# Flag of an interface (linux/if.h).
UP = 0x1
NO_HARDWARE = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Link:
    """An interface with IPv6, but lo. `own`: this pod's addresses there. `usable`: the kernel sends from one of them.

    `early`: an address is to come. The kernel makes it up to a second after the interface, and tries it before use.
    """

    name: str
    index: int
    own: frozenset[str]
    usable: bool
    early: bool


def links() -> tuple[Link, ...]:
    """Empty where IPv6 is off but on lo, so that nothing over IPv6 leaves this pod: it may not turn IPv6 on itself."""
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
    """Interfaces that are up and have IPv6, whether they have an address yet or not."""
    try:
        names = [each.name for each in SETTINGS.iterdir() if each.name not in NO_INTERFACES]
    except FileNotFoundError:
        return []
    return [name for name in names if _is_up(name) and _rows(SETTINGS / name / "disable_ipv6") == [["0"]]]


def _is_up(name: str) -> bool:
    """Where it cannot be seen, it is taken to be."""
    flags = _rows(DEVICES / name / "flags")
    return not flags or bool(int(flags[0][0], 16) & UP)


def own_link_local() -> list[str]:
    """This pod's own link-local addresses, without a scope: neighbours know their links by other numbers."""
    return sorted(address for link in links() for address in link.own if ipaddress.ip_address(address).is_link_local)


def has(family: socket.AddressFamily) -> bool:
    """Whether the pod has an address of that family, but on lo.."""
    if family == socket.AF_INET6:
        return any(link.own for link in links())
    return any(not ipaddress.ip_address(address).is_loopback for address in _local_ipv4())


def likely(found: Sequence[Link]) -> list[tuple[str, int]]:
    """Link-local addresses of IPv4 neighbours that this pod has spoken to, each with the link's index.

    Made of their hardware addresses, as Linux makes them unless it is told otherwise (EUI-64; RFC 4291, appendix A).
    """
    index = {link.name: link.index for link in found}
    rows = [row for row in _rows(NEIGHBOURS)[1:] if len(row) == 6 and row[5] in index and row[3] != NO_HARDWARE]
    return [(eui64(row[3]), index[row[5]]) for row in rows]


def eui64(hardware: str) -> str:
    octets = bytes.fromhex(hardware.replace(":", ""))
    return str(
        ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
    )


def _local_ipv4() -> list[str]:
    """A leaf of the kernel's routing trie stands before the routes to it: `|-- ADDRESS`, then `/32 host LOCAL`."""
    found, leaf = [], ""
    for row in _rows(ROUTES):
        if row[0] == "|--":
            leaf = row[1]
        elif row == ["/32", "host", "LOCAL"]:
            found.append(leaf)
    return found


def _ipv6(digits: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _rows(path: Path) -> list[list[str]]:
    """A kernel without the protocol has no such file."""
    try:
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    return [row for line in lines if (row := line.split())]
