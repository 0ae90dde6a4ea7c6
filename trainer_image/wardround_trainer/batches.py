"""Chooses the rows of each step from seed and epoch only, so that a resumed run continues with the same batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wardround_trainer.network import Array


def batches(rows: int, per_epoch: int, seed: int, start: int, stop: int) -> Iterator[Array]:
    """Row numbers of each step from `start` to `stop`. Each epoch shuffles all rows. Batch sizes differ by at most 1.

    Each array has shape (batch size,).
    """
    order: Array | None = None
    for step in range(start, stop):
        epoch, position = divmod(step, per_epoch)
        if order is None or position == 0:
            order = np.random.default_rng([seed, epoch]).permutation(rows)
        yield order[position * rows // per_epoch : (position + 1) * rows // per_epoch]
