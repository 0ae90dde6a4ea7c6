"""A person gets a model by a ModelTransfer, at a real API server and store; and what an attacker does not get."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import yaml

from tests.integration.api.apiserver import Refused
from tests.integration.api.objects import FEDERATION, HUB, federated_model, federated_round, model_transfer
from tests.integration.cluster import token
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import complete_round, conditions, play_kubelet, sent_round, until_condition
from wardround.api import names
from wardround.card import folder
from wardround.clock import system_draw
from wardround.kube.errors import NotFound
from wardround.kubectl import main
from wardround.ports import Object
from wardround.sealing.body import Body
from wardround.sealing.grants import open_transfer
from wardround.sealing.keys import DecryptionKey, hub_fingerprint, load_verification_key
from wardround.sealing.manifests import open_model
from wardround.sealing.opener import FileOpener
from wardround.sealing.refused import Refused as Unopened
from wardround.sealing.wrap import transfer_context, unwrap
from wardround.store.transfer import StoreClient
from wardround.wire import canonical, digests, layouts

pytestmark = pytest.mark.asyncio(loop_scope="session")
READER, EDITOR = "rita", "ada"
OTHER = "another-federation"
ACCOUNT = f"system:serviceaccount:{FEDERATION}:reader"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def released(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Object]:
    """A model whose round says Readers, and people with their roles."""
    for name, role in ((READER, "wardround-model-reader"), (EDITOR, "wardround-federation-editor")):
        bind(world, name, role, FEDERATION)
    world.admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": OTHER}})
    bind(world, READER, "wardround-model-reader", OTHER)
    world.admin.await_right(READER, "create", "modeltransfers.wardround.io", FEDERATION)
    world.admin.await_right(READER, "create", "modeltransfers.wardround.io", OTHER)
    made_round = await finished(world, "readers", tmp_path_factory.mktemp("readers"), release="Readers")
    yield made_round


def bind(world: World, user: str, role: str, namespace: str, name: str = "") -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name or f"transfers-{user.rpartition(':')[2]}", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    world.admin.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)


async def finished(world: World, name: str, place: Path, **spec: Any) -> Object:
    await play_kubelet(world, await sent_round(world, name, place, **spec))
    return await until_condition(world, name, "Complete", "Complete")


def asked(world: World, name: str, key: DecryptionKey, namespace: str = FEDERATION, **spec: Any) -> Object:
    """A transfer that the reader has made."""
    item = model_transfer(name, publicKey=canonical.encode(key.public.raw), requestedBy=READER, **spec)
    item["metadata"]["namespace"] = namespace
    return world.admin.create(item, user=READER)


async def answer(world: World, item: Object) -> Object:
    """The transfer once it is Complete or Failed."""
    meta = item["metadata"]

    async def ended() -> Object | None:
        live = await world.client.get("ModelTransfer", meta["name"], meta["namespace"])
        over = any(conditions(live).get(kind, ("",))[0] == "True" for kind in ("Complete", "Failed"))
        return live if over else None

    live: Object = await until(ended, f"transfer {meta['name']} is answered")
    return live


async def refused(world: World, item: Object) -> str:
    """The reason for which the transfer got no model."""
    live = await answer(world, item)
    assert "model" not in live["status"]
    return conditions(live)["Failed"][1]


async def test_the_holder_of_the_key_gets_the_file_and_its_card(world: World, released: Object, tmp_path: Path) -> None:
    key = DecryptionKey.generate()
    item = await answer(world, asked(world, "pull", key, roundName="readers"))
    model, uid = item["status"]["model"], item["metadata"]["uid"]
    hub_key = canonical.decode(model["hubKey"])
    manifest = open_model(model["manifest"], load_verification_key(hub_key))
    assert manifest.digest == released["status"]["result"]["digest"]
    data_key = unwrap(
        canonical.decode(model["wrappedKey"]), key, transfer_context("model", uid, READER, manifest.digest)
    )
    sealed = canonical.decode(model["grants"])
    grants = open_transfer(sealed, key, transfer_uid=uid, requested_by=READER, digest=manifest.digest)
    file = tmp_path / "model.safetensors"
    async with StoreClient(world.server.origin, grants.ca_bundle, draw=system_draw) as store:
        with FileOpener(file, Body(data_key, manifest.header), manifest.digest) as opener:
            [part] = grants.get.parts

            async def feed(chunk: bytes) -> None:
                opener.feed(chunk)

            await store.get(part, manifest.bytes, feed)
            opener.finish()
    assert digests.file_digest(file) == manifest.digest
    signed = folder.signed(model["card"], hub_key)
    (tmp_path / folder.CARD_FILE).write_text(signed.text)
    card = folder.load(tmp_path, hub_fingerprint(hub_key)).card
    assert (card.round_name, card.release, card.hospitals) == ("readers", "Readers", 2)


async def test_nobody_without_the_private_key_opens_what_stands_in_the_status(world: World, released: Object) -> None:
    item = await answer(world, asked(world, "watched", DecryptionKey.generate(), roundName="readers"))
    model, uid = item["status"]["model"], item["metadata"]["uid"]
    manifest = open_model(model["manifest"], load_verification_key(canonical.decode(model["hubKey"])))
    other = DecryptionKey.generate()
    with pytest.raises(Unopened):
        unwrap(canonical.decode(model["wrappedKey"]), other, transfer_context("model", uid, READER, manifest.digest))
    with pytest.raises(Unopened):
        open_transfer(
            canonical.decode(model["grants"]), other, transfer_uid=uid, requested_by=READER, digest=manifest.digest
        )
    assert "X-Amz-Signature" not in str(item)


async def test_a_transfer_of_another_namespace_gets_nothing(world: World, released: Object) -> None:
    for name, spec in (("across", {"roundName": "readers"}), ("across-2", {"roundName": f"{FEDERATION}.readers"})):
        item = asked(world, name, DecryptionKey.generate(), OTHER, **spec)
        assert await refused(world, item) == "TransferWithoutResult"


async def test_a_version_that_names_a_round_of_another_namespace_gives_nothing(world: World, released: Object) -> None:
    """Only the hub operator makes versions. Here it is tricked into one."""
    version = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": "borrowed", "namespace": OTHER},
        "spec": {
            "modelName": "breast",
            "version": 1,
            "series": 1,
            "roundName": "readers",
            "roundUID": released["metadata"]["uid"],
            "digest": released["status"]["result"]["digest"],
            "parents": [],
            "release": "Readers",
        },
    }
    world.admin.create(version, user=f"system:serviceaccount:{HUB}:hub-operator")
    item = asked(world, "by-version", DecryptionKey.generate(), OTHER, roundName=None, versionName="borrowed")
    assert await refused(world, item) == "TransferWithoutModel"


async def test_a_model_for_participants_is_given_to_nobody(world: World, released: Object, tmp_path: Path) -> None:
    await complete_round(world, "kept", tmp_path)
    item = asked(world, "unreleased", DecryptionKey.generate(), roundName="kept")
    assert await refused(world, item) == "TransferNotReleased"


async def test_a_model_from_a_base_for_participants_is_given_to_nobody(
    world: World, released: Object, tmp_path: Path
) -> None:
    await complete_round(world, "first-kept", tmp_path)
    base = {"initial": None, "base": {"roundName": "first-kept"}, "release": "Readers"}
    await finished(world, "then-released", tmp_path, **base)
    item = asked(world, "laundered", DecryptionKey.generate(), roundName="then-released")
    assert await refused(world, item) == "TransferNotReleased"


async def test_without_the_role_nobody_asks(world: World, released: Object) -> None:
    key = canonical.encode(DecryptionKey.generate().public.raw)
    for user in (EDITOR, "mallory", "system:serviceaccount:site-a:site", f"system:serviceaccount:{HUB}:hub-operator"):
        item = model_transfer("forbidden", publicKey=key, requestedBy=user, roundName="readers")
        with pytest.raises(Refused) as refusal:
            world.admin.create(item, user=user)
        assert refusal.value.status == 403


async def test_nobody_asks_in_the_name_of_somebody_else(world: World, released: Object) -> None:
    item = model_transfer("as-alice", publicKey="A" * 1624, requestedBy="alice", roundName="readers")
    with pytest.raises(Refused, match="requestedBy of a ModelTransfer is the user who makes it"):
        world.admin.create(item, user=READER)


async def test_a_key_that_is_none_gets_nothing(world: World, released: Object) -> None:
    item = model_transfer("no-key", publicKey="/" * 1624, requestedBy=READER, roundName="readers")
    assert await refused(world, world.admin.create(item, user=READER)) == "TransferKeyUnusable"


async def test_a_rewritten_public_key_is_refused_before_and_after_the_answer(world: World, released: Object) -> None:
    item = asked(world, "rewritten", DecryptionKey.generate(), roundName="readers")
    other = {"spec": {"publicKey": canonical.encode(DecryptionKey.generate().public.raw)}}
    for _ in range(2):
        with pytest.raises(Refused, match="The spec of a ModelTransfer is immutable"):
            world.admin.patch("ModelTransfer", "rewritten", other, FEDERATION)
        await answer(world, item)


async def test_a_transfer_of_a_deleted_round_gets_nothing(world: World, released: Object, tmp_path: Path) -> None:
    await finished(world, "gone", tmp_path, release="Readers")
    world.admin.delete("FederatedRound", "gone", FEDERATION)

    async def deleted() -> bool:
        try:
            await world.client.get("FederatedRound", "gone", FEDERATION)
        except NotFound:
            return True
        return False

    await until(deleted, "the round is gone")
    item = asked(world, "of-the-dead", DecryptionKey.generate(), roundName="gone")
    assert await refused(world, item) == "TransferWithoutResult"


@pytest.fixture(scope="module")
def kubeconfig(world: World, released: Object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an account with the reader's role."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": FEDERATION}}
    world.admin.create(account)
    bind(world, ACCOUNT, "wardround-model-reader", FEDERATION)
    world.admin.await_right(ACCOUNT, "create", "modeltransfers.wardround.io", FEDERATION)
    content: Object = yaml.safe_load(world.admin.kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token(world.admin, FEDERATION, "reader")}
    path: Path = tmp_path_factory.mktemp("reader") / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


async def pulled(kubeconfig: Path, target: str, place: Path, fingerprint: str) -> int:
    """The exit code of the command. The hub operator runs in this thread's loop."""
    words = ["model", "pull", target, "-o", str(place), "--hub-fingerprint", fingerprint, "-n", FEDERATION]
    return await asyncio.to_thread(main, [*words, "--kubeconfig", str(kubeconfig)])


