"""A hospital whose account is deleted: its Participant says so, generic tools see it, and rounds go on without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lab import toolchain
from tests.integration.api.apiserver import HOSPITAL_MANAGER
from tests.integration.api.kstatus import kstatus
from tests.integration.api.objects import FEDERATION, federated_round
from tests.integration.cluster import enrol
from tests.integration.hub.conftest import World, as_account
from tests.integration.hub.hospital import Hospital, until
from tests.integration.hub.rounds import conditions, until_condition
from wardround.kubectl import main

pytestmark = pytest.mark.asyncio(loop_scope="session")
NAME = "site-r"


@pytest_asyncio.fixture(loop_scope="session")
async def hospital(world: World) -> AsyncIterator[Hospital]:
    """One that was enrolled, has published its keys and is approved."""
    enrol(world.admin, NAME)
    account = as_account(world.admin, NAME, "site", HOSPITAL_MANAGER)
    enrolled = Hospital(NAME, account, world.hospitals["site-a"].hub_fingerprint)
    await enrolled.publish()
    world.admin.patch("Participant", NAME, {"spec": {"keyFingerprint": enrolled.fingerprint}}, NAME)
    await until_ready(world, "True", "Approved")
    yield enrolled
    await enrolled.client.close()


async def until_ready(world: World, status: str, reason: str) -> None:
    async def reported() -> bool:
        participant = await world.client.get("Participant", NAME, NAME)
        return conditions(participant).get("Ready") == (status, reason)

    await until(reported, f"{NAME} Ready {status} {reason}")


async def printed(world: World, *arguments: str) -> str:
    command = [str(toolchain.tool("kubectl")), f"--kubeconfig={world.admin.kubeconfig}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def create(world: World, name: str) -> None:
    world.admin.create(federated_round(name, participants={"names": ["site-a", NAME]}, quorum={"min": 1}))


async def until_left_out(world: World, name: str) -> None:
    async def left_out() -> bool:
        round_ = await world.client.get("FederatedRound", name, FEDERATION)
        reasons = {each["participant"]: each["reason"] for each in round_.get("status", {}).get("attention", [])}
        return reasons == {NAME: "ParticipantRevoked"}

    await until(left_out, f"{name} goes on without {NAME}")


async def test_no_round_waits_for_a_revoked_hospital(world: World, hospital: Hospital) -> None:
    create(world, "revoked-meanwhile")
    task = await hospital.task("revoked-meanwhile")
    assert main(["revoke", NAME, "--kubeconfig", str(world.admin.kubeconfig)]) == 0
    await until_ready(world, "False", "Revoked")
    assert kstatus(world.admin.get("Participant", NAME, NAME)) == ["Failed"]
    [_, shown] = (await printed(world, "get", "participants", "-n", NAME)).splitlines()
    assert shown.split()[3:5] == ["False", "Revoked"]

    await until_left_out(world, "revoked-meanwhile")

    async def called_back() -> bool:
        return bool(world.admin.get("RoundTask", task.metadata.name, NAME)["spec"].get("cancel"))

    await until(called_back, "its task is called back")
    # One that is made now asks the others at once, though it names this hospital.
    create(world, "revoked-before")
    await world.hospitals["site-a"].task("revoked-before")
    await until_condition(world, "revoked-before", "Reconciling", "Collecting")
    await until_left_out(world, "revoked-before")

    assert main(["enrol", NAME, "--apply", "--kubeconfig", str(world.admin.kubeconfig)]) == 0
    await until_ready(world, "True", "Approved")
    for name in ("revoked-meanwhile", "revoked-before"):
        world.admin.delete("FederatedRound", name, FEDERATION)
