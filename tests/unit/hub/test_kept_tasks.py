"""Which RoundTasks the hub operator knows without a request: never an older state, and never one that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from wardround.api import names
from wardround.api.meta import Meta
from wardround.clock import system_draw
from wardround.hub.round_tasks import RoundTasks
from wardround.kube.index import NamespacedName
from wardround.ports import Object

ROUND = Meta(name="train-1", namespace="breast-cancer", uid="1b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e78")
OTHER = Meta(name="train-2", namespace="breast-cancer", uid="2b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e78")


def served(loop: VirtualLoop, *hospitals: str) -> Server:
    server = Server("https://hub.example:6443", loop.clock)
    for hospital in hospitals:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": hospital}})
    return server


def at(hospital: str, attempt: int = 1, federated_round: Meta = ROUND) -> Place:
    return Place("RoundTask", hospital, f"{federated_round.name}-a{attempt}")


def made(server: Server, hospital: str, attempt: int = 1, federated_round: Meta = ROUND) -> Object:
    meta = {"name": at(hospital, attempt, federated_round).name, "namespace": hospital}
    reference = {"namespace": federated_round.namespace, "name": federated_round.name, "uid": federated_round.uid}
    spec = {"attempt": attempt, "assignment": f"of {hospital}, {attempt}", "hubKey": "key", "grants": "sealed"}
    return server.create(
        {
            "apiVersion": "wardround.io/v1alpha1",
            "kind": "RoundTask",
            "metadata": {**meta, "labels": {names.ROUND_UID: federated_round.uid}},
            "spec": {"roundRef": reference, **spec},
        }
    )


class Watched:
    """The memory of a hub operator whose watch runs."""

    def __init__(self, server: Server, make: type[Client] = Client) -> None:
        token = server.token("hub:operator", 3600)
        self.client = make(server, lambda: token, "hub", lambda: 0.01)
        self.tasks = RoundTasks(self.client, draw=system_draw)
        self.changes: list[str] = []

    async def __aenter__(self) -> RoundTasks:
        self._running = asyncio.create_task(
            self.tasks.run(lambda _, item: self.changes.append(item["metadata"]["namespace"]))
        )
        await asyncio.sleep(1)
        assert self.tasks.missing == ""
        return self.tasks

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()


def hospitals(tasks: RoundTasks, federated_round: Meta = ROUND) -> list[str] | None:
    known = tasks.known(federated_round)
    return None if known is None else [each.metadata.namespace for each in known]


def test_a_round_is_known_from_its_first_look_until_it_is_forgotten() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b")
        made(server, "site-a")
        watched = Watched(server)
        async with watched as tasks:
            assert tasks.known(ROUND) is None
            assert [each.metadata.namespace for each in await tasks.follow(ROUND)] == ["site-a"]
            made(server, "site-b")
            made(server, "site-b", federated_round=OTHER)
            await asyncio.sleep(1)
            assert hospitals(tasks) == ["site-a", "site-b"]
            server.remove(at("site-a"))
            await asyncio.sleep(1)
            assert hospitals(tasks) == ["site-b"]
            assert watched.changes == ["site-a", "site-b", "site-b", "site-a"]
            tasks.forget(NamespacedName(ROUND.namespace, ROUND.name))
            assert tasks.known(ROUND) is None

    play(main)


def test_a_namesake_of_a_round_has_no_task_of_the_other_one() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a")
        made(server, "site-a")
        async with Watched(server) as tasks:
            await tasks.follow(ROUND)
            namesake = Meta(name=ROUND.name, namespace=ROUND.namespace, uid=OTHER.uid)
            assert tasks.known(namesake) is None
            assert await tasks.follow(namesake) == ()
            assert tasks.known(ROUND) is None

    play(main)


class Eventful(Client):
    """Something happens around a list of RoundTasks."""

    async def before_answer(self) -> None:
        """When the API server has made the list, and it has not arrived."""

    async def before_end(self, tasks: int) -> None:
        """When the last one has arrived, and the list has not ended."""

    async def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        items = await self.list(kind, namespace, everywhere=everywhere, labels=labels)
        await self.before_answer()
        for item in items:
            yield item
        await self.before_end(len(items))


class Late(Eventful):
    """The answer to a list arrives after the events of what happened meanwhile."""

    async def before_answer(self) -> None:
        self.at.remove(at("site-a", 2))
        self.at.change(at("site-b"), {"status": {"observedGeneration": 1}}, subresource="status")
        made(self.at, "site-c")
        await asyncio.sleep(1)


def test_events_that_arrive_before_an_older_list_count() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b", "site-c")
        for hospital in ("site-a", "site-b"):
            made(server, hospital)
        made(server, "site-a", 2)
        async with Watched(server, Late) as tasks:
            await tasks.follow(ROUND)
            known = tasks.known(ROUND)
            assert known is not None
            seen = [(each.metadata.namespace, each.spec.attempt, each.status.observed_generation) for each in known]
            assert seen == [("site-a", 1, None), ("site-b", 1, 1), ("site-c", 1, None)]

    play(main)


class Paged(Eventful):
    """Somebody deletes the task of the first hospital before the last page of the list arrives."""

    async def before_end(self, tasks: int) -> None:
        if tasks > 1:
            self.at.remove(at("site-a"))
            await asyncio.sleep(1)


def test_an_assignment_is_known_although_its_task_is_deleted_while_the_tasks_are_listed() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b")
        for hospital in ("site-a", "site-b"):
            made(server, hospital)
        async with Watched(server, Paged) as tasks:
            for seen in (await tasks.follow(ROUND), tasks.known(ROUND)):
                assert seen is not None
                assert [each.spec.assignment for each in seen] == ["of site-b, 1"]

    play(main)


def test_the_answer_to_a_write_does_not_bring_back_a_task_whose_deletion_came_first() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b")
        made(server, "site-a")
        late = made(server, "site-b")
        async with Watched(server) as tasks:
            await tasks.follow(ROUND)
            server.remove(at("site-b"))
            await asyncio.sleep(1)
            tasks.put(late)
            assert hospitals(tasks) == ["site-a"]

    play(main)


class Broken(Client):
    """Its first watch of RoundTasks ends when `broken` is set, and the next one begins with a list."""

    broken: asyncio.Event

    async def watch(
        self, kind: str, namespace: str | None = None, **selected: Any
    ) -> AsyncIterator[tuple[str, Object]]:
        async for event, item in super().watch(kind, namespace, **selected):
            yield event, item
            if event == "LISTED":
                break
        await self.broken.wait()
        async for event, item in super().watch(kind, namespace, **selected):
            yield event, item


def cut_off(loop: VirtualLoop) -> tuple[Server, Watched, asyncio.Event]:
    """A server with a task for each of two hospitals, a memory without events, and what makes its watch begin anew."""
    server, broken = served(loop, "site-a", "site-b"), asyncio.Event()
    for hospital in ("site-a", "site-b"):
        made(server, hospital)
    watched = Watched(server, Broken)
    assert isinstance(watched.client, Broken)
    watched.client.broken = broken
    return server, watched, broken


def test_after_a_watch_that_begins_anew_nothing_is_known() -> None:
    async def main(loop: VirtualLoop) -> None:
        server, watched, broken = cut_off(loop)
        async with watched as tasks:
            await tasks.follow(ROUND)
            server.remove(at("site-b"))
            await asyncio.sleep(1)
            assert hospitals(tasks) == ["site-a", "site-b"], "no event has said so"
            broken.set()
            await asyncio.sleep(1)
            assert hospitals(tasks) is None
            await tasks.follow(ROUND)
            assert hospitals(tasks) == ["site-a"]

    play(main)


def test_one_task_is_asked_for_and_what_is_not_there_is_dropped() -> None:
    async def main(loop: VirtualLoop) -> None:
        server, watched, _ = cut_off(loop)
        async with watched as tasks:
            await tasks.follow(ROUND)
            server.change(at("site-a"), {"status": {"observedGeneration": 1}}, subresource="status")
            server.remove(at("site-b"))
            for hospital in ("site-a", "site-b"):
                await tasks.refresh(ROUND, NamespacedName(hospital, at(hospital).name))
            known = tasks.known(ROUND)
            assert known is not None
            [task] = known
            assert (task.metadata.namespace, task.status.observed_generation) == ("site-a", 1)

    play(main)


def test_a_task_that_cannot_be_read_concerns_its_round_alone() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a")
        broken = made(server, "site-a")
        made(server, "site-a", federated_round=OTHER)
        async with Watched(server) as tasks:
            await tasks.follow(ROUND)
            await tasks.follow(OTHER)
            tasks.put({**broken, "status": {"conditions": "none of the kind"}})
            assert (hospitals(tasks), hospitals(tasks, OTHER)) == (None, ["site-a"])

    play(main)


def test_of_the_assignments_only_that_of_the_newest_first_attempt_is_kept() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = served(loop, "site-a", "site-b", "site-c")
        async with Watched(server) as tasks:
            await tasks.follow(ROUND)
            for hospital, attempt in (("site-a", 1), ("site-c", 1), ("site-b", 1), ("site-a", 2)):
                made(server, hospital, attempt)
                await asyncio.sleep(2)
            server.change(at("site-c"), {"status": {"observedGeneration": 1}}, subresource="status")
            await asyncio.sleep(1)
            for kept in (tasks.known(ROUND), await tasks.read(ROUND)):
                assert kept is not None
                assert [each.spec.assignment for each in kept] == ["", "", "of site-b, 1", ""]
                assert not any(each.spec.grants for each in kept)
            server.remove(at("site-b"))
            await asyncio.sleep(1)
            assert tasks.known(ROUND) is None, "another assignment counts now, so the tasks are listed again"
            assert [each.spec.assignment for each in await tasks.follow(ROUND)] == ["", "", "of site-c, 1"]

    play(main)
