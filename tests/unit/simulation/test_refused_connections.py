"""Hospitals that cannot connect to their hub try again, and join as soon as they can."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from lab import demo_data
from tests.simulation.client import Client
from tests.simulation.federation import HUB_URL, Federation
from tests.simulation.rounds import OWN, scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.kube.errors import Unavailable

# Virtual seconds.
REFUSED_UNTIL = 90.0


@pytest.mark.parametrize("until", [0.0, REFUSED_UNTIL])
def test_hospitals_join_as_soon_as_the_hub_takes_their_connections(until: float) -> None:
    refusals = Counter[str]()

    class Refused(Client):
        """The hub's API server takes no connection of a hospital for a while."""

        async def arrive(self, doing: str) -> str:
            account = await super().arrive(doing)
            if self.at.url == HUB_URL and account.endswith(":site") and asyncio.get_running_loop().time() < until:
                refusals[account] += 1
                raise Unavailable(doing, "connection refused")
            return account

    async def main(loop: VirtualLoop, folder: Path) -> float:
        federation = Federation(loop, folder, OWN, 1, connect=Refused)
        async with federation.running(demo_data.tables()):
            return loop.time()

    with scratch() as folder:
        joined = play(lambda loop: main(loop, Path(folder)))
    # The heartbeat of a site tries every 10 s, and wakes the Site once the hub answers.
    assert until <= joined < until + 30
    assert len(refusals) == (len(demo_data.HOSPITALS) if until else 0)
