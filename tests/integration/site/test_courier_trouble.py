"""A courier whose store or API server is in trouble: one task's trouble is not another's, and no blip is an end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.certificates import certificates
from tests.integration.cluster import free_port, token
from tests.integration.site.between import Answer, between
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import HUB_OPERATOR, Hub
from tests.integration.site.play import condition, enrolled, job_of, leave_update
from tests.players.store import Server
from wardround.clock import system_draw
from wardround.courier import main as courier
from wardround.courier.settings import Settings
from wardround.kube.client import Client
from wardround.plans.courier import turns
from wardround.presign import Credentials, Presigner
from wardround.wire import digests

MODEL = bytes(3 << 20)
COURIER = f"system:serviceaccount:{NAMESPACE}:courier"


@asynccontextmanager
async def running(site: Site, settings: Settings, server: str = "") -> AsyncIterator[asyncio.Task[None]]:
    secret = token(site.api, NAMESPACE, "courier")
    client = Client(server or site.server, site.ca, lambda: secret, NAMESPACE, draw=system_draw)
    task = asyncio.create_task(courier.run(settings, client, free_port()))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)  # aiohttp closes TLS connections in the background


class StoreFront:
    """The real store, behind an address and a certificate of the test's own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.port = free_port()
        origin = f"https://127.0.0.1:{self.port}"
        presigner = Presigner(origin, "wardround", "us-east-1", Credentials("test-access", "test-secret"))
        self.ca = self.issue(folder)
        self.folder = folder
        self.seen = dataclasses.replace(server, origin=origin, ca=self.ca, presigner=presigner)

    @staticmethod
    def issue(folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        return certificates(folder)

    def tls(self, folder: Path | None = None) -> Callable[[], ssl.SSLContext]:
        def load() -> ssl.SSLContext:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain((folder or self.folder) / "tls.crt", (folder or self.folder) / "tls.key")
            return context

        return load

    def settings(self, site: Site) -> Settings:
        pins = dataclasses.replace(site.settings.pins, store_origin=self.seen.origin, store_ca=self.ca)
        return dataclasses.replace(site.settings, pins=pins)


@pytest.fixture
def store(server: Server, tmp_path: Path) -> StoreFront:
    return StoreFront(server, tmp_path / "certificate")


def waits(site: Site, name: str) -> Any:
    """The reason that the RoundTask shows for its wait."""
    return condition(site.api.get("RoundTask", name, PARTICIPANT), "Reconciling")["reason"]


@asynccontextmanager
async def hub_at(site: Site, store: StoreFront) -> AsyncIterator[Hub]:
    hub = Hub(site.api, store.seen)
    await hub.open()
    try:
        yield hub
    finally:
        await hub.close()


async def ready(site: Site) -> None:
    await enrolled(site)
    site.api.patch("Site", "site", {"spec": {"workload": {"maxConcurrentTasks": 64}}}, NAMESPACE)


@pytest.mark.own_courier
async def test_a_slow_task_delays_no_other_and_ends_when_the_hub_cancels_it(
    site: Site, server: Server, store: StoreFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SLICE_SECONDS", 1.0)
    async with (
        between(server.origin, server.ca, store.port, store.tls()) as proxy,
        running(site, store.settings(site)),
        hub_at(site, store) as hub,
    ):
        await ready(site)
        slow, quick = [await hub.seal_model(MODEL) for _ in "ab"]

        def slowly(request: web.Request) -> Answer | None:
            return proxy.dribble if f"{slow.manifest.location}/part" in request.raw_path else None

        proxy.instead = slowly
        first = hub.ask(slow)["metadata"]["name"]
        await eventually("the store dribbles", lambda: proxy.dribbling)
        folder = site.folder(first)
        second = hub.ask(quick)["metadata"]["name"]
        await eventually("the other task has its Job", lambda: job_of(site, second))
        assert condition(site.task(first), "InputReady")["status"] == "Unknown"
        assert condition(site.task(first), "Failed")["status"] == "Unknown"

        await eventually("the slow task is at it again", lambda: proxy.dribbling)
        site.api.patch("RoundTask", first, {"spec": {"cancel": True}}, PARTICIPANT, user=HUB_OPERATOR)
        await eventually("nobody listens to the store", lambda: not proxy.dribbling)
        await eventually("its folder is gone", lambda: not folder.exists())


@pytest.mark.own_courier
async def test_a_task_waits_while_the_store_has_an_untrusted_certificate(
    site: Site, server: Server, store: StoreFront, tmp_path: Path
) -> None:
    strangers = tmp_path / "stranger"
    store.issue(strangers)
    async with running(site, store.settings(site)):
        await ready(site)
        async with between(server.origin, server.ca, store.port, store.tls()), hub_at(site, store) as hub:
            model = await hub.seal_model(MODEL)
        async with between(server.origin, server.ca, store.port, store.tls(strangers)):
            name = hub.ask(model)["metadata"]["name"]
            await eventually("both sides say why it waits", lambda: waits(site, name) == "StoreUntrusted")
        async with between(server.origin, server.ca, store.port, store.tls()):
            await eventually("the task goes on", lambda: job_of(site, name))
    assert condition(site.task(name), "Failed")["status"] == "Unknown"


@pytest.mark.own_courier
async def test_a_courier_survives_faults_of_its_api_server(site: Site) -> None:
    """Also at the moments that once ended it: after its list of tasks, and when it publishes its keys."""
    async with running(site, site.settings):
        await ready(site)
        name = site.hub.ask(await site.hub.seal_model(MODEL))["metadata"]["name"]
        await eventually("the task has its Job", lambda: job_of(site, name))
    site.api.patch_status("Site", "site", {"courier": None}, NAMESPACE, user=COURIER)
    refused: list[str] = []

    async def fault(request: web.Request) -> web.StreamResponse:
        refused.append(f"{request.method} {request.path}")
        return web.Response(status=503, text="no upstream")

    def once(request: web.Request) -> Answer | None:
        """The first request of each kind fails."""
        return None if f"{request.method} {request.path}" in refused else fault

    leave_update(site, name, MODEL, digests.digest(MODEL))
    async with between(site.server, site.ca, port := free_port()) as proxy:
        proxy.instead = once
        async with running(site, site.settings, f"http://127.0.0.1:{port}") as task:
            await eventually(
                "the keys are published", lambda: site.api.get("Site", "site", NAMESPACE)["status"].get("courier")
            )
            await eventually("the update is sealed", lambda: site.task(name)["status"]["courier"].get("upload"))
            assert not task.done()
    path = f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}"
    assert {f"GET {path}/sitetasks/{name}", f"PATCH {path}/sites/site/status"} <= set(refused)
