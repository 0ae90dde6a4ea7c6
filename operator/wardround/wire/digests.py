"""Computes digests and spells them `sha256:<64 hex>`, or as a header of S3; knows nothing of the data."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
# The oldest checksum of S3 for the body of a PUT. Stores that do not know the newer ones compare this one.
CONTENT_MD5 = "Content-MD5"


class Digest:
    """The digest of data that comes in pieces."""

    def __init__(self, data: bytes | bytearray | memoryview = b"") -> None:
        self._hash = hashlib.sha256(data)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next piece."""
        self._hash.update(data)

    @property
    def text(self) -> str:
        """`sha256:<hex>` of all pieces so far."""
        return f"sha256:{self._hash.hexdigest()}"


def digest(data: bytes | bytearray | memoryview) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return Digest(data).text


def file_digest(path: Path) -> str:
    """Return `sha256:<hex>` of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def content_md5(pieces: Iterable[bytes]) -> str:
    """Return the MD5 of a body as `Content-MD5` has it (RFC 1864). It protects against accidents, not attackers."""
    md5 = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        md5.update(piece)
    return base64.b64encode(md5.digest()).decode()
