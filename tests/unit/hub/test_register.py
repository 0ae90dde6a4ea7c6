"""By its register, the hub operator finds Secrets that it may not list, wherever it or people have stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub import test_pushes
from tests.unit.hub.results import enter, entries, leave_result
from tests.unit.hub.test_clean_up import Budget, mortal
from tests.unit.hub.test_lost_keys import leave_bytes, lose_key, secrets, stop, suspend_all
from tests.unit.hub.test_made import IN_THE_ROUND, aggregate, ask, end_aggregation, fail_aggregation, numbers, uid_of
from tests.unit.hub.test_made import enrolled as with_hospitals
from wardround.api import names
from wardround.hub.rounds import LEFTOVERS_SECONDS
from wardround.kube.errors import NotFound

# After them, no site can store anything any more.
GRANTED_SECONDS = 2 * 3600


def remove_tasks_and_jobs(hub: LoneHub) -> None:
    """As when people have deleted the hospitals' namespaces, and the Jobs are over for a day."""
    items = [each for kind in ("RoundTask", "Job") for each in hub.server.select(kind, None, names.ROUND_UID)]
    for each in items:
        meta = each["metadata"]
        hub.server.remove(Place(each["kind"], meta["namespace"], meta["name"]))


def assert_nothing_left(hub: LoneHub) -> None:
    kinds = ("Secret", "ConfigMap", "Job", "RoundTask")
    left = [each["metadata"]["name"] for kind in kinds for each in hub.server.select(kind, None, names.ROUND_UID)]
    assert left == []
    assert not hub.store.stored


def test_keys_of_a_round_that_went_while_no_operator_ran_are_deleted_by_the_register_alone() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = with_hospitals(loop)
        async with hub.running():
            for act in (ask, aggregate):
                await act(hub)
        assert numbers(hub, "Secret") == [1], "this plan holds the round's private key"
        stop(hub)
        hub.delete_round("train-1")
        remove_tasks_and_jobs(hub)
        async with hub.running():
            assert_nothing_left(hub)

    play(main)


def test_a_plan_without_its_job_goes_although_somebody_has_deleted_the_key() -> None:
    """Nothing but the register says the number of the second try."""

    async def main(loop: VirtualLoop) -> None:
        hub = with_hospitals(loop)
        async with hub.running():
            for act in (ask, aggregate, fail_aggregation):
                await act(hub)
            suspend_all(hub)
            lose_key(hub)
            for each in hub.server.select("Job", NAMESPACE, names.ROUND_UID):
                hub.server.remove(Place("Job", NAMESPACE, each["metadata"]["name"]))
            await hub.settle()
            assert is_true(hub.round("train-1"), "Failed")
            assert numbers(hub, "Secret") == []
            await asyncio.sleep(GRANTED_SECONDS)
            assert not secrets(hub)

    play(main)


def test_a_try_begins_although_somebody_has_deleted_the_entry() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = with_hospitals(loop)
        async with hub.running():
            for act in (ask, aggregate):
                await act(hub)
            hub.server.remove(Place("ConfigMap", NAMESPACE, names.register_entry(uid_of(hub))))
            await fail_aggregation(hub)
            [entry] = entries(hub)
            assert entry["metadata"]["annotations"][names.AGGREGATIONS] == "1 2"
            hub.delete_round("train-1")
            await asyncio.sleep(GRANTED_SECONDS)
            assert_nothing_left(hub)

    play(main)


def test_an_entry_of_which_nothing_is_there_goes() -> None:
    """The hub operator had stopped before it made the key, or after it had deleted all."""

    async def main(loop: VirtualLoop) -> None:
        hub = with_hospitals(loop)
        enter(hub, "train-0")
        hub.apply_round("train-0", IN_THE_ROUND)
        async with hub.running():
            assert [each["metadata"]["labels"][names.ROUND_UID] for each in entries(hub)] == [
                hub.round("train-0")["metadata"]["uid"]
            ]

    play(main)


Act = Callable[[LoneHub], None]


def go(hub: LoneHub) -> None:
    hub.delete_round("train-1")


