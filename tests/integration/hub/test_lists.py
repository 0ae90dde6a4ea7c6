"""Kinds of which there are ever more, read a few objects at a time from a real API server."""

from __future__ import annotations

import pytest

from tests.integration.api.objects import HUB
from tests.integration.hub.conftest import World
from wardround.kube.client import SMALL_PAGE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_small_pages_return_every_object(world: World) -> None:
    names = [f"listed-{number:03}" for number in range(2 * SMALL_PAGE + 1)]
    for name in names:
        metadata = {"name": name, "namespace": HUB, "labels": {"listed": "yes"}}
        world.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    try:
        items = [item async for item in world.client.each("ConfigMap", labels="listed=yes")]
        assert [item["metadata"]["name"] for item in items] == names
        assert {item["kind"] for item in items} == {"ConfigMap"}
        assert items == await world.client.list("ConfigMap", labels="listed=yes")
    finally:
        for name in names:
            world.admin.delete("ConfigMap", name, HUB)
