"""A person deletes the Secret of a round's key while the round runs, at a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.api.objects import FEDERATION, HUB, federated_model, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import stored, until_condition
from tests.integration.hub.test_models import newest
from tests.integration.hub.test_trouble import store_in_trouble
from wardround.api import names
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def nothing_left(world: World, uid: str) -> None:
    """Waits until no key and no update is left of a round. The emptied Secret stays while sites can still put
    updates."""

    async def is_clean() -> bool:
        return not world.keys(uid) and await stored(world, f"updates/{uid}/") == []

    await until(is_clean, "keys and updates are deleted")


async def test_a_round_whose_key_is_deleted_fails_and_is_cleaned_up(world: World, tmp_path: Path) -> None:
    created = world.admin.create(federated_round("key-lost"))
    uid = str(created["metadata"]["uid"])
    site_a, site_b = world.hospitals["site-a"], world.hospitals["site-b"]
    await site_b.task("key-lost")
    async with world.server.client() as store:
        await site_a.send("key-lost", [1.0, 2.0], 100, store, tmp_path)
    assert await stored(world, f"updates/{uid}/")
    world.admin.delete("Secret", names.round_secret(uid), HUB)
    await site_b.report(await site_b.task("key-lost"), {}, ("Accepted", True, "Accepted"))
    failed = await until_condition(world, "key-lost", "Failed", "RoundKeyLost")
    message = next(each["message"] for each in failed["status"]["conditions"] if each["type"] == "Failed")
    assert f"kubectl delete federatedround key-lost -n {FEDERATION}" in message

    async def cancelled() -> bool:
        return (await site_b.task("key-lost")).spec.cancel

    await until(cancelled, "the other hospital's task is cancelled")
    await nothing_left(world, uid)
    # As the message says.
    world.admin.delete("FederatedRound", "key-lost", FEDERATION)
    world.admin.create(federated_round("key-lost"))

    async def asked_again() -> bool:
        return (await site_b.task("key-lost")).metadata.labels[names.ROUND_UID] != uid

    await until(asked_again, "the new round asks the hospital")
    world.admin.delete("FederatedRound", "key-lost", FEDERATION)


async def test_a_series_repeats_a_round_whose_key_is_deleted(world: World) -> None:
    model = federated_model("key-lost", rounds=1)
    model["spec"]["series"]["onFailure"] = {"retries": 1}
    world.admin.create(model)
    first = await newest(world, "key-lost", 1)
    name, uid = first["metadata"]["name"], str(first["metadata"]["uid"])
    site = world.hospitals["site-a"]
    task = await site.task(name)
    world.admin.delete("Secret", names.round_secret(uid), HUB)
    await site.report(task, {}, ("Accepted", True, "Accepted"))
    await until_condition(world, name, "Failed", "RoundKeyLost")

    async def repeated() -> Object | None:
        series = (await world.client.get("FederatedModel", "key-lost", FEDERATION))["status"]["series"]
        again = [each for each in series["rounds"] if each["attempt"] == 2]
        return series if again else None

    series: Object = await until(repeated, "the series makes the round again")
    assert series["rounds"][0]["outcome"] == "Failed"
    second = await newest(world, "key-lost", 2)
    await site.task(second["metadata"]["name"])
    world.admin.delete("FederatedModel", "key-lost", FEDERATION)


async def test_updates_go_although_somebody_deletes_what_says_that_they_are_left(world: World, tmp_path: Path) -> None:
    """The store is away when the round ends. Then the Secret is deleted, and the hub operator starts anew."""
    created = world.admin.create(federated_round("memory-lost"))
    uid = str(created["metadata"]["uid"])
    site_a, site_b = world.hospitals["site-a"], world.hospitals["site-b"]
    refusing = await site_b.task("memory-lost")
    async with world.server.client() as store:
        await site_a.send("memory-lost", [1.0, 2.0], 100, store, tmp_path)
    with store_in_trouble(world):
        await site_b.report(refusing, {}, ("Accepted", False, "ImageNotAllowed"))
        await until_condition(world, "memory-lost", "Failed", "QuorumNotMet")

        async def is_emptied() -> bool:
            return not (await world.client.get("Secret", names.round_secret(uid))).get("data")

        await until(is_emptied, "the key is deleted")
        # As if an hour was over: the site can store nothing any more.
        for each in (await site_a.task("memory-lost"), await site_b.task("memory-lost")):
            notes = {"metadata": {"annotations": {names.GRANTS_EXPIRE: "2026-01-01T00:00:00Z"}}}
            world.admin.patch("RoundTask", each.metadata.name, notes, each.metadata.namespace)
        world.admin.delete("Secret", names.round_secret(uid), HUB)
    await world.restart()
    await until_condition(world, "memory-lost", "CleanedUp", "CleanedUp")
    assert await stored(world, f"updates/{uid}/") == []
    assert not world.secrets(uid)
    world.admin.delete("FederatedRound", "memory-lost", FEDERATION)