def keep_result(hub: LoneHub) -> None:
    """As when the round has ended with a result."""
    leave_result(hub, "train-1", uid_of(hub))
    leave_bytes(hub)
    go(hub)


def ends_in_one_process(writes: int, act: Act) -> bool:
    """Whether a process needs no more writes than these after a round of two tries was deleted by this act. If it needs
    more, it stops after them. Another process follows."""

    async def main(loop: VirtualLoop) -> bool:
        budget = Budget()
        hub = with_hospitals(loop, mortal(budget))
        async with hub.running():
            for each in (ask, aggregate, fail_aggregation):
                await each(hub)
            budget.left = writes
            act(hub)
            await hub.settle()
            has_ended = budget.left > 0
        budget.left = None
        stop(hub)
        async with hub.running():
            await asyncio.sleep(GRANTED_SECONDS)
            assert_nothing_left(hub)
        return has_ended

    return play(main)


@pytest.mark.parametrize("act", [go, keep_result])
def test_nothing_is_left_of_a_deleted_round_wherever_the_hub_operator_stops(act: Act) -> None:
    needed = next(writes for writes in range(1, 40) if ends_in_one_process(writes, act))
    assert needed > 8, "two tasks, the key, two plans, two Jobs, the entry"


def begins_in_one_process(writes: int) -> bool:
    """Whether a process needs no more writes than these to begin a round and to combine its updates. After them it
    stops, and the round is deleted with all RoundTasks and Jobs. Another process follows."""

    async def main(loop: VirtualLoop) -> bool:
        budget = Budget(writes)
        hub = with_hospitals(loop, mortal(budget))
        async with hub.running():
            hub.apply_round("train-1", IN_THE_ROUND)
            await hub.settle()
            if len(hub.tasks("train-1")) == 2 and budget.left:
                await aggregate_what_can(hub)
            has_ended = budget.left != 0
        budget.left = None
        stop(hub)
        hub.delete_round("train-1")
        remove_tasks_and_jobs(hub)
        async with hub.running():
            assert_nothing_left(hub)
        return has_ended

    return play(main)


async def aggregate_what_can(hub: LoneHub) -> None:
    """The hub operator may stop before the aggregation, or before the second one."""
    try:
        await aggregate(hub)
        end_aggregation(hub, 1)
    except (AssertionError, NotFound):
        return
    await hub.settle()


def test_the_register_shows_all_secrets_wherever_the_hub_operator_stops_while_a_round_runs() -> None:
    needed = next(writes for writes in range(1, 60) if begins_in_one_process(writes))
    assert needed > 10, "the entry, the key, two tasks, two tries, the round's status"


def offers_in_one_process(writes: int) -> bool:
    """The same for a push that the process offers a place to upload to."""

    async def main(loop: VirtualLoop) -> bool:
        budget = Budget()
        hub = LoneHub(loop, mortal(budget))
        async with hub.running():
            budget.left = writes
            test_pushes.ask(hub)
            await hub.settle()
            has_ended = budget.left > 0
        budget.left = None
        stop(hub)
        hub.server.remove(Place("ModelPush", FEDERATION, "pretrained"))
        await asyncio.sleep(test_pushes.SECONDS)
        async with hub.running():
            for kind in ("Secret", "ConfigMap"):
                assert not hub.server.select(kind, NAMESPACE, names.PUSH_UID)
        return has_ended

    return play(main)


def test_nothing_is_left_of_a_deleted_push_wherever_the_hub_operator_stops() -> None:
    needed = next(writes for writes in range(1, 10) if offers_in_one_process(writes))
    assert needed > 2, "the entry and the key"


def test_the_hub_operator_never_lists_secrets() -> None:
    """Its role has no right to. A single Secret that it reads counts as one that was gone through."""

    async def main(loop: VirtualLoop) -> None:
        hub = with_hospitals(loop)
        leave_result(hub)
        async with hub.running():
            for act in (ask, aggregate, fail_aggregation):
                await act(hub)
            await asyncio.sleep(2 * LEFTOVERS_SECONDS)
        assert {each.scanned for each in hub.server.reads if each.kind == "Secret"} == {1}

    play(main)
