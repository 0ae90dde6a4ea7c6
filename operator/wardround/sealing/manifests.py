"""Signs, opens and verifies manifests of models, states and updates; no I/O and no clock.

Shapes: docs/contracts.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wardround.sealing import envelope, untrusted
from wardround.sealing.body import MODEL, MOST_PARTS, PART, SERVER_STATE, UPDATE, ciphertext_length
from wardround.sealing.keys import SUITE, SigningKey, VerificationKey
from wardround.sealing.refused import Refused
from wardround.sealing.sums import LARGEST_SEALED
from wardround.wire import codec
from wardround.wire.models import Header, ModelManifest, UpdateManifest
from wardround.wire.server_state import StateManifest

_UNREADABLE = envelope.UNREADABLE


@dataclass(frozen=True)
class ExpectedUpdate:
    """The fields that an update must have. None: not known beforehand (initial weights, statistics)."""

    round_uid: str
    attempt: int
    participant: str
    image_digest: str
    base_digest: str | None
    schema_digest: str | None


def sign_model(manifest: ModelManifest, key: SigningKey) -> str:
    """Return the model manifest's envelope."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.MODEL, key)


def open_model(text: str, key: VerificationKey) -> ModelManifest:
    """Return a signed model manifest. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    return parse_model(envelope.open_envelope(text, envelope.MODEL, key))


def parse_model(payload: Mapping[str, object]) -> ModelManifest:
    """Return the payload of a model manifest. Raises Refused("ManifestUnreadable")."""
    manifest = untrusted.parse(ModelManifest, payload, _UNREADABLE)
    check_header(manifest.header, MODEL, manifest.bytes)
    return manifest


def sign_state(manifest: StateManifest, key: SigningKey) -> str:
    """Return the envelope of the manifest of a server optimizer's state."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.SERVER_STATE, key)


def open_state(text: str, key: VerificationKey) -> StateManifest:
    """Return a signed manifest of a state. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    payload = envelope.open_envelope(text, envelope.SERVER_STATE, key)
    manifest = untrusted.parse(StateManifest, payload, _UNREADABLE)
    for moment in manifest.moments:
        check_header(moment.header, SERVER_STATE, ciphertext_length(moment.header.length))
    return manifest


def sign_update(manifest: UpdateManifest, key: SigningKey) -> str:
    """Return the update manifest's envelope."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.UPDATE, key)


def open_update(text: str, key: VerificationKey) -> UpdateManifest:
    """Return a signed, well-formed update manifest. It is not yet compared with the expected update.

    Raises Refused: ManifestUnreadable or SignatureInvalid.
    """
    manifest = untrusted.parse(UpdateManifest, envelope.open_envelope(text, envelope.UPDATE, key), _UNREADABLE)
    check_header(manifest.header, UPDATE, manifest.bytes)
    untrusted.time(manifest.expires, _UNREADABLE)
    if manifest.sealed_sums is not None and len(manifest.sealed_sums) > LARGEST_SEALED:
        raise Refused(_UNREADABLE)
    return manifest


def verify_update(text: str, key: VerificationKey, expected: ExpectedUpdate, now: datetime) -> UpdateManifest:
    """Return the manifest of the expected update. Raises Refused with the first reason that applies."""
    manifest = open_update(text, key)
    header = manifest.header
    checks = (
        ("WrongRound", header.round_uid == expected.round_uid),
        ("WrongAttempt", header.attempt == expected.attempt),
        ("WrongParticipant", header.participant == expected.participant),
        ("WrongImage", header.image_digest == expected.image_digest),
        ("WrongBase", expected.base_digest in (None, header.base_digest)),
        ("WrongSchema", expected.schema_digest in (None, header.schema_digest)),
        ("Expired", now < untrusted.time(manifest.expires, _UNREADABLE)),
    )
    for reason, holds in checks:
        if not holds:
            raise Refused(reason)
    return manifest


def check_header(header: Header, kind: str, ciphertext_bytes: int) -> None:
    """Raise Refused("ManifestUnreadable") unless the header describes a sealed file of this kind and length."""
    if header.suite != SUITE or header.kind != kind or ciphertext_bytes != ciphertext_length(header.length):
        raise Refused(_UNREADABLE)
    if ciphertext_bytes > MOST_PARTS * PART:
        raise Refused(_UNREADABLE)
