"""Metrics that the training code of a round reports, and their mean over all hospitals."""

from __future__ import annotations

import math

import pytest

from tests.unit.aggregate.parts import combined, names_by_hospital, reporting
from wardround.aggregate.metrics import Combined, Part
from wardround.metrics import registry


@pytest.mark.parametrize("name", [*registry.METRICS, "own"])
def test_a_number_of_the_training_code_fits_the_field_of_the_round(name: str) -> None:
    """The API server refuses a longer text, so the round would neither complete nor fail."""
    for value in (1e-300, -1e-300, 1e300, -1e300, 5e-324, 1.7e308, 999_999_999_999.9, 0.1, -0.0):
        for people in (11, 300, 5_000, 10**9):
            made = combined(Part("a", people, {}, {name: value}, 1.0, True, 11), declared=(name,))
            texts = [each.value for each in made.metrics.values()]
            texts += [text for numbers in made.by_hospital.values() for text in numbers.values()]
            assert all(len(text) <= 32 for text in texts)
            assert len(texts) == 2 or not math.isfinite(value * people)


def test_a_metric_of_the_training_code_is_the_mean_over_people() -> None:
    sent = reporting("a", 0.5, 10_000), reporting("b", 0.1, 30_000)
    made = combined(*sent, declared=("own",))
    metric = made.metrics["own"]
    assert (metric.value, metric.low, metric.people, metric.hospitals) == ("0.2", None, 40_000, 2)
    halved = reporting("a", 0.5, 10_000), reporting("b", 0.1, 60_000, scale=0.5)
    assert combined(*halved, declared=("own",)).metrics["own"].value == "0.2"
    assert combined(*sent, declared=("loss",)).metrics == {}
    assert combined(sent[0], declared=("own",)) == Combined()


def test_a_hospital_that_reports_nothing_is_not_in_the_mean() -> None:
    silent = Part("c", 500, {}, {"other": 1.0}, 1.0, False, 11)
    metric = combined(reporting("a", 0.5), reporting("b", 0.1), silent, declared=("own",)).metrics["own"]
    assert (metric.value, metric.people, metric.hospitals) == ("0.3", 60, 2)


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.7976931348623157e308])
def test_a_reported_metric_whose_mean_overflows_is_left_out(value: float) -> None:
    parts = [reporting(name, value, 10**6) for name in "abc"]
    assert combined(*parts, declared=("own",)).metrics == {}


def test_reported_metrics_of_single_hospitals_follow_the_same_rule() -> None:
    parts = reporting("a", 0.5, tells=True), reporting("b", 0.1, 60, tells=True), reporting("c", 0.9, 90)
    assert names_by_hospital(combined(*parts, declared=("own",))) == {"a": {"own"}}
    assert combined(*parts, declared=("own",)).by_hospital["a"] == {"own": "0.5"}
