"""A further kind costs a class and a line: the operator watches it, and works on its keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import pytest

from tests.simulation.apiserver import Place
from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from wardround.clock import Draw, system_draw
from wardround.hub.context import Context
from wardround.hub.operator import controllers
from wardround.kube.controller import Controller, Key, Manager, Source, Wake
from wardround.kube.queue import WorkQueue
from wardround.ports import Object


class Toy:
    """Copies each ConfigMap's `from` to its `to`."""

    kind = "ConfigMap"
    sources: Mapping[str, Source] = {"ConfigMap": Source.OWN}

    def __init__(self, hub: Context) -> None:
        self._client = hub.client

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])),)

    async def reconcile(self, key: Key) -> None:
        item = await self._client.get(key.kind, key.name, key.namespace)
        if "from" in item["data"]:
            await self._client.patch(key.kind, key.name, {"data": {"to": item["data"]["from"]}}, key.namespace)

    async def run(self) -> None: ...


def with_toy(hub: Context, queue: WorkQueue[Key], draw: Draw) -> Sequence[Controller]:
    return (*controllers(hub, queue, draw), Toy(hub))


def test_a_kind_is_added_to_an_operator_by_one_class_and_one_line() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop, controllers=with_toy)
        async with hub.running():
            metadata = {"name": "toy", "namespace": NAMESPACE}
            hub.server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"from": "a"}})
            await hub.settle()
            place = Place("ConfigMap", NAMESPACE, "toy")
            assert hub.server.read(place)["data"] == {"from": "a", "to": "a"}
            hub.server.change(place, {"data": {"from": "b"}})
            await hub.settle()
            assert hub.server.read(place)["data"] == {"from": "b", "to": "b"}

    play(main)


class Recorded:
    """Notes the keys that it is given. Pods concern the Job that they belong to."""

    def __init__(self, kind: str, sources: Mapping[str, Source]) -> None:
        self.kind = kind
        self.sources = sources
        self.reconciled: list[Key] = []

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(Key(self.kind, "here", item["metadata"]["name"]), behind=kind == "Pod"),)

    async def reconcile(self, key: Key) -> None:
        self.reconciled.append(key)

    async def run(self) -> None: ...


def test_each_event_goes_to_the_controllers_that_it_concerns_and_each_key_to_its_own() -> None:
    async def main(loop: VirtualLoop) -> None:
        jobs = Recorded("Job", {"Job": Source.OWN, "Pod": Source.OWN})
        secrets = Recorded("Secret", {"Secret": Source.HUB, "Pod": Source.OWN})
        manager = Manager((jobs, secrets), WorkQueue(draw=system_draw), workers=1)
        assert manager.kinds(Source.OWN) == ("Job", "Pod")
        assert manager.kinds(Source.HUB) == ("Secret",)
        manager.changed("Pod", {"metadata": {"name": "late"}})
        manager.changed("Job", {"metadata": {"name": "first"}})
        manager.changed("Lease", {"metadata": {"name": "of nobody"}})
        running = asyncio.create_task(manager.run())
        await asyncio.sleep(1)
        running.cancel()
        assert jobs.reconciled == [Key("Job", "here", "first"), Key("Job", "here", "late")]
        assert secrets.reconciled == [Key("Secret", "here", "late")]

    play(main)


def test_no_two_controllers_have_one_kind() -> None:
    with pytest.raises(ValueError, match="two controllers"):
        Manager((Recorded("Job", {}), Recorded("Job", {})), WorkQueue(draw=system_draw), workers=1)
