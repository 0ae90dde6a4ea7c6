"""What is left of a round that is over goes, wherever the hub operator stops meanwhile. Then nobody looks for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conditions import is_true
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.test_lost_keys import leave_bytes, lose_key, secrets, stop, suspend_all
from tests.unit.hub.test_made import (
    IN_THE_ROUND,
    REFUSED,
    aggregate,
    ask,
    end_aggregation,
    enrolled,
    fail_aggregation,
    pause,
    unseen,
)
from wardround.api.times import to_seconds
from wardround.kube.errors import Unavailable

# Without the Participants and the Lease, about which others write too.
COUNTED = ("FederatedRound", "RoundTask", "Secret", "ConfigMap", "Job")


@dataclass
class Budget:
    """How many writes a process of the hub operator does until it stops; None without end."""

    left: int | None = None


class Mortal(Client):
    """One process of the hub operator at the API server. After its last write, nothing comes."""

    budget: Budget

    async def arrive(self, doing: str) -> str:
        account = await super().arrive(doing)
        if self.budget.left == 0:
            raise Unavailable(doing, "this process has stopped")
        verb, kind, *_ = doing.split()
        if self.budget.left is not None and verb in ("post", "patch", "delete") and kind in COUNTED:
            self.budget.left -= 1
        return account


def mortal(budget: Budget) -> Callable[..., Client]:
    def connect(*arguments: Any, **more: Any) -> Client:
        client = Mortal(*arguments, **more)
        client.budget = budget
        return client

    return connect


def ends_in_one_process(writes: int, *, loses: bool) -> bool:
    """Whether a process needs no more writes than these from the end of a round until nothing is left. If it needs
    more, it stops after them. `loses`: then somebody deletes the Secret of the round's key. Another process follows."""

    async def main(loop: VirtualLoop) -> bool:
        budget = Budget()
        hub = enrolled(loop, mortal(budget))
        async with hub.running():
            for act in (ask, aggregate, fail_aggregation):
                await act(hub)
            leave_bytes(hub)
            suspend_all(hub)
            await hub.settle()
            budget.left = writes
            end_aggregation(hub, 2)
            await pause(hub)
            has_ended = budget.left > 0
        budget.left = None
        if loses and secrets(hub):
            lose_key(hub)
        stop(hub)
        async with hub.running():
            await asyncio.sleep(3600)
            assert is_true(hub.round("train-1"), "Failed")
            assert is_true(hub.round("train-1"), "CleanedUp")
            assert not secrets(hub)
            assert not hub.store.stored
        return has_ended

    return play(main)


@pytest.mark.parametrize("loses", [False, True])
def test_nothing_is_left_of_a_round_wherever_the_hub_operator_stops(loses: bool) -> None:
    needed = next(writes for writes in range(1, 40) if ends_in_one_process(writes, loses=loses))
    assert needed > 5, "the end, the key, two plans, the Secret, and the mark"


def reads_after_a_restart(rounds: int) -> Counter[str]:
    """How many reads of each kind the next process needs if so many rounds are over and cleaned up."""

    async def main(loop: VirtualLoop) -> Counter[str]:
        hub = enrolled(loop)
        applied = [f"round-{number}" for number in range(rounds)]
        async with hub.running():
            for name in applied:
                hub.apply_round(name, IN_THE_ROUND)
            await hub.settle()
            for task in [task for name in applied for task in hub.tasks(name).values()]:
                hub.report(task, {**REFUSED, "message": "", "lastTransitionTime": to_seconds(loop.clock())})
            await hub.settle()
            assert all(is_true(hub.round(name), "CleanedUp") for name in applied)
        stop(hub)
        hub.server.reads.clear()
        async with hub.running():
            with unseen(hub):
                assert all(is_true(hub.round(name), "CleanedUp") for name in applied)
            return Counter(each.kind for each in hub.server.reads)

    return play(main)


def test_of_a_round_that_is_cleaned_up_the_next_process_reads_the_round_alone() -> None:
    few, many = reads_after_a_restart(2), reads_after_a_restart(9)
    others = ("RoundTask", "Secret", "ConfigMap", "Job", "Pod")
    assert {kind: few[kind] for kind in others} == {kind: many[kind] for kind in others}
    assert many["FederatedRound"] > few["FederatedRound"]
