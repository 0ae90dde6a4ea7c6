"""When a round has ended, nobody can open its updates, although a person has copied them from the store in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.api.apiserver import everything
from tests.integration.api.objects import FEDERATION
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import now, until
from tests.integration.hub.rounds import play_kubelet, sent_round, stored, until_condition
from tests.integration.hub.test_trouble import store_in_trouble
from tests.players.thief import keys_that_open
from wardround.api import names
from wardround.api.roundtask import RoundTask
from wardround.sealing import untrusted
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_update
from wardround.wire.models import UpdateManifest

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Copied:
    """An update as the store and the RoundTask had it."""

    update: UpdateManifest
    ciphertext: bytes

    async def keys(self, world: World) -> list[bytes]:
        """All that opens the update. A person reads all objects of the cluster, and has the keys of all hospitals."""
        objects = everything(world.admin)
        hospitals = [each.player.decryption.raw for each in world.hospitals.values()]
        return keys_that_open(self.update, self.ciphertext, objects, hospitals)


async def copied(world: World, task: RoundTask) -> Copied:
    """What a person copies of one hospital while the round collects."""
    report, hospital = task.status.update, task.metadata.namespace
    assert report is not None
    key = load_verification_key(untrusted.decode(world.hospitals[hospital].player.keys.signing, "x"))
    update = open_update(report.manifest, key)
    [part] = await stored(world, names.update_location(task.spec.round_ref.uid, 1, hospital))
    async with world.server.client() as store:
        return Copied(update, await store.get_bytes(world.server.presigner.get(part, now(), 60), update.bytes))


async def complete(world: World, name: str, uid: str) -> None:
    await play_kubelet(world, uid)
    await until_condition(world, name, "Complete", "Complete")


async def delete(world: World, name: str, uid: str) -> None:
    world.admin.delete("FederatedRound", name, FEDERATION)


END: dict[str, Callable[[World, str, str], Awaitable[None]]] = {
    "complete": complete,
    "deleted": delete,
    "deleted-while-the-store-is-away": delete,
}


@pytest.mark.parametrize("end", END)
async def test_no_key_in_any_object_opens_an_update_after_the_end(world: World, tmp_path: Path, end: str) -> None:
    name = f"copied-{end}"
    uid = await sent_round(world, name, tmp_path)
    first, second = [await copied(world, await each.task(name)) for each in world.hospitals.values()]
    # The control: until the end, the key of the round lies in the cluster, and opens both updates.
    assert await first.keys(world) == await second.keys(world) != []
    with store_in_trouble(world) if "away" in end else nullcontext():
        await END[end](world, name, uid)

        async def closed() -> bool:
            return [await each.keys(world) for each in (first, second)] == [[], []]

        # Each look tries all texts of the cluster.
        await until(closed, "nothing opens the updates", 30)
    await world.restart()
    assert await closed()
