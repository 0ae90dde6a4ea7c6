"""A round is deleted, and others start from its result: as long as they are not over it stays, and goes afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.objects import FEDERATION, HUB, federated_round, without
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round, play_kubelet, stored, until_condition
from wardround.api import names
from wardround.hub import register
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")


def follow(world: World, name: str, base: str, **spec: Any) -> str:
    created = world.admin.create(without(federated_round(name, base={"roundName": base}, **spec), "initial"))
    return str(created["metadata"]["uid"])


async def result(world: World, uid: str) -> Object | None:
    """The Secret of a round's result; its bytes are in the store."""
    assert len(await stored(world, f"models/{uid}/")) == 2
    secret = await world.client.get("Secret", names.model_secret(uid))
    return secret if secret.get("data") else None


async def gone(world: World, uid: str) -> None:
    """The empty Secret stays for a while: it records that sites can still put updates."""

    async def is_gone() -> bool:
        return not world.keys(uid) and await stored(world, f"models/{uid}/") == []

    await until(is_gone, "the result is gone")


async def send(world: World, name: str, folder: Path) -> None:
    async with world.server.client() as store:
        for hospital in world.hospitals.values():
            await hospital.send(name, [0.5, 0.5], 100, store, folder)


async def test_a_running_round_uses_the_result_of_a_deleted_round(world: World, tmp_path: Path) -> None:
    first = (await complete_round(world, "pruned-1", tmp_path))["metadata"]["uid"]
    second = follow(world, "pruned-2", "pruned-1")
    tasks = [await each.task("pruned-2") for each in world.hospitals.values()]
    assert {each.metadata.labels[names.BASE_UID] for each in tasks} == {first}
    world.admin.delete("FederatedRound", "pruned-1", FEDERATION)
    round_ = await until_condition(world, "pruned-2", "BaseDeleted", "BaseDeleted")
    message = next(each["message"] for each in round_["status"]["conditions"] if each["type"] == "BaseDeleted")
    assert message.startswith("Somebody deleted round pruned-1, from which this round starts.")

    async def event_written() -> bool:
        path = f"/apis/events.k8s.io/v1/namespaces/{FEDERATION}/events"
        events = world.admin.call("GET", path)["items"]
        return ("BaseDeleted", "Warning", message) in {
            (each["reason"], each["type"], each["note"]) for each in events if each["regarding"]["uid"] == second
        }

    await until(event_written, "the Event")
    await world.restart()

    async def kept() -> bool:
        tasks_left = await world.client.list("RoundTask", everywhere=True, labels=f"{names.ROUND_UID}={first}")
        return not tasks_left and await result(world, first) is not None

    await until(kept, "the tasks of the round are gone and its result is kept")
    # Another of that name is not what the running round started from.
    world.admin.create(federated_round("pruned-1"))
    await world.hospitals["site-a"].task("pruned-1")
    await send(world, "pruned-2", tmp_path)
    assert (await play_kubelet(world, second)).left_out == ()
    await until_condition(world, "pruned-2", "Complete", "Complete")
    await gone(world, first)
    world.admin.delete("FederatedRound", "pruned-1", FEDERATION)


async def test_only_rounds_that_already_waited_start_from_a_deleted_round(world: World, tmp_path: Path) -> None:
    """As when a sync applies the next round and prunes the last one, and a hospital is not ready yet."""
    first = (await complete_round(world, "waited-1", tmp_path))["metadata"]["uid"]
    follow(world, "waited-2", "waited-1", datasetName="lung")
    follow(world, "suspended-2", "waited-1", suspend=True)
    await until_condition(world, "waited-2", "Stalled", "DatasetUnknown")
    await until_condition(world, "suspended-2", "Suspended", "Suspended")
    world.admin.delete("FederatedRound", "waited-1", FEDERATION)
    await until_condition(world, "waited-2", "BaseDeleted", "BaseDeleted")

    async def noted() -> bool:
        secret = await world.client.get("Secret", names.model_secret(first), HUB)
        return len(secret["metadata"]["annotations"].get(names.KEPT_FOR, "").split()) == 2

    await until(noted, "the result is kept for those that were there")
    follow(world, "late-2", "waited-1")
    late_round = await until_condition(world, "late-2", "Stalled", "BaseUnusable")
    assert any("Somebody deleted round waited-1" in each["message"] for each in late_round["status"]["conditions"])
    world.admin.delete("FederatedRound", "waited-2", FEDERATION)
    world.admin.patch("FederatedRound", "suspended-2", {"spec": {"suspend": False}}, FEDERATION)
    for hospital in world.hospitals.values():
        assignment = hospital.assignment(await hospital.task("suspended-2"))
        assert assignment.base is not None
        assert assignment.state_round == first
    assert await result(world, first) is not None
    world.admin.delete("FederatedRound", "suspended-2", FEDERATION)
    await gone(world, first)
    world.admin.delete("FederatedRound", "late-2", FEDERATION)


async def test_a_result_whose_rounds_deletion_nobody_noticed_goes_with_the_round_that_waits_for_it(
    world: World,
) -> None:
    """The result has no signature of this hub, so the round does not start from it."""
    uid = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e99"
    metadata: dict[str, Any] = {
        "name": names.model_secret(uid),
        "namespace": HUB,
        "labels": names.round_labels("orphan-1", uid),
        "annotations": names.round_ref(FEDERATION, "orphan-1"),
    }
    world.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"dataKey": "AA=="}})
    await register.enter(world.client, uid, metadata["labels"], metadata["annotations"])
    follow(world, "orphan-2", "orphan-1")
    await until_condition(world, "orphan-2", "Stalled", "BaseUnusable")

    async def noted() -> bool:
        secret = await world.client.get("Secret", names.model_secret(uid), HUB)
        return names.KEPT_FOR in secret["metadata"]["annotations"]

    await until(noted, "the result is kept for the round that waits")
    world.admin.delete("FederatedRound", "orphan-2", FEDERATION)

    async def is_gone() -> bool:
        return not world.secrets(uid) and await register.entry(world.client, uid) is None

    await until(is_gone, "the result is gone")
