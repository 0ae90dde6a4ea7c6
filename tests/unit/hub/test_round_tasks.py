"""The hub operator's memory of RoundTasks: a look that waits lists none, and no plan rests on an old one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import pytest

from tests.conditions import condition
from tests.simulation.apiserver import Place
from tests.simulation.client import Client
from tests.simulation.hub import BY_LABEL, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from wardround.api.times import to_seconds
from wardround.kube.errors import Unavailable
from wardround.ports import Object

NAMES = ["site-a", "site-b", "site-c"]
# The round closes a minute after two of its hospitals have sent.
CLOSES_EARLY = {"quorum": {"min": 2, "graceSeconds": 60}}


def answer(hub: LoneHub, task: Object, *kinds: str, **status: Any) -> None:
    """As a site operator: these conditions are true."""
    now = to_seconds(hub.server.clock())
    conditions = [{"type": kind, "status": "True", "reason": kind, "lastTransitionTime": now} for kind in kinds]
    place = Place("RoundTask", task["metadata"]["namespace"], task["metadata"]["name"])
    hub.server.change(place, {"status": {"conditions": conditions, **status}}, subresource="status")


def send(hub: LoneHub, task: Object) -> None:
    update = {"upload": {"bytes": 1000}, "update": {"manifest": "{}", "samples": 10}}
    answer(hub, task, "Accepted", "Trained", "Sent", **update)


def fail(hub: LoneHub, task: Object) -> None:
    answer(hub, task, "Accepted", "Failed", failure={"class": "Platform", "reason": "Evicted"})


def tasks_of(hub: LoneHub, name: str) -> list[Object]:
    """All attempts."""
    return hub.server.select("RoundTask", name)


def asked_while_waiting(participants: int) -> tuple[Mapping[str, int], int]:
    """Requests by kind, and bytes, of a look at a round that goes on waiting after a hospital's answer."""

    async def main(loop: VirtualLoop) -> tuple[Mapping[str, int], int]:
        hub = LoneHub(loop)
        for number in range(participants):
            hub.enrol(f"site-{number}")
        async with hub.running():
            hub.apply_round("train-1", [], participants=BY_LABEL)
            await hub.settle()
            tasks = hub.tasks("train-1")
            assert len(tasks) == participants
            hub.server.reads.clear()
            answer(hub, tasks["site-1"], "Accepted")
            await hub.settle()
            reads = list(hub.server.reads)
            assert hub.round("train-1")["status"]["participants"]["accepted"] == 1
            return Counter(each.kind for each in reads), sum(each.bytes for each in reads)

    return play(main)


def test_a_look_that_waits_asks_no_more_of_a_round_with_more_participants() -> None:
    (few, few_bytes), (many, many_bytes) = asked_while_waiting(3), asked_while_waiting(30)
    assert few == many
    assert few["FederatedRound"] == 1, "there is one look"
    assert "RoundTask" not in few
    assert "Pod" not in few, "no Job aggregates yet"
    assert many_bytes < 1.05 * few_bytes


class Deaf(Client):
    """Once the server is in `deaf`, no event of a RoundTask arrives, as behind a line that drops what is sent. So it is
    from a creation in `lost` on, whose answer does not arrive either."""

    deaf: ClassVar[set[object]] = set()
    lost: ClassVar[set[tuple[str, str]]] = set()

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        async for event, item in super().watch(kind, namespace, everywhere=everywhere, labels=labels, fields=fields):
            if kind != "RoundTask" or self.at not in self.deaf:
                yield event, item

    async def create(self, obj: Mapping[str, Any]) -> Object:
        created = await super().create(obj)
        meta = created["metadata"]
        attempt = (meta["namespace"], (meta.get("labels") or {}).get("wardround.io/attempt", ""))
        if created["kind"] == "RoundTask" and attempt in self.lost:
            self.lost.discard(attempt)
            self.deaf.add(self.at)
            raise Unavailable("post RoundTask", "the connection broke off")
        return created


@pytest.fixture(autouse=True)
def hears_all() -> None:
    Deaf.deaf.clear()
    Deaf.lost.clear()


