"""The sizes of slices in which an aggregation seals updates again, in its scratch. Pure arithmetic.

A strategy that needs all updates at once opens the same slice of each. Sealed segments of 1 MiB would be too large for
that, so the slices of all updates together have a bounded size.
"""

from __future__ import annotations

from wardround.sealing.body import SEGMENT, TAG

# Bytes of the slices of all participants that one thread holds.
AT_ONCE = 4 << 20
SMALLEST_SLICE = 4 << 10


def slice_bytes(participants: int) -> int:
    """The size of a slice: a power of two, so that a segment has a whole number of them, and none splits an element."""
    size = SEGMENT
    while size > SMALLEST_SLICE and size * participants > AT_ONCE:
        size >>= 1
    return size


def resealed_length(length: int, slice_size: int) -> int:
    """Bytes of scratch for a file of `length` bytes."""
    return length + TAG * max(1, -(-length // slice_size))
