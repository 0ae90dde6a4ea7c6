"""A heartbeat: its Lease can be read, and a line that is cut is noticed."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation import client as simulated
from tests.simulation.apiserver import Server
from tests.simulation.virtual import VirtualLoop, play
from wardround.api import lease
from wardround.api.times import parse_time
from wardround.clock import system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.errors import ApiError, Unavailable
from wardround.kube.lease import heartbeat, renew


def test_a_lease_says_when_it_was_renewed_and_by_whom() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server("https://hub.example", loop.clock)
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "site-a"}})
        token = server.token("site", 1e6)
        client = simulated.Client(server, lambda: token, "site-a", lambda: 0.0)
        for _ in range(2):
            await renew(client, "site", "site-operator", 40, loop.clock)
            spec = lease.parse(await client.get("Lease", "site")).spec
            assert (spec.holder_identity, spec.lease_duration_seconds) == ("site-operator", 40)
            assert parse_time(spec.renew_time) == loop.clock()
            await asyncio.sleep(10)

    play(main)


async def test_a_server_that_takes_a_connection_and_never_answers_is_reported_as_away() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over, reports = asyncio.Event(), asyncio.Queue[ApiError | None]()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, Client(address, "", lambda: "token", "site-a", draw=system_draw) as client:
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
