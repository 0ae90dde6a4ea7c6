"""Keeps plaintext in scratch, sealed again in small slices under a key of this process; knows no store.

sealing/slices.py says why, and how large slices are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardround.aggregate.scratch import Region, Scratch
from wardround.sealing.body import TAG, new_file_key
from wardround.sealing.refused import Refused
from wardround.sealing.slices import resealed_length


@dataclass
class Resealing:
    """Makes regions of scratch for resealed files. Its key is never written anywhere. `slice_size`: see
    `sealing.slices.slice_bytes`."""

    scratch: Scratch
    slice_size: int
    _cipher: AESGCM = field(default_factory=lambda: AESGCM(new_file_key()), repr=False)
    _files: int = 0

    def file(self, length: int) -> Resealed:
        """Return room for one more file of `length` bytes."""
        self._files += 1
        region = self.scratch.region(resealed_length(length, self.slice_size))
        return Resealed(region, length, self.slice_size, self._cipher, self._files)


@dataclass(frozen=True)
class Resealed:
    """One file. Each place is written once, so no nonce is used twice. Threads may share it."""

    region: Region
    length: int
    slice_size: int
    cipher: AESGCM = field(repr=False)
    number: int

    def write(self, start: int, plain: memoryview) -> None:
        """Seal and keep the bytes from `start`, which is a multiple of the slice size. Raises OSError."""
        for index, offset, size in self._slices(start, len(plain)):
            sealed = self.cipher.encrypt(self._nonce(index), plain[offset : offset + size], None)
            self.region.write(index * (self.slice_size + TAG), sealed)

    def open_into(self, start: int, into: memoryview, room: memoryview) -> None:
        """Fill `into` with the bytes from `start`, a multiple of the slice size. `room`: a buffer for a sealed slice.

        Raises Refused("Altered") and OSError.
        """
        for index, offset, size in self._slices(start, len(into)):
            sealed = room[: size + TAG]
            self.region.read(index * (self.slice_size + TAG), sealed)
            try:
                self.cipher.decrypt_into(self._nonce(index), sealed, None, into[offset : offset + size])
            except InvalidTag:
                raise Refused("Altered") from None

    def _slices(self, start: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield (number of the slice, offset from `start`, size)."""
        for offset in range(0, length, self.slice_size):
            yield (start + offset) // self.slice_size, offset, min(self.slice_size, length - offset)

    def _nonce(self, index: int) -> bytes:
        return self.number.to_bytes(4, "big") + index.to_bytes(8, "big")
