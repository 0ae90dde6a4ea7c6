"""Somebody deletes the Secret of a round's key. The round fails, and the hub operator cleans up after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.store import Let
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import entries, leave_result, result
from tests.unit.hub.test_made import (
    IN_THE_ROUND,
    REFUSED,
    aggregate,
    ask,
    end_aggregation,
    fail_aggregation,
    jobs,
    numbers,
    tasks_of,
    uid_of,
)
from tests.unit.hub.test_models import (
    HOSPITALS,
    begin_series,
    complete_delivery,
    complete_short_series,
    model_status,
    shown,
)
from tests.unit.hub.test_round_tasks import answer, send
from wardround.api import names
from wardround.api.times import to_seconds
from wardround.hub import vault
from wardround.ports import Object
from wardround.store.errors import MISSING, StoreError


def enrolled(loop: VirtualLoop) -> LoneHub:
    hub = LoneHub(loop)
    for name in IN_THE_ROUND:
        hub.enrol(name)
    return hub


def key_of(uid: str) -> Place:
    return Place("Secret", NAMESPACE, names.round_secret(uid))


def lose_key(hub: LoneHub, uid: str = "") -> None:
    hub.server.remove(key_of(uid or uid_of(hub)))


def empty_key(hub: LoneHub, uid: str = "") -> None:
    hub.server.change(key_of(uid or uid_of(hub)), {"data": {vault.PRIVATE_KEY: None}})


def secrets(hub: LoneHub) -> list[Object]:
    return hub.server.select("Secret", NAMESPACE, names.ROUND_UID)


async def assert_nothing_stays(hub: LoneHub) -> None:
    """After the grants have expired. The round stays, and so does its entry in the register until the round goes."""
    await asyncio.sleep(2 * 3600)
    assert not secrets(hub)
    assert not hub.store.stored
    hub.delete_round("train-1")
    await hub.settle()
    assert not entries(hub)


def stop(hub: LoneHub) -> None:
    """The next process makes this Secret anew."""
    hub.server.remove(Place("Secret", NAMESPACE, "store-credentials"))


def leave_bytes(hub: LoneHub) -> None:
    hub.store.stored[f"{names.updates_prefix(uid_of(hub))}1/site-a"] = b"update"


def suspend_all(hub: LoneHub) -> None:
    for name in IN_THE_ROUND:
        hub.server.change(Place("Participant", name, name), {"spec": {"suspend": True}})


def refuse(hub: LoneHub, task: Object) -> None:
    hub.report(task, {**REFUSED, "message": "", "lastTransitionTime": to_seconds(hub.server.clock())})


def fail(hub: LoneHub, task: Object) -> None:
    """For a reason for which the hub operator asks the hospital again."""
    at = to_seconds(hub.server.clock())
    evicted = {"type": "Failed", "status": "True", "reason": "Evicted", "message": "", "lastTransitionTime": at}
    status: Object = {"failure": {"class": "Platform", "reason": "Evicted"}, "conditions": [evicted]}
    place = Place("RoundTask", task["metadata"]["namespace"], task["metadata"]["name"])
    hub.server.change(place, {"status": status}, subresource="status")


@pytest.mark.parametrize("tries", [1, 3])
def test_a_round_whose_key_is_deleted_leaves_no_plan_and_no_bytes_when_it_fails(tries: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            for _ in range(tries - 1):
                await fail_aggregation(hub)
            leave_bytes(hub)
            assert tries in numbers(hub, "Secret"), "this plan holds the round's private key"
            lose_key(hub)
            suspend_all(hub)
            end_aggregation(hub, tries)
            await hub.settle()
            assert is_true(hub.round("train-1"), "Failed")
            await assert_nothing_stays(hub)

    play(main)


def test_tasks_of_a_round_whose_key_is_deleted_are_cancelled_when_it_fails() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            hub.apply_round("train-1", IN_THE_ROUND, quorum={"min": 2})
            await hub.settle()
            refusing, working = tasks_of(hub)
            answer(hub, working, "Accepted")
            leave_bytes(hub)
            lose_key(hub)
            refuse(hub, refusing)
            await hub.settle()
            assert is_true(hub.round("train-1"), "Failed")
            assert [each["spec"].get("cancel") for each in tasks_of(hub)] == [False, True]
            await assert_nothing_stays(hub)

    play(main)


@pytest.mark.parametrize("tries", [1, 3])
def test_an_operator_that_starts_after_the_end_cleans_up_although_the_key_is_deleted(tries: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            for _ in range(tries - 1):
                await fail_aggregation(hub)
        leave_bytes(hub)
        lose_key(hub)
        stop(hub)
        now = to_seconds(loop.clock())
        failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": ""}
        place = Place("FederatedRound", "breast-cancer", "train-1")
        status = {**hub.round("train-1")["status"], "conditions": [{**failed, "lastTransitionTime": now}]}
        hub.server.change(place, {"status": status}, subresource="status")
        async with hub.running():
            await asyncio.sleep(60)
            assert not secrets(hub)
            assert not hub.store.stored
            assert is_true(hub.round("train-1"), "CleanedUp")

    play(main)


def failure(hub: LoneHub) -> str:
    failed = condition(hub.round("train-1"), "Failed")
    return failed.reason if failed and failed.status == "True" else ""


def test_an_operator_that_starts_while_the_key_is_deleted_asks_nobody_anew() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
        asked = {each["metadata"]["uid"] for each in tasks_of(hub)}
        lose_key(hub)
        stop(hub)
        async with hub.running():
            assert {each["metadata"]["uid"] for each in tasks_of(hub)} == asked
            assert failure(hub) == "RoundKeyLost"
            assert not secrets(hub), "a new key opens no update that a hospital has sealed"

    play(main)


@pytest.mark.parametrize("lose", [lose_key, empty_key])
def test_a_round_whose_key_is_deleted_fails_and_leaves_nothing(lose: Callable[[LoneHub], None]) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            leave_bytes(hub)
            lose(hub)
            for task in tasks_of(hub):
                send(hub, task)
            await hub.settle()
            assert failure(hub) == "RoundKeyLost"
            assert not jobs(hub)
            await assert_nothing_stays(hub)

    play(main)


@pytest.mark.parametrize("lose", [lose_key, empty_key])
def test_a_delivery_whose_key_is_deleted_goes_on(lose: Callable[[LoneHub, str], None]) -> None:
    """No hospital seals anything for its key."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"deliver": {"to": "Participants"}}, card="a card")
            name = model_status(hub)["delivery"]["round"]
            uid = hub.round(name)["metadata"]["uid"]
            lose(hub, uid)
            [first, _] = hub.tasks(name).values()
            fail(hub, first)
            await hub.settle()
            again = hub.tasks(name)[first["metadata"]["namespace"]]
            assert again["spec"]["attempt"] == 2
            complete_delivery(hub, loop)
            await hub.settle()
            assert shown(hub, "Delivered")[:2] == ("True", "DeliveryComplete")
            await asyncio.sleep(2 * 3600)
            assert is_true(hub.round(name), "CleanedUp")
            assert key_of(uid).name not in [each["metadata"]["name"] for each in secrets(hub)]

    play(main)


