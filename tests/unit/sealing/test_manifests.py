"""A manifest that differs from the expected one is refused, and the reason says what differs."""

from __future__ import annotations

import dataclasses
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from wardround.plans.round.parts import LARGEST_MANIFEST
from wardround.sealing import assignments, body, envelope, keys, manifests
from wardround.sealing.grants import open_grants, seal_grants
from wardround.sealing.opened import OpenedTexts
from wardround.sealing.refused import Refused
from wardround.sealing.sums import LARGEST_SEALED
from wardround.wire import canonical, codec, versions
from wardround.wire.assignment import (
    AssignedBase,
    AssignedField,
    AssignedSchema,
    Assignment,
    Exchange,
    Quorum,
    Resources,
)
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Get, ModelManifest, UpdateManifest
from wardround.wire.versions import LATEST, critical

SIGNING = keys.generate_signing_key()
PUBLIC = SIGNING.public_key()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = body.new_header(
    bytes(32),
    kind=body.UPDATE,
    round_uid="uid",
    attempt=1,
    participant="site-a",
    base_digest="sha256:b",
    image_digest="sha256:i",
    schema_digest="sha256:s",
    length=5,
)
UPDATE = UpdateManifest(
    header=HEADER,
    digest="sha256:d",
    wrapped_key=b"wrapped",
    samples=290,
    withheld=False,
    tells=True,
    min_cell=11,
    sealed_sums=b"sealed",
    bytes=21,
    expires="2026-01-01T01:00:00Z",
)
EXPECTED = manifests.ExpectedUpdate("uid", 1, "site-a", "sha256:i", "sha256:b", "sha256:s")
ASSIGNMENT = Assignment(
    version=LATEST,
    critical=critical(LATEST),
    round_uid="uid",
    round_namespace="breast-cancer",
    round_name="train-1",
    attempt=1,
    task="Train",
    participant="site-a",
    site_fingerprint="sha256:f",
    round_public_key=b"key",
    suite=keys.SUITE,
    image="repo@sha256:i",
    image_digest="sha256:i",
    command=("python",),
    dataset_name="breast",
    parameters={"epochs": "5"},
    seed=7,
    exchange=Exchange(("input.*",)),
    metrics=("loss",),
    initial=False,
    base=AssignedBase("{}", b"wrapped"),
    roster=("site-a", "site-b"),
    quorum=Quorum(2, (), 60, "Fail"),
    resources=Resources(1, 0, local_sockets=False),
    wait_seconds=900,
    train_seconds=1800,
    upload_seconds=600,
    issued="2026-01-01T00:00:00.000001Z",
    expires="2026-01-01T01:00:00Z",
    state_round="0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
    schema=AssignedSchema("sha256:" + "5" * 64, "sha256:" + "c" * 64, (AssignedField("radius", "0123456789ab"),)),
    rows="Validation",
    threads=2,
    release="Participants",
    pushed=(),
    references=(),
)
ASSIGNED, SENT = versions.write(ASSIGNMENT), codec.dump_document(UPDATE)
# Texts that are not UIDs. A state's round becomes part of a path at the site.
NO_UIDS = (
    "..",
    "none",
    "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e7",
    "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77/..",
    "../0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
    "0B6B5A4E-9F5C-4A4E-8F0A-3A4D1C2B9E77",
    "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77\n",
)


def sign(payload: dict[str, Any], kind: str = envelope.UPDATE) -> str:
    return envelope.sign_envelope(payload, kind, SIGNING)


def with_header(**fields: Any) -> str:
    return manifests.sign_update(dataclasses.replace(UPDATE, header=dataclasses.replace(HEADER, **fields)), SIGNING)


