"""Decides which numbers of local steps count, for FedNova. Pure; knows no keys and no store.

The training code of a hospital reports the number, and nobody can check it. So it counts only within limits that the
round itself sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median_low

from wardround.wire.strategy_terms import STEPS

# Above it, floats no longer hold every whole number.
MOST = 1 << 53
LARGEST_MULTIPLE = 10


def reported(metrics: Mapping[str, float]) -> int | None:
    """The number of local steps among the metrics that training code reports; None without a whole number from 1 on."""
    value = metrics.get(STEPS, 0.0)
    return int(value) if 1 <= value <= MOST and value == int(value) else None


def counted(steps: Sequence[int]) -> list[int]:
    """How many steps of each update count, in order: at least a tenth of the middle number, and at most ten times it.

    The middle one of an even number is the smaller of two, as everywhere in the aggregation.
    """
    if not steps:
        return []
    middle = median_low(steps)
    least, most = -(-middle // LARGEST_MULTIPLE), middle * LARGEST_MULTIPLE
    return [min(max(each, least), most) for each in steps]
