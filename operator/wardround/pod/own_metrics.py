"""Writes the hospital's own numbers as texts, for its own people. They never go to the hub."""

from __future__ import annotations

from collections.abc import Mapping

from wardround.metrics import registry
from wardround.metrics.differences import difference
from wardround.metrics.digits import end_text, metric_text, text
from wardround.metrics.estimates import Estimate, Numbers, estimates
from wardround.wire.layouts import Rows
from wardround.wire.outcome import OwnMetric


def computed(numbers: Numbers, min_cell: int, rows: Rows) -> tuple[OwnMetric, ...]:
    """Every metric that these sums give over at least `min_cell` people."""
    made = estimates(numbers, min_cell)
    return tuple(_metric(name, each, rows) for name, each in made.items() if each is not None)


def differences(numbers: Numbers, references: int, min_cell: int, rows: Rows) -> tuple[OwnMetric, ...]:
    """The difference in log loss from each reference, over at least `min_cell` people of each class."""
    made = [(number, difference([numbers], number - 1, min_cell)) for number in range(1, references + 1)]
    return tuple(
        OwnMetric(
            name=f"{registry.LOSS_DIFFERENCE}{number}",
            value=text(each.value, each.people),
            low=None if each.low is None else end_text(each.low, each.people, upper=False),
            high=None if each.high is None else end_text(each.high, each.people, upper=True),
            better="Lower",
            people=each.people,
            rows=rows,
        )
        for number, each in made
        if each is not None
    )


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
