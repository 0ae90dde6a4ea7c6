"""A site in full against a real API server and a real store; the hub's part is played by the tests.

The installed charts bound what the site may do: its processes run with their own accounts' tokens.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.apiserver import Api
from tests.integration.api.objects import OURS
from tests.integration.cluster import authority, free_port, token
from tests.integration.site.hub import Hub
from tests.players.store import Server
from tests.worlds.site import HUB_DER
from wardround.clock import system_draw
from wardround.courier import main as courier
from wardround.courier.settings import Pins, Settings
from wardround.kube.client import Client
from wardround.sealing.keys import hub_fingerprint
from wardround.site.operator import real_operator
from wardround.wire.versions import LATEST

NAMESPACE, PARTICIPANT = "hospital-a", "site-a"
# The user of the tests' own kubeconfig.
PERSON = "admin"
Object = dict[str, Any]


def pytest_configure(config: pytest.Config) -> None:
    # A Kopf operator's thread leaves its last connections to the end of its process.
    config.addinivalue_line("filterwarnings", "ignore:unclosed:ResourceWarning")
    config.addinivalue_line("markers", "own_courier: the test runs the courier itself")


@dataclass
class Site:
    """A running site operator and courier, and the administrator's view of their cluster."""

    api: Api
    hub: Hub
    workspace: Path
    settings: Settings
    ca: str
    server: str
    restart: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]

    def task(self, name: str) -> Object:
        return self.api.get("SiteTask", name, NAMESPACE)

    def folder(self, name: str) -> Path:
        return self.workspace / "tasks" / str(self.task(name)["metadata"]["uid"])


async def eventually(expectation: str, holds: Callable[[], Any], seconds: float = 180.0) -> Any:
    """What `holds` returns, once it is true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := await asyncio.to_thread(holds)):
        assert asyncio.get_running_loop().time() < deadline, f"not in {seconds} s: {expectation}"
        await asyncio.sleep(0.05)
    return value


@pytest_asyncio.fixture
async def site(request: pytest.FixtureRequest, api: Api, server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    """With the mark `own_courier` the test runs the courier itself."""
    url, ca = api._host, authority(api)
    delete_tasks(api)
    enrol(api, url, ca)
    api.patch("Site", "site", {"spec": {"hub": {"fingerprint": hub_fingerprint(HUB_DER)}}}, NAMESPACE)
    settings = Settings(
        Pins(hub_fingerprint(HUB_DER), server.origin, server.ca, "", "Policy", LATEST),
        tmp_path / "workspace",
        tmp_path / "models",
    )
    for claim in ("workspace", "models"):
        (tmp_path / claim).mkdir()

    def client(account: str) -> Client:
        secret = token(api, NAMESPACE, account)
        return Client(url, ca, lambda: secret, NAMESPACE, draw=system_draw)

    own = client("site-operator")
    running = [asyncio.create_task(real_operator(own, OURS, heartbeat_seconds=0.5).run())]
    if request.node.get_closest_marker("own_courier") is None:
        running.append(asyncio.create_task(courier.run(settings, client("courier"), free_port())))

    async def stop() -> None:
        """Of the site operator. The test then does what an attacker who controls the site operator can do."""
        await _stop(running[0])

    async def restart() -> None:
        """Of the site operator: what it had in memory is gone."""
        await stop()
        running[0] = asyncio.create_task(real_operator(own, OURS, heartbeat_seconds=0.5).run())

    hub = Hub(api, server)
    await hub.open()
    try:
        yield Site(api, hub, settings.workspace, settings, ca, url, restart, stop)
    finally:
        await hub.close()
        for task in running:
            await _stop(task)
        await own.close()
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections in the background


def delete_tasks(api: Api) -> None:
    """Earlier tests leave unfinished tasks, which hold the Site's one place. No garbage collector runs here."""
    ours = "/apis/wardround.io/v1alpha1/namespaces"
    jobs = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    for path in (f"{ours}/{PARTICIPANT}/roundtasks", f"{ours}/{NAMESPACE}/sitetasks", jobs):
        api.call("DELETE", path)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def enrol(api: Api, url: str, ca: str) -> None:
    """What a person does with the output of `enrol --bootstrap`. A connected site reads it when its Site changes."""
    values = {"server": url, "ca.crt": ca, "token": token(api, PARTICIPANT, "site"), "namespace": PARTICIPANT}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hub-credentials", "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
    api.apply(secret)
    look = {"metadata": {"annotations": {"tests.wardround.io/look": str(time.time_ns())}}}
    api.patch("Site", "site", look, NAMESPACE)
