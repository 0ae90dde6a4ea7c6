"""Takes the positive control of the isolation gate: looks addresses up, and probes. plans/sitetask/control decides."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from wardround.network import addresses
from wardround.network.probe import ProbeTarget
from wardround.network.probe import probe as ask
from wardround.plans.sitetask import control as plans
from wardround.plans.sitetask.control import Endpoint, Surroundings
from wardround.plans.sitetask.types import Control
from wardround.wire.isolation import IsolationTarget

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
        now, last = asyncio.get_running_loop().time(), self._last
        if last is None or not plans.is_fresh(last, now - self._at):
            # Names are looked up there too: a name server that does not answer takes half a minute.
            last = await asyncio.to_thread(lambda: probe(plans.targets(surroundings(hub, store, node, own))))
            self._last, self._at = last, now
        return last


def surroundings(hub: str, store: str, node: Sequence[str], own: Sequence[str]) -> Surroundings:
    """The addresses around a training pod. Names that do not resolve now have none."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), int(os.environ.get("KUBERNETES_SERVICE_PORT", 443))
    return Surroundings(
        hub=_resolved(hub),
        store=_resolved(store),
        kubernetes_api=Endpoint((host,) if host else (), port),
        node=node,
        own=(*own, *addresses.own_link_local()),
        resolvers=resolvers(Path("/etc/resolv.conf")),
    )


def probe(closed: tuple[IsolationTarget, ...]) -> Control:
    """Probes the targets that prove something, with the very probe that the pod uses."""
    asked = [ProbeTarget(each.name, each.host, each.port, each.protocol) for each in plans.proving(closed)]
    answers = ask(asked, PROBE_SECONDS)
    return plans.control(closed, answered=bool(answers.open), slowest_seconds=answers.slowest_seconds)


def resolvers(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except OSError:
        return []
    return re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)


def _resolved(url: str) -> Endpoint:
    parts = urlsplit(url)
    if not parts.hostname:
        return Endpoint()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        resolved = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return Endpoint()
    return Endpoint(sorted({str(address[4][0]) for address in resolved}), port)
