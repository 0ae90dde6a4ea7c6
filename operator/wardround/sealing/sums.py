"""Seals and opens the validation sums of one update, which travel in its manifest; knows no content of them.

The key is derived from the update's file key, and the header of the update is authenticated with the sums. So the sums
open only with the key and the header of the update that they belong to.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardround.sealing.body import TAG, derive, require_commitment
from wardround.sealing.refused import Refused
from wardround.wire.models import Header
from wardround.wire.update import MOST_SUMS

PADDING = b" "  # JSON text does not end with it
LARGEST_SEALED = MOST_SUMS + TAG
# Each key seals one text: the file key is fresh, and the header has one salt.
_NONCE = bytes(12)


def seal_sums(file_key: bytes, header: Header, sums: bytes, length: int = MOST_SUMS) -> bytes:
    """Encrypt the sums of the update with this header. `length`: of all sums of the round, so that the length of the
    ciphertext does not tell how many digits they have.

    Raises ValueError if the sums are empty, end with the padding or are longer than `length`, and
    Refused("KeyUnusable") if the header does not commit to `file_key`.
    """
    if not sums or sums.endswith(PADDING) or len(sums) > length:
        raise ValueError(f"the sums have {len(sums)} bytes, which is not from 1 to {length}, or end with padding")
    return _cipher(file_key, header).encrypt(_NONCE, sums.ljust(length, PADDING), header.digest)


def open_sums(file_key: bytes, header: Header, sealed: bytes) -> bytes:
    """Return the sums. Raises Refused: Altered, or KeyUnusable if the header does not commit to `file_key`."""
    cipher = _cipher(file_key, header)
    if len(sealed) > LARGEST_SEALED:
        raise Refused("Altered")
    try:
        return cipher.decrypt(_NONCE, sealed, header.digest).rstrip(PADDING)
    except (InvalidTag, ValueError):
        raise Refused("Altered") from None


def _cipher(file_key: bytes, header: Header) -> AESGCM:
    require_commitment(file_key, header)
    return AESGCM(derive(file_key, header.salt, b"wardround/v1/sums"))
