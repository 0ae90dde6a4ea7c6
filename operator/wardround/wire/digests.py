"""Computes digests and spells them `sha256:<64 hex>`; knows nothing of the data."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


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