def test_the_expected_update_is_accepted() -> None:
    assert manifests.verify_update(manifests.sign_update(UPDATE, SIGNING), PUBLIC, EXPECTED, NOW) == UPDATE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ManifestUnreadable"),
        (sign({}), "ManifestUnreadable"),
        (sign(SENT | {"more": 1}), "ManifestUnreadable"),
        (sign(SENT | {"samples": "290"}), "ManifestUnreadable"),
        (sign(SENT | {"samples": True}), "ManifestUnreadable"),
        (sign(SENT | {"samples": -1}), "ManifestUnreadable"),
        (sign(SENT | {"samples": 2**63}), "ManifestUnreadable"),
        (sign(SENT | {"metrics": {"loss": "0.5"}}), "ManifestUnreadable"),
        (sign(SENT | {"withheld": "yes"}), "ManifestUnreadable"),
        (sign(SENT | {"tells": 1}), "ManifestUnreadable"),
        (sign(SENT | {"minCell": -1}), "ManifestUnreadable"),
        (sign(SENT | {"sealedSums": "=="}), "ManifestUnreadable"),
        (sign(SENT | {"sealedSums": canonical.encode(bytes(LARGEST_SEALED + 1))}), "ManifestUnreadable"),
        (sign(SENT | {"bytes": 22}), "ManifestUnreadable"),
        (sign(SENT | {"wrappedKey": "=="}), "ManifestUnreadable"),
        (sign(SENT | {"expires": "tomorrow"}), "ManifestUnreadable"),
        (sign(SENT | {"expires": "2027-01-01T00:00:00+01:00"}), "ManifestUnreadable"),
        (sign(SENT | {"expires": "2027-01-01T00:00:00+01:00Z"}), "ManifestUnreadable"),
        (with_header(kind=body.MODEL), "ManifestUnreadable"),
        (with_header(suite="other"), "ManifestUnreadable"),
        (sign(SENT, envelope.MODEL), "ManifestUnreadable"),
        (manifests.sign_update(UPDATE, keys.generate_signing_key()), "SignatureInvalid"),
        (with_header(round_uid="other"), "WrongRound"),
        (with_header(attempt=2), "WrongAttempt"),
        (with_header(participant="site-b"), "WrongParticipant"),
        (with_header(image_digest="sha256:x"), "WrongImage"),
        (with_header(base_digest=""), "WrongBase"),
        (with_header(schema_digest="sha256:x"), "WrongSchema"),
        (
            manifests.sign_update(dataclasses.replace(UPDATE, expires="2026-01-01T00:00:00Z"), SIGNING),
            "Expired",
        ),
    ],
)
def test_another_update_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        manifests.verify_update(text, PUBLIC, EXPECTED, NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "changed", [{"sealed_sums": bytes(LARGEST_SEALED)}, {"sealed_sums": None}, {"sealed_sums": None, "withheld": True}]
)
def test_a_manifest_with_and_without_sums_is_accepted_and_fits_a_round_task(changed: dict[str, Any]) -> None:
    manifest = dataclasses.replace(UPDATE, wrapped_key=bytes(1168), **changed)
    text = manifests.sign_update(manifest, SIGNING)
    assert manifests.open_update(text, PUBLIC) == manifest
    assert len(text) <= LARGEST_MANIFEST


def test_a_signed_assignment_opens_unchanged() -> None:
    assert assignments.open_assignment(assignments.sign_assignment(ASSIGNMENT, SIGNING), PUBLIC) == ASSIGNMENT


# Only a round of a FederatedModel has the field model, and only a delivery has the field delivery.
OPTIONAL = ("model", "delivery", "evaluationEvery", "keyedDigest", "admissionSeconds")


@pytest.mark.parametrize(
    "text",
    [
        "",
        assignments.sign_assignment(ASSIGNMENT, keys.generate_signing_key()),
        assignments.sign_assignment(dataclasses.replace(ASSIGNMENT, suite="other"), SIGNING),
        *(
            sign({k: v for k, v in ASSIGNED.items() if k != f}, envelope.ASSIGNMENT)
            for f in ASSIGNED
            if f not in OPTIONAL
        ),
        *(sign(ASSIGNED | {"stateRound": text}, envelope.ASSIGNMENT) for text in NO_UIDS),
        *(sign(ASSIGNED | {field: [[]]}, envelope.ASSIGNMENT) for field in ASSIGNED),
    ],
)
def test_an_assignment_with_a_missing_or_mistyped_field_is_unreadable(text: str) -> None:
    with pytest.raises(Refused, match="AssignmentUnreadable"):
        assignments.open_assignment(text, PUBLIC)


def test_a_signed_model_manifest_opens_unchanged() -> None:
    model = ModelManifest(dataclasses.replace(HEADER, kind=body.MODEL), "sha256:d", "sha256:l", "models/uid/1", 21)
    assert manifests.open_model(manifests.sign_model(model, SIGNING), PUBLIC) == model
    with pytest.raises(Refused, match="SignatureInvalid"):
        manifests.open_model(manifests.sign_model(model, SIGNING), keys.generate_signing_key().public_key())


