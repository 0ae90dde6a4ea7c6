"""What generic tools make of the hub's objects: the real kstatus library and the real `kubectl wait`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lab import toolchain
from tests.integration.api.kstatus import kstatus
from tests.integration.api.objects import FEDERATION, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round, until_condition

pytestmark = pytest.mark.asyncio(loop_scope="session")


def reads(world: World, kind: str, name: str, namespace: str = FEDERATION) -> str:
    return kstatus(world.admin.get(kind, name, namespace))[0]


async def until_read(world: World, expected: str, kind: str, name: str, namespace: str = FEDERATION) -> None:
    async def is_read() -> bool:
        return reads(world, kind, name, namespace) == expected

    await until(is_read, f"{kind} {name} to be {expected}")


async def test_kstatus_reads_suspended_participants_as_current_and_unapproved_ones_as_failed(world: World) -> None:
    await until_read(world, "Current", "Participant", "site-b", "site-b")
    pinned = world.admin.get("Participant", "site-b", "site-b")["spec"]["keyFingerprint"]
    try:
        for spec, expected in (
            ({"suspend": True}, "Current"),
            ({"suspend": False}, "Current"),
            ({"keyFingerprint": "sha256:" + "0" * 64}, "Failed"),
        ):
            world.admin.patch("Participant", "site-b", {"spec": spec}, "site-b")
            await until_read(world, expected, "Participant", "site-b", "site-b")
    finally:
        world.admin.patch("Participant", "site-b", {"spec": {"keyFingerprint": pinned}}, "site-b")
    await until_read(world, "Current", "Participant", "site-b", "site-b")


async def test_kstatus_reads_a_round_as_in_progress_until_it_fails(world: World) -> None:
    world.admin.create(federated_round("reads-failed"))
    tasks = [await hospital.task("reads-failed") for hospital in world.hospitals.values()]
    await until_condition(world, "reads-failed", "Reconciling", "Collecting")
    assert reads(world, "FederatedRound", "reads-failed") == "InProgress"
    for hospital, task in zip(world.hospitals.values(), tasks, strict=True):
        await hospital.report(task, {}, ("Accepted", False, "ImageNotAllowed"))
    await until_condition(world, "reads-failed", "Failed", "QuorumNotMet")
    assert reads(world, "FederatedRound", "reads-failed") == "Failed"


async def test_kstatus_reads_a_suspended_round_as_current_until_it_resumes(world: World) -> None:
    world.admin.create(federated_round("reads-suspended"))
    for hospital in world.hospitals.values():
        await hospital.task("reads-suspended")
    for suspend, expected in ((True, "Current"), (False, "InProgress")):
        world.admin.patch("FederatedRound", "reads-suspended", {"spec": {"suspend": suspend}}, FEDERATION)
        await until_read(world, expected, "FederatedRound", "reads-suspended")
    world.admin.delete("FederatedRound", "reads-suspended", FEDERATION)


async def test_a_change_of_suspend_leaves_a_complete_round_complete(world: World, tmp_path: Path) -> None:
    await complete_round(world, "reads-complete", tmp_path)
    assert reads(world, "FederatedRound", "reads-complete") == "Current"
    world.admin.patch("FederatedRound", "reads-complete", {"spec": {"suspend": True}}, FEDERATION)
    await wait(world, "reads-complete")
    await until_read(world, "Current", "FederatedRound", "reads-complete")


async def wait(world: World, name: str) -> None:
    """`kubectl wait` believes no condition that was said of an earlier generation."""
    command = [
        str(toolchain.tool("kubectl")),
        f"--kubeconfig={world.admin.kubeconfig}",
        "wait",
        f"federatedround/{name}",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, "-n", FEDERATION, "--for=condition=Complete", "--timeout=30s"
    )
    assert await process.wait() == 0
