"""Finds updates that are far larger than those of the other participants; pure arithmetic, knows no keys and no store.

Without a bound, one participant decides the result: it sends the weights that it wants, less the base, divided by its
share. With chosen weights, rounds reveal rows of other hospitals (docs/security.md). This is the norm bounding of Sun
et al., "Can you really backdoor federated learning?" (2019), but the bound comes from the updates of the round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

# An update may be so many times as large as the middle one. An update that decides the result is thousands of times as
# large. A hospital with n times as many rows takes up to n times as many steps, so its update may be n times larger.
LARGEST_RATIO = 30.0


@dataclass(frozen=True)
class Size:
    """`norm`: the Euclidean norm of an update's floats, infinite if the squares overflow. `samples`: the number that
    the participant states. `max_samples`: the limit that the hub has set for it, if there is one."""

    norm: float
    samples: int
    max_samples: int | None


def too_large(sizes: Sequence[Size]) -> list[bool]:
    """Whether each update is too large, in order.

    The number of samples counts only up to the hub's limit, because participants could state any number. The middle one
    of an even number is the smaller of two, so that of two participants neither can raise the bound.
    """
    if not sizes:
        return []
    norm, samples = median_low(each.norm for each in sizes), median_low(each.samples for each in sizes)
    return [math.isinf(each.norm) or each.norm > LARGEST_RATIO * norm * _factor(each, samples) for each in sizes]


def _factor(size: Size, typical: float) -> float:
    if size.max_samples is None:
        return 1.0
    return max(1.0, min(size.samples, size.max_samples) / max(1.0, typical))
