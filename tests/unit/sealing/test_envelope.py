"""Every faulty envelope raises Refused, and only one spelling of an envelope is accepted."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import Any

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # no __all__ there

from wardround.sealing import envelope, keys
from wardround.sealing.refused import Refused
from wardround.wire import canonical

KEY = keys.generate_signing_key()
PUBLIC = KEY.public_key()
PAYLOAD: dict[str, object] = {"roundUID": "uid", "attempt": 1, "names": ["a", "é"], "base": None}
TEXT = envelope.sign_envelope(PAYLOAD, envelope.UPDATE, KEY)


def changed(**fields: Any) -> str:
    return canonical.dumps(json.loads(TEXT) | fields).decode()


def signature(**fields: Any) -> dict[str, Any]:
    return {**json.loads(TEXT)["signatures"][0], **fields}


def signed_bytes(payload: bytes) -> str:
    """An envelope with a valid signature over bytes that `sign_envelope` would not write."""
    made = Envelope(payload, envelope.UPDATE, {})
    made.sign(CryptoSigner(KEY, SSlibKey.from_crypto(PUBLIC, keyid="any")))
    return canonical.dumps(made.to_dict()).decode()


def test_envelopes_are_those_of_the_library_of_dsse() -> None:
    read = Envelope.from_dict(json.loads(TEXT))
    assert (read.payload, read.payload_type) == (canonical.dumps(PAYLOAD), envelope.UPDATE)
    [keyid] = read.signatures
    assert keyid == hashlib.sha256(keys.dump_verification_key(PUBLIC)).hexdigest()
    read.verify([SSlibKey.from_crypto(PUBLIC, keyid=keyid)], 1)
    assert json.loads(TEXT) == read.to_dict()
    assert envelope.open_envelope(signed_bytes(canonical.dumps(PAYLOAD)), envelope.UPDATE, PUBLIC) == PAYLOAD


def test_an_envelope_opens_with_its_key_and_payload_type() -> None:
    assert envelope.open_envelope(TEXT, envelope.UPDATE, PUBLIC) == PAYLOAD


def test_an_envelope_does_not_open_with_another_key() -> None:
    with pytest.raises(Refused, match="SignatureInvalid"):
        envelope.open_envelope(TEXT, envelope.UPDATE, keys.generate_signing_key().public_key())


def test_an_envelope_does_not_open_as_another_payload_type() -> None:
    with pytest.raises(Refused, match="ManifestUnreadable"):
        envelope.open_envelope(TEXT, envelope.MODEL, PUBLIC)
    with pytest.raises(Refused, match="SignatureInvalid"):
        envelope.open_envelope(changed(payloadType=envelope.MODEL), envelope.MODEL, PUBLIC)


def test_a_changed_payload_is_refused() -> None:
    payload = canonical.encode(canonical.dumps(PAYLOAD | {"attempt": 2}))
    with pytest.raises(Refused, match="SignatureInvalid"):
        envelope.open_envelope(changed(payload=payload), envelope.UPDATE, PUBLIC)


SIGNATURE = base64.b64decode(json.loads(TEXT)["signatures"][0]["sig"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        TEXT[:-1],
        TEXT + " ",
        " " + TEXT,
        TEXT.replace('{"payload"', '{"payload":"","payload"', 1),
        "[" * 100_000,
        '"' + "x" * (1 << 20) + '"',
        "\ud800",
        '{"payload":"\\ud800"}',
        changed(more=1),
        changed(payload=1),
        changed(payload=None),
        changed(payload=json.loads(TEXT)["payload"].rstrip("=") + "=" * 4),
        changed(payload=json.loads(TEXT)["payload"] + "\n"),
        changed(payloadType=7),
        changed(signatures=[]),
        changed(signatures={}),
        changed(signatures=[signature(), signature()]),
        changed(signatures=[signature(), signature(keyid="other")]),
        changed(signatures=[signature(more=1)]),
        changed(signatures=[signature(keyid=3)]),
        changed(signatures=[signature(sig="")]),
        changed(signatures=[signature(sig=base64.urlsafe_b64encode(b"\xfb\xff" * 30).decode())]),
        changed(signatures=[signature(sig=canonical.encode(SIGNATURE + b"\x00"))]),
        changed(signatures=[signature(sig=canonical.encode(SIGNATURE[:-1]))]),
        signed_bytes(b'{"a":1,"a":1}'),
        signed_bytes(b'{"a": 1}'),
        signed_bytes(b'{"a":1.5}'),
        signed_bytes(b'{"a":NaN}'),
        signed_bytes(b'{"b":1,"a":1}'),
        signed_bytes(b'{"a":"\\ud800"}'),
        signed_bytes(b'{"a":' + b"9" * 10_000 + b"}"),
        signed_bytes(b"[1]"),
        signed_bytes(b"\xff"),
        signed_bytes(b""),
    ],
)
def test_a_malformed_envelope_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        envelope.open_envelope(text, envelope.UPDATE, PUBLIC)


def test_randomly_changed_text_is_refused() -> None:
    dice = random.Random(2)
    for _ in range(3000):
        characters = list(TEXT)
        for _ in range(dice.randrange(1, 4)):
            characters[dice.randrange(len(characters))] = chr(dice.choice([dice.randrange(128), dice.randrange(0x800)]))
        text = "".join(characters)[: dice.choice([len(TEXT), dice.randrange(len(TEXT))])]
        try:
            opened = envelope.open_envelope(text, envelope.UPDATE, PUBLIC)
        except Refused:
            continue
        assert opened == PAYLOAD  # the signature does not cover the key id


def test_a_payload_with_floats_cannot_be_signed() -> None:
    with pytest.raises(TypeError):
        envelope.sign_envelope({"weight": 0.5}, envelope.UPDATE, KEY)
