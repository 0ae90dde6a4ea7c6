"""The hub's etcd is restored from a backup while the hub operator runs, so versions begin at lower numbers."""

from __future__ import annotations

import itertools

from tests.simulation.apiserver import Place
from tests.simulation.hub import LoneHub
from tests.simulation.virtual import VirtualLoop, play


def test_a_hospital_that_was_suspended_after_a_restore_is_not_asked() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.server._versions = itertools.count(100_000)
        for name in ("site-a", "site-b"):
            hub.enrol(name)
        async with hub.running():
            # Only Participants matter here. The watch goes on and tells of the change.
            hub.server._versions = itertools.count(50_000)
            hub.server.change(Place("Participant", "site-b", "site-b"), {"spec": {"suspend": True}})
            await hub.settle()
            hub.apply_round("train-1", ["site-a", "site-b"], deadlines={"admissionSeconds": 10})
            await hub.settle()
            assert list(hub.tasks("train-1")) == ["site-a"]

    play(main)
