"""The metrics of a result: means of what sites sent, or computed from summed counts; pure.

What a hospital has suppressed is in no metric of the result. Else its own metric, over too few patients, could be
worked out from the result and the others' metrics.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wardround import metrics as binary
from wardround.sealing.manifests import MOST_METRICS
from wardround.tensors import Array


@dataclass(frozen=True)
class Part:
    """What one site sent. `share`: its weight in means. `counts`: of an evaluation, as they are added up."""

    metrics: Mapping[str, str]
    suppressed: Collection[str]
    share: float
    patients: int
    counts: Mapping[str, Array]


@dataclass(frozen=True)
class Combined:
    """All metrics of the round: the hub tells the declared. `suppressed`: how many sites a metric is not over."""

    metrics: Mapping[str, str]
    suppressed: Mapping[str, int]


def combine(task: str, parts: Sequence[Part]) -> Combined:
    """Return each metric over those sites that have not suppressed it; absent is one that there is not."""
    said = Counter(name for part in parts for name in (*part.metrics, *part.suppressed))
    # What most have said, so that nobody crowds out the round's own.
    most = sorted(said, key=lambda name: (-said[name], name))[:MOST_METRICS]
    names = binary.NAMES if task == "Evaluate" else sorted(most)
    found = {name: _combined(name, task, [part for part in parts if name not in part.suppressed]) for name in names}
    silent = Counter(name for part in parts for name in part.suppressed)
    return Combined(
        {name: text for name, text in found.items() if text is not None},
        {name: silent[name] for name in names if name in silent},
    )


def _combined(name: str, task: str, parts: Sequence[Part]) -> str | None:
    if task == "Evaluate":
        return _evaluated(name, parts) if parts else None
    return _mean(name, [part for part in parts if name in part.metrics])


def _evaluated(name: str, parts: Sequence[Part]) -> str | None:
    negatives, positives = (
        np.sum([part.counts[which] for part in parts], axis=0).tolist()
        for which in (binary.NEGATIVES, binary.POSITIVES)
    )
    value = binary.estimate(negatives, positives)[name]
    if value is None:
        return None
    rows = {binary.POSITIVES: sum(positives), binary.NEGATIVES: sum(negatives)}
    # Of a class only rows are known here, and of them a patient may have several.
    return binary.text(value, min(_patients(parts), binary.fewest(name, rows | {binary.TEST: sum(rows.values())})))


def _mean(name: str, parts: Sequence[Part]) -> str | None:
    total = sum(part.share for part in parts)
    mean = sum(float(part.metrics[name]) * part.share for part in parts) / total if total > 0 else math.nan
    # The largest floats, one site's, can overflow even a mean.
    return binary.text(mean, _patients(parts)) if math.isfinite(mean) else None


def _patients(parts: Sequence[Part]) -> int:
    return sum(part.patients for part in parts)
