"""For any data from a hostile site or store, readers raise only Refused.

A hostile site signs with its own key, so a valid signature says nothing about the payload. Most data is therefore
changed before it is signed. Seeds are fixed, so failures are reproducible.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sealing.noise import TIMES, documents, noise, refuses
from tests.unit.sealing.test_manifests import ASSIGNMENT, EXPECTED, HEADER, NOW, PUBLIC, SIGNING, UPDATE
from wardround.plans.courier.claims import read_claims
from wardround.sealing import assignments, body, envelope, keys, manifests, wrap
from wardround.sealing.grants import open_grants, seal_grants
from wardround.sealing.opener import FileOpener
from wardround.wire import canonical, codec, digests, versions
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Header, ModelManifest
from wardround.wire.update import ValidationSums


def signed(document: dict[str, Any], kind: str) -> str | None:
    try:
        return envelope.sign_envelope(document, kind, SIGNING)
    except ValueError:
        return None  # canonical JSON cannot hold the document


READERS: list[tuple[str, dict[str, Any], Callable[[str], object]]] = [
    (envelope.UPDATE, codec.dump_document(UPDATE), lambda text: manifests.verify_update(text, PUBLIC, EXPECTED, NOW)),
    (envelope.ASSIGNMENT, versions.write(ASSIGNMENT), lambda text: assignments.open_assignment(text, PUBLIC)),
    (
        envelope.MODEL,
        codec.dump_document(ModelManifest(Header(**{**vars(HEADER), "kind": body.MODEL}), "d", "l", "m/1", 21)),
        lambda text: manifests.open_model(text, PUBLIC),
    ),
]


@pytest.mark.parametrize(("kind", "good", "read"), READERS)
def test_a_changed_document_with_a_valid_signature_is_accepted_or_refused(
    kind: str, good: dict[str, Any], read: Callable[[str], object]
) -> None:
    valid = signed(good, kind)
    assert valid is not None
    assert not refuses(lambda: read(valid))
    texts = [text for document in documents(1, good) if (text := signed(document, kind))]
    assert sum(refuses(lambda text=text: read(text)) for text in texts) > TIMES // 2  # type: ignore[misc]


@pytest.mark.parametrize(("kind", "good", "read"), READERS)
def test_a_changed_envelope_is_refused(kind: str, good: dict[str, Any], read: Callable[[str], object]) -> None:
    valid = signed(good, kind)
    assert valid is not None
    for data in noise(2, valid.encode()):
        text = data.decode("utf-8", "surrogateescape")
        assert text == valid or refuses(lambda text=text: read(text)) or _only_key_id_differs(text, valid)  # type: ignore[misc]


def _only_key_id_differs(text: str, valid: str) -> bool:
    return bool(json.loads(text)["payload"] == json.loads(valid)["payload"])


SUMS = ValidationSums(people=40, sums={"people": ("40.0", "12.0", "28.0")}, reported={"own": "0.5"})
CLAIMS = {
    "samples": 290,
    "withheld": False,
    "tells": True,
    "minCell": 11,
    "sums": canonical.encode(canonical.dumps(codec.dump_document(SUMS))),
    "digest": "sha256:" + "d" * 64,
    "schemaDigest": "sha256:" + "e" * 64,
    "baseDigest": "sha256:" + "f" * 64,
    "length": 5,
}


def test_a_changed_update_json_is_accepted_or_refused() -> None:
    good = json.dumps(CLAIMS).encode()
    assert not refuses(lambda: read_claims(good, ASSIGNMENT))
    wrong = [json.dumps(document).encode() for document in documents(3, CLAIMS) if 10**400 not in document.values()]
    for data in [*noise(4, good), *wrong, b"[" * 60_000, b'{"a":' * 10_000, b"9" * 5000, b"\xff\xfe" + good]:
        refuses(lambda data=data: read_claims(data, ASSIGNMENT))  # type: ignore[misc]


def test_changed_wrapped_keys_grants_and_keys_are_refused() -> None:
    pair = keys.DecryptionKey.generate()
    context = wrap.update_context("uid", 1, "site-a", "sha256:d")
    wrapped = wrap.wrap(bytes(32), pair.public, context)
    grants = Grants("2026-01-01T01:00:00Z", None, (Put("https://s.example/u", 21, {"a": "b"}),))
    sealed = seal_grants(grants, pair.public, round_uid="uid", attempt=1, participant="site-a")
    for data in noise(5, wrapped):
        assert data == wrapped or refuses(lambda data=data: wrap.unwrap(data, pair, context))  # type: ignore[misc]
    for data in noise(6, sealed):
        assert data == sealed or refuses(
            lambda data=data: open_grants(data, pair, round_uid="uid", attempt=1, participant="site-a")  # type: ignore[misc]
        )
    for document in documents(7, codec.dump_document(grants)):
        try:
            plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except ValueError:
            continue
        own = wrap.wrap(plain, pair.public, wrap.grants_context("uid", 1, "site-a"))
        refuses(
            lambda own=own: open_grants(own, pair, round_uid="uid", attempt=1, participant="site-a")  # type: ignore[misc]
        )
    spki = keys.dump_verification_key(PUBLIC)
    for data in noise(8, spki):
        refuses(lambda data=data: keys.load_verification_key(data))  # type: ignore[misc]
    for data in noise(9, pair.public.raw):
        refuses(lambda data=data: keys.RecipientKey.load(data))  # type: ignore[misc]
    for data in noise(10, pair.raw):
        refuses(lambda data=data: keys.DecryptionKey.load(data))  # type: ignore[misc]
    for data in noise(11, keys.dump_signing_key(SIGNING)):
        refuses(lambda data=data: keys.load_signing_key(data))  # type: ignore[misc]


def test_changed_ciphertext_never_becomes_a_file(tmp_path: Path) -> None:
    key = body.new_file_key()
    plain = bytes(range(256)) * 8
    header = body.new_header(
        key,
        kind=body.MODEL,
        round_uid="u",
        attempt=1,
        participant="",
        base_digest="",
        image_digest="",
        schema_digest="",
        length=len(plain),
    )
    sealed = body.Body(key, header)
    good = sealed.seal(0, plain)

    def read(data: bytes) -> None:
        with FileOpener(tmp_path / "model", sealed, digests.digest(plain)) as opener:
            opener.feed(data)
            opener.finish()

    for data in noise(12, good):
        if data == good:
            continue
        assert refuses(lambda data=data: read(data))  # type: ignore[misc]
        assert refuses(lambda data=data: sealed.open(0, data))  # type: ignore[misc]
        assert list(tmp_path.iterdir()) == []
    assert not refuses(lambda: read(good))
