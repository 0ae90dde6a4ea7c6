"""Sorts the values of many participants, element by element; pure arithmetic over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from wardround.tensors import Array

# A network of comparators sorts whole arrays at once. With more rows than this, numpy's own sort is faster.
MOST_ROWS = 64


def between(rows: Sequence[Array], trimmed: int, spare: Array) -> Sequence[Array]:
    """Return the rows of the sorted columns, in ascending order, without the `trimmed` lowest and highest ones.

    `rows`: arrays of one float dtype. They and `spare`, one more such array, may be overwritten and returned.
    Which of 0.0 and -0.0 comes first is not defined.
    """
    if len(rows) > MOST_ROWS:
        stacked = np.stack(rows)
        stacked.sort(axis=0)
        return list(stacked)[trimmed : len(rows) - trimmed]
    places = list(rows)
    for low, high, takes_low, takes_high in _network(len(rows), trimmed):
        left, right = places[low], places[high]
        if takes_low:
            np.minimum(left, right, out=spare)
        if takes_high:
            np.maximum(left, right, out=right)
        if takes_low:
            places[low], spare = spare, left
    return places[trimmed : len(rows) - trimmed]


@lru_cache(maxsize=8)
def _network(rows: int, trimmed: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """The comparators that the wanted places need, in order: two places, and which of the two results is read later."""
    wanted = set(range(trimmed, rows - trimmed))
    needed = []
    for low, high in reversed(_merge_exchange(rows)):
        if low in wanted or high in wanted:
            needed.append((low, high, low in wanted, high in wanted))
            wanted |= {low, high}
    return tuple(reversed(needed))


def _merge_exchange(rows: int) -> list[tuple[int, int]]:
    """Batcher's network for any number of rows (Knuth: The Art of Computer Programming 3, section 5.2.2, algorithm
    M)."""
    pairs: list[tuple[int, int]] = []
    largest = 1 << max(0, (rows - 1).bit_length() - 1)
    step = largest
    while step > 0:
        length, rest, distance = largest, 0, step
        while True:
            pairs += [(place, place + distance) for place in range(rows - distance) if place & step == rest]
            if length == step:
                break
            distance, length, rest = length - step, length >> 1, step
        step >>= 1
    return pairs
