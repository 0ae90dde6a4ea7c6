"""Decides how much scratch an aggregation has, and what the aggregation does with it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.api.federatedround import FederatedRoundSpec
from wardround.sealing.body import PART, SEALED_SEGMENT, ciphertext_length
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.slices import resealed_length, slice_bytes
from wardround.wire.strategy_terms import STRATEGIES, anticipating

GIB = 1 << 30
# In bytes, if the hub chart does not say otherwise.
SCRATCH_LIMIT = 20 * GIB
# Files take whole blocks of the node's file system.
SPARE = 16 << 20


@dataclass(frozen=True)
class Scratch:
    """`bytes`: the volume's size. `reads_twice`: the volume has no room for the ciphertext of updates and base, so the
    Job reads them from the store when it examines them, and again when it combines them. Then the volume has room for
    the hash of each segment of the updates. `anticipates`: the volume also has room for the whole result, so the Job
    combines updates while the last of them arrive. Otherwise it has room for two parts of each file that is made: the
    one that is uploaded, and the one that is made."""

    bytes: int
    reads_twice: bool
    anticipates: bool = False


def scratch(spec: FederatedRoundSpec, updates: int, length: int, base: int | None, limit: int) -> Scratch:
    """`updates`: how many there are. `length`: bytes of ciphertext that each of them has, once it is expanded. `base`:
    bytes of plaintext of the model that a Train round starts from."""
    strategy, compression, initial = spec.aggregation.strategy, spec.aggregation.compression, spec.initial is not None
    terms = STRATEGIES[strategy]
    kept = updates * (resealed_length(length, slice_bytes(updates)) if terms.at_once else length)
    read = kept + (0 if base is None else ciphertext_length(base)) + SPARE
    # A result is as long as an update.
    if anticipating(strategy, compression, task=spec.task, initial=initial) and read + length <= limit:
        return Scratch(read + length, reads_twice=False, anticipates=True)
    parts = (1 + terms.moments) * min(2 * PART, length)
    if read + parts <= limit:
        return Scratch(read + parts, reads_twice=False)
    hashes = HASH_BYTES * updates * -(-length // SEALED_SEGMENT)
    return Scratch(parts + SPARE + hashes, reads_twice=True)
