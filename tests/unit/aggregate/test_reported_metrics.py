"""Metrics that the training code of a round reports, and their mean over all hospitals."""

from __future__ import annotations

import pytest

from tests.unit.aggregate.parts import combined, hospital, names_by_hospital, reporting
from wardround.aggregate.metrics import LARGEST_REPORTED, Combined, Part
from wardround.metrics import registry


@pytest.mark.parametrize("name", [*registry.METRICS, "own"])
def test_a_number_of_the_training_code_fits_the_field_of_the_round(name: str) -> None:
    """The API server refuses a longer text, so the round would neither complete nor fail."""
    for value in (1e-300, -1e-300, 1e38, -1e38, 1e39, 5e-324, 1.7e308, 999_999_999_999.9, 0.1, -0.0):
        for people in (11, 300, 5_000, 10**9):
            made = combined(Part("a", people, {}, {name: value}, 1.0, True, 11), declared=(name,))
            texts = [each.value for each in made.metrics.values()]
            texts += [text for numbers in made.by_hospital.values() for text in numbers.values()]
            assert all(len(text) <= 32 for text in texts)
            assert len(texts) == (2 if abs(value) <= LARGEST_REPORTED else 0)


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


@pytest.mark.parametrize("value", [1e308, -1e308, 1.7976931348623157e308])
def test_a_number_that_would_leave_nothing_of_a_mean_is_left_out_and_its_hospital_is_named(value: float) -> None:
    honest = reporting("a", 0.5), reporting("b", 0.1)
    made = combined(*honest, reporting("c", value, 10**6, tells=True), declared=("own",))
    assert made.metrics == combined(*honest, declared=("own",)).metrics
    assert (made.metrics["own"].hospitals, made.metrics["own"].people) == (2, 60)
    assert (made.too_large, made.by_hospital) == (("c",), {})
    assert combined(*honest, declared=("own",)).too_large == ()


def test_a_number_beyond_the_limit_protects_no_other_hospital() -> None:
    made = combined(reporting("a", 0.5), reporting("b", 1e308), declared=("own",))
    assert made == Combined(too_large=("b",))
    parts = reporting("a", 0.5, tells=True), reporting("b", 0.1, 60), reporting("c", 1e308)
    assert combined(*parts, declared=("own",)).by_hospital == {}


def test_each_mean_with_numbers_within_the_limit_is_finite() -> None:
    parts = [reporting(name, LARGEST_REPORTED, 2**53) for name in "abc"]
    assert combined(*parts, declared=("own",)).metrics["own"].value == "1e+38"
    parts = [reporting(name, 1e308, 10**6) for name in "ba"]
    assert combined(*parts, declared=("own",)) == Combined(too_large=("a", "b"))


def test_only_numbers_that_would_count_are_called_too_large() -> None:
    """A reported metric that is computed from the sums of others, that is not declared, or that is over few people."""
    parts = hospital("a"), hospital("b", 90), Part("c", 500, {}, {"loss": 1e308, "own": 1e308}, 1.0, False, 11)
    assert combined(*parts, declared=("loss",)).too_large == ()
    assert combined(*parts, declared=("loss", "own")).too_large == ("c",)
    few = Part("c", 500, {}, {"own": 1e308}, 1 / 500, False, 11)
    assert combined(*parts[:2], few, declared=("own",)).too_large == ()


def test_reported_metrics_of_single_hospitals_follow_the_same_rule() -> None:
    parts = reporting("a", 0.5, tells=True), reporting("b", 0.1, 60, tells=True), reporting("c", 0.9, 90)
    assert names_by_hospital(combined(*parts, declared=("own",))) == {"a": {"own"}}
    assert combined(*parts, declared=("own",)).by_hospital["a"] == {"own": "0.5"}
