"""What the site operator asks its API server for does not grow with the tasks that are over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import pytest

from tests.players.hub import DATASET
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.virtual import START, VirtualLoop, play
from tests.worlds.site import FINGERPRINT, HUB_DER, IMAGE, SCHEMA, condition, ready, signed
from wardround.api.names import ROLE, ROLE_TRAINING
from wardround.clock import system_draw
from wardround.kube.errors import Unavailable
from wardround.kube.events import Reporter
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.types import Control
from wardround.ports import Object, Objects
from wardround.sealing.keys import hub_fingerprint
from wardround.site.context import TaskContext
from wardround.site.held import RELOAD_SECONDS, HeldTasks
from wardround.site.link import HubLink, connect
from wardround.site.reconcile import TaskReconciler
from wardround.site.site_object import SiteReconciler
from wardround.wire.canonical import encode

HERE = "hospital-a"
V1 = "wardround.io/v1alpha1"


class Counted(Client):
    """Counts the objects that it reads. `each` reads by `list`."""

    objects = 0
    breaks_off = False

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        self.objects += 1
        return await super().get(kind, name, namespace)

    async def list(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> Objects:
        items = await super().list(kind, namespace, everywhere=everywhere, labels=labels, fields=fields)
        self.objects += len(items)
        return items

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        written = await super().apply_status(observed, before, after)
        if self.breaks_off:
            raise Unavailable("patch", "the connection broke off")
        return written


class NoProbe:
    async def take(self, **_: object) -> Control:
        return Control((), proven=False, seconds=1.0)


class World:
    """A site operator's reconcilers in front of an API server in memory; the hub is away."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.server = Server("https://site.example", loop.clock)
        token = self.server.token("site-operator", 1e6)
        self.own = Counted(self.server, lambda: token, HERE, lambda: 0.001)
        self.full: list[int] = []
        self.held = HeldTasks(self.own, lambda: self.full.append(1))
        link = HubLink(self.own, lambda: None, partial(connect, draw=system_draw))
        reporter = Reporter(self.own, "x/y", "test", loop.clock)
        context = TaskContext(
            own=self.own,
            reporter=reporter,
            link=link,
            held=self.held,
            controls=NoProbe(),
            operator_image="registry.example/operator@sha256:" + "a" * 64,
            participant=lambda: None,
            wake=lambda _: None,
            clock=loop.clock,
        )
        self.tasks = TaskReconciler(context)
        self.site = SiteReconciler(
            self.own, reporter, link, self.held, wake_task=_nothing, hub_changed=lambda: None, clock=loop.clock
        )
        self.server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HERE}})
        hub = {"participantNamespace": "site-a", "fingerprint": hub_fingerprint(HUB_DER)}
        datasets = [{"name": "breast", "federations": ["breast-cancer"]}]
        policy = {"approval": "Policy", "images": [IMAGE], "datasets": datasets}
        spec = {"hub": hub, "store": {"origin": "https://store.example:443"}, "policy": policy, "workload": {}}
        self._create(V1, "Site", "site", spec=spec)
        identity = {"courier": {"fingerprint": FINGERPRINT}}
        self.server.change(Place("Site", HERE, "site"), {"status": identity}, subresource="status")
        self._create(V1, "Dataset", "breast", spec=DATASET)
        self._create(V1, "DataSchema", "breast-v1", spec=SCHEMA)

    def task(self, name: str, status: dict[str, Any], round_uid: str = "") -> None:
        """A SiteTask, of a round of its own if no other is named."""
        round_uid = round_uid or f"round-of-{name}"
        ref = {"namespace": "breast-cancer", "name": "train-1", "uid": round_uid}
        spec = {
            "roundRef": ref,
            "roundTaskUID": "round-task-uid",
            "attempt": 1,
            "assignment": signed(round_uid=round_uid),
            "hubKey": encode(HUB_DER),
        }
        self._create(V1, "SiteTask", name, spec=spec)
        self.server.change(Place("SiteTask", HERE, name), {"status": status}, subresource="status")

    def over(self, name: str) -> None:
        """A task that has failed, and its Job, which stays for its log."""
        self.task(name, ready(condition("Failed", reason="TrainerFailed")))
        self._create("batch/v1", "Job", name, spec={}, labels={ROLE: ROLE_TRAINING})
        failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}], "failed": 1}
        self.server.change(Place("Job", HERE, name), {"status": failed}, subresource="status")

    def _create(self, version: str, kind: str, name: str, *, labels: dict[str, str] | None = None, **more: Any) -> None:
        metadata = {"name": name, "namespace": HERE, "labels": labels or {}}
        self.server.create({"apiVersion": version, "kind": kind, "metadata": metadata, **more})