def files(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir())


def transfers(world: World) -> list[str]:
    """Those that the command has made."""
    listed = world.admin.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{FEDERATION}/modeltransfers")
    return [each["metadata"]["name"] for each in listed["items"] if each["spec"]["requestedBy"] == ACCOUNT]


async def fingerprint(world: World) -> str:
    published = await world.client.get("ConfigMap", "wardround-hub")
    return str(published["data"]["fingerprint"])


async def test_the_command_writes_a_folder_that_matches_and_leaves_no_transfer(
    world: World, released: Object, kubeconfig: Path, tmp_path: Path
) -> None:
    hub = await fingerprint(world)
    place = tmp_path / "model"
    assert await pulled(kubeconfig, "fr/readers", place, hub) == 0
    loaded = folder.load(place, hub)
    assert loaded.card.round_uid == released["metadata"]["uid"]
    assert files(place) == [folder.CARD_FILE, folder.MODEL_FILE]
    assert files(tmp_path) == ["model"]
    assert not transfers(world)


async def test_after_a_power_cut_the_folder_is_complete_or_absent(
    world: World, released: Object, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await fingerprint(world)
    place, fsync = tmp_path / "model", os.fsync
    syncs: list[tuple[str, bool]] = []

    def recording(descriptor: int) -> None:
        syncs.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, place.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    assert await pulled(kubeconfig, "fr/readers", place, hub) == 0
    contents = [f".{name}.partial" for name in (folder.CARD_FILE, folder.MODEL_FILE)]
    assert {(name, False) for name in (*contents, "model")} <= set(syncs)
    assert (tmp_path.name, True) in syncs


async def test_the_command_finds_the_version_of_a_model(
    world: World, released: Object, kubeconfig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deleted model of this name has left a version of the same number."""
    model = federated_model("versioned")
    model["spec"]["suspend"] = True
    uid = world.admin.create(model)["metadata"]["uid"]
    spec = {"modelName": "versioned", "version": 1, "series": 1, "roundName": "readers"}
    spec |= {"roundUID": released["metadata"]["uid"], "digest": released["status"]["result"]["digest"]}
    spec |= {"parents": [], "release": "Readers"}
    for name, model_uid, round_name in (("earlier-v1", "earlier", "gone"), ("versioned-v1", uid, "readers")):
        version = {
            "apiVersion": "wardround.io/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": name, "namespace": FEDERATION, "labels": {names.MODEL_UID: model_uid}},
            "spec": {**spec, "roundName": round_name},
        }
        world.admin.create(version, user=f"system:serviceaccount:{HUB}:hub-operator")
    hub = await fingerprint(world)
    for number, target in enumerate(("mv/versioned-v1", "fm/versioned@1")):
        assert await pulled(kubeconfig, target, tmp_path / str(number), hub) == 0, target
        assert folder.load(tmp_path / str(number), hub).card.round_name == "readers"
        line = "version 1 of federatedmodel/versioned: no verdict of the gate yet, not the current version (none)"
        assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "other_hub", "words"),
    [
        ("fr/readers", True, "Nothing was written: the hub's key has the fingerprint sha256:"),
        ("fr/no-such-round", False, "TransferWithoutResult"),
        ("fm/no-such-model", False, "There is no FederatedModel no-such-model"),
        ("rt/task", False, "`model pull` takes federatedround/NAME"),
    ],
)
async def test_the_command_says_why_there_is_no_model_and_writes_nothing(
    world: World,
    released: Object,
    kubeconfig: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    target: str,
    other_hub: bool,
    words: str,
) -> None:
    hub = "sha256:" + "0" * 64 if other_hub else await fingerprint(world)
    assert await pulled(kubeconfig, target, tmp_path / "model", hub) == 2
    assert words in capsys.readouterr().err
    assert files(tmp_path) == []
    assert not transfers(world)


async def test_the_sums_of_a_statistics_round_are_given_to_nobody(
    world: World, released: Object, tmp_path: Path
) -> None:
    spec = {"task": "Statistics", "initial": None, "image": None, "release": "Readers"}
    uid = str(world.admin.create(federated_round("sums", **spec))["metadata"]["uid"])
    sums = {name: np.zeros(shape) for name, shape in layouts.statistics(1).items()}
    sums |= {"count": np.array([100.0]), "rows": np.array([100.0]), "positives": np.array([40.0])}
    async with world.server.client() as store:
        hospitals = world.hospitals.values()
        await asyncio.gather(*(each.send("sums", [], 100, store, tmp_path, tensors=sums) for each in hospitals))
    await play_kubelet(world, uid)
    await until_condition(world, "sums", "Complete", "Complete")
    item = asked(world, "of-sums", DecryptionKey.generate(), roundName="sums")
    assert await refused(world, item) == "TransferWithoutModel"
