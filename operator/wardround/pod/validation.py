"""The numbers of the base model over the validation rows, for `check`: sums that the courier seals.

Of the base, not of the trained model: the base is the model that all hospitals combined, and the trained model of one
hospital never exists for anybody else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.metrics import registry
from wardround.pod import labels, output, own_metrics
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError, log
from wardround.tabular import dataschema
from wardround.wire import codec, layouts
from wardround.wire.outcome import OwnMetric
from wardround.wire.training import PrivateReport
from wardround.wire.update import MOST_SUMS, ValidationSums


@dataclass(frozen=True)
class Measurement:
    """`sums`: for the courier, None without any number. `own`: for the hospital's own people."""

    sums: bytes | None
    own: tuple[OwnMetric, ...]


def measure(folders: Folders, report: PrivateReport) -> Measurement:
    """Reads out/validation.f64 and, for metrics that Wardround does not compute, out/metrics.json. A trainer may write
    neither. Raises PodError (PredictionsInvalid, NotFinite, MetricsInvalid, as `output.opened`)."""
    if report.withheld:
        # Nothing is even read: "this number is not finite" would itself reveal something about these patients.
        log(
            f"check: fewer than {report.min_cell} patients are in the validation rows or in one class of them, so no "
            "number about them leaves this hospital"
        )
        return Measurement(None, ())
    binary = dataschema.parse(report.schema).binary_target
    numbers = _numbers(folders) if binary else {}
    reported = _reported(folders, [name for name in report.metrics if not binary or name not in registry.METRICS])
    if not numbers and not reported:
        return Measurement(None, ())
    document = ValidationSums(
        people=report.people,
        sums={name: tuple(map(repr, numbers[name].tolist())) for name in layouts.SUMS} if numbers else {},
        reported={name: repr(value) for name, value in reported.items()},
    )
    text = codec.write_document(document)
    if len(text) > MOST_SUMS:
        raise PodError("MetricsInvalid", f"the round declares more metrics than fit into {MOST_SUMS} bytes")
    computed = own_metrics.computed(numbers, report.min_cell, report.rows) if numbers else ()
    return Measurement(text, (*computed, *own_metrics.reported(reported, report.people, report.rows)))


def _numbers(folders: Folders) -> Mapping[str, Any]:
    """The sums without the histogram. Empty if the trainer wrote no predictions."""
    try:
        numbers = dict(labels.count(folders, output.VALIDATION))
    except PodError as failure:
        if failure.reason != "OutputMissing":
            raise
        log(
            f"check: The training image wrote no out/{output.VALIDATION}, so the metrics of the result do not cover "
            "this hospital. The hospital's training counts as always"
        )
        return {}
    del numbers["histogram"]
    return numbers


def _reported(folders: Folders, declared: Sequence[str]) -> dict[str, float]:
    """The declared metrics that only the training code knows, of the base. Others are never read."""
    if not declared:
        return {}
    try:
        document = output.read_json(folders.out, output.METRICS)
    except PodError as failure:
        if failure.reason == "OutputMissing":
            return {}
        raise
    base = document.get("base", {}) if isinstance(document, dict) else None
    if not isinstance(base, dict):
        raise PodError("MetricsInvalid", f"{output.METRICS} must be a JSON object, and its `base` too")
    if absent := [name for name in declared if name not in base]:
        log(
            f"check: the round declares metrics for which the training image wrote no value under `base` in "
            f"{output.METRICS}: {', '.join(absent)}. Declare fewer metrics, or let the image write them"
        )
    return {name: _finite(name, base[name]) for name in declared if name in base}


def _finite(name: str, value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise PodError("MetricsInvalid", f"metric {name} is no finite number") from None
