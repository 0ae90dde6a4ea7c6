"""No request with a token is led elsewhere: neither by the client, nor by Kopf's watch, nor by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.clock import system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.errors import Unavailable
from wardround.kube.operator import Watcher

CODES = [301, 302, 303, 307, 308]


@dataclass
class Servers:
    """One that sends every request elsewhere, to the other one or to another path of its own."""

    address: str = ""
    led: list[str] = field(default_factory=list)


@asynccontextmanager
async def redirecting(code: int, *, to_itself: bool) -> AsyncIterator[Servers]:
    servers = Servers()
    addresses: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path.startswith("/elsewhere"):
            servers.led.append(f"{request.path} {request.headers.get('Authorization', '')}")
            return web.json_response({})
        where = addresses[0 if to_itself else 1]
        return web.Response(status=code, headers={"Location": f"{where}/elsewhere{request.path}"})

    runners = []
    for _ in range(2):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        addresses.append(site.name)
        runners.append(runner)
    servers.address = addresses[0]
    try:
        yield servers
    finally:
        for runner in runners:
            await runner.cleanup()


async def test_kopf_is_led_nowhere() -> None:
    """All at once: Kopf takes seconds to end."""
    await asyncio.gather(*(_kopf(code, to_itself=to_itself) for code in (302, 308) for to_itself in (True, False)))


async def _kopf(code: int, *, to_itself: bool) -> None:
    async with redirecting(code, to_itself=to_itself) as servers:
        async with Client(servers.address, "", lambda: "token", "site-a", draw=system_draw) as client:
            watcher = Watcher(
                client, ("RoundTask",), lambda *_: None, namespaces=("site-a",), clock=system_clock, draw=system_draw
            )
            with pytest.raises(Exception, match=f"answers {code}, a redirect. Wardround follows no redirect"):
                await watcher._follow(asyncio.get_running_loop())
        assert servers.led == []


@pytest.mark.parametrize("to_itself", [True, False])
@pytest.mark.parametrize("code", CODES)
async def test_the_client_is_led_nowhere(code: int, to_itself: bool) -> None:
    task = {"kind": "RoundTask", "metadata": {"name": "t", "uid": "u", "resourceVersion": "1"}}
    async with redirecting(code, to_itself=to_itself) as servers:
        async with Client(servers.address, "", lambda: "token", "site-a", draw=system_draw) as client:
            for call in (
                client.get("RoundTask", "t"),
                client.list("RoundTask"),
                client.create(task),
                client.replace(task),
                client.patch("RoundTask", "t", {}),
                client.apply_status(task, {}, {"a": 1}),
                client.delete("RoundTask", "t"),
                client.create_token("site", 600),
                anext(client._follow("RoundTask", "site-a", "1", "", "")),
            ):
                with pytest.raises(Unavailable):
                    await call
        assert servers.led == []


@pytest.mark.parametrize("to_itself", [True, False])
@pytest.mark.parametrize("code", CODES)
async def test_the_command_line_is_led_nowhere(code: int, to_itself: bool, tmp_path: Path) -> None:
    async with redirecting(code, to_itself=to_itself) as servers:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": servers.address}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(content))
        cluster = Cluster(str(kubeconfig))
        for call in (
            lambda: cluster.get("Participant", "site-a", "site-a"),
            lambda: cluster.list("RoundTask"),
            lambda: cluster.token("site", "site-a", 600),
            lambda: cluster.raw("/metrics"),
        ):
            with pytest.raises(CommandError, match=str(code)):
                await asyncio.to_thread(call)
        assert servers.led == []
