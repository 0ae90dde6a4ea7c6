"""An index knows what its watch tells, what was deleted while no watch was open, and never an older object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tests.simulation.apiserver import Place as At
from tests.simulation.apiserver import Server
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from wardround.api import participant
from wardround.api.participant import Participant
from wardround.clock import system_draw
from wardround.kube.index import Index, NamespacedName
from wardround.ports import Object


class Cut(Client):
    """Its watch is cut after the first list: it says nothing until `healed`, and then begins anew with a list."""

    healed: asyncio.Event

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        async for event, item in super().watch(kind, namespace, everywhere=everywhere, labels=labels, fields=fields):
            yield event, item
            if event == "LISTED":
                break
        await self.healed.wait()
        async for event, item in super().watch(kind, namespace, everywhere=everywhere, labels=labels, fields=fields):
            yield event, item


def served(loop: VirtualLoop, *names: str) -> Server:
    server = Server("https://hub.example:6443", loop.clock)
    for name in names:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        metadata = {"name": name, "namespace": name}
        server.create({"apiVersion": "wardround.io/v1alpha1", "kind": "Participant", "metadata": metadata, "spec": {}})
    return server


def account(server: Server, make: type[Client] = Client) -> Client:
    token = server.token("hub:operator", 3600)
    return make(server, lambda: token, "hub", lambda: 0.01)


def suspended(index_objects: object) -> dict[str, bool]:
    assert isinstance(index_objects, dict)
    return {place.name: each.spec.suspend for place, each in index_objects.items()}


def test_an_object_that_was_deleted_while_no_watch_was_open_is_dropped_and_reported() -> None:
    async def main(loop: VirtualLoop) -> None:
        server, changes = served(loop, "site-a", "site-b"), list[str]()
        client = account(server, Cut)
        assert isinstance(client, Cut)
        client.healed = asyncio.Event()
        index: Index[Participant] = Index(client, "Participant", participant.parse, draw=system_draw)
        running = asyncio.create_task(index.run(lambda _, item: changes.append(item["metadata"]["name"])))
        assert suspended(await index.objects()) == {"site-a": False, "site-b": False}
        server.remove(At("Participant", "site-b", "site-b"))
        changes.clear()
        client.healed.set()
        await asyncio.sleep(5)
        assert suspended(await index.objects()) == {"site-a": False}
        assert changes == ["site-a", "site-b"]
        running.cancel()

    play(main)


def test_a_further_list_drops_what_was_deleted_without_another_request() -> None:
    """And keeps what the API server has answered while the list was read."""

    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b", "site-c")
        index: Index[Participant] = Index(account(server), "Participant", participant.parse, draw=system_draw)
        items = {name: server.read(At("Participant", name, name)) for name in ("site-a", "site-b", "site-c")}
        changes = list[str]()

        def take(event: str, item: Object) -> None:
            index._take(event, item, lambda _, changed: changes.append(changed["metadata"]["name"]))

        take("LISTING", {})
        for name in ("site-a", "site-b"):
            take("ADDED", items[name])
        take("LISTED", {})
        # A list breaks off, and begins anew. site-c was made meanwhile, and the hub has just written it.
        take("LISTING", {})
        take("ADDED", items["site-b"])
        take("LISTING", {})
        take("ADDED", items["site-a"])
        index.put(items["site-c"])
        changes.clear()
        take("LISTED", {})
        assert suspended(await index.objects()) == {"site-a": False, "site-c": False}
        assert changes == ["site-b"]

    play(main)


def test_the_newer_of_two_answers_counts_in_whatever_order_they_come() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a")
        place = At("Participant", "site-a", "site-a")
        old = server.read(place)
        new = server.change(place, {"spec": {"suspend": True}})
        index: Index[Participant] = Index(account(server), "Participant", participant.parse, draw=system_draw)
        running = asyncio.create_task(index.run(lambda *_: None))
        await index.objects()
        for item in (new, old):
            index.put(item)
        assert suspended(await index.objects()) == {"site-a": True}
        running.cancel()

    play(main)


def test_one_object_is_asked_for_and_what_is_not_there_is_dropped() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b")
        client = account(server, Cut)
        assert isinstance(client, Cut)
        client.healed = asyncio.Event()
        index: Index[Participant] = Index(client, "Participant", participant.parse, draw=system_draw)
        running = asyncio.create_task(index.run(lambda *_: None))
        await index.objects()
        server.change(At("Participant", "site-a", "site-a"), {"spec": {"suspend": True}})
        server.remove(At("Participant", "site-b", "site-b"))
        await asyncio.sleep(5)
        assert suspended(await index.objects()) == {"site-a": False, "site-b": False}, "the watch is cut"
        for name in ("site-a", "site-b"):
            await index.refresh(NamespacedName(name, name))
        assert suspended(await index.objects()) == {"site-a": True}
        running.cancel()

    play(main)


def test_before_the_first_list_it_answers_nothing() -> None:
    """Else a round would take each hospital for unknown when the operator starts."""

    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a")
        index: Index[Participant] = Index(account(server), "Participant", participant.parse, draw=system_draw)
        reading = asyncio.create_task(index.objects())
        await asyncio.sleep(5)
        assert not reading.done()
        assert index.missing == "the first list of Participant at https://hub.example:6443"
        running = asyncio.create_task(index.run(lambda *_: None))
        assert suspended(await reading) == {"site-a": False}
        assert index.missing == ""
        running.cancel()

    play(main)
