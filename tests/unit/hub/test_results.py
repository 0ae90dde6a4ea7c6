"""A result whose round was deleted while no hub operator ran: it stays for the rounds that need it, and then goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import entries, leave_result, result
from tests.unit.plans_hub.builders import UID
from wardround.api import names

FOLLOWERS: dict[str, dict[str, Any]] = {
    "a round that starts from it": {"initial": None, "base": {"roundName": "train-0"}},
    "a round that compares with it": {
        "task": "Evaluate",
        "initial": None,
        "base": {"roundName": "not-there-yet"},
        "references": ["not-there-either", "train-0"],
    },
}


@pytest.mark.parametrize("follower", FOLLOWERS.values(), ids=FOLLOWERS)
def test_the_hub_keeps_a_result_for_a_waiting_round_and_deletes_it_after_this_round(
    follower: dict[str, Any],
) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a")
        leave_result(hub)
        hub.apply_round("train-1", ["site-a"], **follower, deadlines={"admissionSeconds": 600})
        async with hub.running():
            kept = result(hub)
            assert kept is not None
            uid = hub.round("train-1")["metadata"]["uid"]
            assert kept["metadata"]["annotations"][names.KEPT_FOR] == uid
            assert kept["data"] == {"dataKey": "AA=="}
            assert "observedGeneration" in hub.round("train-1")["status"], "the hub operator has looked at the round"
            hub.delete_round("train-1")
            await hub.settle()
            assert result(hub) is None
            assert not hub.store.stored
            assert not entries(hub)

    play(main)


def test_a_result_that_no_round_needs_goes_with_its_bytes() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a")
        leave_result(hub)
        hub.apply_round("train-1", ["site-a"])
        async with hub.running():
            assert result(hub) is None
            assert not hub.store.stored

    play(main)


def test_a_new_round_of_the_name_takes_nothing_of_the_result_of_the_old_one() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a")
        leave_result(hub)
        hub.apply_round("train-0", ["site-a"])
        async with hub.running():
            assert list(hub.tasks("train-0")) == ["site-a"]
            assert result(hub) is None

    play(main)


def test_the_hub_does_not_read_the_rounds_of_a_namespace_once_for_each_result_of_a_gone_round() -> None:
    """Retention deletes many rounds at once."""

    def lists_read(gone: int) -> int:
        async def main(loop: VirtualLoop) -> int:
            hub = LoneHub(loop)
            hub.enrol("site-a", suspend=True)
            for number in range(20):
                hub.apply_round(f"live-{number}", ["site-a"])
            for number in range(gone):
                leave_result(hub, f"gone-{number}", f"{number:08}{UID[8:]}")
            async with hub.running():
                assert not hub.server.select("Secret", NAMESPACE, labels=names.ROUND_UID)
                return [each.objects for each in hub.server.reads if each.kind == "FederatedRound"].count(20)

        return play(main)

    assert lists_read(40) <= lists_read(1) + 3
