"""A person brings pretrained weights by a ModelPush, at a real API server and store; and what is refused."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import yaml

from tests.integration.api.apiserver import Refused
from tests.integration.api.objects import FEDERATION, HUB, federated_model, federated_round, model_push
from tests.integration.cluster import token
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import conditions, play_kubelet, until_condition
from tests.integration.hub.test_transfers import bind, pulled
from wardround import tensors
from wardround.api import modelpush, names
from wardround.card import folder, push
from wardround.card.own_request import OwnRequest
from wardround.card.push import PreparedFile
from wardround.clock import system_clock
from wardround.kube.errors import NotFound
from wardround.kubectl import main
from wardround.ports import Object
from wardround.presign import Credentials, Presigner
from wardround.sealing.keys import DecryptionKey
from wardround.store.admin import list_keys
from wardround.wire import canonical, digests

pytestmark = pytest.mark.asyncio(loop_scope="session")
WRITER = "wanda"
ACCOUNT = f"system:serviceaccount:{FEDERATION}:writer"
FINGERPRINT: dict[str, str] = {}


def network(features: int = 1) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of the built-in trainer's logistic network. The DataSchema breast-v1 has one feature."""
    return {
        "wardround.input.mean": np.zeros(features, np.float32),
        "wardround.input.std": np.ones(features, np.float32),
        "output.weight": np.full((1, features), 0.5, np.float32),
        "output.bias": np.zeros(1, np.float32),
    }


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def writer(world: World) -> AsyncIterator[World]:
    bind(world, WRITER, "wardround-model-writer", FEDERATION)
    world.admin.await_right(WRITER, "create", "modelpushes.wardround.io", FEDERATION)
    FINGERPRINT["hub"] = str((await world.client.get("ConfigMap", "wardround-hub"))["data"]["fingerprint"])
    yield world


