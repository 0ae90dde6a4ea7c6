"""Seals and opens grants, and signs and opens offers; no I/O and no clock. Shapes: docs/contracts.md, section 3."""

from __future__ import annotations

from wardround.sealing import envelope, untrusted
from wardround.sealing.body import MODEL, ciphertext_length
from wardround.sealing.envelope import UNREADABLE
from wardround.sealing.keys import DecryptionKey, RecipientKey, SigningKey, VerificationKey
from wardround.sealing.manifests import check_header
from wardround.sealing.wrap import grants_context, transfer_context, unwrap, wrap
from wardround.wire import codec
from wardround.wire.grants import Grants, PushGrants, PushOffer, TransferGrants


def seal_grants(grants: Grants, recipient: RecipientKey, *, round_uid: str, attempt: int, participant: str) -> bytes:
    """Return grants sealed for the courier with the private half of `recipient`."""
    return wrap(codec.write_document(grants), recipient, grants_context(round_uid, attempt, participant))


def open_grants(sealed: bytes, key: DecryptionKey, *, round_uid: str, attempt: int, participant: str) -> Grants:
    """Return grants sealed for this courier and task. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, grants_context(round_uid, attempt, participant))
    grants = untrusted.parse(Grants, untrusted.loads(plain, UNREADABLE), UNREADABLE)
    untrusted.time(grants.expires, UNREADABLE)
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
    return untrusted.parse(TransferGrants, untrusted.loads(plain, UNREADABLE), UNREADABLE)


def seal_push(grants: PushGrants, recipient: RecipientKey, *, push_uid: str, requested_by: str, digest: str) -> bytes:
    """Return upload addresses sealed for the one-time key of a ModelPush. `digest`: of the model."""
    return wrap(codec.write_document(grants), recipient, transfer_context("uploads", push_uid, requested_by, digest))


def open_push(sealed: bytes, key: DecryptionKey, *, push_uid: str, requested_by: str, digest: str) -> PushGrants:
    """Return upload addresses sealed for this key and push. Raises Refused: KeyUnusable or ManifestUnreadable."""
    plain = unwrap(sealed, key, transfer_context("uploads", push_uid, requested_by, digest))
    return untrusted.parse(PushGrants, untrusted.loads(plain, UNREADABLE), UNREADABLE)


def sign_offer(offer: PushOffer, key: SigningKey) -> str:
    """Return the envelope of an offer."""
    return envelope.sign_envelope(codec.dump_document(offer), envelope.OFFER, key)


def open_offer(text: str, key: VerificationKey) -> PushOffer:
    """Return a signed offer. Raises Refused: ManifestUnreadable or SignatureInvalid."""
    offer = untrusted.parse(PushOffer, envelope.open_envelope(text, envelope.OFFER, key), UNREADABLE)
    check_header(offer.header, MODEL, ciphertext_length(offer.header.length))
    return offer
