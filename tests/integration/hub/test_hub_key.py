"""The hub operator publishes its facts, after a person has renewed its key (docs/operations.md) or added keys."""

from __future__ import annotations

import pytest

from tests.integration.api.objects import HUB
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from wardround.api.names import HUB_CONFIG_MAP, HUB_SIGNING_KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_hub_replaces_its_deleted_key_and_publishes_the_fingerprint(world: World) -> None:
    before = world.admin.get("Secret", HUB_SIGNING_KEY, HUB)
    pinned = world.admin.get("ConfigMap", HUB_CONFIG_MAP, HUB)["data"]["fingerprint"]

    async def published(fingerprint: str, *, other: bool) -> str:
        """The hub's fingerprint, once ConfigMap and Participants agree that it is this one, or another one."""

        async def agreed() -> str | None:
            shown = world.admin.get("ConfigMap", HUB_CONFIG_MAP, HUB)["data"]["fingerprint"]
            hospitals = [
                world.admin.get("Participant", name, name)["status"].get("hubFingerprint") for name in world.hospitals
            ]
            return str(shown) if set(hospitals) == {shown} and (shown != fingerprint) is other else None

        return str(await until(agreed, "the hub's fingerprint"))

    try:
        world.admin.delete("Secret", HUB_SIGNING_KEY, HUB)
        await world.restart()
        assert await published(pinned, other=True) != pinned
        assert world.admin.get("Secret", HUB_SIGNING_KEY, HUB)["data"] != before["data"]
    finally:
        # The other tests' hospitals pin the first key.
        world.admin.delete("Secret", HUB_SIGNING_KEY, HUB)
        meta = {"name": HUB_SIGNING_KEY, "namespace": HUB}
        world.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": before["data"]})
        await world.restart()
        await published(pinned, other=False)


async def test_keys_that_a_person_has_added_do_not_stop_the_hub_operator(world: World) -> None:
    """Its admission policy lets it write no ConfigMap that keeps them."""
    before = world.admin.get("ConfigMap", HUB_CONFIG_MAP, HUB)["data"]
    added = {"data": {"note": "of a person", "storeOrigin": "https://old.example"}, "binaryData": {"more": "eA=="}}
    world.admin.patch("ConfigMap", HUB_CONFIG_MAP, added, HUB)
    await world.restart()

    async def published() -> bool:
        item = world.admin.get("ConfigMap", HUB_CONFIG_MAP, HUB)
        return item["data"] == before and "binaryData" not in item

    await until(published, "the hub operator publishes its facts and nothing else")
