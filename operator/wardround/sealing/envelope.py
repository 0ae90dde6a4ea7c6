"""Signs and opens DSSE envelopes; knows payload types and keys, not the meaning of a payload.

DSSE: https://github.com/secure-systems-lab/dsse. Its library securesystemslib would load code for a dozen kinds of keys
into each process. A test compares with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from wardround.sealing import untrusted
from wardround.sealing.keys import SigningKey, VerificationKey, dump_verification_key
from wardround.sealing.refused import Refused
from wardround.wire import canonical, codec, digests
from wardround.wire.envelope import Envelope, Signature

# Which version of an assignment it is stands in the payload, signed (wire/versions.py).
ASSIGNMENT = "application/vnd.wardround.assignment+json"
MODEL = "application/vnd.wardround.model.v1+json"
UPDATE = "application/vnd.wardround.update.v1+json"
CARD = "application/vnd.wardround.card.v1+json"
SERVER_STATE = "application/vnd.wardround.server-state.v1+json"
OFFER = "application/vnd.wardround.push-offer.v1+json"

# An envelope is part of a Kubernetes object, which holds at most 1.5 MiB.
LARGEST = 1 << 20

_ALGORITHM = ec.ECDSA(SHA256())

UNREADABLE = "ManifestUnreadable"
UNSIGNED = "SignatureInvalid"


def sign_envelope(payload: Mapping[str, object], payload_type: str, key: SigningKey) -> str:
    """Return the envelope of `payload` as canonical JSON text, with one signature."""
    data = canonical.dumps(dict(payload))
    signature = key.sign(_signed(data, payload_type), _ALGORITHM)
    # The caller of open_envelope names the key, so it ignores this `keyid`.
    keyid = hashlib.sha256(dump_verification_key(key.public_key())).hexdigest()
    made = Envelope(payload=data, payload_type=payload_type, signatures=(Signature(keyid=keyid, sig=signature),))
    return codec.write_document(made).decode()


def open_envelope(text: str, payload_type: str, public_key: VerificationKey) -> dict[str, Any]:
    """Return the payload that `public_key` signed as `payload_type`.

    Raises Refused("SignatureInvalid") if the envelope is well-formed and the signature is wrong, and
    Refused("ManifestUnreadable") for every malformed envelope or payload. The payload is parsed only after its
    signature is verified.
    """
    payload, signature = _split(text, payload_type)
    try:
        public_key.verify(signature, _signed(payload, payload_type), _ALGORITHM)
    except InvalidSignature:
        raise Refused(UNSIGNED) from None
    value = untrusted.loads(payload, UNREADABLE)
    if not isinstance(value, dict):
        raise Refused(UNREADABLE)
    return value


def payload_digest(text: str, payload_type: str) -> str:
    """Return the digest of the payload, whoever has signed it. The same payload has many envelopes: each ECDSA
    signature differs, and without the key one follows from another. Raises Refused("ManifestUnreadable")."""
    payload, _ = _split(text, payload_type)
    return digests.digest(payload)


def _split(text: str, payload_type: str) -> tuple[bytes, bytes]:
    # Only one spelling is accepted. DSSE also allows URL-safe base64, more fields and several signatures, and two
    # readers could read such an envelope differently.
    if not isinstance(text, str) or len(text) > LARGEST:
        raise Refused(UNREADABLE)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Refused(UNREADABLE) from None
    outer = untrusted.parse(Envelope, untrusted.loads(data, UNREADABLE), UNREADABLE)
    if outer.payload_type != payload_type or len(outer.signatures) != 1:
        raise Refused(UNREADABLE)
    return outer.payload, outer.signatures[0].sig


def _signed(payload: bytes, payload_type: str) -> bytes:
    """The bytes that a signature covers: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
