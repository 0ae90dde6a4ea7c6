"""A push ends with its time, and its key with it, also if no hub operator ran until then."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, NAMESPACE, LoneHub
from tests.simulation.store import Let, SimulatedStore
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import entries
from wardround.api import names
from wardround.hub.store_looks import LONG_LOOKS, WORKERS
from wardround.ports import Object, Objects
from wardround.sealing.keys import DecryptionKey
from wardround.store.errors import REFUSED, StoreError
from wardround.wire import canonical

SECONDS = 600
GONE = ("1b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e78", "2c7c6b5f-a06d-4b5f-9f1b-4b5e2d3c0f89")
DIGEST = "sha256:" + "d" * 64


def ask(hub: LoneHub, name: str = "pretrained") -> Object:
    """A person asks for a place to upload to."""
    spec = {"schemaName": "breast-v1", "digest": DIGEST, "bytes": 100, "tensorsDigest": DIGEST, "seconds": SECONDS}
    spec |= {"publicKey": canonical.encode(DecryptionKey.generate().public.raw), "requestedBy": "wanda"}
    metadata = {"name": name, "namespace": FEDERATION}
    return hub.server.create(
        {"apiVersion": "wardround.io/v1alpha1", "kind": "ModelPush", "metadata": metadata, "spec": spec}
    )


async def upload_at_once(hub: LoneHub, count: int) -> None:
    """So many people say at the same moment that they have uploaded."""
    for number in range(count):
        ask(hub, f"pretrained-{number}")
    await hub.settle()
    for number in range(count):
        hub.server.change(Place("ModelPush", FEDERATION, f"pretrained-{number}"), {"spec": {"uploaded": True}})
    await hub.settle()


def leave_push(hub: LoneHub, uid: str) -> None:
    """The key and the file of a push that was deleted while no operator ran."""
    metadata = {"name": names.model_secret(uid), "namespace": NAMESPACE}
    labels, annotations = {names.PUSH: "pretrained", names.PUSH_UID: uid}, {names.PUSH_REF: f"{FEDERATION}/pretrained"}
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"dataKey": "AA=="}}
    marks = {"labels": labels, "annotations": annotations}
    hub.server.create(secret | {"metadata": metadata | marks})
    metadata["name"] = names.register_entry(uid)
    hub.server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata | marks})
    hub.store.stored[f"{names.models_prefix(uid)}part-00000"] = b"a model"


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
            assert not entries(hub, names.PUSH_UID)

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
            assert not entries(hub, names.PUSH_UID)

    play(main)


@pytest.mark.parametrize("refuses", ["the first", "all"])
def test_the_keys_of_all_gone_namesakes_go_while_the_store_refuses_the_list_of_one_push(refuses: str) -> None:
    """Two pushes of one name were deleted while no operator ran."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        for uid in GONE:
            leave_push(hub, uid)
        honest = hub.store.answer

        def answer(method: str, let: Let) -> bytes:
            if let.query.get("prefix") and (refuses == "all" or names.models_prefix(GONE[0]) in str(let)):
                raise StoreError(REFUSED, 403)
            return honest(method, let)

        hub.store.answer = answer  # type: ignore[method-assign]
        async with hub.running():
            await asyncio.sleep(600)
            assert keys(hub) == []
            left = sorted(key.split("/")[1] for key in hub.store.stored)
            assert left == ([GONE[0]] if refuses == "the first" else sorted(GONE))

    play(main)


def test_the_key_of_an_earlier_push_goes_while_the_store_refuses_the_file_of_its_namesake() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)

        def away(key: str) -> bytes:
            raise StoreError(REFUSED, 503)

        hub.store.read = away  # type: ignore[method-assign]
        async with hub.running():
            uid = ask(hub)["metadata"]["uid"]
            await hub.settle()
        hub.server.remove(Place("Secret", NAMESPACE, "store-credentials"))
        leave_push(hub, GONE[0])
        hub.server.change(Place("ModelPush", FEDERATION, "pretrained"), {"spec": {"uploaded": True}})
        async with hub.running():
            assert [each["metadata"]["name"] for each in keys(hub)] == [names.model_secret(uid)]
            [push] = pushes(hub)
            assert {each["type"]: each["reason"] for each in push["status"]["conditions"]}[
                "Reconciling"
            ] == "PushChecking"

    play(main)


def test_while_the_store_gives_no_pushed_file_hospitals_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many pushes as the hub operator has workers wait for their files."""

    async def hang(self: SimulatedStore, url: str, length: int, *, offset: int = 0) -> bytes:
        await asyncio.sleep(86400)
        return b""

    monkeypatch.setattr(SimulatedStore, "get_bytes", hang)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a")
        async with hub.running():
            await upload_at_once(hub, WORKERS)
            hub.apply_round("train-0", ["site-a"])
            await asyncio.sleep(8)
            assert len(hub.server.select("RoundTask", "site-a", fields="")) == 1

    play(main)


def test_no_push_asks_the_store_while_as_many_wait_as_may_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """All people say at the same moment that they have uploaded. The store needs a minute for each file."""
    asked, ended = [], []

    async def slow(self: SimulatedStore, url: str, length: int, *, offset: int = 0) -> bytes:
        asked.append(url)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(url)
            raise
        return b""

    monkeypatch.setattr(SimulatedStore, "get_bytes", slow)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            await upload_at_once(hub, WORKERS)
            assert (len(asked), ended) == (LONG_LOOKS, [])

    play(main)
