"""A round at a real API server and a real store: only the kubelet that would run the aggregation Job is played."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.objects import FEDERATION, HUB, federated_round, without
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round, conditions, play_kubelet, sent_round, stored, until_condition
from wardround.api import names
from wardround.api.roundtask import RoundTask
from wardround.hub import register, vault
from wardround.ports import Api, Object
from wardround.sealing import untrusted
from wardround.sealing.keys import VerificationKey, load_verification_key
from wardround.sealing.manifests import open_model

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_participant_with_the_approved_keys_is_ready(world: World) -> None:
    async def ready() -> bool:
        participant = await world.client.get("Participant", "site-a", "site-a")
        return conditions(participant).get("Ready") == ("True", "Approved")

    await until(ready, "site-a Ready")


async def test_each_hospital_can_verify_its_assignment(world: World) -> None:
    world.admin.create(federated_round("assigned", participants={"names": ["site-a", "site-b"]}))
    for hospital in world.hospitals.values():
        assignment = hospital.assignment(await hospital.task("assigned"))
        assert (assignment.participant, assignment.round_name, assignment.roster) == (
            hospital.name,
            "assigned",
            ("site-a", "site-b"),
        )
        assert assignment.site_fingerprint == hospital.fingerprint
        assert hospital.grants(await hospital.task("assigned")).put is None


async def test_the_hub_reads_the_rounds_key_once_for_all_hospitals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, round_uids = vault.round_secret, []

    async def counted(client: Api, round_uid: str) -> Object:
        round_uids.append(round_uid)
        return await read(client, round_uid)

    monkeypatch.setattr(vault, "round_secret", counted)
    created = world.admin.create(federated_round("one-key"))
    for hospital in world.hospitals.values():
        await hospital.task("one-key")
    await until_condition(world, "one-key", "Reconciling", "Collecting")
    assert round_uids.count(created["metadata"]["uid"]) == 1
    world.admin.delete("FederatedRound", "one-key", FEDERATION)


async def test_a_complete_round_leaves_no_key_and_no_update(world: World, tmp_path: Path) -> None:
    started = time.monotonic()
    round_ = await complete_round(world, "circle", tmp_path)
    print(f"apply to Complete, without pods: {time.monotonic() - started:.2f} s")
    uid, status = round_["metadata"]["uid"], round_["status"]
    counts = {"selected": 2, "accepted": 2, "sent": 2, "failed": 0, "aggregated": 2, "refused": 0, "absent": 0}
    assert status["participants"] == counts
    assert (status["result"]["samples"], status["result"]["location"]) == (300, f"models/{uid}/1")
    assert [each["stage"] for each in status["timeline"]] == [
        "Started",
        "Dispatched",
        "Collected",
        "Aggregated",
        "Complete",
    ]

    async def tidy() -> bool:
        # The memory that updates are to be deleted once more holds nothing.
        return world.keys(uid) == [f"model-{uid}"] and await stored(world, f"updates/{uid}/") == []

    await until(tidy, "the key and the updates are gone")
    assert len(await stored(world, f"models/{uid}/")) == 2


async def test_the_next_round_sends_the_result_to_every_hospital(world: World, tmp_path: Path) -> None:
    first = await complete_round(world, "first", tmp_path)
    second = without(federated_round("second", base={"roundName": "first"}), "initial")
    world.admin.create(second)
    for hospital in world.hospitals.values():
        task = await hospital.task("second")
        assignment, grants = hospital.assignment(task), hospital.grants(task)
        assert assignment.base is not None
        manifest = open_model(assignment.base.manifest, _hub_key(task))
        assert manifest.digest == first["status"]["result"]["digest"]
        assert grants.get is not None
        async with world.server.client() as store:
            data = await store.get_bytes(grants.get.parts[0], manifest.bytes)
        assert len(data) == manifest.bytes


async def test_a_result_survives_a_change_of_version_of_the_hub_operator(world: World, tmp_path: Path) -> None:
    """The hub operator that reads the answer finds a plan that another version has made."""

    def of_another_version(plan: Object) -> Object:
        return {key: value for key, value in plan.items() if key != "compression"} | {"later": 1}

    await play_kubelet(world, await sent_round(world, "versions", tmp_path), plan_of=of_another_version)
    await until_condition(world, "versions", "Complete", "Complete")


async def test_each_hospital_continues_from_its_last_counted_state(world: World, tmp_path: Path) -> None:
    async def states(name: str) -> dict[str, str]:
        assignments = {each.name: each.assignment(await each.task(name)) for each in world.hospitals.values()}
        return {hospital: assignment.state_round for hospital, assignment in assignments.items()}

    def follow(name: str, base: str, **spec: Any) -> Object:
        return world.admin.create(without(federated_round(name, base={"roundName": base}, **spec), "initial"))

    first = (await complete_round(world, "counted-1", tmp_path))["metadata"]["uid"]
    assert await states("counted-1") == {"site-a": "", "site-b": ""}
    second = follow("counted-2", "counted-1", quorum={"min": 1, "graceSeconds": 0})["metadata"]["uid"]
    assert await states("counted-2") == {"site-a": first, "site-b": first}
    async with world.server.client() as store:
        await world.hospitals["site-a"].send("counted-2", [0.5, 0.5], 100, store, tmp_path)
    await play_kubelet(world, second)
    await until_condition(world, "counted-2", "Complete", "Complete")
    # What the next round needs to know stands in the record of this one.
    world.admin.delete("FederatedRound", "counted-1", FEDERATION)
    follow("counted-3", "counted-2")
    follow("counted-seen", "counted-2", task="Evaluate", metrics=["rows"])
    for name in ("counted-3", "counted-seen"):
        assert await states(name) == {"site-a": second, "site-b": first}


def _hub_key(task: RoundTask) -> VerificationKey:
    return load_verification_key(untrusted.decode(task.spec.hub_key, "x"))


async def test_a_round_survives_restarts_of_the_hub_operator(world: World, tmp_path: Path) -> None:
    created = world.admin.create(federated_round("restarted"))
    a, b = world.hospitals["site-a"], world.hospitals["site-b"]
    async with world.server.client() as store:
        await a.send("restarted", [1.0, 2.0], 100, store, tmp_path)
        await world.restart()
        await b.send("restarted", [4.0, 8.0], 200, store, tmp_path)
    await world.restart()
    await play_kubelet(world, created["metadata"]["uid"])
    await until_condition(world, "restarted", "Complete", "Complete")


async def test_a_round_that_every_hospital_refuses_fails_with_their_reason(world: World) -> None:
    world.admin.create(federated_round("refused"))
    for hospital in world.hospitals.values():
        task = await hospital.task("refused")
        await hospital.report(task, {}, ("Accepted", False, "ImageNotAllowed"))
    round_ = await until_condition(world, "refused", "Failed", "QuorumNotMet")
    assert {each["reason"] for each in round_["status"]["attention"]} == {"ImageNotAllowed"}
    assert "ImageNotAllowed" in next(
        each["message"] for each in round_["status"]["conditions"] if each["type"] == "Failed"
    )


@pytest.mark.parametrize(
    ("name", "spec", "kind", "reason"),
    [
        ("stranger", {"participants": {"names": ["site-a", "site-z"]}}, "Stalled", "ParticipantUnknown"),
        ("no-data", {"datasetName": "lung"}, "Stalled", "DatasetUnknown"),
        ("no-base", {"base": {"roundName": "nowhere"}, "initial": None}, "Stalled", "BaseNotFound"),
        ("on-failed", {"base": {"roundName": "refused"}, "initial": None}, "Failed", "BaseFailed"),
    ],
)
async def test_a_round_reports_its_bad_input(
    world: World, name: str, spec: dict[str, Any], kind: str, reason: str
) -> None:
    round_ = federated_round(name, **spec)
    round_["spec"] = {key: value for key, value in round_["spec"].items() if value is not None}
    world.admin.create(round_)
    await until_condition(world, name, kind, reason)


async def test_the_hub_deletes_all_objects_of_a_deleted_round(world: World, tmp_path: Path) -> None:
    uid = (await complete_round(world, "swept", tmp_path))["metadata"]["uid"]
    world.admin.delete("FederatedRound", "swept", FEDERATION)

    async def gone() -> bool:
        labels = f"{names.ROUND_UID}={uid}"
        tasks = await world.client.list("RoundTask", everywhere=True, labels=labels)
        return not tasks and not world.keys(uid) and not await stored(world, f"models/{uid}/")

    await until(gone, "the sweep")


@pytest.mark.parametrize("deleted", [False, True])
async def test_the_hub_deletes_an_update_that_arrives_after_the_end(
    world: World, tmp_path: Path, deleted: bool
) -> None:
    """A presigned URL holds until it expires, whatever has become of its round. That an hour is over is played."""
    name, past = f"late-put-{deleted}".lower(), "2026-01-01T00:00:00Z"
    uid = (await complete_round(world, name, tmp_path))["metadata"]["uid"]
    hospital = world.hospitals["site-a"]
    [put] = hospital.grants(await hospital.task(name)).put or []
    if deleted:
        world.admin.delete("FederatedRound", name, FEDERATION)

    def secrets_left() -> dict[str, Object]:
        return {each["metadata"]["name"]: each for each in world.secrets(uid)}

    memory, note = f"round-{uid}", names.PUTS_UNTIL if deleted else names.CLEANED_UP
    prefixes = (f"updates/{uid}/", f"models/{uid}/") if deleted else (f"updates/{uid}/",)

    async def cleaned() -> bool:
        secrets = secrets_left()
        metadata = secrets.get(memory, {}).get("metadata", {})
        noted = note in metadata.get("annotations", {}) and not secrets[memory].get("data")
        labels = f"{names.ROUND_UID}={uid}"
        tasks = await world.client.list("RoundTask", everywhere=True, labels=labels)
        gone = not deleted or not (f"model-{uid}" in secrets or tasks)
        return noted and gone and not any([await stored(world, prefix) for prefix in prefixes])

    await until(cleaned, "keys and updates are deleted")

    async def put_late() -> bool:
        """A look of the hub that is under way may still take what comes meanwhile."""
        async with world.server.client() as store:
            await store.put_bytes(put.url, put.headers, bytes(put.bytes))
        return len(await stored(world, f"updates/{uid}/")) == 1

    await until(put_late, "an update lies there after the end")
    world.admin.patch("Secret", memory, {"metadata": {"annotations": {names.PUTS_UNTIL: past}}}, HUB)
    await world.restart()

    async def nothing_left() -> bool:
        expected = set() if deleted else {f"model-{uid}"}
        registered = await register.entry(world.client, uid) is not None
        return (set(secrets_left()), registered) == (expected, not deleted) and not await stored(
            world, f"updates/{uid}/"
        )

    await until(nothing_left, "the second clean-up")
    if not deleted:
        await until_condition(world, name, "CleanedUp", "CleanedUp")


async def test_an_idle_hub_writes_nothing(world: World) -> None:
    async def versions() -> dict[str, str]:
        objects = []
        for kind in ("FederatedRound", "RoundTask", "Participant"):
            objects += await world.client.list(kind, everywhere=True)
        return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in objects}

    before = await versions()
    await world.restart()
    await asyncio.sleep(4)
    assert await versions() == before
