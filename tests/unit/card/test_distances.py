"""A column of new rows that lies far from those that trained the model is named: often it has another unit."""

from __future__ import annotations

import numpy as np
import pytest

from lab import demo_data
from wardround.card.distances import FEW, Distances
from wardround.tensors import Array

# The columns of the demo that are lengths, in millimetres.
LENGTHS = ("mean_radius", "mean_perimeter", "worst_radius", "worst_perimeter", "radius_error", "perimeter_error")


@pytest.fixture(scope="module")
def demo() -> tuple[list[str], Array]:
    """Names of the features, and all whole rows of the demo's hospitals."""
    tables = demo_data.tables()
    header = next(iter(tables.values()))[0]
    rows = [[*map(number, row[2:])] for _, lines in tables.values() for row in lines]
    values = np.array(rows)
    whole = (
        np.isfinite(values).all(axis=1)
        & (values >= 0).all(axis=1)
        & (values[:, header.index("mean_smoothness") - 2] < 9)
    )
    return header[2:], values[whole]


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def distances(demo: tuple[list[str], Array], rows: Array) -> Distances:
    names, values = demo
    compared = Distances(names, values.mean(axis=0), values.std(axis=0))
    # In pieces, as a file is read.
    compared.add(rows[:3])
    compared.add(rows[3:])
    return compared


def scaled(demo: tuple[list[str], Array], factor: float) -> Array:
    """The first 40 rows with the lengths in another unit."""
    names, values = demo
    factors = np.array([factor if name in LENGTHS else 1.0 for name in names])
    rows: Array = values[:40] * factors
    return rows


def test_the_demos_rows_in_their_own_unit_are_near(demo: tuple[list[str], Array]) -> None:
    values = demo[1]
    assert distances(demo, values).columns == ()
    for start in range(0, len(values) - FEW, FEW):
        assert distances(demo, values[start : start + FEW]).columns == ()


def test_the_demos_lengths_ten_times_as_large_are_far(demo: tuple[list[str], Array]) -> None:
    """Millimetres where the Dataset says centimetres."""
    assert set(distances(demo, scaled(demo, 10)).columns) == set(LENGTHS)


def test_the_demos_lengths_in_centimetres_are_far_where_people_differ_little(demo: tuple[list[str], Array]) -> None:
    """A length of nearly 0 is usual in a column whose mean is below three standard deviations, such as radius_error."""
    far = distances(demo, scaled(demo, 0.1)).columns
    assert {"mean_radius", "mean_perimeter"} <= set(far) <= set(LENGTHS)


@pytest.mark.parametrize(("rows", "far"), [(FEW - 1, False), (FEW, True)])
def test_a_few_patients_have_to_lie_further(rows: int, far: bool) -> None:
    compared = Distances(["age"], np.array([50.0]), np.array([10.0]))
    compared.add(np.full((rows, 1), 90.0))
    assert bool(compared.columns) is far
    single = Distances(["age"], np.array([50.0]), np.array([10.0]))
    single.add(np.array([[131.0]]))
    assert single.columns == ("age",)


def test_half_of_the_rows_are_not_most_and_two_sides_are_no_unit() -> None:
    compared = Distances(["age"], np.array([0.0]), np.array([1.0]))
    compared.add(np.array([[4.0]] * 5 + [[-4.0]] * 5))
    assert not compared.columns
    compared.add(np.array([[4.0]]))
    assert compared.columns == ("age",)


def test_without_a_row_nothing_is_far() -> None:
    assert Distances(["age"], np.array([0.0]), np.array([1.0])).notes == ()
