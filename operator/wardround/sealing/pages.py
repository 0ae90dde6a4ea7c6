"""Seals and opens the pages of a list that the hub stores for its own aggregation Job; knows no content of them.

Both ends get the key from the hub, and no hospital has it. So a page that opens under its number is the hub's, and a
signature would add nothing.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardround.sealing.refused import Refused


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


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")
