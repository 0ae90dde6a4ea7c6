"""How much each participant counts; pure and exact, so that a share is the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def shares(samples: Sequence[int], most: Sequence[int], max_share: Fraction) -> list[Fraction]:
    """Return each participant's share of the whole, in order; they sum to 1.

    Proportional to `samples`, each counted up to `most`, and none above `max_share`: what a capped participant loses
    goes to the others in proportion to their samples, and again where that lifts one of them above the cap. A cap that
    so few participants cannot keep (below 1/n) makes them equal, as does a round without any sample.
    """
    counts = [min(count, limit) for count, limit in zip(samples, most, strict=True)]
    if not counts:
        return []
    open_ones = {index for index, count in enumerate(counts) if count > 0}
    if not open_ones or max_share * len(open_ones) <= 1:
        members = open_ones or set(range(len(counts)))
        return [Fraction(index in members, len(members)) for index in range(len(counts))]
    found = [Fraction(0)] * len(counts)
    left = Fraction(1)
    while True:
        total = sum(counts[index] for index in open_ones)
        above = {index for index in open_ones if left * counts[index] > max_share * total}
        if not above:
            break
        for index in above:
            found[index] = max_share
        left -= max_share * len(above)
        open_ones -= above
    for index in open_ones:
        found[index] = left * counts[index] / total
    return found


def scales(rows: Sequence[int], most: Sequence[int]) -> list[Fraction]:
    """Return how much of each participant's sums counts, in order: all of it, or what is left of more than `most` rows.

    What a cap on samples is to a mean this is to a sum: means and rates of one site stay as they are.
    """
    return [Fraction(min(count, limit), count) for count, limit in zip(rows, most, strict=True)]