def test_a_round_whose_key_and_tasks_are_deleted_fails() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            lose_key(hub)
            for task in tasks_of(hub):
                meta = task["metadata"]
                hub.server.remove(Place("RoundTask", meta["namespace"], meta["name"]))
            await hub.settle()
            assert failure(hub) == "RoundKeyLost"
            assert not tasks_of(hub)

    play(main)


@pytest.mark.parametrize("cause", ["OutOfMemory", "StoreUnreachable"])
def test_a_round_without_its_key_fails_when_the_aggregation_that_has_one_does(cause: str) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            lose_key(hub)
            end_aggregation(hub, 1, cause)
            await hub.settle()
            assert failure(hub) == "RoundKeyLost"
            assert jobs(hub) == [1]
            await asyncio.sleep(2 * 3600)
            assert not secrets(hub)

    play(main)


def test_a_round_whose_key_is_deleted_while_its_updates_are_combined_makes_no_second_job() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            lose_key(hub)
            for task in tasks_of(hub):
                send(hub, task)
            await hub.settle()
            assert jobs(hub) == numbers(hub, "Secret") == [1]
            assert not any(each["reason"] == "ActionFailed" for each in hub.round("train-1")["status"]["conditions"])

    play(main)


def test_a_label_that_is_no_number_does_not_stop_the_search_for_gone_rounds() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        leave_result(hub)
        metadata = {
            "name": "of-somebody-else",
            "namespace": NAMESPACE,
            "labels": {**names.round_labels("train-9", "another"), names.ATTEMPT: "first"},
            "annotations": names.round_ref("breast-cancer", "train-9"),
        }
        hub.server.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}})
        async with hub.running():
            assert result(hub) is None, "the search has gone on"

    play(main)


def test_a_clean_up_without_the_key_is_tried_again_when_the_store_has_failed() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        honest, outage = hub.store.answer, [True]

        def answer_unless_away(method: str, let: Let) -> bytes:
            if outage:
                raise StoreError(MISSING, 503)
            return honest(method, let)

        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            leave_bytes(hub)
            lose_key(hub)
            suspend_all(hub)
            hub.store.answer = answer_unless_away  # type: ignore[method-assign]
            end_aggregation(hub, 1)
            await hub.settle()
            cleaned = condition(hub.round("train-1"), "CleanedUp")
            assert cleaned
            assert (cleaned.status, hub.store.stored != {}) == ("False", True)
            assert not any(each.get("data") for each in secrets(hub)), "the keys need no store"
            outage.clear()
            await asyncio.sleep(2 * 3600)
            assert is_true(hub.round("train-1"), "CleanedUp")
            assert not hub.store.stored
            assert not secrets(hub)

    play(main)


def test_updates_go_after_a_restart_although_somebody_has_deleted_what_said_that_they_are_left() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        honest = hub.store.answer

        def away(method: str, let: Let) -> bytes:
            raise StoreError(MISSING, 503)

        async with hub.running():
            await ask(hub)
            leave_bytes(hub)
            hub.store.answer = away  # type: ignore[method-assign]
            for task in tasks_of(hub):
                refuse(hub, task)
            await hub.settle()
            assert failure(hub) == "QuorumNotMet"
        lose_key(hub)
        stop(hub)
        hub.store.answer = honest  # type: ignore[method-assign]
        async with hub.running():
            assert is_true(hub.round("train-1"), "CleanedUp")
            assert not hub.store.stored
            assert not secrets(hub)

    play(main)