def _nothing(name: str, /, *, behind: bool = False) -> None:
    """Nobody looks at it here."""


def in_virtual_time(main: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    async def run(loop: VirtualLoop) -> Any:
        assert loop.clock() == START
        return await main(World(loop))

    return play(run)


def read_by_a_look(ended: int) -> dict[str, int]:
    """How many objects a reconcile reads while so many tasks have ended."""

    async def look(world: World) -> dict[str, int]:
        for number in range(ended):
            world.over(f"over-{number}")
        world.task("waits", ready())
        world.task("new", {})
        await world.site.reconcile()  # the first look of a process reads what there is
        counts = {}
        for name in ("waits", "over-0", "new"):
            world.own.objects = 0
            await world.tasks.reconcile(name)
            counts[name] = world.own.objects
        world.own.objects = 0
        await world.site.reconcile()
        return {**counts, "the Site": world.own.objects}

    counts: dict[str, int] = in_virtual_time(look)
    return counts


def test_a_reconcile_reads_no_more_objects_if_more_tasks_are_over() -> None:
    few, many = read_by_a_look(2), read_by_a_look(40)
    assert few == many
    assert max(many.values()) <= 8


def test_a_task_that_people_deleted_unseen_is_forgotten_in_time() -> None:
    async def play_it(world: World) -> None:
        world.over("over")
        assert await world.held.count() == 1
        world.server.remove(Place("SiteTask", HERE, "over"))
        assert await world.held.count() == 1
        await asyncio.sleep(RELOAD_SECONDS)
        assert await world.held.count() == 0

    in_virtual_time(play_it)


def test_a_task_that_is_looked_at_while_the_lists_are_read_stays_as_it_was_seen() -> None:
    async def play_it(world: World) -> None:
        world.over("over")
        reading = asyncio.create_task(world.held.count())
        await asyncio.sleep(0.0005)
        world.held.drop("over")
        assert await reading == 0

    in_virtual_time(play_it)


def test_the_site_hears_when_it_has_become_full_and_when_it_has_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST", 2)

    async def play_it(world: World) -> list[int]:
        counts = []
        for name in ("a", "b"):
            world.task(name, {})
            await world.tasks.reconcile(name)
            counts.append(len(world.full))
        world.server.remove(Place("SiteTask", HERE, "a"))
        await world.tasks.reconcile("a")
        return [*counts, len(world.full)]

    assert in_virtual_time(play_it) == [0, 1, 2]


def test_an_acceptance_that_was_written_though_its_write_failed_is_remembered() -> None:
    """Else the hub could have the site do the same attempt once more, under another name."""

    async def play_it(world: World) -> str:
        await world.held.count()
        world.task("a", {}, "round")
        world.own.breaks_off = True
        with pytest.raises(Unavailable):
            await world.tasks.reconcile("a")
        world.own.breaks_off = False
        world.task("b", {}, "round")
        await world.tasks.reconcile("b")
        failure: str = world.server.read(Place("SiteTask", HERE, "b"))["status"]["failure"]["reason"]
        return failure

    assert in_virtual_time(play_it) == "Replayed"
