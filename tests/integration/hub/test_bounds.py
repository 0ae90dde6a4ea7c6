"""A hospital that asks the hub for more room than its update can need, at a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.objects import FEDERATION, federated_round, without
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round
from wardround.sealing.body import ciphertext_length

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_hub_grants_no_more_bytes_than_the_model_needs(world: World, tmp_path: Path) -> None:
    first = await complete_round(world, "bound", tmp_path)
    second = federated_round("bounded", base={"roundName": "bound"}, quorum={"min": 1})
    world.admin.create(without(second, "initial"))
    size = ciphertext_length(first["status"]["result"]["bytes"])
    greedy, modest = world.hospitals["site-a"], world.hospitals["site-b"]
    for hospital, bytes_wanted in ((greedy, 20 << 30), (modest, size)):
        task = await hospital.task("bounded")
        done = [("Accepted", True, "Accepted"), ("Trained", True, "Trained")]
        await hospital.report(task, {"upload": {"bytes": bytes_wanted}}, *done)

    async def attention() -> list[dict[str, Any]]:
        round_ = await world.client.get("FederatedRound", "bounded", FEDERATION)
        entries: list[dict[str, Any]] = round_.get("status", {}).get("attention", [])
        return entries

    async def cancelled() -> bool:
        return (await greedy.task("bounded")).spec.cancel

    async def granted() -> list[int]:
        return [put.bytes for put in modest.grants(await modest.task("bounded")).put or ()]

    await until(cancelled, "the greedy hospital's task to be cancelled")
    assert await until(granted, "grants of the other") == [size]
    [entries] = await until(attention, "the round to say so")
    assert (entries["participant"], entries["reason"]) == ("site-a", "UploadTooLarge")
    assert "site-a" in entries["message"]
    refused = await greedy.task("bounded")
    assert refused.metadata.annotations["wardround.io/cancelled"] == "UploadTooLarge"
    assert greedy.grants(refused).put is None
