"""What a comparison measured stands beside each other in words that agree with its numbers."""

from dataclasses import replace

import pytest

from wardround.api.federatedround import Result, ResultDifference, ResultMetric
from wardround.plans.model import compared

DIFFERENCE = ResultDifference(
    reference="heart-1",
    value="0.01",
    low="0",
    high="0.02",
    reference_loss="0.91",
    people=160,
    events=80,
    hospitals=2,
    rows="Validation",
    model="heart-2",
)
LOSS = ResultMetric(name="loss", value="0.92", people=160, hospitals=2, rows="Validation", model="heart-2")
RESULT = Result(digest="d", location="l", bytes=9, samples=20, metrics=(LOSS,))


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        ("0", "0.02", "above 0 to 0.02"),
        ("-0.02", "0", "-0.02 to below 0"),
        ("-0.01", "0.02", "-0.01 to 0.02"),
        ("0.01", "0.02", "0.01 to 0.02"),
        ("0", "0", "0 to 0"),
        (None, None, ""),
    ],
)
def test_an_interval_that_excludes_0_never_shows_0(low: str | None, high: str | None, shown: str) -> None:
    assert compared.ends(low, high) == shown


def test_both_losses_are_over_the_same_people() -> None:
    assert compared.sentences(RESULT, DIFFERENCE, "this model", "version 1") == (
        "On the same people, the log loss of this model is 0.92, and the log loss of version 1 is 0.91. The difference "
        "is 0.01 (95 % interval: above 0 to 0.02)."
    )
    alone = "On the same people, the log loss of this model minus the log loss of version 1 is 0.01 (95 % interval"
    undeclared = replace(DIFFERENCE, reference_loss=None)
    assert compared.sentences(RESULT, undeclared, "this model", "version 1").startswith(alone)
    changes = ({"people": 150}, {"hospitals": 3}, {"rows": "Test"}, {"model": "heart-1"}, {"name": "brier"})
    for change in changes:
        other = replace(RESULT, metrics=(replace(LOSS, **change),))
        assert compared.sentences(other, DIFFERENCE, "this model", "version 1").startswith(alone)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("0.91", "about -0.022: the earlier model predicts worse than the prevalence does."),  # 0.1 * (log 2 - 0.91)
        ("0.69", "about 0."),
        ("0.64", "about 0.005."),
        ("0.1", "about 0.01."),
        (None, "at most 0.01."),
    ],
)
def test_the_bound_is_computed_from_the_numbers_of_the_result(loss: str | None, words: str) -> None:
    shown = compared.bound_of_gate(replace(DIFFERENCE, reference_loss=loss))
    assert shown == f"The bound of the gate is {words}"
