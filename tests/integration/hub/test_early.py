"""Aggregations that begin while their round collects, at a real API server with the chart's rights and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.api.objects import HUB, federated_round, hub_values, without
from tests.integration.cluster import Helm
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round, play_kubelet, stored, until_condition
from wardround.api import names
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECONDS = 600


@pytest_asyncio.fixture(loop_scope="session")
async def early(world: World, helm: Helm) -> AsyncIterator[World]:
    """The hub with `aggregation.earlySeconds`."""
    helm.install(
        "wardround-hub", "hub", HUB, {**hub_values(world.server.origin), "aggregation": {"earlySeconds": SECONDS}}
    )
    await world.restart(early_seconds=SECONDS)
    yield world
    helm.install("wardround-hub", "hub", HUB, hub_values(world.server.origin))
    await world.restart(early_seconds=0)


def from_base(name: str, base: str) -> Object:
    long = {"admissionSeconds": 7200, "totalSeconds": 14400}
    return without(federated_round(name, base={"roundName": base}, deadlines=long), "initial")


async def job(world: World, uid: str, number: int = 0) -> Object | None:
    return await world.client.get_if_exists("Job", names.aggregation_name(uid, number))


async def test_a_job_that_begins_with_the_first_update_combines_all(early: World, tmp_path: Path) -> None:
    await complete_round(early, "early-base", tmp_path)
    uid = early.admin.create(from_base("early-round", "early-base"))["metadata"]["uid"]
    a, b = early.hospitals["site-a"], early.hospitals["site-b"]
    async with early.server.client() as store:
        await a.send("early-round", [1.0, 2.0], 100, store, tmp_path)
        running = asyncio.create_task(play_kubelet(early, uid, 0))

        async def listed() -> list[str]:
            return await stored(early, f"updates/{uid}/lists/")

        await until(listed, "the first page")
        made = await job(early, uid)
        assert made is not None
        assert made["spec"]["activeDeadlineSeconds"] == 3600 + SECONDS
        await early.restart()
        assert not running.done()
        await b.send("early-round", [4.0, 8.0], 200, store, tmp_path)
    result = await running
    assert (result.aggregated, result.samples) == (("site-a", "site-b"), 300)
    ended = await until_condition(early, "early-round", "Complete", "Complete")
    assert ended["status"]["result"]["location"] == f"models/{uid}/0"
    assert await job(early, uid, 1) is None

    async def tidy() -> bool:
        secrets = [each["metadata"]["name"] for each in early.secrets(uid)]
        return names.aggregation_name(uid, 0) not in secrets and not await stored(early, f"updates/{uid}/")

    await until(tidy, "the plan and the list are deleted", 90)
