"""Keeps bytes in one file of the Job's scratch volume; knows no keys, no store and no meaning of the bytes.

The volume belongs to this pod alone and ends with it. So what is read here is what was written here, and nothing of an
earlier pod is left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

NAME = "ciphertext"


@dataclass(frozen=True)
class Region:
    """`length` bytes of the file, from `start`. Threads may share it."""

    path: Path
    descriptor: int
    start: int
    length: int

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write at an offset within the region. Raises OSError, and ValueError beyond the region's end."""
        rest, place = memoryview(data), self._place(offset, len(data))
        while rest:
            written = os.pwrite(self.descriptor, rest, place)
            rest, place = rest[written:], place + written

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into` from an offset within the region. Raises OSError, and ValueError where nothing was written."""
        place = self._place(offset, len(into))
        while into:
            count = os.preadv(self.descriptor, [into], place)
            if count == 0:
                raise ValueError("these bytes of scratch were never written")
            into, place = into[count:], place + count

    def _place(self, offset: int, length: int) -> int:
        if offset < 0 or offset + length > self.length:
            raise ValueError(f"{length} bytes at {offset} are outside the scratch region of {self.length} bytes")
        return self.start + offset


class Scratch:
    """A file that grows by regions, as a context manager. It ends empty."""

    def __init__(self, folder: Path) -> None:
        """Begin an empty file in `folder`. Raises OSError."""
        self.path = folder / NAME
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._reserved = 0

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self.path.unlink()

    @property
    def reserved(self) -> int:
        """Bytes of all regions."""
        return self._reserved

    def region(self, length: int) -> Region:
        """Return the next `length` bytes. They take no room before they are written."""
        start, self._reserved = self._reserved, self._reserved + length
        return Region(self.path, self._descriptor, start, length)
