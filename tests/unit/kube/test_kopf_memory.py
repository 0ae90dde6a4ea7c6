"""What Kopf keeps of objects: nothing. A small server of its own sends it their events."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer
from kopf._core.reactor.inventory import ResourceMemory

from tests.integration.hub.hospital import until
from wardround.clock import system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.operator import Watcher
from wardround.ports import Object

GROUP, VERSION, NAMESPACE = "wardround.io", "v1alpha1", "site-a"
COUNT = 200


def task(number: int, version: int) -> Object:
    metadata = {
        "name": f"task-{number}",
        "namespace": NAMESPACE,
        "uid": f"uid-{number}",
        "resourceVersion": f"{version}",
    }
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "RoundTask", "metadata": metadata, "spec": {}}


def resource(kind: str) -> Object:
    """A kind as an API server lists it."""
    names = {"name": f"{kind.lower()}s", "kind": kind, "singularName": kind.lower()}
    return {**names, "namespaced": kind != "Namespace", "verbs": ["get", "list", "watch", "patch"]}


class ApiServer:
    """As much of an API server as Kopf asks for, with one kind. It sends the events of a queue to the one watch."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Object] = asyncio.Queue()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        preferred = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        known: dict[str, Object] = {
            "api": {"versions": ["v1"]},
            "api/v1": {"resources": [resource("Namespace")]},
            "apis": {"groups": [{"name": GROUP, "preferredVersion": preferred, "versions": [preferred]}]},
            f"apis/{GROUP}/{VERSION}": {"resources": [resource("RoundTask")]},
        }
        empty = {"kind": "RoundTaskList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"resourceVersion": "1"}}
        return web.json_response(known.get(request.match_info["path"], {**empty, "items": []}))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(json.dumps(await self.events.get()).encode() + b"\n")


@asynccontextmanager
async def watching(server: ApiServer, heard: list[Object]) -> AsyncIterator[None]:
    async with TestServer(server.application()) as running:
        client = Client(str(running.make_url("")), "", lambda: "token", NAMESPACE, draw=system_draw)
        watcher = Watcher(
            client,
            ("RoundTask",),
            lambda _, item: heard.append(item),
            namespaces=(NAMESPACE,),
            clock=system_clock,
            draw=system_draw,
        )
        following = asyncio.create_task(watcher.run())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await client.close()


def memories() -> int:
    gc.collect()
    return sum(isinstance(each, ResourceMemory) for each in gc.get_objects())


async def test_kopf_keeps_nothing_of_objects() -> None:
    server, heard = ApiServer(), list[Object]()

    async def heard_of(count: int) -> None:
        async def look() -> bool:
            return len(heard) >= count

        await until(look, f"{count} events", seconds=60)

    async with watching(server, heard):
        before = memories()
        for number in range(COUNT):
            server.events.put_nowait({"type": "ADDED", "object": task(number, 2 + number)})
        await heard_of(COUNT)
        assert memories() == before, "of objects that exist"
        for number in range(COUNT):
            server.events.put_nowait({"type": "DELETED", "object": task(number, 1000 + number)})
        await heard_of(2 * COUNT)
        assert memories() == before, "of objects that are deleted"
    assert all("deletionTimestamp" in each["metadata"] for each in heard[COUNT:])