@pytest.fixture(scope="module")
def kubeconfig(writer: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an account with the writer's role."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "writer", "namespace": FEDERATION}}
    writer.admin.create(account)
    bind(writer, ACCOUNT, "wardround-model-writer", FEDERATION)
    writer.admin.await_right(ACCOUNT, "create", "modelpushes.wardround.io", FEDERATION)
    content: Object = yaml.safe_load(writer.admin.kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token(writer.admin, FEDERATION, "writer")}
    path: Path = tmp_path_factory.mktemp("writer") / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def written(place: Path, arrays: Mapping[str, Any]) -> Path:
    """A folder with a model."""
    place.mkdir()
    tensors.write(place / folder.MODEL_FILE, dict(arrays))
    return place


async def by_command(kubeconfig: Path, place: Path, name: str, fingerprint: str, schema: str = "breast-v1") -> int:
    """The exit code of the command. The hub operator runs in this thread's loop."""
    words = ["model", "push", str(place), "--name", name, "--schema", schema, "--hub-fingerprint", fingerprint]
    return await asyncio.to_thread(main, [*words, "-n", FEDERATION, "--kubeconfig", str(kubeconfig)])


@dataclass(frozen=True)
class Pushing:
    """A ModelPush that the writer has made with other means than the command."""

    world: World
    item: Object
    key: DecryptionKey
    prepared: PreparedFile

    @property
    def name(self) -> str:
        return str(self.item["metadata"]["name"])

    async def until(self, reached: str) -> Object:
        """The push once it has an offer or a final condition."""

        async def look() -> Object | None:
            live = await self.world.client.get("ModelPush", self.name, FEDERATION)
            known = conditions(live)
            over = any(known.get(kind, ("",))[0] == "True" for kind in ("Complete", "Failed"))
            return live if over or (reached == "offer" and "upload" in live["status"]) else None

        live: Object = await until(look, f"push {self.name} has its {reached}")
        return live

    async def upload(self, scratch: Path) -> None:
        offered = modelpush.parse(await self.until("offer"))
        assert offered.status.upload is not None
        own = OwnRequest(self.key, offered.metadata.uid, WRITER, FINGERPRINT["hub"])
        await asyncio.to_thread(push.upload, offered.status.upload, own, self.prepared, scratch)

    async def finished(self) -> str:
        """Says that all is uploaded. Returns the reason of the end."""
        self.world.admin.patch("ModelPush", self.name, {"spec": {"uploaded": True}}, FEDERATION, user=WRITER)
        return await self.reason()

    async def reason(self) -> str:
        known = conditions(await self.until("end"))
        return known["Complete"][1] if "Complete" in known else known["Failed"][1]


def pushing(world: World, name: str, file: Path, **spec: Any) -> Pushing:
    """`spec`: fields that differ from those of the file."""
    layout, key = tensors.layout(file), DecryptionKey.generate()
    prepared = PreparedFile(file, digests.file_digest(file), file.stat().st_size, layout.schema_digest)
    fields = {
        "digest": prepared.digest,
        "bytes": prepared.bytes,
        "tensorsDigest": prepared.tensors_digest,
        "publicKey": canonical.encode(key.public.raw),
        "requestedBy": WRITER,
        **spec,
    }
    item = world.admin.create(model_push(name, **fields), user=WRITER)
    return Pushing(world, item, key, replace(prepared, digest=fields["digest"]))


def file_of(place: Path, arrays: Mapping[str, Any], dtypes: dict[str, str] | None = None) -> Path:
    tensors.write(place, dict(arrays), dtypes)
    return place


async def version(world: World, name: str) -> Object | None:
    try:
        return await world.client.get("ModelVersion", name, FEDERATION)
    except NotFound:
        return None


async def kept(world: World, uid: str) -> tuple[bool, list[str]]:
    """Whether the hub has a Secret of the push, and what lies in the store."""
    try:
        await world.client.get("Secret", names.model_secret(uid))
        secret = True
    except NotFound:
        secret = False
    presigner = Presigner(world.server.origin, "wardround", "us-east-1", Credentials("test-access", "test-secret"))
    async with world.server.client() as store:
        return secret, [key async for key in list_keys(store, presigner, names.models_prefix(uid), system_clock())]


async def test_pushed_weights_become_a_version_from_which_rounds_start(
    writer: World, kubeconfig: Path, tmp_path: Path
) -> None:
    """And each round says so, also the second one: the hospitals' assignments are signed."""
    place = written(tmp_path / "model", network())
    assert await by_command(kubeconfig, place, "pretrained", FINGERPRINT["hub"]) == 0
    made = await version(writer, "pretrained")
    digest = digests.file_digest(place / folder.MODEL_FILE)
    assert made is not None
    assert (made["spec"]["digest"], made["spec"]["pushed"]) == (digest, {"requestedBy": ACCOUNT})
    assert (made["spec"]["parents"], made["spec"]["release"]) == ([], "Readers")
    with pytest.raises(NotFound):
        await writer.client.get("ModelPush", "pretrained", FEDERATION)

    async def ready() -> bool:
        live = await version(writer, "pretrained")
        return live is not None and conditions(live).get("Ready") == ("True", "VersionPushed")

    await until(ready, "the version is ready")
    weights = {name: np.zeros_like(array) for name, array in network().items()}
    for name, base in (("from-pushed", {"versionName": "pretrained"}), ("after-pushed", {"roundName": "from-pushed"})):
        created = writer.admin.create(federated_round(name, base=base, initial=None))
        async with writer.server.client() as store:
            for hospital in writer.hospitals.values():
                assignment = hospital.assignment(await hospital.task(name))
                pushed = [(each.digest, each.requested_by) for each in assignment.pushed]
                assert pushed == [(digest, ACCOUNT)]
                await hospital.send(name, [], 100, store, tmp_path, tensors=weights)
        await play_kubelet(writer, str(created["metadata"]["uid"]))
        await until_condition(writer, name, "Complete", "Complete")
    # An update of zeros leaves the model as it was pushed.
    ended = await writer.client.get("FederatedRound", "from-pushed", FEDERATION)
    assert ended["status"]["result"]["digest"] == digest


async def test_a_model_starts_from_the_pushed_version_and_computes_no_statistics(
    writer: World, kubeconfig: Path, tmp_path: Path
) -> None:
    assert await by_command(kubeconfig, written(tmp_path / "m", network()), "start", FINGERPRINT["hub"]) == 0
    model = federated_model("of-pushed")
    model["spec"]["initial"] = {"pushed": "start"}
    model["spec"]["suspend"] = False
    writer.admin.create(model)

    async def first() -> Object | None:
        live = await writer.client.get("FederatedModel", "of-pushed", FEDERATION)
        rounds = live.get("status", {}).get("series", {}).get("rounds", [])
        try:
            return await writer.client.get("FederatedRound", rounds[0]["name"], FEDERATION) if rounds else None
        except NotFound:
            return None

    made: Object = await until(first, "the first round")
    assert (made["spec"]["task"], made["spec"]["base"]) == ("Train", {"versionName": "start"})
    assert "initial" not in made["spec"]
    task = await writer.hospitals["site-a"].task(made["metadata"]["name"])
    assignment = writer.hospitals["site-a"].assignment(task)
    assert [each.requested_by for each in assignment.pushed] == [ACCOUNT]
    assert assignment.model is not None
    assert "Statistics" not in assignment.model.tasks
    with pytest.raises(Refused, match="initial is immutable"):
        writer.admin.patch("FederatedModel", "of-pushed", {"spec": {"initial": {"pushed": "other"}}}, FEDERATION)
    writer.admin.delete("FederatedModel", "of-pushed", FEDERATION)


async def test_a_reader_gets_the_pushed_weights_and_not_the_model_that_hospitals_made_of_them(
    writer: World, kubeconfig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The updates are zeros, so the two files are equal. The rounds say nothing of a release."""
    place = written(tmp_path / "model", network())
    assert await by_command(kubeconfig, place, "readable", FINGERPRINT["hub"]) == 0
    writer.admin.create(federated_round("from-readable", base={"versionName": "readable"}, initial=None))
    weights = {name: np.zeros_like(array) for name, array in network().items()}
    async with writer.server.client() as store:
        for hospital in writer.hospitals.values():
            await hospital.send("from-readable", [], 100, store, tmp_path, tensors=weights)
    ended = await writer.client.get("FederatedRound", "from-readable", FEDERATION)
    await play_kubelet(writer, str(ended["metadata"]["uid"]))
    await until_condition(writer, "from-readable", "Complete", "Complete")
    assert await pulled(kubeconfig, "mv/readable", tmp_path / "before", FINGERPRINT["hub"]) == 2
    assert "forbidden" in capsys.readouterr().err
    bind(writer, ACCOUNT, "wardround-model-reader", FEDERATION, name="writer-reads")
    writer.admin.await_right(ACCOUNT, "create", "modeltransfers.wardround.io", FEDERATION)
    assert await pulled(kubeconfig, "mv/readable", tmp_path / "pulled", FINGERPRINT["hub"]) == 0
    assert "the weights that a person pushed as readable" in capsys.readouterr().out
    loaded = folder.load(tmp_path / "pulled", FINGERPRINT["hub"])
    assert loaded.model == (place / folder.MODEL_FILE).read_bytes()
    assert (loaded.card.hospitals, loaded.card.release) == (0, "Readers")
    assert await pulled(kubeconfig, "fr/from-readable", tmp_path / "trained", FINGERPRINT["hub"]) == 2
    assert "TransferNotReleased" in capsys.readouterr().err


async def test_a_round_waits_for_the_version_and_says_what_is_missing(writer: World) -> None:
    spec = {"base": {"versionName": "never-pushed"}, "initial": None}
    writer.admin.create(federated_round("waits-for-push", **spec))
    live = await until_condition(writer, "waits-for-push", "Stalled", "PushedVersionNotFound")
    [message] = [each["message"] for each in live["status"]["conditions"] if each["type"] == "Stalled"]
    assert "has no ModelVersion never-pushed that was pushed" in message
    writer.admin.delete("FederatedRound", "waits-for-push", FEDERATION)


NAN = {**network(), "output.bias": np.array([np.nan], np.float32)}
HALF = {**network(), "extra": np.zeros(4, np.uint16)}
BAD = [
    ("not-finite", NAN, None, "PushNotFinite"),
    ("of-two-features", network(2), None, "PushDiffers"),
    ("with-another-layer", {**network(), "hidden.1.bias": np.zeros(2, np.float32)}, None, "PushDiffers"),
    ("in-double", {**network(), "output.bias": np.zeros(1)}, None, "PushDiffers"),
    ("in-half", HALF, {"extra": "BF16"}, "PushUnreadable"),
]


@pytest.mark.parametrize(("name", "arrays", "dtypes", "reason"), BAD, ids=[each[0] for each in BAD])
async def test_a_model_that_does_not_fit_is_refused_and_forgotten(
    writer: World, tmp_path: Path, name: str, arrays: dict[str, Any], dtypes: dict[str, str] | None, reason: str
) -> None:
    """The writer uses other means than the command, which would refuse most of these itself."""
    attempt = pushing(writer, name, file_of(tmp_path / "file", arrays, dtypes))
    await attempt.upload(tmp_path)
    assert await attempt.finished() == reason
    assert await version(writer, name) is None
    uid = str(attempt.item["metadata"]["uid"])
    # Until the addresses expire, the emptied Secret is the memory of what somebody may still upload.
    assert "data" not in await until(lambda: emptied(writer, uid), "the key is deleted")
    writer.admin.delete("ModelPush", name, FEDERATION)


async def emptied(world: World, uid: str) -> Object | None:
    held = await world.client.get("Secret", names.model_secret(uid))
    return held if not held.get("data") else None


async def test_another_file_than_the_one_that_was_named_is_refused(writer: World, tmp_path: Path) -> None:
    file = file_of(tmp_path / "file", network())
    other = pushing(writer, "other-digest", file, digest="sha256:" + "0" * 64)
    await other.upload(tmp_path)
    assert await other.finished() == "PushAltered"
    nothing = pushing(writer, "nothing-uploaded", file)
    await nothing.until("offer")
    assert await nothing.finished() == "PushAltered"
    for each in (other, nothing):
        assert await version(writer, each.name) is None
        writer.admin.delete("ModelPush", each.name, FEDERATION)


async def test_a_push_for_no_schema_with_no_key_or_under_a_taken_name_is_refused(
    writer: World, kubeconfig: Path, tmp_path: Path
) -> None:
    file = file_of(tmp_path / "file", network())
    assert await pushing(writer, "no-schema", file, schemaName="absent").reason() == "PushWithoutSchema"
    assert await pushing(writer, "no-key", file, publicKey="/" * 1624).reason() == "PushKeyUnusable"
    place = written(tmp_path / "model", network())
    assert await by_command(kubeconfig, place, "taken", FINGERPRINT["hub"]) == 0
    assert await pushing(writer, "taken", file).reason() == "PushNameTaken"
    assert await version(writer, "taken") is not None
    for name in ("no-schema", "no-key", "taken"):
        writer.admin.delete("ModelPush", name, FEDERATION)


async def test_a_deleted_version_is_forgotten_with_its_file(writer: World, kubeconfig: Path, tmp_path: Path) -> None:
    place = written(tmp_path / "model", network())
    assert await by_command(kubeconfig, place, "short-lived", FINGERPRINT["hub"]) == 0
    made = await version(writer, "short-lived")
    assert made is not None
    uid = made["spec"]["roundUID"]
    secret, objects = await kept(writer, uid)
    assert secret
    assert len(objects) == 2
    writer.admin.delete("ModelVersion", "short-lived", FEDERATION)

    async def deleted() -> bool:
        return (await kept(writer, uid))[1] == []

    await until(deleted, "the file is deleted")
    assert await emptied(writer, uid) is not None


@pytest.mark.parametrize(
    ("arrays", "other_hub", "schema", "words"),
    [
        (network(), True, "breast-v1", "Nothing was pushed: the hub's key has the fingerprint sha256:"),
        (network(), False, "absent", "PushWithoutSchema"),
        (network(2), False, "breast-v1", "PushDiffers"),
        (NAN, False, "breast-v1", "has a value that is not finite"),
    ],
)
async def test_the_command_says_why_nothing_was_pushed(
    writer: World,
    kubeconfig: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arrays: dict[str, Any],
    other_hub: bool,
    schema: str,
    words: str,
) -> None:
    hub = "sha256:" + "0" * 64 if other_hub else FINGERPRINT["hub"]
    place = written(tmp_path / "model", arrays)
    assert await by_command(kubeconfig, place, "refused-push", hub, schema) == 2
    assert words in capsys.readouterr().err
    assert await version(writer, "refused-push") is None
    listed = writer.admin.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{FEDERATION}/modelpushes")
    assert "refused-push" not in [each["metadata"]["name"] for each in listed["items"]]


async def test_a_file_that_is_not_canonical_is_pushed_in_canonical_form(
    writer: World, kubeconfig: Path, tmp_path: Path
) -> None:
    """As torch's safetensors writes it."""
    from safetensors.numpy import save_file

    place = tmp_path / "model"
    place.mkdir()
    save_file(network(), place / folder.MODEL_FILE, metadata={"format": "pt"})
    assert await by_command(kubeconfig, place, "from-torch", FINGERPRINT["hub"]) == 0
    made = await version(writer, "from-torch")
    assert made is not None
    assert made["spec"]["digest"] == digests.file_digest(file_of(tmp_path / "canonical", network()))
    shutil.rmtree(place)


async def test_without_the_role_nobody_pushes(writer: World) -> None:
    accounts = ("system:serviceaccount:site-a:site", f"system:serviceaccount:{HUB}:hub-operator")
    for user in ("ada", "rita", "mallory", *accounts):
        with pytest.raises(Refused) as refusal:
            writer.admin.create(model_push("forbidden", requestedBy=user), user=user)
        assert refusal.value.status == 403


async def test_nobody_pushes_in_the_name_of_somebody_else(writer: World) -> None:
    with pytest.raises(Refused, match="Only the user in requestedBy makes a ModelPush"):
        writer.admin.create(model_push("as-alice", requestedBy="alice"), user=WRITER)


async def test_hospitals_are_not_asked_before_the_push_is_whole(writer: World, tmp_path: Path) -> None:
    """A round that names a version of a running push waits like one that names none."""
    attempt = pushing(writer, "half-way", file_of(tmp_path / "file", network()))
    await attempt.upload(tmp_path)
    writer.admin.create(federated_round("too-early", base={"versionName": "half-way"}, initial=None))
    await until_condition(writer, "too-early", "Stalled", "PushedVersionNotFound")
    assert await attempt.finished() == "PushReady"
    task = await writer.hospitals["site-a"].task("too-early")
    assert [each.requested_by for each in writer.hospitals["site-a"].assignment(task).pushed] == [WRITER]
    writer.admin.delete("FederatedRound", "too-early", FEDERATION)
    writer.admin.delete("ModelPush", "half-way", FEDERATION)
