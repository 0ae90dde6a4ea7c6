"""The metrics of a result: means of what sites sent, or computed from summed counts; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from wardround.pod import metrics as binary
from wardround.sealing.manifests import MOST_METRICS
from wardround.tensors import Layout

_COUNTS = ("negatives", "positives")


class Kept:
    """What of the result's plaintext its metrics need: the counts of an Evaluate round, nothing of others."""

    def __init__(self, task: str, layout: Layout) -> None:
        self._places = [layout.find(name)[1:] for name in _COUNTS] if task == "Evaluate" else []
        self._counts: list[list[float]] = []
        self._task = task

    def take(self, start: int, segment: bytes) -> None:
        """See the segment that begins at `start`. Both tables of counts lie in the first."""
        if start == 0:
            self._counts = [np.frombuffer(segment[first:last], "<f8").tolist() for first, last in self._places]

    def metrics(self, sent: Sequence[Mapping[str, str]], shares: Sequence[float]) -> dict[str, str]:
        """Return all metrics of the round; what too few cases cannot support is absent. The hub tells the declared."""
        if self._task == "Evaluate":
            negatives, positives = self._counts
            return binary.texts(binary.estimate(negatives, positives), binary.NAMES)
        return weighted(sent, shares)


def weighted(sent: Sequence[Mapping[str, str]], shares: Sequence[float]) -> dict[str, str]:
    """Return the mean of each metric over those who sent it, by their shares; of the 16 that most of them sent."""
    found = {}
    senders = Counter(name for each in sent for name in each)
    for name in sorted(senders, key=lambda name: (-senders[name], name))[:MOST_METRICS]:
        pairs = [(float(each[name]), share) for each, share in zip(sent, shares, strict=True) if name in each]
        total = sum(share for _, share in pairs)
        mean = sum(value * share for value, share in pairs) / total if total > 0 else math.nan
        if math.isfinite(mean):  # the largest floats, one site's, can overflow even a mean
            found[name] = binary.text(mean)
    return found
