"""Which counts and sums can be those of rows at all, and of how many; pure, knows no file, key or participant.

Nobody can tell from outside whether a site's rows are as it says. But Statistics and Evaluate updates are added as they
are, so one number that no rows give (1e300, half a row, a mean beyond its own squares) would outweigh everyone's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wardround.tensors import Array, Layout, layout_of
from wardround.wire import layouts

EVALUATE = layout_of(layouts.EVALUATE)

# Whole numbers beyond it are no longer told apart in F64, and counts of them would not add up.
MOST_ROWS = 2.0**53
# Sums of this size from as many sites as there can be stay finite: none can make the others' round overflow.
LARGEST_SUM = 1e300
# What honest sums may be off by: they are rounded at each of many additions, and tiny squares vanish.
_ROUNDING = 1e-6
_TINY = 1e-150


class Impossible(Exception):
    """No rows give these numbers."""


def statistics_layout(features: int) -> Layout:
    """Return the layout of a Statistics update over so many features (docs/contracts.md, section 5)."""
    return layout_of(layouts.statistics(features))


def is_statistics(layout: Layout) -> bool:
    """Whether a file is a Statistics update of any number of features."""
    found = {tensor.name: tensor for tensor in layout.tensors}
    shape = found["count"].shape if "count" in found else ()
    return len(shape) == 1 and layout.header == statistics_layout(shape[0]).header


def rows_of(task: str, numbers: Mapping[str, Array], samples: int) -> int:
    """Return how many rows an update of Statistics or Evaluate was made from. Raises Impossible.

    `samples`: what its manifest claims. It is the least of rows, patients and a limit, so rows are never fewer; they
    are more where a patient has several.
    """
    rows = _evaluated(numbers) if task == "Evaluate" else _summed(numbers)
    if not samples <= rows <= MOST_ROWS:
        raise Impossible
    return int(rows)


def _evaluated(numbers: Mapping[str, Array]) -> float:
    for counts in (numbers["negatives"], numbers["positives"]):
        _require(_whole(counts))
    return float(numbers["negatives"].sum() + numbers["positives"].sum())


def _summed(numbers: Mapping[str, Array]) -> float:
    rows, positives, count = numbers["rows"], numbers["positives"], numbers["count"]
    total, squares = numbers["sum"], numbers["squares"]
    for counts in (rows, positives, count):
        _require(_whole(counts) & (counts <= rows[0]))
    _require((squares >= 0) & (squares <= LARGEST_SUM) & ((count > 0) | (squares == 0)))
    # Cauchy-Schwarz: (sum of x)^2 <= count * (sum of x^2). By roots, as the squares of sums overflow.
    _require(np.abs(total) <= np.sqrt(count) * np.sqrt(squares) * (1 + _ROUNDING) + count * _TINY)
    _require(np.abs(total) <= LARGEST_SUM)
    return float(rows[0])


def _whole(counts: Array) -> Array:
    return np.asarray((counts >= 0) & (counts <= MOST_ROWS) & (counts == np.floor(counts)))


def _require(holds: Array) -> None:
    if not np.all(holds):
        raise Impossible
