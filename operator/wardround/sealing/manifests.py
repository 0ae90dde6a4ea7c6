"""What is signed: assignments, model and update manifests, grants; parses strictly and compares with expectations.

Does no I/O and reads no clock. Shapes: docs/contracts.md, section 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from wardround.api.names import UID
from wardround.sealing import envelope, untrusted
from wardround.sealing.body import MODEL, MOST_PARTS, PART, UPDATE, ciphertext_length
from wardround.sealing.keys import (
    SUITE,
    DecryptionKey,
    RecipientKey,
    SigningKey,
    VerificationKey,
    dump_verification_key,
    load_verification_key,
)
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import grants_context, unwrap, wrap
from wardround.wire import codec
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants
from wardround.wire.models import Header, ModelManifest, UpdateManifest

_UNREADABLE = envelope.UNREADABLE
# As the CRDs spell it: what `metrics.text` of the pod can say of very small and very large values, too.
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", re.ASCII)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", re.ASCII)
MOST_METRICS = 16
# A common assignment has some 5,000 characters. A hub that writes long ones takes none of the site's memory.
MOST_REMEMBERED, LONGEST_REMEMBERED = 128, 1 << 15


@dataclass(frozen=True)
class ExpectedUpdate:
    """What an update must be. None: not fixed beforehand (initial weights, statistics)."""

    round_uid: str
    attempt: int
    participant: str
    image_digest: str
    base_digest: str | None
    schema_digest: str | None


def sign_assignment(assignment: Assignment, key: SigningKey) -> str:
    """Return the assignment's envelope."""
    return envelope.sign_envelope(codec.dump_document(assignment), envelope.ASSIGNMENT, key)


def open_assignment(text: str, key: VerificationKey) -> Assignment:
    """Return a signed assignment. Raises Refused("AssignmentUnreadable") whatever is wrong with it.

    Operators look at an assignment as long as its task runs, so those that were opened last are remembered.
    """
    remembers = isinstance(text, str) and len(text) <= LONGEST_REMEMBERED
    opened = _open_assignment if remembers else _open_assignment.__wrapped__
    return opened(text, dump_verification_key(key))


@lru_cache(maxsize=MOST_REMEMBERED)
def _open_assignment(text: str, public: bytes) -> Assignment:
    """The same text and key always give the same answer: what is opened holds no time of its own."""
    reason = "AssignmentUnreadable"
    try:
        payload = envelope.open_envelope(text, envelope.ASSIGNMENT, load_verification_key(public))
    except Refused:
        raise Refused(reason) from None
    assignment = untrusted.parse(Assignment, payload, reason)
    untrusted.time(assignment.issued, reason)
    untrusted.time(assignment.expires, reason)
    if assignment.suite != SUITE:
        raise Refused(reason)
    # Only a model is begun: of other tasks nobody would look at the image and command that begin it.
    if assignment.initial and assignment.task != "Train":
        raise Refused(reason)
    # It becomes part of a path on the site's own volume.
    if assignment.state_round and not UID.fullmatch(assignment.state_round):
        raise Refused(reason)
    return assignment


def sign_model(manifest: ModelManifest, key: SigningKey) -> str:
    """Return the model manifest's envelope."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.MODEL, key)


def open_model(text: str, key: VerificationKey) -> ModelManifest:
    """Return a signed model manifest. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    return parse_model(envelope.open_envelope(text, envelope.MODEL, key))


def parse_model(payload: Mapping[str, object]) -> ModelManifest:
    """Return the payload of a model manifest. Raises Refused("ManifestUnreadable")."""
    manifest = untrusted.parse(ModelManifest, payload, _UNREADABLE)
    _check_header(manifest.header, MODEL, manifest.bytes)
    return manifest


def sign_update(manifest: UpdateManifest, key: SigningKey) -> str:
    """Return the update manifest's envelope."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.UPDATE, key)


def open_update(text: str, key: VerificationKey) -> UpdateManifest:
    """Return a signed update manifest, well-formed but not yet compared with anything.

    Raises Refused: ManifestUnreadable or SignatureInvalid.
    """
    manifest = untrusted.parse(UpdateManifest, envelope.open_envelope(text, envelope.UPDATE, key), _UNREADABLE)
    _check_header(manifest.header, UPDATE, manifest.bytes)
    untrusted.time(manifest.expires, _UNREADABLE)
    # One participant must not be able to make the round's answer unspeakable: few metrics, short names, finite values.
    names = [*manifest.metrics, *manifest.suppressed]
    if len(names) > MOST_METRICS or len(names) != len(set(names)) or not all(map(_NAME.fullmatch, names)):
        raise Refused(_UNREADABLE)
    if not all(map(_is_number, manifest.metrics.values())):
        raise Refused(_UNREADABLE)
    return manifest


def verify_update(text: str, key: VerificationKey, expected: ExpectedUpdate, now: datetime) -> UpdateManifest:
    """Return the manifest of an update that is the expected one. Raises Refused with the first reason that applies."""
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


def seal_grants(grants: Grants, recipient: RecipientKey, *, round_uid: str, attempt: int, participant: str) -> bytes:
    """Return grants sealed for the courier that holds `recipient`'s private half."""
    return wrap(codec.write_document(grants), recipient, grants_context(round_uid, attempt, participant))


def open_grants(sealed: bytes, key: DecryptionKey, *, round_uid: str, attempt: int, participant: str) -> Grants:
    """Return grants sealed for this courier and task. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, grants_context(round_uid, attempt, participant))
    grants = untrusted.parse(Grants, untrusted.loads(plain, _UNREADABLE), _UNREADABLE)
    untrusted.time(grants.expires, _UNREADABLE)
    return grants


def _is_number(value: str) -> bool:
    return bool(NUMBER.fullmatch(value)) and math.isfinite(float(value))


def _check_header(header: Header, kind: str, ciphertext_bytes: int) -> None:
    if header.suite != SUITE or header.kind != kind or ciphertext_bytes != ciphertext_length(header.length):
        raise Refused(_UNREADABLE)
    if ciphertext_bytes > MOST_PARTS * PART:
        raise Refused(_UNREADABLE)
