"""Decides whether any rows can give an update's counts and sums, and how many rows; pure, knows no file or key.

The hub cannot verify a site's rows. But Statistics and Evaluate updates are summed, so one number that no rows give
(1e300, half a row, a mean larger than its squares allow) would outweigh all other sites.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wardround.tensors import Array, Layout, layout_of
from wardround.wire import layouts

EVALUATE = layout_of(layouts.EVALUATE)

# Beyond it, float64 does not represent every whole number, and sums of counts would be wrong.
MOST_ROWS = 2.0**53
# The sum over the largest number of sites stays finite, so no site can make the round overflow.
LARGEST_SUM = 1e300
# Tolerances for honest sums: each of many additions is rounded, and tiny squares underflow.
_ROUNDING = 1e-6
_TINY = 1e-150


class Impossible(Exception):
    """No rows give these numbers."""


def statistics_layout(features: int) -> Layout:
    """Return the layout of a Statistics update over `features` features (docs/contracts.md, section 5)."""
    return layout_of(layouts.statistics(features))


def is_statistics(layout: Layout) -> bool:
    """Whether a file is a Statistics update over any number of features."""
    tensors = {tensor.name: tensor for tensor in layout.tensors}
    shape = tensors["count"].shape if "count" in tensors else ()
    return len(shape) == 1 and layout.header == statistics_layout(shape[0]).header


def row_count(task: str, numbers: Mapping[str, Array], samples: int) -> int:
    """Return the number of rows behind a Statistics or Evaluate update. Raises Impossible.

    `samples`: the manifest's claim. It is the least of rows, patients and a limit, so there are never fewer rows. There
    are more if a patient has several.
    """
    rows = _evaluated_rows(numbers) if task == "Evaluate" else _summed_rows(numbers)
    if not samples <= rows <= MOST_ROWS:
        raise Impossible
    return int(rows)


def _evaluated_rows(numbers: Mapping[str, Array]) -> float:
    for counts in (numbers["negatives"], numbers["positives"]):
        _require(_whole(counts))
    return float(numbers["negatives"].sum() + numbers["positives"].sum())


def _summed_rows(numbers: Mapping[str, Array]) -> float:
    rows, positives, count = numbers["rows"], numbers["positives"], numbers["count"]
    total, squares = numbers["sum"], numbers["squares"]
    for counts in (rows, positives, count):
        _require(_whole(counts) & (counts <= rows[0]))
    _require((squares >= 0) & (squares <= LARGEST_SUM) & ((count > 0) | (squares == 0)))
    # Cauchy-Schwarz: (sum of x)^2 <= count * (sum of x^2). Roots, because the square of a sum can overflow.
    _require(np.abs(total) <= np.sqrt(count) * np.sqrt(squares) * (1 + _ROUNDING) + count * _TINY)
    _require(np.abs(total) <= LARGEST_SUM)
    return float(rows[0])


def _whole(counts: Array) -> Array:
    return np.asarray((counts >= 0) & (counts <= MOST_ROWS) & (counts == np.floor(counts)))


def _require(holds: Array) -> None:
    if not np.all(holds):
        raise Impossible
