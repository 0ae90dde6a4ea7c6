"""Key pairs, their serialisation and their fingerprints; does no sealing and no I/O."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from wardround.sealing import untrusted
from wardround.sealing.refused import Refused
from wardround.wire import digests

SUITE = "HPKE-XWING-HKDFSHA256-AES256GCM"
MLKEM_SEED = 64
MLKEM_PUBLIC = 1184
PRIVATE_BYTES = MLKEM_SEED + 32
PUBLIC_BYTES = MLKEM_PUBLIC + 32

SigningKey = ec.EllipticCurvePrivateKey
VerificationKey = ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class RecipientKey:
    """Public half of an X-Wing pair: 1184 bytes of ML-KEM-768 encapsulation key, then 32 of X25519."""

    raw: bytes
    hpke: MLKEM768X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, raw: bytes) -> RecipientKey:
        """Parse 1216 bytes. Raises Refused("KeyUnusable")."""
        if len(raw) != PUBLIC_BYTES:
            raise Refused("KeyUnusable")
        try:
            hpke = MLKEM768X25519PublicKey(
                mlkem.MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC]),
                x25519.X25519PublicKey.from_public_bytes(raw[MLKEM_PUBLIC:]),
            )
        except ValueError:
            raise Refused("KeyUnusable") from None
        return cls(raw, hpke)

    @classmethod
    def parse(cls, text: str) -> RecipientKey:
        """Parse base64, as API objects hold it. Raises Refused("KeyUnusable")."""
        return cls.load(untrusted.decode(text, "KeyUnusable"))


@dataclass(frozen=True)
class DecryptionKey:
    """Private half: 64 bytes of ML-KEM seed, then 32 of X25519. `hpke`: the hybrid key, which has no serialiser."""

    raw: bytes = field(repr=False)
    hpke: MLKEM768X25519PrivateKey = field(repr=False, compare=False)
    public: RecipientKey

    @classmethod
    def generate(cls) -> DecryptionKey:
        """Make a fresh pair: any 96 random bytes are a valid private key."""
        return cls.load(secrets.token_bytes(PRIVATE_BYTES))

    @classmethod
    def load(cls, raw: bytes) -> DecryptionKey:
        """Parse 96 bytes. Raises Refused("KeyUnusable")."""
        if len(raw) != PRIVATE_BYTES:
            raise Refused("KeyUnusable")
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:MLKEM_SEED])
        curve = x25519.X25519PrivateKey.from_private_bytes(raw[MLKEM_SEED:])
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        return cls(raw, MLKEM768X25519PrivateKey(lattice, curve), RecipientKey.load(public))


def generate_signing_key() -> SigningKey:
    """Make a fresh ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def dump_signing_key(key: SigningKey) -> bytes:
    """Return PKCS#8 DER, unencrypted, for a Secret."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load_signing_key(der: bytes) -> SigningKey:
    """Parse PKCS#8 DER of a P-256 key. Raises Refused("KeyUnusable")."""
    try:
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("KeyUnusable") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("KeyUnusable")
    return key


def dump_verification_key(key: VerificationKey) -> bytes:
    """Return SPKI DER, the form that fingerprints hash."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_verification_key(der: bytes) -> VerificationKey:
    """Parse SPKI DER of a P-256 key. Raises Refused("KeyUnusable").

    Only one spelling of a key is accepted: a key with two fingerprints could not be pinned.
    """
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("KeyUnusable") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("KeyUnusable")
    if dump_verification_key(key) != der:
        raise Refused("KeyUnusable")
    return key


def hub_fingerprint(signing: bytes) -> str:
    """Return `sha256:<hex>` of a hub's signing key (SPKI DER). A Site pins it."""
    return digests.digest(signing)


def participant_fingerprint(signing: bytes, decryption: bytes) -> str:
    """Return `sha256:<hex>` over both public keys of a participant. `approve` shows and pins it.

    The decryption key has a fixed length and comes last, so no two pairs give the same bytes. Raises
    Refused("KeyUnusable").
    """
    if len(decryption) != PUBLIC_BYTES:
        raise Refused("KeyUnusable")
    return digests.digest(signing + decryption)
