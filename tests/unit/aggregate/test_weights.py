"""Shares are proportional to samples, capped, and sum to 1."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from wardround.aggregate.weights import LARGEST_MULTIPLE, limits, scales, shares

ALL = Fraction(1)


def most(samples: list[int]) -> list[int]:
    return [10**9] * len(samples)


def test_without_a_cap_shares_are_proportional_to_samples() -> None:
    assert shares([1, 2, 5], most([1, 2, 5]), ALL) == [Fraction(1, 8), Fraction(2, 8), Fraction(5, 8)]


def test_samples_above_a_participants_maximum_do_not_count() -> None:
    assert shares([100, 10], [10, 10], ALL) == [Fraction(1, 2), Fraction(1, 2)]


def test_the_excess_of_a_capped_participant_goes_to_the_others_in_proportion() -> None:
    assert shares([80, 15, 5], most([1] * 3), Fraction(1, 2)) == [Fraction(1, 2), Fraction(3, 8), Fraction(1, 8)]


def test_a_participant_lifted_above_the_cap_is_capped_too() -> None:
    assert shares([80, 19, 1], most([1] * 3), Fraction(2, 5)) == [Fraction(2, 5), Fraction(2, 5), Fraction(1, 5)]


@pytest.mark.parametrize("cap", ["0.1", "0.333333", "0.000001"])
def test_a_cap_below_one_over_n_makes_shares_equal(cap: str) -> None:
    assert shares([80, 19, 1], most([1] * 3), Fraction(cap)) == [Fraction(1, 3)] * 3


def test_a_participant_without_samples_counts_only_if_all_have_none() -> None:
    assert shares([0, 4, 4], most([1] * 3), Fraction("0.1")) == [0, Fraction(1, 2), Fraction(1, 2)]
    assert shares([0, 0], most([1] * 2), ALL) == [Fraction(1, 2), Fraction(1, 2)]


def test_a_single_participant_has_the_whole_share_with_any_cap() -> None:
    assert shares([7], [7], Fraction("0.5")) == [1]


def test_shares_sum_to_1_keep_cap_and_order_and_ignore_scale() -> None:
    dice = random.Random(5)
    for _ in range(2000):
        samples = [dice.randrange(1, dice.choice([3, 100, 10_000])) for _ in range(dice.randrange(1, 9))]
        cap = Fraction(dice.randrange(1, 1_000_001), 1_000_000)
        result = shares(samples, most(samples), cap)
        assert sum(result) == 1
        assert all(share <= max(cap, Fraction(1, len(samples))) for share in result)
        for count, next_count, share, next_share in zip(samples, samples[1:], result, result[1:], strict=False):
            assert (share <= next_share) if count <= next_count else (share >= next_share)
        assert shares([7 * count for count in samples], most(samples), cap) == result


def test_sums_over_too_many_rows_are_scaled_down_to_the_maximum() -> None:
    assert scales([50, 100, 400], [100, 100, 100]) == [1, 1, Fraction(1, 4)]


def test_a_participant_without_sums_has_no_scale_to_lower() -> None:
    assert scales([0, 400], [100, 100]) == [1, Fraction(1, 4)]


def test_sums_without_a_limit_keep_their_scale() -> None:
    assert scales([44, 10**9, 400], [None, None, 100]) == [1, 1, Fraction(1, 4)]


def test_without_a_limit_a_participant_counts_up_to_a_multiple_of_the_middle_number() -> None:
    assert limits([159, 239, 10**6], [None, None, None]) == [LARGEST_MULTIPLE * 239] * 3
    assert limits([159, 10**6], [None, None]) == [LARGEST_MULTIPLE * 159] * 2, "of two, neither can raise it"
    assert limits([159, 239, 10**6], [None, 50, 500_000]) == [LARGEST_MULTIPLE * 239, 50, 500_000]
    assert limits([0, 0], [None, None]) == [LARGEST_MULTIPLE] * 2
    assert limits([], []) == []
