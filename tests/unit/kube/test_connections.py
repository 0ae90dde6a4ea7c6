"""What connections to an API server cost: how many a client opens, and the memory of each."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from asyncio import sslproto
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.certificates import certificates
from wardround.clock import system_draw
from wardround.kube import client as client_module
from wardround.kube.client import CALLS_AT_ONCE, Client
from wardround.kube.process import run_until_terminated

CALLS = 3 * CALLS_AT_ONCE
EMPTY = b'{"metadata": {"resourceVersion": "1"}, "items": []}'


@asynccontextmanager
async def serving(folder: Path, seconds: float = 0.05) -> AsyncIterator[tuple[Client, set[object]]]:
    """A client of a server behind TLS that answers in so many seconds, and the connections that the server has seen."""
    ca, seen = certificates(folder), set[object]()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.add(request.transport.get_extra_info("peername"))
        await asyncio.sleep(seconds)
        return web.Response(body=EMPTY)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        async with Client(site.name, ca, lambda: "token", "site-a", draw=system_draw) as client:
            yield client, seen
    finally:
        await runner.cleanup()


async def call_at_once(client: Client) -> None:
    await asyncio.gather(*(client.list("RoundTask") for _ in range(CALLS)))


async def test_many_calls_at_once_share_few_connections(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, seen):
        await call_at_once(client)
        assert 1 < len(seen) <= CALLS_AT_ONCE


async def test_a_call_that_waits_for_others_has_its_whole_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of 512 hospitals makes all its calls at once."""
    monkeypatch.setattr(client_module, "CALL_TIMEOUT", aiohttp.ClientTimeout(total=5, connect=5))
    async with serving(tmp_path, seconds=2.0) as (client, _):
        await call_at_once(client)


def test_a_process_gives_a_connection_a_small_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    bytes_each: list[float] = []

    async def work() -> None:
        async with serving(tmp_path) as (client, seen):
            tracemalloc.start()
            try:
                await call_at_once(client)
                taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, sslproto.__file__)])
            finally:
                tracemalloc.stop()
            # Both ends of each connection are in this process.
            bytes_each.append(sum(each.size for each in taken.traces) / (2 * len(seen)))

    run_until_terminated(work())
    [size] = bytes_each
    assert size < 100_000
