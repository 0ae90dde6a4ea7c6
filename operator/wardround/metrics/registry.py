"""The metrics that Wardround computes itself: by name, what each is, and in which direction it is better. No numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["Higher", "Lower", ""]
Interval = Literal["Normal", "Wilson", "DeLong", "LogNormal", ""]
Number = Literal["Share", "Count", "Edge"]


@dataclass(frozen=True)
class Metric:
    """`labels`: whether the metric depends on labels. `better`: "" where neither direction is better.

    `histogram`: whether the metric needs the histogram, which only an Evaluate update has. `companions`: metrics that
    say nothing without this one. No round declares them, and a result has them where it has this one. `number`: how its
    text is rounded: as a share, mean or ratio over people, a count, or an edge of the bins.
    """

    name: str
    better: Better
    interval: Interval
    labels: bool = True
    histogram: bool = False
    companions: tuple[str, ...] = ()
    number: Number = "Share"


# How tables name the difference in log loss from a reference. No round declares it: it comes with spec.references.
LOSS_DIFFERENCE = "lossDifference"
# How tables name the mean log loss of a reference, which a round has that declares the loss.
REFERENCE_LOSS = "referenceLoss"

THRESHOLD, AT_THRESHOLD = "threshold", "specificityAtThreshold"
SENSITIVITY_THERE = "sensitivityAtSpecificity"
# Recalibration on log odds. They come with `calibration`.
INTERCEPT, SLOPE = "calibrationIntercept", "calibrationSlope"
_ALL = (
    Metric("loss", "Lower", "Normal"),
    Metric("brier", "Lower", "Normal"),
    Metric("accuracy", "Higher", "Wilson"),
    Metric("sensitivity", "Higher", "Wilson"),
    Metric("specificity", "Higher", "Wilson"),
    Metric("ppv", "Higher", "Wilson"),
    Metric("auc", "Higher", "DeLong"),
    Metric("calibration", "", "LogNormal", companions=(INTERCEPT, SLOPE)),
    Metric(
        SENSITIVITY_THERE,
        "Higher",
        "Wilson",
        histogram=True,
        companions=(THRESHOLD, AT_THRESHOLD),
    ),
    Metric("people", "", "", labels=False, number="Count"),
    Metric("positives", "", "", number="Count"),
    Metric("rows", "", "", labels=False, number="Count"),
)
_COMPANIONS = (
    Metric(THRESHOLD, "", "", histogram=True, number="Edge"),
    Metric(AT_THRESHOLD, "Higher", "Wilson", histogram=True),
    Metric(INTERCEPT, "", "Normal", histogram=True),
    Metric(SLOPE, "", "Normal", histogram=True),
)
METRICS: Mapping[str, Metric] = {each.name: each for each in (*_ALL, *_COMPANIONS)}
# The names that a round may declare and that Wardround computes.
EVALUATE = tuple(each.name for each in _ALL)
TRAIN = tuple(each.name for each in _ALL if not each.histogram)


def measurable(name: str, task: Literal["Train", "Evaluate"]) -> bool:
    """Whether rounds of this task can have the metric. A Train round may declare more than it can measure, because a
    FederatedModel declares the same metrics for all its rounds."""
    return name in (TRAIN if task == "Train" else EVALUATE)


def better(name: str) -> Better:
    """The direction in which a metric is better; "" for a metric that Wardround does not know."""
    known = METRICS.get(name)
    return known.better if known else ""


def with_companions(declared: tuple[str, ...]) -> tuple[str, ...]:
    """The declared metrics, each followed by its companions."""
    return tuple(name for each in declared for name in (each, *(METRICS[each].companions if each in METRICS else ())))
