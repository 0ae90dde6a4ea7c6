"""What a look at a round goes through at the API server does not grow with the rounds that there are, or were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conditions import condition, is_true
from tests.players.pods import ended, pod_of
from tests.simulation.apiserver import Place, Read
from tests.simulation.client import Client, Connect
from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import entries, leave_result
from tests.unit.hub.test_round_tasks import answer, send
from wardround.api import names
from wardround.api.times import parse_time, to_seconds
from wardround.hub.made import numbers_with
from wardround.hub.rounds import LEFTOVERS_SECONDS
from wardround.plans.round.tries import PAUSE_AFTER_FAILURE
from wardround.ports import Object
from wardround.wire.aggregation import AggregationFailure

IN_THE_ROUND = ["site-a", "site-b"]
REFUSED = {"type": "Accepted", "status": "False", "reason": "ImageNotAllowed"}
Act = Callable[[LoneHub], Awaitable[None]]


@contextmanager
def unseen(hub: LoneHub) -> Iterator[None]:
    """What a test reads does not count."""
    reads = list(hub.server.reads)
    yield
    hub.server.reads[:] = reads


def tasks_of(hub: LoneHub) -> list[Object]:
    with unseen(hub):
        return list(hub.tasks("train-1").values())


def enrolled(loop: VirtualLoop, connect: Connect = Client) -> LoneHub:
    """A hub, and the hospitals of the round."""
    hub = LoneHub(loop, connect)
    for name in IN_THE_ROUND:
        hub.enrol(name)
    return hub


async def ask(hub: LoneHub) -> None:
    hub.apply_round("train-1", IN_THE_ROUND)
    await hub.settle()
    assert len(tasks_of(hub)) == 2


async def accept(hub: LoneHub) -> None:
    answer(hub, tasks_of(hub)[0], "Accepted")
    await hub.settle()
    with unseen(hub):
        assert hub.round("train-1")["status"]["participants"]["accepted"] == 1


async def aggregate(hub: LoneHub) -> None:
    for task in tasks_of(hub):
        send(hub, task)
    await hub.settle()
    assert jobs(hub) == [1]


async def pause(hub: LoneHub) -> None:
    """The longest one after a failure, and until the operator has done what there is to do."""
    await asyncio.sleep(2 * PAUSE_AFTER_FAILURE.total_seconds())
    await hub.settle()


async def fail_aggregation(hub: LoneHub) -> None:
    """The pod of the latest Job ends without a result."""
    number = max(jobs(hub))
    end_aggregation(hub, number)
    await pause(hub)
    assert max(jobs(hub)) == number + 1


def end_aggregation(hub: LoneHub, number: int, cause: str = "OutOfMemory") -> None:
    with unseen(hub):
        job = hub.server.read(Place("Job", NAMESPACE, names.aggregation_name(uid_of(hub), number)))
    hub.server.create(pod_of(job))
    over = ended(AggregationFailure(cause), to_seconds(hub.server.clock()))
    hub.server.change(Place("Pod", NAMESPACE, job["metadata"]["name"]), {"status": over}, subresource="status")


async def refuse(hub: LoneHub) -> None:
    for task in tasks_of(hub):
        now = to_seconds(hub.server.clock())
        hub.report(task, {**REFUSED, "message": "", "lastTransitionTime": now})
    await hub.settle()
    with unseen(hub):
        assert is_true(hub.round("train-1"), "Failed")


async def answer_late(hub: LoneHub) -> None:
    """A hospital says something about a task of a round that is over."""
    answer(hub, tasks_of(hub)[0], "Complete")
    await hub.settle()


async def delete(hub: LoneHub) -> None:
    hub.delete_round("train-1")
    await hub.settle()
    assert not tasks_of(hub)


def uid_of(hub: LoneHub) -> str:
    with unseen(hub):
        return str(hub.round("train-1")["metadata"]["uid"])


def numbers(hub: LoneHub, kind: str, name: str = "train-1") -> list[int]:
    """Of the aggregations of a round that have an object of this kind."""
    with unseen(hub):
        items = hub.server.select(kind, NAMESPACE, f"{names.ROUND}={name},{names.ATTEMPT}")
    return sorted(int(each["metadata"]["labels"][names.ATTEMPT]) for each in items)


def jobs(hub: LoneHub) -> list[int]:
    return numbers(hub, "Job")


def leave_rounds(hub: LoneHub, count: int) -> None:
    """Rounds that wait for hospitals, and results and Jobs of such rounds."""
    for number in range(count):
        hub.apply_round(f"other-{number}", IN_THE_ROUND, deadlines={"admissionSeconds": 86400})
        uid = hub.round(f"other-{number}")["metadata"]["uid"]
        leave_result(hub, f"other-{number}", uid)
        labels = {**names.round_labels(f"other-{number}", uid), names.ATTEMPT: "1"}
        metadata = {"name": f"of-{number}", "namespace": NAMESPACE, "labels": labels}
        hub.server.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}})


ACTS: dict[str, tuple[Act, ...]] = {
    "asks its hospitals": (ask,),
    "hears of an answer": (ask, accept),
    "closes": (ask, aggregate),
    "tries again": (ask, aggregate, fail_aggregation),
    "ends": (ask, refuse),
    "is deleted": (ask, delete),
    "is deleted after its end": (ask, refuse, delete),
}


@pytest.mark.parametrize("acts", ACTS.values(), ids=ACTS)
def test_no_look_goes_through_secrets_and_jobs_of_other_rounds(acts: tuple[Act, ...]) -> None:
    reads = reads_of(*acts, others=12)
    scanned = [each.scanned for each in reads if each.kind in ("Secret", "ConfigMap", "Job")]
    assert scanned
    assert set(scanned) == {1}


def reads_of(*acts: Act, others: int = 0) -> list[Read]:
    """What the hub operator asks during the last of these acts, beside so many other rounds."""

    async def main(loop: VirtualLoop) -> list[Read]:
        hub = enrolled(loop)
        leave_rounds(hub, others)
        async with hub.running():
            for act in acts[:-1]:
                await act(hub)
            hub.server.reads.clear()
            await acts[-1](hub)
            return list(hub.server.reads)

    return play(main)


def test_a_look_at_a_round_that_is_cleaned_up_reads_the_round_alone() -> None:
    reads = [(each.kind, each.objects) for each in reads_of(ask, refuse, answer_late)]
    assert reads == [("FederatedRound", 1)]


@pytest.mark.parametrize(
    ("acts", "lists"),
    [((ask,), 0), ((ask, aggregate), 1), ((ask, refuse), 1), ((ask, refuse, delete), 1)],
    ids=["asks its hospitals", "closes", "ends", "is deleted"],
)
def test_the_hub_lists_tasks_of_a_round_once_where_it_closes_ends_or_is_deleted(
    acts: tuple[Act, ...], lists: int
) -> None:
    assert sum(each.kind == "RoundTask" for each in reads_of(*acts)) == lists


def test_the_hub_looks_at_no_round_that_is_over_when_it_searches_for_rounds_that_are_gone() -> None:
    async def wait(_: LoneHub) -> None:
        await asyncio.sleep(3 * LEFTOVERS_SECONDS)

    async def leave(hub: LoneHub) -> None:
        leave_result(hub, "train-1", uid_of(hub))

    reads = reads_of(ask, refuse, leave, wait)
    assert any(each.kind == "Job" for each in reads), "it searches"
    assert sum(each.kind == "FederatedRound" for each in reads) == 3, "these are lists"


def test_of_tries_to_combine_the_two_latest_stay_and_after_the_end_no_key_does() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            for act in (ask, aggregate, fail_aggregation, fail_aggregation):
                await act(hub)
            assert numbers(hub, "Secret") == jobs(hub) == [2, 3]
            key = hub.server.read(Place("Secret", NAMESPACE, names.round_secret(uid_of(hub))))
            [entry] = entries(hub)
            noted = [each["metadata"]["annotations"][names.AGGREGATIONS] for each in (key, entry)]
            assert noted == ["1 2 3", "1 2 3"]
            for name in IN_THE_ROUND:
                hub.server.change(Place("Participant", name, name), {"spec": {"suspend": True}})
            end_aggregation(hub, 3)
            await hub.settle()
            assert is_true(hub.round("train-1"), "Failed")
            assert numbers(hub, "Secret") == []
            hub.delete_round("train-1")
            # No Secret says the numbers of these Jobs any more.
            await asyncio.sleep(2 * LEFTOVERS_SECONDS)
            assert jobs(hub) == []
            assert not entries(hub)

    play(main)


class Deaf(Client):
    """No event shows a deletion of a round, as after a gap in the watch."""

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        async for event, item in super().watch(kind, namespace, everywhere=everywhere, labels=labels, fields=fields):
            if (event, kind) != ("DELETED", "FederatedRound"):
                yield event, item


@pytest.mark.parametrize("connect", [Client, Deaf])
def test_a_round_that_was_deleted_and_applied_again_finds_no_key_of_the_old_one(connect: Connect) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop, connect)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            old = uid_of(hub)
            hub.delete_round("train-1")
            hub.apply_round("train-1", IN_THE_ROUND)
            await hub.settle()
            secrets = hub.server.select("Secret", NAMESPACE, names.ROUND_UID)
            held = {str(each["metadata"]["labels"][names.ROUND_UID]) for each in secrets if each.get("data")}
            assert held == {uid_of(hub)}
            assert old not in {each["metadata"]["labels"][names.ROUND_UID] for each in hub.tasks("train-1").values()}
            assert jobs(hub) == []

    play(main)


def test_an_update_that_arrives_after_the_end_is_deleted_when_no_site_can_store_any_more() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            answer(hub, tasks_of(hub)[0], "Accepted", upload={"bytes": 1000})
            await hub.settle()
            until = parse_time(tasks_of(hub)[0]["metadata"]["annotations"][names.GRANTS_EXPIRE])
            for name in IN_THE_ROUND:
                hub.server.change(Place("Participant", name, name), {"spec": {"suspend": True}})
            await hub.settle()
            assert is_true(hub.round("train-1"), "Failed")
            [key] = hub.server.select("Secret", NAMESPACE, names.ROUND_UID)
            assert not key.get("data")
            hub.store.stored[f"{names.updates_prefix(uid_of(hub))}1/site-a"] = b"late"
            await asyncio.sleep((until - loop.clock()).total_seconds() - 1)
            assert hub.store.stored, "a site can store one more"
            await asyncio.sleep(60)
            assert not hub.store.stored
            assert not hub.server.select("Secret", NAMESPACE, names.ROUND_UID)

    play(main)


def test_a_look_takes_no_object_of_another_round_for_its_own() -> None:
    """Names of aggregations have eight digits of a digest of the UID, so two rounds can meet in one name."""

    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            uid = uid_of(hub)
            place = Place("Secret", NAMESPACE, names.round_secret(uid))
            hub.server.change(place, {"metadata": {"annotations": {names.AGGREGATIONS: "1"}}})
            metadata: dict[str, Any] = {"name": names.aggregation_name(uid, 1), "namespace": NAMESPACE}
            metadata["labels"] = {**names.round_labels("other", "another"), names.ATTEMPT: "1"}
            job: Object = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}}
            hub.server.create(job)
            await accept(hub)
            reconciling = condition(hub.round("train-1"), "Reconciling")
            assert reconciling
            assert reconciling.reason == "Collecting"

    play(main)


@pytest.mark.parametrize(
    ("noted", "number", "after"),
    [((), 1, (1,)), ((0,), 1, (0, 1)), ((0, 1), 2, (0, 1, 2)), ((0, 1, 2), 3, (0, 1, 2, 3)), ((1, 2, 3), 4, (2, 3, 4))],
)
def test_numbers_are_noted_until_their_objects_are_deleted(
    noted: tuple[int, ...], number: int, after: tuple[int, ...]
) -> None:
    assert numbers_with(noted, number) == numbers_with(after, number) == after
