"""Makes the sockets of a client, and ends those that outlive it. Knows no store.

If a task is cancelled when its TLS handshake has just ended, asyncio closes the connection by an exchange of messages.
It waits up to 30 s for the other side. Nobody waits for this end, and aiohttp knows nothing of the connection.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from contextlib import suppress
from typing import Any

# Steps of the event loop, at most: a connection that was shut down takes two or three to close.
_STEPS = 10


class Sockets:
    """The sockets of one client."""

    def __init__(self) -> None:
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, address: tuple[Any, ...]) -> socket.socket:
        """Return a socket for an entry of socket.getaddrinfo. aiohttp calls it for each connection."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def end(self) -> None:
        """End what is still open after the client has closed what it knows."""
        for _ in range(_STEPS):
            left = [each for each in self._made if each.fileno() >= 0]
            if not left:
                return
            for each in left:
                # The transport sees the end of the connection, and closes its socket.
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(0)
