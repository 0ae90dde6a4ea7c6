"""A store that answers slowly, and whose lists do not end, does not hold the workers of the hub operator."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.simulation.hub import FEDERATION, NAMESPACE, ORIGIN, LoneHub
from tests.simulation.store import SimulatedStore
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import enter
from wardround.api import names
from wardround.hub.context import Context
from wardround.hub.leftovers import Memory, delete_remembered
from wardround.hub.store_looks import CROWDED_SECONDS, LONG_LOOKS, LOOK_SECONDS, WORKERS, StoreLooks
from wardround.hub.stored import delete_stored, look_ends
from wardround.presign import Credentials, Presigner
from wardround.store.errors import StoreError

PREFIX = "updates/uid-1/"


@dataclass
class Endless:
    """Lists three keys a page, always with a token for the next page. `seconds`: the time of each answer."""

    seconds: float
    prefix: str = PREFIX
    deleted: list[str] = field(default_factory=list)

    async def request(self, method: str, url: str) -> bytes:
        await asyncio.sleep(self.seconds)
        if method == "DELETE":
            self.deleted.append(url)
        keys = "".join(f"<Contents><Key>{self.prefix}{each}</Key></Contents>" for each in range(3))
        return f"<l>{keys}<NextContinuationToken>t</NextContinuationToken></l>".encode()


def context(loop: VirtualLoop, store: Endless) -> Context:
    signer = Presigner(ORIGIN, "bucket", "region", Credentials("access", "secret"))
    return cast(Context, SimpleNamespace(store=store, internal=signer, clock=loop.clock, store_looks=StoreLooks()))


@pytest.mark.parametrize(("seconds", "deleted"), [(50.0, 0), (7.0, 6)])
def test_one_look_at_a_list_that_does_not_end_takes_a_minute(seconds: float, deleted: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        store = Endless(seconds)
        with pytest.raises(StoreError, match="StoreTooSlow"):
            await delete_stored(context(loop, store), PREFIX, look_ends())
        assert loop.time() == LOOK_SECONDS
        assert len(store.deleted) == deleted

    play(main)


def test_the_deletions_of_one_look_share_its_time() -> None:
    async def main(loop: VirtualLoop) -> None:
        ends = look_ends()
        for _ in range(3):
            with pytest.raises(StoreError, match="StoreTooSlow"):
                await delete_stored(context(loop, Endless(7.0)), PREFIX, ends)
        assert loop.time() == LOOK_SECONDS

    play(main)


def test_a_store_that_hangs_is_asked_once_for_all_that_one_name_has_left() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = context(loop, Endless(86400.0))
        memories = [Memory({}, (f"updates/uid-{number}/",), None) for number in range(5)]
        async with AsyncExitStack() as others:
            for _ in range(LONG_LOOKS):
                await others.enter_async_context(hub.store_looks.limited(None))
            with pytest.raises(StoreError, match="StoreTooSlow"):
                await delete_remembered(hub, memories)
            assert loop.time() == CROWDED_SECONDS

    play(main)


def leave_gone_rounds(hub: LoneHub) -> None:
    """Twice as many as the hub operator has workers."""
    for number in range(2 * WORKERS):
        name, uid = f"gone-{number}", f"0b6b5a4e-9f5c-4a4e-8f0a-{number:012}"
        metadata: dict[str, Any] = {
            "name": names.round_secret(uid),
            "namespace": NAMESPACE,
            "labels": names.round_labels(name, uid),
            "annotations": names.round_ref(FEDERATION, name),
        }
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"privateKey": "AA=="}}
        hub.server.create(secret)
        enter(hub, name, uid)


def test_the_keys_of_more_gone_rounds_than_workers_go_while_the_stores_lists_do_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rounds were deleted while no operator ran."""

    async def request(self: SimulatedStore, method: str, url: str) -> bytes:
        prefix = url.partition("&prefix=")[2].partition("&")[0].replace("%2F", "/")
        return await Endless(50.0, prefix).request(method, url)

    monkeypatch.setattr(SimulatedStore, "request", request)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        leave_gone_rounds(hub)
        async with hub.running():
            await asyncio.sleep(3 * LOOK_SECONDS)
            secrets = hub.server.select("Secret", NAMESPACE, fields="")
            assert [each["metadata"]["name"] for each in secrets if (each.get("data") or {}).get("privateKey")] == []

    play(main)


async def hang(self: SimulatedStore, method: str, url: str) -> bytes:
    await asyncio.sleep(86400)
    return b""


def test_while_deletions_hang_at_the_store_hospitals_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store hangs for twice as many gone rounds as the hub operator has workers."""
    monkeypatch.setattr(SimulatedStore, "request", hang)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a")
        leave_gone_rounds(hub)
        async with hub.running():
            for number in range(5):
                hub.apply_round(f"train-{number}", ["site-a"], deadlines={"admissionSeconds": 86400})
                await asyncio.sleep(8)
                assert len(hub.server.select("RoundTask", "site-a", fields="")) == number + 1

    play(main)


def test_half_of_the_workers_may_wait_long_for_the_store() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = context(loop, Endless(86400.0))

        async def waited() -> float:
            begun = loop.time()
            with pytest.raises(StoreError, match="StoreTooSlow"):
                await delete_stored(hub, PREFIX, look_ends())
            return loop.time() - begun

        together = await asyncio.gather(*(waited() for _ in range(WORKERS)))
        assert together == [LOOK_SECONDS] * LONG_LOOKS + [CROWDED_SECONDS] * (WORKERS - LONG_LOOKS)
        assert await waited() == LOOK_SECONDS

    play(main)
