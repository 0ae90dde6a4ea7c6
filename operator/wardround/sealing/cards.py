"""Signs and opens cards of models; no I/O and no clock. Shapes: docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping

from wardround.sealing import envelope, untrusted
from wardround.sealing.keys import SigningKey, VerificationKey
from wardround.sealing.refused import Refused
from wardround.wire import card as cards
from wardround.wire import codec
from wardround.wire.card import ModelCard


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
        raise Refused(envelope.UNREADABLE, untrusted.place(malformed.place)) from None
