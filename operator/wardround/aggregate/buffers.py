"""Lends memory for segments, and lends it again. Knows nothing of their bytes.

A fresh buffer of a segment costs more time than the cipher, because the kernel clears its pages, and freed buffers of
many threads leave gaps in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from wardround.sealing.body import SEALED_SEGMENT


class Buffers:
    """Buffers of one sealed segment each. Only as many are made as are lent at once, and as a reduction had lent
    without an end when it was stopped: at most three each time. Nobody holds these, so their memory is free."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []
        self._made = 0

    @property
    def bytes(self) -> int:
        """Bytes of all buffers that were ever made."""
        return self._made * SEALED_SEGMENT

    @contextmanager
    def lent(self, count: int) -> Iterator[list[memoryview]]:
        """Lend `count` buffers with any bytes in them. At the end of the context no thread may use them."""
        lent = self.lend(count)
        try:
            yield lent
        finally:
            self.give_back(lent)

    def lend(self, count: int) -> list[memoryview]:
        """Lend `count` buffers without an end. See `give_back`."""
        return [self._free.pop() if self._free else self._new() for _ in range(count)]

    def give_back(self, lent: Sequence[memoryview]) -> None:
        """Take buffers that `lend` gave. No thread may use them."""
        self._free += lent

    def _new(self) -> memoryview:
        self._made += 1
        # Not a bytearray, which fills itself with zeros: a small model uses few pages of its buffers.
        return np.empty(SEALED_SEGMENT, np.uint8).data
