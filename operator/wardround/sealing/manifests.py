"""Signs, opens and verifies assignments, manifests of models and updates, and grants; no I/O and no clock.

Shapes: docs/contracts.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from wardround.api.names import UID
from wardround.sealing import envelope, untrusted
from wardround.sealing.body import MODEL, MOST_PARTS, PART, SERVER_STATE, UPDATE, ciphertext_length
from wardround.sealing.keys import (
    SUITE,
    DecryptionKey,
    RecipientKey,
    SigningKey,
    VerificationKey,
    dump_verification_key,
)
from wardround.sealing.opened import OpenedTexts
from wardround.sealing.refused import Refused
from wardround.sealing.sums import LARGEST_SEALED
from wardround.sealing.wrap import grants_context, transfer_context, unwrap, wrap
from wardround.wire import card as cards
from wardround.wire import codec, versions
from wardround.wire.assignment import MOST_REFERENCES, Assignment
from wardround.wire.card import ModelCard
from wardround.wire.grants import Grants, PushGrants, PushOffer, TransferGrants
from wardround.wire.models import Header, ModelManifest, UpdateManifest
from wardround.wire.server_state import StateManifest

_UNREADABLE = envelope.UNREADABLE
# Characters of all assignments that are kept open. A common one has 5,000 to 9,000, and takes 11 KB while it is open. A
# hub that writes many long ones takes no more of a site's memory.
_OPENED: OpenedTexts[Assignment] = OpenedTexts(1 << 20)


@dataclass(frozen=True)
class ExpectedUpdate:
    """The fields that an update must have. None: not known beforehand (initial weights, statistics)."""

    round_uid: str
    attempt: int
    participant: str
    image_digest: str
    base_digest: str | None
    schema_digest: str | None


def sign_assignment(assignment: Assignment, key: SigningKey) -> str:
    """Return the assignment's envelope."""
    return envelope.sign_envelope(versions.write(assignment), envelope.ASSIGNMENT, key)


def open_assignment(text: str, key: VerificationKey) -> Assignment:
    """Return a signed assignment. Raises Refused("AssignmentNotUnderstood") if it needs a reader of another version,
    Refused("AssignmentUnreadable") for every other fault.

    Operators read a task's assignment again and again while the task runs, so the last ones are kept open.
    """
    public = dump_verification_key(key)
    assignment = _OPENED.get(text, public)
    if assignment is None:
        assignment = _open_assignment(text, key)
        _OPENED.put(text, public, assignment)
    return assignment


def assignment_digest(text: str) -> str:
    """Return the digest of what is signed in an assignment's envelope. Raises Refused("AssignmentUnreadable")."""
    try:
        return envelope.payload_digest(text, envelope.ASSIGNMENT)
    except Refused:
        raise Refused("AssignmentUnreadable") from None


def _open_assignment(text: str, key: VerificationKey) -> Assignment:
    """The result depends only on text and key, not on the time, so it can be kept."""
    reason = "AssignmentUnreadable"
    try:
        payload = envelope.open_envelope(text, envelope.ASSIGNMENT, key)
    except Refused:
        raise Refused(reason) from None
    try:
        assignment = versions.read(payload)
    except versions.NotUnderstood as unknown:
        raise Refused("AssignmentNotUnderstood", untrusted.place(unknown.field)) from None
    except codec.Malformed as malformed:
        raise Refused(reason, untrusted.place(malformed.place)) from None
    untrusted.time(assignment.issued, reason)
    untrusted.time(assignment.expires, reason)
    if assignment.suite != SUITE:
        raise Refused(reason)
    # Only Train makes an initial model. In other tasks, nothing would check the image and command that make it.
    if assignment.initial and assignment.task != "Train":
        raise Refused(reason)
    # Another task would ignore them, and another number of models has no containers.
    if assignment.references and (assignment.task != "Evaluate" or len(assignment.references) > MOST_REFERENCES):
        raise Refused(reason, "references")
    # The UIDs become parts of paths on the site's volume.
    if not all(state == "" or UID.fullmatch(state) for state in assignment.state_rounds):
        raise Refused(reason)
    # All callers share what is cached, so nobody may change it.
    references = tuple(replace(each, parameters=MappingProxyType(each.parameters)) for each in assignment.references)
    return replace(assignment, parameters=MappingProxyType(assignment.parameters), references=references)


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


def sign_state(manifest: StateManifest, key: SigningKey) -> str:
    """Return the envelope of the manifest of a server optimizer's state."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.SERVER_STATE, key)


def open_state(text: str, key: VerificationKey) -> StateManifest:
    """Return a signed manifest of a state. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    payload = envelope.open_envelope(text, envelope.SERVER_STATE, key)
    manifest = untrusted.parse(StateManifest, payload, _UNREADABLE)
    for moment in manifest.moments:
        _check_header(moment.header, SERVER_STATE, ciphertext_length(moment.header.length))
    return manifest


