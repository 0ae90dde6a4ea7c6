"""Computes each participant's weight; pure and exact, so that shares are equal on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median_low

# Nobody can check how many rows or people a participant states. Without a limit of the hub's administrator, one that
# states a million would be the whole result.
LARGEST_MULTIPLE = 10


def limits(stated: Sequence[int], known: Sequence[int | None]) -> list[int]:
    """Return up to how many rows or people each participant counts, in order.

    `stated`: the numbers that the participants report. `known`: their `maxSamples`. A participant without one counts up
    to ten times the middle number. The middle one of an even number is the smaller of two.
    """
    middle = median_low(stated) if stated else 0
    return [LARGEST_MULTIPLE * max(1, middle) if limit is None else limit for limit in known]


def shares(samples: Sequence[int], most: Sequence[int], max_share: Fraction) -> list[Fraction]:
    """Return each participant's share, in order. Shares sum to 1.

    Shares are proportional to `samples`, each counted up to `most`. None exceeds `max_share`: the excess of a capped
    participant goes to the others in proportion to their samples, repeatedly, until no share exceeds the cap. If the
    cap is below 1/n, or if there are no samples, shares are equal.
    """
    counts = [min(count, limit) for count, limit in zip(samples, most, strict=True)]
    counting = {index for index, count in enumerate(counts) if count > 0}
    if not counting or max_share * len(counting) <= 1:
        members = counting or set(range(len(counts)))
        return [Fraction(index in members, len(members)) for index in range(len(counts))]
    return _capped(counts, max_share)


def _capped(counts: Sequence[int], max_share: Fraction) -> list[Fraction]:
    """Shares in proportion to `counts`, none above `max_share`.

    `max_share` times the number of positive counts is above 1, so not all of them reach the cap.
    """
    capped: set[int] = set()
    while True:
        left = 1 - max_share * len(capped)
        total = sum(count for index, count in enumerate(counts) if index not in capped)
        above = {index for index, count in enumerate(counts) if left * count > max_share * total} - capped
        if not above:
            return [max_share if index in capped else left * count / total for index, count in enumerate(counts)]
        capped |= above


def scales(counts: Sequence[int], most: Sequence[int | None]) -> list[Fraction]:
    """Return the scale of each participant's sums, in order: 1, or most/count where the sums are over more than `most`.

    `counts`: rows of Statistics, people of the other tasks; 0 for a participant without sums. `most`: None without a
    limit. The scale caps a participant's part in sums. Means and rates within a participant stay as they are.
    """
    return [
        Fraction(1) if limit is None or count <= limit else Fraction(limit, count)
        for count, limit in zip(counts, most, strict=True)
    ]