async def asked(hub: LoneHub, **spec: Any) -> Mapping[str, Object]:
    """The tasks of a round that has asked three hospitals."""
    hub.apply_round("train-1", NAMES, **spec)
    await hub.settle()
    tasks = hub.tasks("train-1")
    assert list(tasks) == NAMES
    return tasks


def deaf_hub(loop: VirtualLoop) -> LoneHub:
    hub = LoneHub(loop, Deaf)
    for name in NAMES:
        hub.enrol(name)
    return hub


def test_a_round_that_closes_counts_an_update_that_no_watch_has_shown() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = deaf_hub(loop)
        async with hub.running():
            tasks = await asked(hub, **CLOSES_EARLY)
            for name in NAMES[:2]:
                send(hub, tasks[name])
            await hub.settle()
            Deaf.deaf.add(hub.server)
            send(hub, tasks["site-c"])
            await hub.settle()
            await hub.settle()
            status = hub.round("train-1")["status"]
            reconciling = condition(hub.round("train-1"), "Reconciling")
            assert reconciling
            assert reconciling.reason == "Aggregating"
            assert status["participants"]["sent"] == 3
            assert not any(each["spec"].get("cancel") for each in hub.tasks("train-1").values())

    play(main)


def test_a_round_that_closes_does_not_count_a_task_whose_deletion_no_watch_has_shown() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = deaf_hub(loop)
        async with hub.running():
            tasks = await asked(hub, deadlines={"admissionSeconds": 40, "queueSeconds": 20}, **CLOSES_EARLY)
            for name in NAMES[:2]:
                send(hub, tasks[name])
            answer(hub, tasks["site-c"], "Accepted")
            await hub.settle()
            Deaf.deaf.add(hub.server)
            hub.server.remove(Place("RoundTask", "site-b", tasks["site-b"]["metadata"]["name"]))
            await hub.settle()
            await hub.settle()
            assert not hub.server.select("Job", "wardround-hub")
            assert hub.round("train-1")["status"]["participants"]["sent"] == 1

    play(main)


def test_a_task_that_was_accepted_before_a_watch_shows_it_is_not_cancelled() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = deaf_hub(loop)
        async with hub.running():
            tasks = await asked(hub, deadlines={"admissionSeconds": 60})
            Deaf.deaf.add(hub.server)
            for name in NAMES[1:]:
                answer(hub, tasks[name], "Accepted")
            await hub.settle()
            await hub.settle()
            cancelled = {name: each["spec"].get("cancel", False) for name, each in hub.tasks("train-1").items()}
            assert cancelled == {"site-a": True, "site-b": False, "site-c": False}

    play(main)


def test_an_attempt_whose_creation_got_no_answer_is_not_made_twice() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = deaf_hub(loop)
        async with hub.running():
            tasks = await asked(hub)
            Deaf.lost.add(("site-b", "2"))
            fail(hub, tasks["site-b"])
            await hub.settle()
            assert (len(tasks_of(hub, "site-b")), Deaf.lost) == (2, set())
            # Each Participant that changes wakes the round.
            hub.server.change(Place("Participant", "site-a", "site-a"), {"metadata": {"labels": {"ward": "a"}}})
            await hub.settle()
            assert len(tasks_of(hub, "site-b")) == 2
            assert not hub.round("train-1")["status"].get("attention"), "the hub operator knows of the attempt"

    play(main)


def test_a_task_that_failed_before_a_watch_shows_it_gets_one_further_attempt() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = deaf_hub(loop)
        async with hub.running():
            tasks = await asked(hub, deadlines={"admissionSeconds": 60}, retryLimit=1)
            for name in ("site-a", "site-c"):
                answer(hub, tasks[name], "Accepted")
            await hub.settle()
            Deaf.deaf.add(hub.server)
            fail(hub, tasks["site-b"])
            for _ in range(10):
                await hub.settle()
            first, second = sorted(tasks_of(hub, "site-b"), key=lambda each: int(each["spec"]["attempt"]))
            assert not first["spec"].get("cancel"), "it has ended"
            assert second["spec"]["attempt"] == 2

    play(main)
