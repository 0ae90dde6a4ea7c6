"""Decides which losses are over the same hospitals, so that the lower one is of the better model. Pure."""

from collections import Counter
from collections.abc import Iterable


def usual_number(hospitals: Iterable[int]) -> int:
    """Over how many hospitals a loss has to be to be compared with the others. `hospitals`: over how many each loss is.

    A loss without the hospital that has the most difficult patients is lower, whatever the model. The number is the one
    of most losses, and among equals the larger: so neither a hospital that is away in one round nor one that stays away
    from some round on decides which model is the best.
    """
    counts = Counter(hospitals)
    return max(counts, key=lambda number: (counts[number], number), default=0)
