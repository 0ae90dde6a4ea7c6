"""Wraps small secrets (file keys, grants) for one recipient and one purpose with HPKE (RFC 9180); knows no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from wardround.sealing.keys import DecryptionKey, RecipientKey
from wardround.sealing.refused import Refused
from wardround.wire import canonical, codec

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True)
class Context:
    """The purpose of a wrapped secret. The secret opens only with the same context (HPKE `info`, RFC 9180)."""

    purpose: str
    round_uid: str
    attempt: int
    participant: str
    digest: str | None = None

    @property
    def info(self) -> bytes:
        """The context's canonical JSON. Grants have no `digest`."""
        return canonical.dumps(codec.dump(self))


@dataclass(frozen=True)
class TransferContext:
    """The purpose of a secret that is wrapped for the one-time key of a ModelTransfer or a ModelPush. `purpose`: the
    model's key (`model`, `pushed`), or addresses for the download (`addresses`) or the upload (`uploads`).
    `requested_by`: the user who made it."""

    purpose: str
    transfer_uid: str
    requested_by: str
    digest: str

    @property
    def info(self) -> bytes:
        """The context's canonical JSON."""
        return canonical.dumps(codec.dump(self))


def base_context(round_uid: str, attempt: int, participant: str, digest: str) -> Context:
    """The context of the base model's data key, which the hub wraps for a participant."""
    return Context("base", round_uid, attempt, participant, digest)


def update_context(round_uid: str, attempt: int, participant: str, digest: str) -> Context:
    """The context of an update's file key, which a courier wraps for the round."""
    return Context("update", round_uid, attempt, participant, digest)


def grants_context(round_uid: str, attempt: int, participant: str) -> Context:
    """The context of grants, which the hub wraps for a courier."""
    return Context("grants", round_uid, attempt, participant)


def transfer_context(
    purpose: Literal["model", "addresses", "pushed", "uploads"], transfer_uid: str, requested_by: str, digest: str
) -> TransferContext:
    """The context of what the hub wraps for a ModelTransfer or a ModelPush. `digest`: of the model."""
    return TransferContext(f"transfer-{purpose}", transfer_uid, requested_by, digest)


def wrap(secret: bytes, recipient: RecipientKey, context: Context | TransferContext) -> bytes:
    """Encrypt `secret` for `recipient` under `context`."""
    return _SUITE.encrypt(secret, recipient.hpke, info=context.info)


def unwrap(wrapped: bytes, key: DecryptionKey, context: Context | TransferContext) -> bytes:
    """Return a secret that was wrapped for this key with the same context. Raises Refused("KeyUnusable")."""
    try:
        return _SUITE.decrypt(wrapped, key.hpke, info=context.info)
    except (InvalidTag, ValueError):
        raise Refused("KeyUnusable") from None
