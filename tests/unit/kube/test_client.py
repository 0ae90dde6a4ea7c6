"""The client and answers that are none: whoever stands in front of an API server may say anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from wardround.kube.client import Client
from wardround.kube.errors import Unavailable
from wardround.kube.resources import RESOURCES


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[Client]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site.name
    try:
        async with Client(server, "", lambda: "token", "site-a") as client:
            yield client
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("body", [b"<html>log in", b"[]", b"\xff", b"[" * 100_000, b"{}", b'{"items": [1]}'])
async def test_an_answer_that_is_no_list_counts_as_no_answer(body: bytes) -> None:
    async with answering(body) as client:
        with pytest.raises(Unavailable):
            await client.list("RoundTask")


async def test_a_client_that_was_closed_reaches_nobody() -> None:
    """Whoever still beats with it, while the one to another hub takes its place, must not fall over that."""
    async with answering(b"{}") as client:
        await client.get("Lease", "site")
        await client.close()
        with pytest.raises(Unavailable):
            await client.get("Lease", "site")


def test_a_name_that_somebody_typed_leads_nowhere_else() -> None:
    path = RESOURCES["SiteTask"].path("../nodes", "a/../../secrets/b?x", "status")
    assert path == "/apis/wardround.io/v1alpha1/namespaces/..%2Fnodes/sitetasks/a%2F..%2F..%2Fsecrets%2Fb%3Fx/status"
