"""What the hub operator remembers: nothing of rounds that are gone."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from tests.simulation.hub import LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.test_requests import IN_THE_ROUND, REFUSED
from wardround.clock import Draw
from wardround.hub import operator
from wardround.hub.context import Context
from wardround.kube.controller import Controller, Key
from wardround.kube.queue import WorkQueue


class Memory:
    """The queue and the controllers of a hub operator, and how much is in each of their fields."""

    def __init__(self) -> None:
        self._parts: list[object] = []

    def controllers(self, hub: Context, queue: WorkQueue[Key], draw: Draw) -> Sequence[Controller]:
        made = operator.controllers(hub, queue, draw)
        self._parts = [queue, hub.refusals, hub.tasks, *made]
        return made

    def sizes(self) -> dict[str, int]:
        fields = ((part, name, value) for part in self._parts for name, value in vars(part).items())
        return {f"{type(part).__name__}.{name}": len(value) for part, name, value in fields if isinstance(value, Sized)}


def test_the_operator_remembers_nothing_of_rounds_that_are_gone() -> None:
    """They had deadlines of an hour. Each left a timer until then, if not more."""

    async def main(loop: VirtualLoop) -> None:
        memory = Memory()
        hub = LoneHub(loop, controllers=memory.controllers)
        for name in IN_THE_ROUND:
            hub.enrol(name)
        async with hub.running():
            before = memory.sizes()
            assert any(name == "WorkQueue._timers" for name in before)
            rounds = [f"train-{number}" for number in range(10)]
            for name in rounds:
                hub.apply_round(name, IN_THE_ROUND)
            hub.apply_round("waits", IN_THE_ROUND, initial=None, base={"roundName": "train-9"})
            await hub.settle()
            assert memory.sizes()["RoundTasks._kept"] == len(rounds) + 1
            for task in hub.tasks("train-0").values():
                hub.report(task, REFUSED)
            await hub.settle()
            assert memory.sizes()["RoundTasks._kept"] == len(rounds), "a round that is over is not kept"
            for name in (*rounds, "waits"):
                hub.delete_round(name)
            await hub.settle()
            assert memory.sizes() == before

    play(main)