def test_a_model_with_too_many_segments_is_unreadable() -> None:
    length = body.MOST_PARTS * body.PART
    header = dataclasses.replace(HEADER, kind=body.MODEL, length=length)
    large = ModelManifest(header, "sha256:d", "sha256:l", "models/uid/1", body.ciphertext_length(length))
    with pytest.raises(Refused, match="ManifestUnreadable"):
        manifests.open_model(manifests.sign_model(large, SIGNING), PUBLIC)


def test_grants_open_only_for_their_courier_and_task() -> None:
    pair = keys.DecryptionKey.generate()
    grants = Grants(
        "2026-01-01T01:00:00Z",
        Get("https://store.example/s", ("https://store.example/p",)),
        (Put("https://store.example/u", 21, {"If-None-Match": "*"}),),
    )
    sealed = seal_grants(grants, pair.public, round_uid="uid", attempt=1, participant="site-a")
    assert open_grants(sealed, pair, round_uid="uid", attempt=1, participant="site-a") == grants
    with pytest.raises(Refused, match="KeyUnusable"):
        open_grants(sealed, pair, round_uid="uid", attempt=2, participant="site-a")


def test_field_names_are_those_of_the_contract() -> None:
    assert set(codec.dump_document(HEADER)) == {
        "suite", "kind", "roundUID", "attempt", "participant", "baseDigest", "imageDigest", "schemaDigest", "length",
        "salt", "commitment",
    }  # fmt: skip
    assert canonical.dumps(codec.dump_document(Put("u", 1, {}))) == b'{"bytes":1,"headers":{},"url":"u"}'
    assert {"roundPublicKey", "siteFingerprint", "trainSeconds", "datasetName"} <= set(ASSIGNED)


def test_an_assignment_that_was_opened_before_still_needs_the_key_that_signed_it() -> None:
    text = assignments.sign_assignment(ASSIGNMENT, SIGNING)
    for _ in range(2):
        assert assignments.open_assignment(text, PUBLIC) == ASSIGNMENT
        with pytest.raises(Refused, match="AssignmentUnreadable"):
            assignments.open_assignment(text, keys.generate_signing_key().public_key())


def test_an_assignment_is_opened_once_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    long = dataclasses.replace(ASSIGNMENT, parameters={f"p{number}": "x" * 1024 for number in range(64)})
    text = assignments.sign_assignment(long, SIGNING)
    assert assignments.open_assignment(text, PUBLIC) == long
    monkeypatch.setattr(assignments, "_open_assignment", None)
    assert assignments.open_assignment(text, PUBLIC) == long


def test_only_so_much_text_is_kept_open() -> None:
    """A hub may sign many assignments, each as long as an object may be."""
    opened: OpenedTexts[int] = OpenedTexts(100)
    texts = [str(number) * 40 for number in range(3)]
    for number, text in enumerate(texts[:2]):
        opened.put(text, b"key", number)
    assert opened.get(texts[0], b"key") == 0
    opened.put(texts[2], b"key", 2)
    assert [opened.get(text, b"key") for text in texts] == [0, None, 2], "the one that was read longest ago is dropped"
    opened.put("3" * 101, b"key", 3)
    assert [opened.get(text, b"key") for text in (*texts, "3" * 101)] == [0, None, 2, None]
    opened.put(texts[0], b"key", 4)
    assert [opened.get(text, b"key") for text in texts] == [4, None, 2]
    assert opened.get(texts[0], b"another key") is None


def test_a_process_that_opens_many_assignments_grows_by_little() -> None:
    texts = [
        assignments.sign_assignment(dataclasses.replace(ASSIGNMENT, attempt=each), SIGNING) for each in range(1000)
    ]
    tracemalloc.start()
    try:
        for text in texts:
            assignments.open_assignment(text, PUBLIC)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3 * 2**20


def test_no_reader_changes_an_assignment_for_the_next_one() -> None:
    opened = assignments.open_assignment(assignments.sign_assignment(ASSIGNMENT, SIGNING), PUBLIC)
    with pytest.raises(TypeError):
        opened.parameters["steps"] = "1"  # type: ignore[index]
