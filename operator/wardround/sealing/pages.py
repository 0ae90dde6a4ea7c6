"""Seals and opens the pages of a list that the hub stores for its own aggregation Job; knows no content of them.

Both ends get the key from the hub, and no hospital has it. So a page that opens under its number is the hub's, and a
signature would add nothing.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardround.sealing.refused import Refused

_NONCE = 12
# Bytes that `seal_named` adds.
NAMED_OVERHEAD = _NONCE + 16


def new_page_key() -> bytes:
    """Make a fresh 256-bit key for one list."""
    return AESGCM.generate_key(256)


def seal_page(key: bytes, index: int, plain: bytes) -> bytes:
    """Encrypt page `index`. A key must seal each index only once."""
    return AESGCM(key).encrypt(_nonce(index), plain, None)


def open_page(key: bytes, index: int, sealed: bytes) -> bytes:
    """Decrypt page `index`. Raises Refused("Altered") unless it is that page of the list with this key."""
    try:
        return AESGCM(key).decrypt(_nonce(index), sealed, None)
    except (InvalidTag, ValueError):
        raise Refused("Altered") from None


def seal_named(key: bytes, name: str, plain: bytes) -> bytes:
    """Encrypt the page that the store has under `name`. The nonce is random, because a hub operator that restarts may
    seal another page for a name, and a nonce that is used twice would let the store forge pages."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, name.encode())


def open_named(key: bytes, name: str, sealed: bytes) -> bytes:
    """Decrypt a page. Raises Refused("Altered") unless the hub sealed it with this key under this name."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
    except (InvalidTag, ValueError):
        raise Refused("Altered") from None


def _nonce(index: int) -> bytes:
    return index.to_bytes(_NONCE, "big")
