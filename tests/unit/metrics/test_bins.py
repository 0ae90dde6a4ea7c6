"""Bins of asinh(logit(p)): their edges, and groups that hold enough people."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wardround.metrics import bins


def test_edges_rise_from_one_end_of_the_clipped_range_to_the_other() -> None:
    assert len(bins.EDGES) == 257
    assert (bins.EDGES[0], bins.EDGES[128], bins.EDGES[256]) == (1e-6, 0.5, 1 - 1e-6)
    assert (np.diff(bins.EDGES) > 0).all()
    widths = np.diff([math.asinh(math.log(edge / (1 - edge))) for edge in bins.EDGES])
    assert widths == pytest.approx(widths[0], rel=1e-3)


def test_a_probability_lies_between_the_edges_of_its_bin() -> None:
    chances = bins.clip(np.concatenate([[0, 1, 0.5, np.nextafter(0.5, 0)], np.random.default_rng(1).random(5000) ** 6]))
    index = bins.indices(chances)
    assert (bins.EDGES[index] <= chances).all()
    assert (chances[index < 255] < bins.EDGES[index + 1][index < 255]).all()
    assert index[:4].tolist() == [0, 255, 128, 127]


def test_bins_resolve_the_predictions_for_a_rare_disease() -> None:
    """100 equal bins hold all probabilities below 1 % in one bin."""
    assert len(set(bins.indices(bins.clip(np.geomspace(1e-5, 1e-2, 500))).tolist())) > 30


@pytest.mark.parametrize("least", [1, 11, 40])
@pytest.mark.parametrize("most", [3, 10, 256])
def test_each_group_holds_enough_people_and_all_groups_hold_everybody(least: int, most: int) -> None:
    dice = np.random.default_rng(least)
    for _ in range(50):
        weights = dice.integers(0, 6, 256) * (dice.random(256) < 0.3) / 3
        groups = bins.merge(weights, least, most)
        assert [start for start, _ in groups] == [0, *(stop for _, stop in groups[:-1])]
        assert groups[-1][1] == 256
        assert len(groups) <= most
        assert all(weights[start:stop].sum() >= least - 1e-6 for start, stop in groups)


def test_people_of_a_group_are_counted_without_the_hospital_that_has_the_most_in_it() -> None:
    one, other, large = np.full(256, 1.0), np.full(256, 1.0), np.full(256, 1000.0)
    groups = bins.merge(one + other + large, 200, 10, [(one, 11), (other, 11), (large, 11)])
    assert groups == [(0, 100), (100, 256)]
    assert bins.merge(one + large, 200, 10, [(one, 11), (large, 11)]) == [(0, 256)]
    assert len(bins.merge(large, 200, 10)) == 9


def test_a_hospital_that_subtracts_its_people_from_a_group_leaves_those_of_two_hospitals() -> None:
    """The third hospital has people everywhere, one of the others below the middle and one above it."""
    low, high = np.repeat([10.0, 0.0], 128), np.repeat([0.0, 10.0], 128)
    everywhere = np.full(256, 10.0)
    assert len(bins.merge(low + everywhere, 11, hospitals=[(low, 11), (everywhere, 11)])) == 64
    three = [(low, 11), (high, 11), (everywhere, 11)]
    assert bins.merge(low + high + everywhere, 11, hospitals=three) == [(0, 256)]


def test_too_few_people_make_no_group() -> None:
    assert bins.merge(np.full(256, 0.04), 11) == []
    assert bins.merge(np.zeros(256), 0) == []
    assert bins.merge([0.0, 11.0, 0.0], 11) == [(0, 3)]
