"""Writes the hospital's own numbers as texts, for its own people. They never go to the hub."""

from __future__ import annotations

from collections.abc import Mapping

from wardround.metrics import registry
from wardround.metrics.digits import metric_text, text
from wardround.metrics.estimates import Estimate, Numbers, estimates
from wardround.wire.layouts import Rows
from wardround.wire.outcome import OwnMetric


def computed(numbers: Numbers, min_cell: int, rows: Rows) -> tuple[OwnMetric, ...]:
    """Every metric that these sums give over at least `min_cell` people."""
    made = estimates(numbers, min_cell)
    return tuple(_metric(name, each, rows) for name, each in made.items() if each is not None)


def reported(values: Mapping[str, float], people: int, rows: Rows) -> tuple[OwnMetric, ...]:
    """The metrics that only the training code knows."""
    return tuple(
        OwnMetric(name=name, value=text(value, people), people=people, rows=rows) for name, value in values.items()
    )


def _metric(name: str, each: Estimate, rows: Rows) -> OwnMetric:
    low, high = (None if bound is None else metric_text(name, bound, each.people) for bound in (each.low, each.high))
    return OwnMetric(
        name=name,
        value=metric_text(name, each.value, each.people),
        low=low,
        high=high,
        better=registry.better(name) or None,
        people=each.people,
        rows=rows,
    )
