"""Deletions of rounds that no event shows, or that come while the hub operator keeps a result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.client import Client, Connect
from tests.simulation.hub import FEDERATION, NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import leave_result, result
from tests.unit.hub.test_made import IN_THE_ROUND, Deaf, ask, refuse, tasks_of, uid_of
from wardround.api import names
from wardround.kube.errors import Unavailable
from wardround.ports import Object

FOLLOWER: dict[str, Any] = {
    "initial": None,
    "base": {"roundName": "train-0"},
    "deadlines": {"admissionSeconds": 600},
}


def enrolled(loop: VirtualLoop, connect: Connect) -> LoneHub:
    hub = LoneHub(loop, connect)
    for name in IN_THE_ROUND:
        hub.enrol(name)
    return hub


def reason(hub: LoneHub, name: str, kind: str) -> str:
    known = condition(hub.round(name), kind)
    return known.reason if known else ""


def test_a_round_starts_from_a_kept_result_whose_round_is_gone_without_an_event() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Client)
        async with hub.running():
            leave_result(hub)
            hub.apply_round("train-1", IN_THE_ROUND, **FOLLOWER)
            await hub.settle()
            # This hub has not signed the result: that is another fault than a base that is not there.
            assert reason(hub, "train-1", "Stalled") == "BaseUnusable"
            assert result(hub), "it is kept"
            await asyncio.sleep(FOLLOWER["deadlines"]["admissionSeconds"])
            assert is_true(hub.round("train-1"), "Failed")
            assert result(hub) is None, "no round needs it any more"
            assert not hub.store.stored

    play(main)


def test_a_round_that_is_over_and_replaced_without_an_event_leaves_nothing() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Deaf)
        async with hub.running():
            await ask(hub)
            await refuse(hub)
            hub.delete_round("train-1")
            hub.apply_round("train-1", IN_THE_ROUND)
            await hub.settle()
            tasks = hub.server.select("RoundTask", None, names.ROUND_UID)
            assert {each["metadata"]["labels"][names.ROUND_UID] for each in tasks} == {uid_of(hub)}

    play(main)


def searches(hub: LoneHub) -> int:
    """How often the hub operator has gone through the register for the results of one name."""
    return sum(each.kind == "ConfigMap" and each.scanned > 1 for each in hub.server.reads)


def test_a_round_whose_base_is_missing_searches_for_its_result_once() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Client)
        async with hub.running():
            hub.apply_round("train-2", IN_THE_ROUND)
            await hub.settle()
            hub.server.reads.clear()
            hub.apply_round("train-1", IN_THE_ROUND, **FOLLOWER)
            await hub.settle()
            assert searches(hub) == 1
            place = Place("FederatedRound", FEDERATION, "train-1")
            for number in range(5):
                hub.server.change(place, {"metadata": {"annotations": {"tests.wardround.io/looked": str(number)}}})
                await hub.settle()
            assert sum(each.kind == "FederatedRound" for each in hub.server.reads) > 5, "it looks"
            assert searches(hub) == 1

    play(main)


def test_a_round_searches_again_for_the_result_of_a_base_that_came_and_was_deleted_without_an_event() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Deaf)
        async with hub.running():
            hub.apply_round("train-1", IN_THE_ROUND, **FOLLOWER)
            await hub.settle()
            assert reason(hub, "train-1", "Stalled") == "BaseNotFound"
            hub.apply_round("train-0", IN_THE_ROUND)
            await hub.settle()
            leave_result(hub, "train-0", hub.round("train-0")["metadata"]["uid"])
            hub.delete_round("train-0")
            place = Place("FederatedRound", FEDERATION, "train-1")
            hub.server.change(place, {"metadata": {"annotations": {"tests.wardround.io/looked": "again"}}})
            await hub.settle()
            assert reason(hub, "train-1", "Stalled") == "BaseUnusable"

    play(main)


class Slow(Client):
    """The deletion of what a round has left takes long."""

    async def get_if_exists(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        if name.startswith("round-"):
            await asyncio.sleep(5)
        return await super().get_if_exists(kind, name, namespace)


def test_a_result_that_is_kept_while_its_round_is_deleted_goes_at_once() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Slow)
        async with hub.running():
            await ask(hub)
            uid = uid_of(hub)
            hub.delete_round("train-1")
            await asyncio.sleep(2)
            leave_result(hub, "train-1", uid)
            await hub.settle()
            assert not tasks_of(hub)
            assert not hub.server.select("Secret", NAMESPACE, names.ROUND_UID)
            assert not hub.store.stored

    play(main)


class Listless(Client):
    """The API server never answers with a list of all Jobs."""

    async def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        if (kind, labels) == ("Job", names.ROUND_UID):
            raise Unavailable("list Job", "it takes too long")
        async for item in super().each(kind, namespace, everywhere=everywhere, labels=labels):
            yield item


def test_rounds_with_a_missing_base_do_not_wait_for_the_list_of_all_that_is_left() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, Listless)
        async with hub.running():
            for number in range(10):
                hub.apply_round(f"follower-{number}", IN_THE_ROUND, **FOLLOWER)
            await ask(hub)
            assert reason(hub, "follower-0", "Stalled") == "BaseNotFound"

    play(main)
