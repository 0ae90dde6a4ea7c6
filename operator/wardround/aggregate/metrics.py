"""The metrics of a result: weighted means of the sites' metrics, or computed from summed counts; pure.

A metric of the result never covers a hospital that suppressed it. Otherwise the suppressed value, over too few
patients, could be computed from the result and the other hospitals' metrics.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.metrics import binary
from wardround.sealing.manifests import MOST_METRICS
from wardround.tensors import Array


@dataclass(frozen=True)
class Part:
    """One site's metrics. `share`: its weight in means. `counts`: an evaluation's counts, scaled as they are summed."""

    metrics: Mapping[str, str]
    suppressed: Collection[str]
    share: float
    patients: int
    counts: Mapping[str, Array]


@dataclass(frozen=True)
class Combined:
    """All metrics, of which the hub publishes the declared. `suppressed`: by metric, how many sites suppressed it."""

    metrics: Mapping[str, str]
    suppressed: Mapping[str, int]


def combine(task: str, parts: Sequence[Part]) -> Combined:
    """Return each metric over the sites that did not suppress it. A metric without a value is left out."""
    reported = Counter(name for part in parts for name in (*part.metrics, *part.suppressed))
    # The most common names win, so that few sites cannot crowd out the round's own metrics.
    common = sorted(reported, key=lambda name: (-reported[name], name))[:MOST_METRICS]
    names = binary.NAMES if task == "Evaluate" else sorted(common)
    texts = {name: _combined(name, task, [part for part in parts if name not in part.suppressed]) for name in names}
    suppressed = Counter(name for part in parts for name in part.suppressed)
    return Combined(
        {name: text for name, text in texts.items() if text is not None},
        {name: suppressed[name] for name in names if name in suppressed},
    )


def _combined(name: str, task: str, parts: Sequence[Part]) -> str | None:
    if task == "Evaluate":
        return _evaluated(name, parts) if parts else None
    return _mean(name, [part for part in parts if name in part.metrics])


def _evaluated(name: str, parts: Sequence[Part]) -> str | None:
    negatives, positives = (
        np.sum([part.counts[name] for part in parts], axis=0).tolist() for name in (binary.NEGATIVES, binary.POSITIVES)
    )
    value = binary.estimate(negatives, positives)[name]
    if value is None:
        return None
    rows = {binary.POSITIVES: sum(positives), binary.NEGATIVES: sum(negatives)}
    # For a class only the number of rows is known here, and a patient may have several rows.
    return binary.text(value, min(_patients(parts), binary.fewest(name, rows | {binary.TEST: sum(rows.values())})))


def _mean(name: str, parts: Sequence[Part]) -> str | None:
    total = sum(part.share for part in parts)
    mean = sum(float(part.metrics[name]) * part.share for part in parts) / total if total > 0 else math.nan
    # A site may report the largest float, and the mean then overflows.
    return binary.text(mean, _patients(parts)) if math.isfinite(mean) else None


def _patients(parts: Sequence[Part]) -> int:
    return sum(part.patients for part in parts)
