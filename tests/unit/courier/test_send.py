"""Sealing an update: a key is used once, and what is sealed is what `check` vouched for."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.site import ASSIGNMENT, HOSPITAL, HUB
from wardround.api.task import Upload
from wardround.courier import send
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.sealing.body import part_lengths
from wardround.sealing.keyed_digest import keyed_digest
from wardround.sealing.refused import Refused
from wardround.sealing.sums import open_sums
from wardround.sealing.wrap import unwrap, update_context
from wardround.wire import canonical, codec, digests, layouts
from wardround.wire.update import MOST_SUMS, ValidationSums

PLAIN = b"tensors" * 1000
BASE = digests.digest(b"base")


def encoded(**changes: Any) -> str:
    """Validation sums with these changes, as update.json has them."""
    known: dict[str, Any] = {"people": 40, "sums": {"people": ("40.0", "12.0", "28.0")}, "reported": {}}
    return canonical.encode(codec.write_document(ValidationSums(**known | changes)))


SUMS = canonical.decode(encoded())
DOCUMENT: dict[str, Any] = {
    "samples": 290,
    "withheld": False,
    "tells": True,
    "minCell": 11,
    "sums": None,
    "digest": digests.digest(PLAIN),
    "schemaDigest": digests.digest(b"schema"),
    "baseDigest": BASE,
    "length": len(PLAIN),
}


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    task_folder = Workspace(tmp_path).task("uid")
    task_folder.make()
    (task_folder.update / "update.safetensors").write_bytes(PLAIN)
    (task_folder.update / "update.json").write_text(json.dumps(DOCUMENT))
    return task_folder


async def test_a_sealed_update_opens_with_the_rounds_key_alone(folder: TaskFolder) -> None:
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert HUB.open_update(sealed.manifest, [folder.ciphertext.read_bytes()]) == PLAIN
    assert PLAIN[:32] not in folder.ciphertext.read_bytes()


def beginning_with(message: str) -> bytes:
    """Tensors as malicious training code chooses them: their digest begins with its message."""
    return next(
        plain
        for plain in (PLAIN[:-4] + number.to_bytes(4, "big") for number in range(1 << 24))
        if digests.digest(plain).startswith(f"sha256:{message}")
    )


async def test_training_code_writes_no_message_into_the_digest_that_the_hub_shows(folder: TaskFolder) -> None:
    """People at the hub read the manifest in the RoundTask. The courier draws its key after the code has ended."""
    plain = beginning_with("c0de")
    (folder.update / "update.safetensors").write_bytes(plain)
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"digest": digests.digest(plain)}))
    seen = []
    for _ in range(2):
        sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
        shown = canonical.decode(json.loads(sealed.envelope)["payload"])
        assert digests.digest(plain).partition(":")[2].encode() not in shown
        seen.append(sealed.manifest.digest)
        folder.manifest.unlink()
    assert seen[0] != seen[1]
    assert HUB.open_update(sealed.manifest, [folder.ciphertext.read_bytes()]) == plain


async def test_nobody_confirms_a_guess_of_an_update_by_its_digest_without_its_key(folder: TaskFolder) -> None:
    manifest = (await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)).manifest
    right, header = HUB.file_key(manifest), manifest.header
    assert keyed_digest(right, header, digests.digest(PLAIN)) == manifest.digest
    with pytest.raises(Refused, match="KeyUnusable"):
        keyed_digest(bytes(32), header, digests.digest(PLAIN))


async def test_an_earlier_hub_gets_the_plain_digest_which_it_checks(folder: TaskFolder) -> None:
    asked = replace(ASSIGNMENT, keyed_digest=False)
    sealed = await send.seal(asked, folder, HOSPITAL.signing, BASE)
    assert sealed.manifest.digest == digests.digest(PLAIN)


async def test_after_a_restart_the_same_ciphertext_goes_out_again(folder: TaskFolder) -> None:
    first = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    ciphertext = folder.ciphertext.read_bytes()
    (folder.update / "update.safetensors").write_bytes(PLAIN[::-1])
    assert await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE) == first
    assert folder.ciphertext.read_bytes() == ciphertext


async def test_each_part_has_a_digest_that_the_store_compares(
    folder: TaskFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    md5 = base64.b64encode(hashlib.md5(folder.ciphertext.read_bytes(), usedforsecurity=False).digest()).decode()
    assert sealed.view.upload == Upload(bytes=folder.ciphertext.stat().st_size, md5=(md5,))
    folder.part_md5.unlink()  # a crash after the manifest, or an earlier courier
    assert await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE) == sealed
    monkeypatch.setattr(digests, "content_md5", None)
    assert await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE) == sealed


async def test_a_ciphertext_that_lost_its_end_is_not_sent(folder: TaskFolder) -> None:
    await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    folder.part_md5.unlink()
    folder.ciphertext.write_bytes(folder.ciphertext.read_bytes()[:-1])
    with pytest.raises(OSError, match="shorter"):
        await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)


async def test_a_crash_before_the_manifest_means_another_key(folder: TaskFolder) -> None:
    first = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    folder.manifest.unlink()
    again = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert again.manifest.header.commitment != first.manifest.header.commitment
    assert again.manifest.wrapped_key != first.manifest.wrapped_key
    assert again.md5 != first.md5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"digest": digests.digest(b"other")}, "Altered"),
        ({"baseDigest": digests.digest(b"another base")}, "WrongBase"),
        ({"length": len(PLAIN) + 1}, "OutputLink"),
        ({"samples": -1}, "OutputNotSafetensors"),
        ({"samples": True}, "OutputNotSafetensors"),
        ({"more": 1}, "OutputNotSafetensors"),
        ({"digest": "sha256:short"}, "OutputNotSafetensors"),
        ({"withheld": None}, "OutputNotSafetensors"),
        ({"tells": "yes"}, "OutputNotSafetensors"),
        ({"minCell": -1}, "OutputNotSafetensors"),
        ({"sums": ""}, "MetricsInvalid"),
        ({"sums": "no base64"}, "OutputNotSafetensors"),
        ({"sums": canonical.encode(b"{}")}, "MetricsInvalid"),
        ({"sums": canonical.encode(b" " + SUMS)}, "MetricsInvalid"),
        ({"sums": encoded(sums={"people": ("1" * (MOST_SUMS + 1),)})}, "MetricsInvalid"),
    ],
)
async def test_an_update_that_is_not_what_it_should_be_is_not_sent(
    folder: TaskFolder, change: dict[str, Any], reason: str
) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | change))
    with pytest.raises(Refused, match=reason):
        await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert not folder.manifest.exists()


async def test_sums_are_sealed_for_the_round_and_nobody_else_reads_them(folder: TaskFolder) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"sums": canonical.encode(SUMS)}))
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    manifest = sealed.manifest
    assert manifest.sealed_sums is not None
    assert b"people" not in manifest.sealed_sums
    context = update_context(ASSIGNMENT.round_uid, ASSIGNMENT.attempt, ASSIGNMENT.participant, manifest.digest)
    file_key = unwrap(manifest.wrapped_key, HUB.round_key, context)
    assert open_sums(file_key, manifest.header, manifest.sealed_sums) == SUMS
    assert (manifest.withheld, manifest.tells, manifest.min_cell) == (False, True, 11)


@pytest.mark.parametrize(
    "metrics", [("loss",), ("loss", "dice"), tuple(f"m{place:02}" + "m" * 60 for place in range(16))]
)
async def test_the_length_of_sealed_sums_follows_from_the_round_alone(tmp_path: Path, metrics: tuple[str, ...]) -> None:
    """In steps of 1,024 bytes, the length told digits once the reported metrics were near a step."""
    lengths = set()
    for number in ("0.5", "-1.7976931348623157e+308"):
        task_folder = Workspace(tmp_path / str(len(number))).task("uid")
        task_folder.make()
        (task_folder.update / "update.safetensors").write_bytes(PLAIN)
        sums = {name: (number,) * shape[0] for name, shape in layouts.SUMS.items()}
        document = DOCUMENT | {"sums": encoded(people=11, sums=sums, reported=dict.fromkeys(metrics, number))}
        (task_folder.update / "update.json").write_text(json.dumps(document))
        sealed = await send.seal(replace(ASSIGNMENT, metrics=metrics), task_folder, HOSPITAL.signing, BASE)
        assert sealed.manifest.sealed_sums is not None
        lengths.add(len(sealed.manifest.sealed_sums))
        assert len(sealed.envelope) < 16_384
    assert len(lengths) == 1


async def test_an_update_without_sums_says_so(folder: TaskFolder) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"withheld": True}))
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert (sealed.manifest.withheld, sealed.manifest.sealed_sums) == (True, None)
    assert sealed.view.update.withheld


async def test_in_an_initial_round_the_base_digest_is_the_sites_own(folder: TaskFolder) -> None:
    assert (await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, "")).manifest.header.base_digest == BASE


async def test_grants_have_to_fit_the_parts_of_the_ciphertext(folder: TaskFolder) -> None:
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert sealed.view.parts == tuple(part_lengths(len(PLAIN)))
    assert sealed.view.bytes == sum(sealed.view.parts)
