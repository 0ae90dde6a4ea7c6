"""The pages of a list that grows, at a store that hides, delays or refuses them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from tests.players.kept_list import kept
from tests.simulation.hub import ORIGIN
from tests.simulation.virtual import VirtualLoop, play
from wardround.documents import collected_list
from wardround.hub.context import Context
from wardround.hub.early import COLLECTING_SECONDS, MOST_EXISTING, Pages
from wardround.hub.execute import Interrupted
from wardround.hub.store_looks import StoreLooks
from wardround.plans.round.types import EarlyList, ListUpdates
from wardround.presign import Credentials, Presigner
from wardround.store.errors import StoreError
from wardround.wire import kept_plan
from wardround.wire.codec import Malformed
from wardround.wire.collected import CollectedPage

PAGE = CollectedPage((), "")


@dataclass
class StoreWithPages:
    """Says of the first `existing` pages that they exist. `seconds`: the time of each answer."""

    existing: int
    seconds: float = 0.0
    puts: int = 0

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        self.puts += 1
        await asyncio.sleep(self.seconds)
        return self.puts > self.existing


def pages(loop: VirtualLoop, store: StoreWithPages) -> Pages:
    signer = Presigner(ORIGIN, "bucket", "region", Credentials("access", "secret"))
    planned = collected_list.planned("uid", 0, 3, 1000, 1800, signer, loop.clock(), b"a try")
    hub = cast(Context, SimpleNamespace(store=store, internal=signer, clock=loop.clock, store_looks=StoreLooks()))
    return Pages(hub, kept(planned), 2)


def test_a_store_that_says_of_each_page_that_it_exists_gets_few_of_them_in_one_look() -> None:
    async def main(loop: VirtualLoop) -> None:
        store = StoreWithPages(existing=1 << 20)
        written = pages(loop, store)
        with pytest.raises(StoreError, match="StoreRefused"):
            await written.store(PAGE, COLLECTING_SECONDS)
        assert store.puts == MOST_EXISTING == 16
        assert written.number == 2 + 16  # the next look goes on from there

    play(main)


@pytest.mark.parametrize(("seconds", "passed"), [(3600.0, 0), (3.0, 3)])
def test_a_page_takes_ten_seconds_while_the_round_collects(seconds: float, passed: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        written = pages(loop, StoreWithPages(existing=100, seconds=seconds))
        with pytest.raises(StoreError, match="StoreTooSlow"):
            await written.store(PAGE, COLLECTING_SECONDS)
        assert loop.time() == 10.0
        assert written.number == 2 + passed

    play(main)


def test_a_page_goes_onto_the_next_number_that_is_free() -> None:
    async def main(loop: VirtualLoop) -> None:
        written = pages(loop, StoreWithPages(existing=2))
        await written.store(PAGE, COLLECTING_SECONDS)
        assert written.number == 2 + 3

    play(main)


def test_a_plan_that_another_version_made_is_not_called_a_fault_of_the_hub_operator() -> None:
    """An upgrade of the hub operator while a round collects, seen when the round closes."""
    with pytest.raises(Malformed) as unreadable:
        kept_plan.read_list(b'{"listed": {"key": "AA=="}}')
    closing = ListUpdates(tasks=(), before=EarlyList(), after=EarlyList(), counted=())
    cause = Interrupted(closing, unreadable.value).interruption.cause
    assert "cannot read plan.json.listed.collects, which another version of the hub operator has written" in cause
    assert "fault of the hub operator" not in cause
