"""A store that refuses reads makes a round try again and again. What the tries leave does not grow, and no try is lost.

The real operators play a Statistics round in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.apiserver import Server
from tests.simulation.federation import HUB_NAMESPACE, Federation
from tests.simulation.kubelet import Node
from tests.simulation.programs import Programs
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.store import SimulatedStore
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_early import StumblingClient, StumblingFederation
from wardround.aggregate import plan as aggregation_plan
from wardround.ports import Object
from wardround.simulate.containers import Container
from wardround.wire.aggregation import AggregationFailure

STORE_AWAY, LAST = range(1, 7), 9


def number(name: str) -> int:
    return int(name.rpartition("-")[2])


@dataclass
class Left:
    """The most Secrets and Jobs, and the most tries with a list, when a pod began; and the tries that began."""

    secrets: int = 0
    jobs: int = 0
    lists: int = 0
    tries: list[int] = field(default_factory=list)


class TroubledPrograms(Programs):
    """The first pods cannot read the store. The others die, but for the `last` one."""

    federation: Federation
    left: Left
    last: int

    async def run(self, container: Container) -> int:
        if container.command != ["aggregate"]:
            return await super().run(container)
        await asyncio.sleep(5)  # the hub operator has gone on meanwhile
        hub, left, tried = self.federation.hub, self.left, number(container.job["metadata"]["name"])
        left.tries.append(tried)
        names = [each["metadata"]["name"] for each in hub.select("Secret", HUB_NAMESPACE)]
        left.secrets = max(left.secrets, sum(each.startswith("aggregate-") for each in names))
        left.jobs = max(left.jobs, len(hub.select("Job", HUB_NAMESPACE)))
        lists = {key.split("/")[3].partition("-")[0] for key in self.federation.store.stored if "/lists/" in key}
        left.lists = max(left.lists, len(lists))
        if tried in STORE_AWAY:
            answer = AggregationFailure("StoreUnreachable", "the store failed")
            container.termination_log.write_bytes(aggregation_plan.spell(answer))
        return await super().run(container) if tried == self.last else 1


class TroubledFederation(Federation):
    last = LAST

    def _node(self, name: str, server: Server) -> Node:
        node = super()._node(name, server)
        if name != "hub":
            return node
        programs = TroubledPrograms(node.programs.images, node.programs.open_store, node.programs.clock)
        TroubledPrograms.federation, TroubledPrograms.left, TroubledPrograms.last = self, Left(), self.last
        return Node(node.server, node.claims, node.pods, programs, node.watched)


class HopelessFederation(TroubledFederation):
    last = 0


class DeletingClient(StumblingClient):
    """Loses the answers of deletions, too."""

    async def delete(self, kind: str, name: str, namespace: str | None = None, **conditions: Any) -> None:
        call: Awaitable[None] = super().delete(kind, name, namespace, **conditions)
        await self._stumble(f"delete {kind} {name}", call)


class StoppingFederation(TroubledFederation, StumblingFederation):
    """Its hub operator stops after each write."""

    hub_client = DeletingClient


async def over(federation: Federation, outcome: str) -> Object:
    """The first round, once it has ended with this condition."""
    first = documents(OWN)[0]
    federation.apply(first)
    ended = await federation.over(first["metadata"]["name"])
    assert is_true(ended, outcome), ended["status"]
    return ended


@pytest.mark.parametrize("kind", [TroubledFederation, StoppingFederation])
def test_only_the_two_latest_tries_leave_a_secret_a_job_and_a_list(kind: type[TroubledFederation]) -> None:
    async def main(loop: VirtualLoop, folder: Path) -> tuple[Left, list[str]]:
        StumblingClient.stumbled.clear()
        federation = kind(loop, folder, OWN, 1)
        async with federation.running(demo_data.tables()):
            ended = await over(federation, "Complete")
            assert number(ended["status"]["result"]["location"].replace("/", "-")) == LAST
            keys = federation.store.stored.keys
            await federation.until("no update is left", lambda: all(key.startswith("models/") for key in keys()))
            secrets = [each["metadata"]["name"] for each in federation.hub.select("Secret", HUB_NAMESPACE)]
        return TroubledPrograms.left, [each for each in secrets if each.startswith("aggregate-")]

    with scratch() as folder:
        left, secrets = play(lambda loop: main(loop, Path(folder)))
    assert left.tries == list(range(1, LAST + 1))
    assert (left.secrets, left.jobs, left.lists) == (2, 2, 2)
    assert secrets == []


def test_a_round_ends_after_three_failures_that_are_not_the_stores() -> None:
    async def main(loop: VirtualLoop, folder: Path) -> list[int]:
        federation = HopelessFederation(loop, folder, OWN, 1)
        async with federation.running(demo_data.tables()):
            await over(federation, "Failed")
        return TroubledPrograms.left.tries

    with scratch() as folder:
        tries = play(lambda loop: main(loop, Path(folder)))
    assert tries == [*STORE_AWAY, *range(STORE_AWAY.stop, STORE_AWAY.stop + 3)]


def test_a_store_that_does_not_answer_a_put_of_a_list_gets_another_list(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps the first page, but does not answer for a day, which is longer than the round has. The second list has
    another key, so its page must have another name."""
    lists: list[str] = []
    honest = SimulatedStore.put_bytes

    async def put_bytes(self: SimulatedStore, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        if "/lists/1-" in url:
            lists.append(url.partition("?")[0])
        stored = await honest(self, url, headers, data)
        if "/lists/1-" in url:
            await asyncio.sleep(86400 if len(lists) == 1 else 0)
        return stored

    monkeypatch.setattr(SimulatedStore, "put_bytes", put_bytes)

    async def main(loop: VirtualLoop, folder: Path) -> None:
        federation = Federation(loop, folder, OWN, 1)
        async with federation.running(demo_data.tables()):
            await over(federation, "Complete")

    with scratch() as folder:
        play(lambda loop: main(loop, Path(folder)))
    assert len(set(lists)) == 2
    assert caplog.text.count("could not start aggregation 1: StoreTooSlow; again in") == 1
