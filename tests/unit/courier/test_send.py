"""Sealing an update: a key is used once, and what is sealed is what `check` vouched for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.site import ASSIGNMENT, HOSPITAL, HUB
from wardround.courier import send
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.sealing.body import part_lengths
from wardround.sealing.refused import Refused
from wardround.wire import digests

PLAIN = b"tensors" * 1000
BASE = digests.digest(b"base")
DOCUMENT: dict[str, Any] = {
    "samples": 290,
    "metrics": {"loss": "0.1234"},
    "suppressed": [],
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


async def test_after_a_restart_the_same_ciphertext_goes_out_again(folder: TaskFolder) -> None:
    first = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    ciphertext = folder.ciphertext.read_bytes()
    (folder.update / "update.safetensors").write_bytes(PLAIN[::-1])
    assert await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE) == first
    assert folder.ciphertext.read_bytes() == ciphertext


async def test_a_crash_before_the_manifest_means_another_key(folder: TaskFolder) -> None:
    first = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    folder.manifest.unlink()
    again = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert again.manifest.header.commitment != first.manifest.header.commitment
    assert again.manifest.wrapped_key != first.manifest.wrapped_key


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
        ({"metrics": {"loss": "nan"}}, "MetricsInvalid"),
        ({"metrics": {"loss": 0.5}}, "MetricsInvalid"),
        ({"metrics": None}, "OutputNotSafetensors"),
        ({"suppressed": None}, "OutputNotSafetensors"),
        ({"suppressed": ["loss"]}, "MetricsInvalid"),
    ],
)
async def test_an_update_that_is_not_what_it_should_be_is_not_sent(
    folder: TaskFolder, change: dict[str, Any], reason: str
) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | change))
    with pytest.raises(Refused, match=reason):
        await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert not folder.manifest.exists()


@pytest.mark.parametrize("value", ["1.234e-07", "-1.5e+12"])
async def test_very_small_and_very_large_metrics_are_sent_as_check_writes_them(folder: TaskFolder, value: str) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"metrics": {"loss": value}}))
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert sealed.manifest.metrics == {"loss": value}


async def test_a_metric_that_nobody_declared_stays_here(folder: TaskFolder) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"metrics": {"loss": "0.1", "name": "12"}}))
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert sealed.manifest.metrics == {"loss": "0.1"}


async def test_of_a_metric_over_too_few_patients_the_name_is_sent(folder: TaskFolder) -> None:
    (folder.update / "update.json").write_text(json.dumps(DOCUMENT | {"metrics": {}, "suppressed": ["loss", "name"]}))
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert (sealed.manifest.metrics, sealed.manifest.suppressed) == ({}, ("loss",))
    assert sealed.view.update.suppressed == ("loss",)


async def test_in_an_initial_round_the_base_digest_is_the_sites_own(folder: TaskFolder) -> None:
    assert (await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, "")).manifest.header.base_digest == BASE


async def test_what_grants_have_to_fit_is_the_ciphertexts_parts(folder: TaskFolder) -> None:
    sealed = await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, BASE)
    assert sealed.view.parts == tuple(part_lengths(len(PLAIN)))
    assert sealed.view.bytes == sum(sealed.view.parts)
