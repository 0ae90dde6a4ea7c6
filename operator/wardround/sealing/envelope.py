"""Signs and opens DSSE envelopes; knows payload types and keys, not the meaning of a payload.

DSSE: https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey  # type: ignore[attr-defined]  # no __all__ there

from wardround.sealing import untrusted
from wardround.sealing.keys import SigningKey, VerificationKey, dump_verification_key, load_verification_key
from wardround.sealing.refused import Refused
from wardround.wire import canonical

# Which version of an assignment it is stands in the payload, signed (wire/versions.py).
ASSIGNMENT = "application/vnd.wardround.assignment+json"
MODEL = "application/vnd.wardround.model.v1+json"
UPDATE = "application/vnd.wardround.update.v1+json"
CARD = "application/vnd.wardround.card.v1+json"
SERVER_STATE = "application/vnd.wardround.server-state.v1+json"
OFFER = "application/vnd.wardround.push-offer.v1+json"

# An envelope is part of a Kubernetes object, which holds at most 1.5 MiB.
LARGEST = 1 << 20

UNREADABLE = "ManifestUnreadable"
UNSIGNED = "SignatureInvalid"


def sign_envelope(payload: Mapping[str, object], payload_type: str, key: SigningKey) -> str:
    """Return the envelope of `payload` as canonical JSON text, with one signature."""
    envelope = Envelope(canonical.dumps(dict(payload)), payload_type, {})
    envelope.sign(CryptoSigner(key, _public(key.public_key())))
    return canonical.dumps(envelope.to_dict()).decode()


def open_envelope(text: str, payload_type: str, public_key: VerificationKey) -> dict[str, Any]:
    """Return the payload that `public_key` signed as `payload_type`.

    Raises Refused("SignatureInvalid") if the envelope is well-formed and the signature is wrong, and
    Refused("ManifestUnreadable") for every malformed envelope or payload. The payload is parsed only after its
    signature is verified.
    """
    payload, signature = _split(text, payload_type)
    key = _public(public_key)
    envelope = Envelope(payload, payload_type, {key.keyid: Signature(key.keyid, signature.hex())})
    try:
        envelope.verify([key], 1)
    except (VerificationError, UnverifiedSignatureError):
        raise Refused(UNSIGNED) from None
    value = untrusted.loads(payload, UNREADABLE)
    if not isinstance(value, dict):
        raise Refused(UNREADABLE)
    return value


def _split(text: str, payload_type: str) -> tuple[bytes, bytes]:
    # Only one spelling is accepted. The library's parser also takes URL-safe base64, more fields and several
    # signatures, and two readers could read such an envelope differently.
    if not isinstance(text, str) or len(text) > LARGEST:
        raise Refused(UNREADABLE)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Refused(UNREADABLE) from None
    outer = untrusted.loads(data, UNREADABLE)
    match outer:
        case {
            "payload": str(payload),
            "payloadType": str(actual_type),
            "signatures": [{"keyid": str(), "sig": str(signature), **others}],
            **further,
        } if not others and not further and actual_type == payload_type:
            return untrusted.decode(payload, UNREADABLE), untrusted.decode(signature, UNREADABLE)
    raise Refused(UNREADABLE)


def _public(key: VerificationKey) -> SSlibKey:
    return _library_key(dump_verification_key(key))


@lru_cache(maxsize=64)
def _library_key(public: bytes) -> SSlibKey:
    # The caller names the key. The envelope's `keyid` is ignored.
    return SSlibKey.from_crypto(load_verification_key(public), keyid=hashlib.sha256(public).hexdigest())
