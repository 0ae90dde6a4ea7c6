"""A store that answers slowly, and whose lists do not end, does not hold the workers of the hub operator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.simulation.hub import FEDERATION, NAMESPACE, ORIGIN, LoneHub
from tests.simulation.store import SimulatedStore
from tests.simulation.virtual import VirtualLoop, play
from wardround.api import names
from wardround.hub.context import Context
from wardround.hub.operator import WORKERS
from wardround.hub.stored import LOOK_SECONDS, delete_stored, look_ends
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
    return cast(Context, SimpleNamespace(store=store, internal=signer, clock=loop.clock))


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


def test_more_gone_rounds_than_workers_lose_their_keys_though_the_lists_of_the_store_do_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rounds were deleted while no operator ran."""

    async def request(self: SimulatedStore, method: str, url: str) -> bytes:
        prefix = url.partition("&prefix=")[2].partition("&")[0].replace("%2F", "/")
        return await Endless(50.0, prefix).request(method, url)

    monkeypatch.setattr(SimulatedStore, "request", request)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        for number in range(2 * WORKERS):
            name, uid = f"train-{number}", f"0b6b5a4e-9f5c-4a4e-8f0a-{number:012}"
            metadata: dict[str, Any] = {
                "name": names.round_secret(uid),
                "namespace": NAMESPACE,
                "labels": names.round_labels(name, uid),
                "annotations": names.round_ref(FEDERATION, name),
            }
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"privateKey": "AA=="}}
            hub.server.create(secret)
        async with hub.running():
            await asyncio.sleep(3 * LOOK_SECONDS)
            secrets = hub.server.select("Secret", NAMESPACE, fields="")
            assert [each["metadata"]["name"] for each in secrets if (each.get("data") or {}).get("privateKey")] == []

    play(main)
