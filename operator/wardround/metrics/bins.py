"""The 256 bins of predicted probability, their edges, and the merging of neighbouring bins.

The bins have equal width in asinh(logit(p)) over the clipped range. They are narrow near 0 and 1, so they also resolve
the predictions of a rare disease.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround.metrics.disclosure import without_largest
from wardround.wire import layouts

Floats = npt.NDArray[np.float64]

BINS = layouts.HISTOGRAM[1]
MIDDLE = BINS // 2
# The range of probabilities. Without it, one person with the probability 0 or 1 could make the log loss infinite.
LEAST, MOST = 1e-6, 1 - 1e-6
# The most groups of a calibration curve.
MOST_GROUPS = 10
# A hospital can subtract its own people from a group. The rest must not be of one hospital alone.
_LEAST_HOSPITALS = 3
# Sums of weights such as 1/3 are not exact. Rounding must not leave a last group short of its share.
_EXACT = 1 - 1e-9


def clip(probabilities: npt.ArrayLike) -> Floats:
    """Probabilities within [1e-6, 1 - 1e-6], as float64."""
    return np.clip(np.asarray(probabilities, np.float64), LEAST, MOST)


def _edge(index: int) -> float:
    """The lower edge of a bin. Rounded, so that all machines agree in spite of their mathematical libraries."""
    if index in (0, MIDDLE, BINS):
        return {0: LEAST, MIDDLE: 0.5, BINS: MOST}[index]
    end = math.asinh(math.log(MOST / LEAST))
    odds = math.sinh(end * (index / MIDDLE - 1))
    return float(f"{1 / (1 + math.exp(-odds)):.12g}")


# Bin b holds the probabilities from EDGES[b] up to, but without, EDGES[b + 1]. The last bin holds MOST too.
EDGES: Floats = np.array([_edge(index) for index in range(BINS + 1)])


def indices(clipped: Floats) -> npt.NDArray[np.int64]:
    """The bin of each clipped probability. Probabilities from 0.5 on are in the bins from MIDDLE on."""
    return np.searchsorted(EDGES[1:-1], clipped, side="right").astype(np.int64)


def merge(
    weights: npt.ArrayLike,
    least: float,
    most_groups: int = BINS,
    hospitals: Sequence[tuple[Floats, float]] = (),
) -> list[tuple[int, int]]:
    """Merges neighbouring bins from the left until each group holds at least `least` people.

    With `most_groups`, a group also holds at least that share of all people. `hospitals`: weights and least number of
    people of each of several hospitals. People of a group are then counted without the hospital that has the most in
    it. The group also holds the least number of people of at least three hospitals, or of two if there are two.
    Returns (start, stop) of each group; the groups cover all bins. The list is empty if all bins together are not
    enough for a group.
    """
    each: Any = np.atleast_2d(np.asarray([counts for counts, _ in hospitals] or weights, np.float64))
    cells = [cell * _EXACT for _, cell in hospitals]
    total = without_largest(each.sum(axis=1).tolist())
    if total < least * _EXACT or total <= 0:
        return []
    enough = max(least, total / most_groups) * _EXACT
    stops: list[int] = []
    held = [0.0] * len(each)
    for index, counts in enumerate(each.T.tolist()):
        held = [before + count for before, count in zip(held, counts, strict=True)]
        inside = without_largest(held)
        if inside >= enough and inside > 0 and _members(held, cells) >= min(_LEAST_HOSPITALS, len(cells)):
            stops.append(index + 1)
            held = [0.0] * len(each)
    if not stops:
        return []
    # The rest on the right is too small for a group of its own.
    stops[-1:] = [each.shape[1]]
    return list(zip([0, *stops[:-1]], stops, strict=True))


def _members(held: Sequence[float], cells: Sequence[float]) -> int:
    """The number of hospitals with their least number of people in a group. `cells`: empty for one hospital."""
    return sum(people >= cell for people, cell in zip(held, cells, strict=False))
