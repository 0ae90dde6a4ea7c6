"""Keys load as they were stored, fingerprints identify keys, wrapped secrets open only with their own context."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wardround.sealing import keys, wrap
from wardround.sealing.refused import Refused

PAIR = keys.DecryptionKey.generate()
CONTEXT = wrap.update_context("uid", 1, "site-a", "sha256:d")


def test_stored_keys_load_unchanged() -> None:
    again = keys.DecryptionKey.load(PAIR.raw)
    assert (len(PAIR.raw), len(PAIR.public.raw)) == (96, 1216)
    assert wrap.unwrap(wrap.wrap(b"secret", PAIR.public, CONTEXT), again, CONTEXT) == b"secret"
    signing = keys.generate_signing_key()
    assert keys.dump_signing_key(keys.load_signing_key(keys.dump_signing_key(signing))) == keys.dump_signing_key(
        signing
    )
    public = keys.dump_verification_key(signing.public_key())
    assert keys.dump_verification_key(keys.load_verification_key(public)) == public


def test_a_private_keys_repr_does_not_show_it() -> None:
    assert repr(PAIR.raw) not in repr(PAIR)


@pytest.mark.parametrize(
    ("field", "value"),
    [("purpose", "base"), ("round_uid", "v"), ("attempt", 2), ("participant", "site-b"), ("digest", None)],
)
def test_a_wrapped_secret_opens_only_with_its_own_context(field: str, value: object) -> None:
    wrapped = wrap.wrap(b"secret", PAIR.public, CONTEXT)
    with pytest.raises(Refused, match="KeyUnusable"):
        wrap.unwrap(wrapped, PAIR, dataclasses.replace(CONTEXT, **{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", [0, 1, 1167])
def test_a_truncated_secret_or_one_for_another_key_is_refused(cut: int) -> None:
    wrapped = wrap.wrap(b"s" * 32, PAIR.public, CONTEXT)
    with pytest.raises(Refused, match="KeyUnusable"):
        wrap.unwrap(wrapped[:cut], PAIR, CONTEXT)
    with pytest.raises(Refused, match="KeyUnusable"):
        wrap.unwrap(wrapped, keys.DecryptionKey.generate(), CONTEXT)


def test_keys_of_another_type_or_length_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    compressed = ec.generate_private_key(ec.SECP256R1()).public_key()
    for der in (
        b"",
        b"\x30\x00",
        other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        compressed.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        keys.dump_verification_key(compressed) + b"\x00",
    ):
        with pytest.raises(Refused, match="KeyUnusable"):
            keys.load_verification_key(der)
    for raw in (b"", PAIR.raw[1:], PAIR.raw + b"\x00"):
        with pytest.raises(Refused, match="KeyUnusable"):
            keys.DecryptionKey.load(raw)
    for raw in (b"", b"\xff" * 1216, PAIR.public.raw[1:]):
        with pytest.raises(Refused, match="KeyUnusable"):
            keys.RecipientKey.load(raw)


def test_a_fingerprint_depends_on_both_keys() -> None:
    signing = keys.dump_verification_key(keys.generate_signing_key().public_key())
    other = keys.dump_verification_key(keys.generate_signing_key().public_key())
    decryption = keys.DecryptionKey.generate().public.raw
    fingerprints = {
        keys.participant_fingerprint(signing, PAIR.public.raw),
        keys.participant_fingerprint(other, PAIR.public.raw),
        keys.participant_fingerprint(signing, decryption),
        keys.hub_fingerprint(signing),
    }
    assert len(fingerprints) == 4
