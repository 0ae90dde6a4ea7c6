"""Wraps small secrets (file keys, grants) for one recipient and one purpose by HPKE; knows no files."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from wardround.sealing.keys import DecryptionKey, RecipientKey
from wardround.sealing.refused import Refused
from wardround.wire import canonical, codec

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True)
class Context:
    """What a wrapped secret is for. It opens under this very context and no other (HPKE `info`, RFC 9180)."""

    purpose: str
    round_uid: str
    attempt: int
    participant: str
    digest: str | None = None

    @property
    def info(self) -> bytes:
        """The context's canonical JSON; `digest` is absent where nothing is named by one (grants)."""
        return canonical.dumps(codec.dump(self))


def base_context(round_uid: str, attempt: int, participant: str, digest: str) -> Context:
    """Context of the base model's data key, wrapped by the hub for a participant."""
    return Context("base", round_uid, attempt, participant, digest)


def update_context(round_uid: str, attempt: int, participant: str, digest: str) -> Context:
    """Context of an update's file key, wrapped by a courier for the round."""
    return Context("update", round_uid, attempt, participant, digest)


def grants_context(round_uid: str, attempt: int, participant: str) -> Context:
    """Context of transfer grants, sealed by the hub for a courier."""
    return Context("grants", round_uid, attempt, participant)


def wrap(secret: bytes, recipient: RecipientKey, context: Context) -> bytes:
    """Encrypt `secret` for `recipient` under `context`."""
    return _SUITE.encrypt(secret, recipient.hpke, info=context.info)


def unwrap(wrapped: bytes, key: DecryptionKey, context: Context) -> bytes:
    """Return what was wrapped under the same context for this key. Raises Refused("KeyUnusable")."""
    try:
        return _SUITE.decrypt(wrapped, key.hpke, info=context.info)
    except (InvalidTag, ValueError):
        raise Refused("KeyUnusable") from None
