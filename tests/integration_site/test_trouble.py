"""A site whose hub is in trouble says how it stands, whatever the hub answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.integration_site.conftest import NAMESPACE, Site, enrol, eventually, free_port
from tests.integration_site.test_site import condition, enrolled


@asynccontextmanager
async def nonsense() -> AsyncIterator[str]:
    """Somebody who answers everything with 200 and an object that is none of what was asked for."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": 7}, "status": []})

    application = web.Application()
    application.router.add_route("*", "/{anything:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def connected(site: Site) -> tuple[str, str]:
    found = condition(site.api.get("Site", "site", NAMESPACE), "HubConnected")
    return found["status"], found["reason"]


async def test_a_hub_that_answers_nonsense_does_not_silence_the_site(site: Site) -> None:
    await enrolled(site)
    try:
        enrol(site.api, f"https://127.0.0.1:{free_port()}", site.ca)
        await eventually("the hub is away", lambda: connected(site) == ("False", "HubUnreachable"), 60)
        async with nonsense() as url:
            enrol(site.api, url, site.ca)
            await eventually("somebody answers", lambda: connected(site) == ("True", "Connected"), 60)
    finally:
        enrol(site.api, site.server, site.ca)
    await eventually("the hub is there again", lambda: connected(site) == ("True", "Connected"), 60)
    await enrolled(site)
