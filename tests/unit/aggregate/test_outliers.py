"""Updates that are far larger than the others are found; those of honest hospitals of any size are not."""

from __future__ import annotations

import math

import pytest

from wardround.aggregate.outliers import LARGEST_RATIO, Size, too_large


def sizes(*norms: float) -> list[Size]:
    return [Size(norm, 100, None) for norm in norms]


@pytest.mark.parametrize(
    ("norms", "left_out"),
    [
        ((), []),
        ((1e9,), [False]),
        ((1.0, 2.0, 30.0), [False] * 3),
        ((1.0, 1.0, 1e3), [False, False, True]),
        ((1e7, 1.0), [True, False]),
        ((1.0, 1.1, 0.9, 1e4, 1e5), [False, False, False, True, True]),
        ((0.0, 0.0, 0.0), [False] * 3),
        ((0.0, 0.0, 1e-3), [False, False, True]),
        ((math.inf, 1.0, 1.0), [True, False, False]),
        ((math.inf,), [True]),
    ],
)
def test_an_update_far_above_the_middle_one_is_too_large(norms: tuple[float, ...], left_out: list[bool]) -> None:
    assert too_large(sizes(*norms)) == left_out


def test_the_bound_is_a_ratio_to_the_smaller_middle_one() -> None:
    assert too_large(sizes(2.0, 2.0 * LARGEST_RATIO)) == [False, False]
    assert too_large(sizes(2.0, 2.0 * LARGEST_RATIO * 1.001)) == [False, True]


def test_the_bound_grows_with_the_rows_that_the_hub_has_allowed() -> None:
    small = [Size(1.0, 20, None)] * 3
    assert too_large([*small, Size(400.0, 10_000, 10_000)]) == [False] * 4
    assert too_large([*small, Size(400.0, 10_000, 20)])[3]
    # Without a limit of the hub, a participant could state any number.
    assert too_large([*small, Size(400.0, 10**9, None)])[3]


def test_a_participant_that_states_few_samples_lowers_no_bound() -> None:
    assert too_large([Size(1.0, 1, 1), Size(29.0, 1, 1), Size(29.0, 10_000, 10_000)]) == [False] * 3
