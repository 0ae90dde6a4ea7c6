"""A push ends with its time, and its key with it, also if no hub operator ran until then."""

from __future__ import annotations

import asyncio

from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from wardround.api import names
from wardround.ports import Object, Objects
from wardround.sealing.keys import DecryptionKey
from wardround.wire import canonical

SECONDS = 600
DIGEST = "sha256:" + "d" * 64


def ask(hub: LoneHub) -> Object:
    """A person asks for a place to upload to."""
    spec = {"schemaName": "breast-v1", "digest": DIGEST, "bytes": 100, "tensorsDigest": DIGEST, "seconds": SECONDS}
    spec |= {"publicKey": canonical.encode(DecryptionKey.generate().public.raw), "requestedBy": "wanda"}
    metadata = {"name": "pretrained", "namespace": FEDERATION}
    return hub.server.create(
        {"apiVersion": "wardround.io/v1alpha1", "kind": "ModelPush", "metadata": metadata, "spec": spec}
    )


def pushes(hub: LoneHub) -> Objects:
    return list(hub.server.select("ModelPush", FEDERATION))


def keys(hub: LoneHub) -> Objects:
    """The Secrets of pushes that still hold a key."""
    held = hub.server.select("Secret", NAMESPACE, labels=names.PUSH_UID)
    return [each for each in held if each.get("data")]


def test_a_push_gets_an_offer_and_ends_with_its_time_and_key() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            ask(hub)
            await hub.settle()
            [offered] = pushes(hub)
            assert "X-Amz-Signature" not in str(offered)
            assert offered["status"]["upload"]["offer"]
            assert len(keys(hub)) == 1
            await asyncio.sleep(SECONDS + 60)
            assert pushes(hub) == []
            assert not hub.server.select("Secret", NAMESPACE, labels=names.PUSH_UID)

    play(main)


def test_the_key_of_a_push_that_ended_while_no_hub_operator_ran_is_deleted() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            ask(hub)
            await hub.settle()
            assert len(keys(hub)) == 1
        for place in (Place("ModelPush", FEDERATION, "pretrained"), Place("Secret", NAMESPACE, "store-credentials")):
            hub.server.remove(place)
        await asyncio.sleep(SECONDS + 60)
        async with hub.running():
            await asyncio.sleep(60)
            assert not hub.server.select("Secret", NAMESPACE, labels=names.PUSH_UID)

    play(main)
