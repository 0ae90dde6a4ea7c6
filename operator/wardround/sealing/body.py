"""Seals and opens the segments of one file, in any order and from several threads; knows no files and no transport.

STREAM with a one-byte last flag: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015. AES-GCM does not commit to its key, so the header holds a commitment.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wardround.sealing.keys import SUITE
from wardround.sealing.refused import Refused
from wardround.wire.models import Header

SEGMENT = 1 << 20
TAG = 16
SEALED_SEGMENT = SEGMENT + TAG
SEGMENTS_PER_PART = 64
PART = SEGMENTS_PER_PART * SEALED_SEGMENT
# Limits a model: its list of segment hashes must fit into a courier's memory, and one URL a part into a RoundTask.
MOST_PARTS = 400

KEY_BYTES = 32
SALT_BYTES = 32

MODEL = "Model"
UPDATE = "Update"
SERVER_STATE = "ServerState"


def new_file_key() -> bytes:
    """Make a fresh 256-bit file key."""
    return secrets.token_bytes(KEY_BYTES)


def new_header(
    file_key: bytes,
    *,
    kind: str,
    round_uid: str,
    attempt: int,
    participant: str,
    base_digest: str,
    image_digest: str,
    schema_digest: str,
    length: int,
) -> Header:
    """Return the header of a file to seal, with a fresh salt. A header must seal one file, and only once."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Header(
        suite=SUITE,
        kind=kind,
        round_uid=round_uid,
        attempt=attempt,
        participant=participant,
        base_digest=base_digest,
        image_digest=image_digest,
        schema_digest=schema_digest,
        length=length,
        salt=salt,
        commitment=derive(file_key, salt, b"wardround/v1/commitment"),
    )


class Body:
    """Seals and opens the segments of one file. It does not change after construction, so threads may share it."""

    def __init__(self, file_key: bytes, header: Header) -> None:
        """Derive the body's key. Raises Refused("KeyUnusable") if the header does not commit to `file_key`."""
        require_commitment(file_key, header)
        self.length = header.length
        self.segments = segment_count(header.length)
        self._cipher = AESGCM(derive(file_key, header.salt, b"wardround/v1/body"))
        self._header_digest = header.digest

    def seal(self, index: int, plaintext: bytes | memoryview) -> bytes:
        """Encrypt segment `index`. Raises ValueError unless `plaintext` has exactly its length."""
        _, size = segment_span(index, self.length)
        if len(plaintext) != size:
            raise ValueError(f"segment {index} has {size} bytes, not {len(plaintext)}")
        return self._cipher.encrypt(self._nonce(index), plaintext, self._header_digest)

    def seal_into(self, index: int, plaintext: memoryview, into: memoryview) -> None:
        """Encrypt segment `index` into a buffer that is longer by TAG. See `seal`."""
        _, size = segment_span(index, self.length)
        if len(plaintext) != size:
            raise ValueError(f"segment {index} has {size} bytes, not {len(plaintext)}")
        self._cipher.encrypt_into(self._nonce(index), plaintext, self._header_digest, into)

    def open(self, index: int, sealed: bytes | memoryview) -> bytes:
        """Decrypt segment `index`. Raises Refused("Altered") unless it is that segment of this file."""
        _, size = segment_span(index, self.length)
        if len(sealed) != size + TAG:
            raise Refused("Altered")
        try:
            return self._cipher.decrypt(self._nonce(index), sealed, self._header_digest)
        except InvalidTag:
            raise Refused("Altered") from None

    def open_into(self, index: int, sealed: bytes | memoryview, into: memoryview) -> None:
        """Decrypt segment `index` into a buffer of exactly its length. See `open`.

        A fresh buffer for each segment costs more time than the cipher, because the kernel clears its pages.
        """
        _, size = segment_span(index, self.length)
        if len(sealed) != size + TAG:
            raise Refused("Altered")
        try:
            self._cipher.decrypt_into(self._nonce(index), sealed, self._header_digest, into)
        except InvalidTag:
            raise Refused("Altered") from None

    def _nonce(self, index: int) -> bytes:
        return index.to_bytes(11, "big") + (b"\x01" if index == self.segments - 1 else b"\x00")


def require_commitment(file_key: bytes, header: Header) -> None:
    """Raise Refused("KeyUnusable") unless the header commits to `file_key`."""
    if len(file_key) != KEY_BYTES or len(header.salt) != SALT_BYTES or header.suite != SUITE:
        raise Refused("KeyUnusable")
    if not hmac.compare_digest(derive(file_key, header.salt, b"wardround/v1/commitment"), header.commitment):
        raise Refused("KeyUnusable")


def segment_count(length: int) -> int:
    """Return the number of segments of `length` plaintext bytes. An empty file has one empty segment."""
    return max(1, -(-length // SEGMENT))


def segment_span(index: int, length: int) -> tuple[int, int]:
    """Return (offset, size) of a segment in the plaintext. Raises IndexError beyond the last segment."""
    if not 0 <= index < segment_count(length):
        raise IndexError(f"no segment {index} in a file of {length} bytes")
    offset = index * SEGMENT
    return offset, min(SEGMENT, length - offset)


def sealed_place(index: int, length: int) -> tuple[int, int, int]:
    """Return (part, offset in that part, size) of a sealed segment."""
    _, size = segment_span(index, length)
    part, place = divmod(index, SEGMENTS_PER_PART)
    return part, place * SEALED_SEGMENT, size + TAG


def ciphertext_length(length: int) -> int:
    """Return the ciphertext bytes of `length` plaintext bytes."""
    return length + TAG * segment_count(length)


def part_lengths(length: int) -> list[int]:
    """Return the bytes of each part object of `length` plaintext bytes, in order."""
    whole, rest = divmod(ciphertext_length(length), PART)
    return [PART] * whole + ([rest] if rest else [])


def part_name(index: int) -> str:
    """Return the name of a part below its file's location."""
    return f"part-{index:05d}"


def derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return the key that HKDF-SHA256 derives from the file key for one purpose, `info`."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(file_key)
