"""Decides how much scratch an aggregation has: room for all ciphertext, or only for two parts of its result. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wardround.sealing.body import PART, SEALED_SEGMENT, ciphertext_length
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.slices import resealed_length, slice_bytes

GIB = 1 << 30
# In bytes, if the hub chart does not say otherwise.
SCRATCH_LIMIT = 20 * GIB
# Files take whole blocks of the node's file system.
SPARE = 16 << 20


@dataclass(frozen=True)
class Scratch:
    """`bytes`: the volume's size. `reads_twice`: the volume has no room for the ciphertext of updates, base and result,
    so the Job reads updates and base from the store when it examines them, and again when it combines them. Then the
    volume has room for the hash of each segment of the updates."""

    bytes: int
    reads_twice: bool


def scratch(
    updates: Iterable[int], base: int | None, limit: int, *, at_once: bool = False, moments: int = 0
) -> Scratch:
    """`updates`: bytes of ciphertext of each. `base`: bytes of plaintext of the model that the round starts from.
    `at_once`: the strategy needs all updates at once, so they are sealed again in small slices. `moments`: files of the
    result's size that the strategy stores beside the result."""
    sizes = list(updates)
    made, largest = 1 + moments, max(sizes, default=0)  # a result is no larger than an update
    kept = [resealed_length(size, slice_bytes(len(sizes))) for size in sizes] if at_once else sizes
    whole = sum(kept) + (0 if base is None else ciphertext_length(base)) + made * largest + SPARE
    if whole <= limit:
        return Scratch(whole, reads_twice=False)
    hashes = HASH_BYTES * sum(-(-size // SEALED_SEGMENT) for size in sizes)
    # The part of the result that is uploaded, and the part that is made.
    return Scratch(made * min(2 * PART, largest) + SPARE + hashes, reads_twice=True)
