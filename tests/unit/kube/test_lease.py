"""A heartbeat whose line is cut: nobody refuses it, and nobody answers either."""

from __future__ import annotations

import asyncio

import pytest

from wardround.clock import system_clock
from wardround.kube.client import Client
from wardround.kube.errors import ApiError, Unavailable
from wardround.kube.lease import heartbeat


async def test_a_server_that_takes_a_connection_and_never_answers_is_reported_as_away() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over, reports = asyncio.Event(), asyncio.Queue[ApiError | None]()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, Client(address, "", lambda: "token", "site-a") as client:
        beat = asyncio.create_task(
            heartbeat(client, "site", "me", reports.put_nowait, system_clock, seconds=60, patience=0.1)
        )
        failure = await asyncio.wait_for(reports.get(), timeout=60)
        beat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beat
        over.set()
    assert isinstance(failure, Unavailable)
    assert f"{address}: no answer within 0.1 s" in str(failure)
