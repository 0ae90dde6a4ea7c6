"""The bound of the gate: by how much a candidate's log loss may be above that of a reference. Pure, no numpy."""

from __future__ import annotations

import math

# A candidate may lose so much of log loss in nats, or this share of what the reference gains over the prevalence.
LARGEST_BOUND, SHARE_OF_GAIN = 0.01, 0.1


def entropy(share: float) -> float:
    """The mean log loss of a model that knows only the share of events."""
    return -sum(each * math.log(each) for each in (share, 1 - share) if each > 0)


def gate_bound(reference_loss: float, events: int, people: int) -> float:
    """The largest loss against a reference that is borne. Negative if the reference predicts worse than the prevalence.

    `reference_loss`: its mean log loss. `events`: people with a positive row.
    """
    return min(LARGEST_BOUND, SHARE_OF_GAIN * (entropy(events / people) - reference_loss))
