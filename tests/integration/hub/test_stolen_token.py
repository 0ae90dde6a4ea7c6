"""A thief has the token of a hospital's account, and none of the hospital's keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.api.objects import federated_round, without
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import VALIDATION_SUMS, Hospital
from tests.integration.hub.rounds import complete_round, play_kubelet, until_condition
from tests.players import courier
from tests.players.thief import keys_that_unwrap
from wardround.api.roundtask import RoundTask
from wardround.ports import Object
from wardround.sealing import untrusted
from wardround.sealing.assignments import open_assignment
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_model
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import base_context
from wardround.wire.assignment import Assignment
from wardround.wire.models import ModelManifest

pytestmark = pytest.mark.asyncio(loop_scope="session")


def asked(task: RoundTask) -> tuple[Assignment, ModelManifest, bytes]:
    """The assignment of a task and its base, whose data key is wrapped."""
    key = load_verification_key(untrusted.decode(task.spec.hub_key, "x"))
    assignment = open_assignment(task.spec.assignment, key)
    assert assignment.base is not None
    return assignment, open_model(assignment.base.manifest, key), assignment.base.wrapped_key


async def readable(thief: Hospital) -> list[Object]:
    """All objects that the token may read."""
    participant = await thief.client.get("Participant", thief.name)
    return [participant, *await thief.client.list("RoundTask")]


async def test_a_thief_of_a_token_opens_no_model_and_signs_no_update(world: World, tmp_path: Path) -> None:
    await complete_round(world, "stolen-base", tmp_path)
    alone = {"quorum": {"min": 1, "graceSeconds": 600}}
    follows = without(federated_round("stolen", base={"roundName": "stolen-base"}, **alone), "initial")
    uid = str(world.admin.create(follows)["metadata"]["uid"])
    honest, robbed = world.hospitals["site-a"], world.hospitals["site-b"]
    thief = Hospital(robbed.name, robbed.client, robbed.hub_fingerprint)
    task = await thief.task("stolen")
    assignment, base, wrapped = asked(task)

    context = base_context(uid, 1, thief.name, base.digest)
    objects, own = await readable(thief), [thief.player.decryption.raw]
    assert keys_that_unwrap(wrapped, context, objects, own) == []
    # The control: the hospital's own key, which only its courier has.
    assert keys_that_unwrap(wrapped, context, objects, [robbed.player.decryption.raw]) != []
    with pytest.raises(Refused, match="KeyUnusable"):
        thief.grants(task)

    plain, schema_digest = courier.written({"w": np.array([9.0, 9.0], dtype=np.float32)})
    claims = {"samples": 100, "sums": VALIDATION_SUMS, "base_digest": base.digest, "schema_digest": schema_digest}
    sealed, _ = await courier.seal(assignment, thief.player.identity, tmp_path / "thief", plain, **claims)
    update = {"manifest": sealed.envelope, "samples": sealed.manifest.samples}
    await thief.report(task, {"update": update}, *((each, True, each) for each in ("Accepted", "Trained", "Sent")))
    async with world.server.client() as store:
        await honest.send("stolen", [1.0, 2.0], 100, store, tmp_path)
    assert (await play_kubelet(world, uid)).aggregated == ("site-a",)
    ended = await until_condition(world, "stolen", "Complete", "Complete")
    assert [(each["participant"], each["reason"]) for each in ended["status"]["attention"]] == [
        ("site-b", "SignatureInvalid")
    ]
