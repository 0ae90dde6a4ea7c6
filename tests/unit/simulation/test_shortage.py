"""The store damages the updates of one hospital, with the real operators. The slow hospital fills the quorum.

The grace ends long before the slow hospital has sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.store import Objects, Opener
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_early import HOSTILE, EarlyFederation
from wardround.api.names import CANCELLED
from wardround.ports import Object

ROUNDS = documents(OWN)[:3]
NAMES = [each["metadata"]["name"] for each in ROUNDS]


class DamagingObjects(Objects):
    """Keeps other bytes of this hospital's updates than it gets."""

    def write(self, key: str, headers: Mapping[str, str], data: bytes) -> bool:
        stored = super().write(key, headers, data)
        if f"/{HOSTILE}/" in key:
            self.stored[key] = bytes(len(data))
        return stored


class DamagingFederation(EarlyFederation):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.store = DamagingObjects(self._signer, self._clock)
        self._open_store = Opener(self.store, self._latency)


def played(early_seconds: int) -> tuple[dict[str, Object], dict[str, Object]]:
    """The rounds, and the tasks of that hospital, by round."""

    async def main(loop: VirtualLoop, folder: Path) -> tuple[dict[str, Object], dict[str, Object]]:
        federation = DamagingFederation(loop, folder, OWN, 1, early_seconds=early_seconds)
        async with federation.running(demo_data.tables()):
            for each in ROUNDS:
                each["spec"]["quorum"] = {"min": 2, "graceSeconds": 1}
                federation.apply(each)
            over = {name: await federation.over(name) for name in NAMES}
            tasks = federation.hub.select("RoundTask", HOSTILE)
            return over, {each["spec"]["roundRef"]["name"]: each for each in tasks}

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


@pytest.mark.parametrize("early_seconds", [0, 3600])
def test_a_damaged_update_ends_no_round_that_a_slow_hospital_may_fill(early_seconds: int) -> None:
    rounds, tasks = played(early_seconds)
    for name in NAMES:
        status = rounds[name]["status"]
        assert is_true(rounds[name], "Complete"), status
        assert status["participants"]["aggregated"] == 2
        assert {each["participant"]: each["reason"] for each in status["attention"]} == {HOSTILE: "Altered"}
        assert tasks[name]["metadata"]["annotations"][CANCELLED] == "Altered"
        assert status["result"]["location"].endswith("/1" if early_seconds and name != NAMES[1] else "/2")
