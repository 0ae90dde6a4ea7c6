"""A metric's text has fewer digits over fewer people, and never so many decimals that one of many people shows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wardround.metrics import bins, digits
from wardround.wire import strategy_terms


@pytest.mark.parametrize(
    ("people", "expected"),
    [(11, "0.12"), (99, "0.12"), (100, "0.12"), (999, "0.12"), (1000, "0.123"), (9999, "0.123"), (10_000, "0.1235")],
)
def test_the_number_of_people_bounds_the_decimals(people: int, expected: str) -> None:
    assert digits.text(0.123456, people) == expected


@pytest.mark.parametrize(
    ("value", "people", "expected"),
    [
        (13.8123, 50, "14"),
        (13.8123, 500, "13.8"),
        (13.8123, 5000, "13.81"),
        (1.0456, 50, "1"),
        (1.0456, 500, "1.05"),
        (1.0456, 5000, "1.046"),
        (12345.0, 10_000, "12340"),
        (-0.0371, 500, "-0.04"),
        (1e300, 500, "1e+300"),
        (1e-9, 10**9, "0"),
    ],
)
def test_significant_digits_are_bounded_too(value: float, people: int, expected: str) -> None:
    assert digits.text(value, people) == expected


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (0.0, "0"),
        (0.000012345, "0.000012"),
        (0.0123456, "0.012"),
        (1.96, "2"),
        (23.456, "23"),
        (789_123.0, "790000"),
        (1e-9, "1e-09"),
        (999_999.0, "1e+06"),
        (1.234e150, "1.2e+150"),
    ],
)
def test_a_norm_has_two_digits_and_is_a_parameter_of_a_strategy_if_it_can_be(norm: float, expected: str) -> None:
    assert digits.norm_text(norm) == expected
    taken = strategy_terms.DECIMAL.fullmatch(expected) is not None
    assert taken == ("e" not in expected and norm > 0)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-5, -1e-5, -0.00004])
def test_a_number_near_zero_has_neither_digits_nor_a_sign(value: float) -> None:
    """Both would tell the label of the only person whose two probabilities differ."""
    assert digits.text(value, 100_000) == "0"


@pytest.mark.parametrize("people", [150, 999, 2500, 9999, 25_000])
def test_one_more_hit_hardly_ever_changes_the_text_of_a_share(people: int) -> None:
    texts = [digits.text(hits / people, people) for hits in range(people + 1)]
    changes = np.count_nonzero([one != next_ for one, next_ in itertools.pairwise(texts)])
    assert changes <= 10 ** digits.decimals(people)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, 0), (75, 75), (153, 150), (999, 1000), (1234, 1230), (41_913, 41_910), (41_914.4, 41_910), (123_456, 123_500)],
)
def test_counts_are_rounded_so_that_they_do_not_sharpen_a_share(count: float, expected: int) -> None:
    assert digits.rounded_count(count) == expected


def test_people_that_a_hospital_adds_never_make_a_count_more_exact() -> None:
    """A hospital can state any number of people. So the distance between two rounded counts must not shrink."""
    counts = sorted({digits.rounded_count(count) for count in range(1, 120_000)})
    steps = [following - count for count, following in itertools.pairwise(counts)]
    assert steps == sorted(steps)
    assert dict(zip(counts, steps, strict=False))[600] == 10


@pytest.mark.parametrize(
    ("value", "people", "low", "high"),
    [
        (0.0101, 500, "0.01", "0.02"),
        (-0.0149, 500, "-0.02", "-0.01"),
        (0.01015, 20_000, "0.0101", "0.0102"),
        (-1e-5, 20_000, "-0.0001", "0"),
        (0.0, 500, "0", "0"),
        (1.23, 50, "1.2", "1.3"),
    ],
)
def test_the_ends_of_an_interval_are_rounded_outwards(value: float, people: int, low: str, high: str) -> None:
    assert (digits.end_text(value, people, upper=False), digits.end_text(value, people, upper=True)) == (low, high)


def test_the_name_of_a_metric_decides_how_it_is_rounded() -> None:
    assert digits.metric_text("loss", 0.123456, 500) == "0.12"
    assert digits.metric_text("positives", 41_913, 100_000) == "41910"
    assert digits.metric_text("threshold", 0.00123456, 500) == "0.00123"
    assert digits.metric_text("mine", 123.456, 500) == "123"


@pytest.mark.parametrize("people", [50, 500, 5000])
def test_the_text_of_every_edge_lies_between_0_and_1_and_has_as_many_digits_on_both_sides(people: int) -> None:
    """A threshold of 1 would call nobody positive. It was the text of each edge near 1."""
    texts = [digits.edge_text(float(edge), people) for edge in bins.EDGES]
    values = [float(each) for each in texts]
    assert values[0] > 0
    assert values[-1] < 1
    assert values == sorted(values)
    # The same digits on both sides of the middle.
    for low, high in zip(values[: bins.MIDDLE], reversed(values[bins.MIDDLE + 1 :]), strict=True):
        assert 1 - high == pytest.approx(low, rel=1e-6)
    assert all("e" not in each for each in texts)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        digits.text(value, 1000)
    with pytest.raises(ValueError, match="finite"):
        digits.edge_text(value, 1000)
