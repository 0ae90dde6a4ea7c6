"""The DSSE envelope of a signed document: https://github.com/secure-systems-lab/dsse. Signs and verifies nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Signature:
    """`keyid`: a hint which key has signed. No reader of ours uses it, because the caller names the key."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """`payload`: the document's text. `payload_type`: which document it is (sealing/envelope.py)."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]
