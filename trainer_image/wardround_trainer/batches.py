"""Which rows are in which step: a function of seed and epoch alone, so that a resumed run goes on with its batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wardround_trainer.network import Array


def batches(rows: int, per_epoch: int, seed: int, start: int, stop: int) -> Iterator[Array]:
    """Row numbers of each step: every epoch all rows, anew shuffled, in batches whose sizes differ by one at most."""
    order: Array | None = None
    for step in range(start, stop):
        epoch, position = divmod(step, per_epoch)
        if order is None or position == 0:
            order = np.random.default_rng([seed, epoch]).permutation(rows)
        yield order[position * rows // per_epoch : (position + 1) * rows // per_epoch]
