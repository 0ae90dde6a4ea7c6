"""Which columns have another scale than before: other units do, and a new case mix, a small file or drift do not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wardround.tabular import column_scales
from wardround.tabular.column_scales import Scale, changed, measured, near


def normal(mean: float, sd: float, people: int = 200, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, sd, people)


def skewed(people: int = 200, seed: int = 1) -> NDArray[np.float64]:
    """A laboratory value whose 95 % range is wider than a factor of 10."""
    return np.random.default_rng(seed).lognormal(0.0, 1.5, people)


def scale(values: NDArray[np.float64]) -> Scale:
    measured_scale = measured(values)
    assert measured_scale is not None
    return measured_scale


def are_changed(before: NDArray[np.float64], now: NDArray[np.float64]) -> bool:
    return changed(scale(before), scale(now))


# (name, mean and sd in the former unit, factor, offset)
UNITS = [
    ("mm, cm", 14.0, 3.5, 0.1, 0.0),
    ("cm, m", 170.0, 9.0, 0.01, 0.0),
    ("inch, cm", 67.0, 3.5, 2.54, 0.0),
    ("kg, lb", 75.0, 14.0, 2.2046, 0.0),
    ("Celsius, Fahrenheit", 37.0, 0.5, 1.8, 32.0),
    ("glucose in mmol/l, mg/dl", 5.5, 1.5, 18.02, 0.0),
    ("creatinine in mg/dl, umol/l", 1.0, 0.3, 88.4, 0.0),
    ("haemoglobin in g/dl, g/l", 13.5, 1.6, 10.0, 0.0),
    ("kPa, mmHg", 16.0, 2.4, 7.5, 0.0),
    ("Celsius, kelvin", 37.0, 0.5, 1.0, 273.15),
    ("HbA1c in %, mmol/mol", 6.5, 1.0, 10.93, -23.5),
    ("calcium in mmol/l, mEq/l", 2.4, 0.1, 2.0, 0.0),
    ("phosphate in mmol/l, mEq/l", 1.1, 0.15, 1.8, 0.0),
]


@pytest.mark.parametrize(("mean", "sd", "factor", "offset"), [each[1:] for each in UNITS], ids=[u[0] for u in UNITS])
@pytest.mark.parametrize("people", [20, 1000])
def test_another_unit_is_another_scale_in_both_directions(
    mean: float, sd: float, factor: float, offset: float, people: int
) -> None:
    before = normal(mean, sd, people)
    later = normal(mean, sd, people, seed=2) * factor + offset
    assert are_changed(before, later)
    assert are_changed(later, before)


@pytest.mark.parametrize("factor", [0.01, 0.1, 0.4536, 2.54, 10.0, 88.4])
def test_another_unit_shows_in_a_column_with_a_range_wider_than_the_factor(factor: float) -> None:
    before = skewed(1000)
    again = np.concatenate([before, skewed(30, seed=2)])
    assert are_changed(before, again * factor)
    assert not are_changed(before, again)


def test_the_scale_of_a_column_that_is_mostly_zero_is_that_of_its_other_values() -> None:
    nodes = np.concatenate([np.zeros(160), np.random.default_rng(1).integers(1, 9, 40).astype(float)])
    assert are_changed(nodes, nodes * 10)
    assert not are_changed(nodes, nodes[::-1])
    assert measured(np.zeros(500)) is None


@pytest.mark.parametrize("seed", range(40))
def test_a_small_file_of_the_same_patients_or_of_others_has_the_same_scale(seed: int) -> None:
    assert not are_changed(normal(14, 3.5, 20, seed), normal(14, 3.5, 20, seed + 1000))
    assert not are_changed(skewed(20, seed), skewed(20, seed + 1000))


def test_a_new_case_mix_is_the_same_scale() -> None:
    """A hospital that had only healthy people gets as many ill ones, whose values are two standard deviations away."""
    healthy, ill = normal(100, 10), normal(120, 10, seed=2)
    assert not are_changed(healthy, np.concatenate([healthy, ill]))


def test_prepare_measures_no_column_of_fewer_than_20_people() -> None:
    assert measured(normal(14, 3.5, column_scales.FEWEST_PEOPLE - 1)) is None
    assert measured(np.zeros(0)) is None


def uniform(low: float, high: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(low, high, 300)


# (name, the values before, the values of the next export)
DRIFT = [
    ("year of the export", np.full(500, 2026.0), np.full(500, 2027.0)),
    ("version of a device's software", np.full(300, 4.1), np.full(300, 4.2)),
    ("code of a scanner", np.array([3.0] * 400 + [1.0] * 10), np.array([4.0] * 400 + [1.0] * 10)),
    ("day of the visit in a monthly extract", uniform(2190, 2220), uniform(2221, 2251, seed=2)),
    ("age in days of a narrow cohort, a quarter later", uniform(700, 760), uniform(700, 760) + 91),
]


@pytest.mark.parametrize(("before", "now"), [each[1:] for each in DRIFT], ids=[each[0] for each in DRIFT])
def test_a_narrow_column_that_drifts_has_the_same_scale(before: NDArray[np.float64], now: NDArray[np.float64]) -> None:
    assert not are_changed(before, now)
    assert not are_changed(now, before)


@pytest.mark.parametrize("days", [91.0, 365.0])
def test_a_column_that_grows_by_a_unit_s_factor_cannot_be_told_from_another_unit(days: float) -> None:
    """Days of follow-up of a new cohort. docs/data-file.md says what a hospital does with such columns."""
    assert are_changed(uniform(30, 90), uniform(30, 90) + days)


def test_a_constant_that_doubles_has_another_scale() -> None:
    """A factor of 2 is one between units, as of mmol and mEq of calcium."""
    nodes = np.concatenate([np.zeros(450), np.full(50, 1.0)])
    assert are_changed(nodes, nodes * 2)


def test_equal_values_have_a_scale_of_their_own() -> None:
    assert are_changed(np.full(30, 1.0), np.full(30, 2.0))
    assert not are_changed(np.full(30, 1.0), np.full(30, 1.0))


def test_a_number_with_the_other_sign_is_another_scale() -> None:
    assert are_changed(normal(14, 3.5), -normal(14, 3.5))


def test_the_quantiles_are_no_exact_values() -> None:
    values = normal(14, 3.5, 21)
    measured_scale = scale(values)
    assert not set(measured_scale.quantiles) & set(values.tolist())
    assert np.allclose(
        measured_scale.quantiles, np.quantile(values, column_scales.QUANTILES), atol=measured_scale.width / 64
    )


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.5, 0.6])
def test_a_file_with_two_units_is_not_near_the_file_before(share: float) -> None:
    """Otherwise it would make room for a file with the other unit alone."""
    before = normal(14, 3.5, 1000)
    mixed = before.copy()
    mixed[: round(share * len(mixed))] /= 10
    assert not near(scale(before), scale(mixed))
    assert near(scale(before), scale(normal(14.5, 3.6, 1000, seed=2)))
