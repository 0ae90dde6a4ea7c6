"""A client that ends leaves no socket open, also if a request was cancelled."""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from typing import Any

import pytest

from tests.players.store import Server
from wardround.store.sockets import Sockets


async def test_a_request_that_is_cancelled_as_its_handshake_ends_leaves_no_socket_open(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, make, made = SSLProtocol._on_handshake_complete, Sockets.make, []

    def cancelled(protocol: SSLProtocol, error: Any) -> None:
        complete(protocol, error)
        request.cancel()

    def noted(sockets: Sockets, address: Any) -> Any:
        made.append(make(sockets, address))
        return made[-1]

    monkeypatch.setattr(SSLProtocol, "_on_handshake_complete", cancelled)
    monkeypatch.setattr(Sockets, "make", noted)
    async with server.client() as client:
        request = asyncio.create_task(client.request("GET", f"{server.origin}/"))
        with pytest.raises(asyncio.CancelledError):
            await request
        assert [each.fileno() >= 0 for each in made] == [True]
    assert [each.fileno() for each in made] == [-1]
