"""The hub signs one assignment for each attempt: an Approval counts a second one as a further task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.simulation.apiserver import Place
from tests.simulation.hub import LoneHub
from tests.simulation.virtual import VirtualLoop, play
from wardround.ports import Object
from wardround.sealing.assignments import assignment_digest

NAMES = ["site-a", "site-b"]
# Longer than grants hold.
LATER_SECONDS = 4000.0


def signed(tasks: Mapping[str, Object]) -> dict[str, tuple[int, str]]:
    """The attempt and what is signed, by hospital."""
    return {
        name: (each["spec"]["attempt"], assignment_digest(each["spec"]["assignment"])) for name, each in tasks.items()
    }


def asked(hub: LoneHub) -> Mapping[str, Object]:
    return hub.tasks("train-1")


def test_neither_restarts_nor_renewed_grants_make_another_assignment() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        for name in NAMES:
            hub.enrol(name)
        async with hub.running():
            limits = {"totalSeconds": 86400, "admissionSeconds": 86400}
            hub.apply_round("train-1", NAMES, deadlines=limits)
            await hub.settle()
            first = asked(hub)
            assert sorted(first) == NAMES
            await asyncio.sleep(LATER_SECONDS)
        async with hub.running():
            await hub.settle()
        assert signed(asked(hub)) == signed(first)
        assert all(asked(hub)[name]["spec"]["grants"] != first[name]["spec"]["grants"] for name in NAMES)

    play(main)


def test_a_task_that_somebody_deletes_is_signed_anew() -> None:
    """As in a backup of an earlier minute. A site that holds the first task refuses the second one as Replayed."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        for name in NAMES:
            hub.enrol(name)
        async with hub.running():
            hub.apply_round("train-1", NAMES)
            await hub.settle()
            first = asked(hub)
            hub.server.remove(Place("RoundTask", "site-a", first["site-a"]["metadata"]["name"]))
            await hub.settle()
            before, after = signed(first), signed(asked(hub))
            assert before["site-b"] == after["site-b"]
            assert (before["site-a"][0], after["site-a"][0]) == (1, 1)
            assert before["site-a"][1] != after["site-a"][1]

    play(main)