def sign_card(card: ModelCard, key: SigningKey) -> str:
    """Return the envelope of a model's card."""
    return envelope.sign_envelope(cards.write(card), envelope.CARD, key)


def open_card(text: str, key: VerificationKey) -> ModelCard:
    """Return a signed card. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    return parse_card(envelope.open_envelope(text, envelope.CARD, key))


def parse_card(payload: Mapping[str, object]) -> ModelCard:
    """Return the payload of a card. Raises Refused("ManifestUnreadable")."""
    try:
        return cards.read(payload)
    except codec.Malformed as malformed:
        raise Refused(_UNREADABLE, untrusted.place(malformed.place)) from None


def sign_update(manifest: UpdateManifest, key: SigningKey) -> str:
    """Return the update manifest's envelope."""
    return envelope.sign_envelope(codec.dump_document(manifest), envelope.UPDATE, key)


def open_update(text: str, key: VerificationKey) -> UpdateManifest:
    """Return a signed, well-formed update manifest. It is not yet compared with the expected update.

    Raises Refused: ManifestUnreadable or SignatureInvalid.
    """
    manifest = untrusted.parse(UpdateManifest, envelope.open_envelope(text, envelope.UPDATE, key), _UNREADABLE)
    _check_header(manifest.header, UPDATE, manifest.bytes)
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


def seal_grants(grants: Grants, recipient: RecipientKey, *, round_uid: str, attempt: int, participant: str) -> bytes:
    """Return grants sealed for the courier with the private half of `recipient`."""
    return wrap(codec.write_document(grants), recipient, grants_context(round_uid, attempt, participant))


def open_grants(sealed: bytes, key: DecryptionKey, *, round_uid: str, attempt: int, participant: str) -> Grants:
    """Return grants sealed for this courier and task. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, grants_context(round_uid, attempt, participant))
    grants = untrusted.parse(Grants, untrusted.loads(plain, _UNREADABLE), _UNREADABLE)
    untrusted.time(grants.expires, _UNREADABLE)
    return grants


def seal_transfer(
    grants: TransferGrants, recipient: RecipientKey, *, transfer_uid: str, requested_by: str, digest: str
) -> bytes:
    """Return download addresses sealed for the one-time key of a ModelTransfer. `digest`: of the model."""
    context = transfer_context("addresses", transfer_uid, requested_by, digest)
    return wrap(codec.write_document(grants), recipient, context)


def open_transfer(
    sealed: bytes, key: DecryptionKey, *, transfer_uid: str, requested_by: str, digest: str
) -> TransferGrants:
    """Return download addresses sealed for this key and transfer. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, transfer_context("addresses", transfer_uid, requested_by, digest))
    return untrusted.parse(TransferGrants, untrusted.loads(plain, _UNREADABLE), _UNREADABLE)


def seal_push(grants: PushGrants, recipient: RecipientKey, *, push_uid: str, requested_by: str, digest: str) -> bytes:
    """Return upload addresses sealed for the one-time key of a ModelPush. `digest`: of the model."""
    return wrap(codec.write_document(grants), recipient, transfer_context("uploads", push_uid, requested_by, digest))


def open_push(sealed: bytes, key: DecryptionKey, *, push_uid: str, requested_by: str, digest: str) -> PushGrants:
    """Return upload addresses sealed for this key and push. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, transfer_context("uploads", push_uid, requested_by, digest))
    return untrusted.parse(PushGrants, untrusted.loads(plain, _UNREADABLE), _UNREADABLE)


def sign_offer(offer: PushOffer, key: SigningKey) -> str:
    """Return the envelope of an offer."""
    return envelope.sign_envelope(codec.dump_document(offer), envelope.OFFER, key)


def open_offer(text: str, key: VerificationKey) -> PushOffer:
    """Return a signed offer. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    offer = untrusted.parse(PushOffer, envelope.open_envelope(text, envelope.OFFER, key), _UNREADABLE)
    _check_header(offer.header, MODEL, ciphertext_length(offer.header.length))
    return offer


def _check_header(header: Header, kind: str, ciphertext_bytes: int) -> None:
    if header.suite != SUITE or header.kind != kind or ciphertext_bytes != ciphertext_length(header.length):
        raise Refused(_UNREADABLE)
    if ciphertext_bytes > MOST_PARTS * PART:
        raise Refused(_UNREADABLE)
