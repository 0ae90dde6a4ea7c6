"""A hospital's own verdicts: how often chance alone makes one, and how many people one of them takes."""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest

from wardround.metrics.own_verdicts import ERROR, FEWEST_EVENTS, decide
from wardround.wire import layouts
from wardround.wire.outcome import OwnOutcome

Array = npt.NDArray[np.float64]
MIN_CELL = 11
TRIALS = 2000


def losses(predicted: Array, truth: Array) -> Array:
    clipped = np.clip(predicted, 1e-6, 1 - 1e-6)
    return -(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped))


def numbers(truth: Array, *differences: Array) -> dict[str, Array]:
    """The sums of a hospital, with one reference for each row of differences."""
    positive = truth.sum()
    rows = [[10.0, each.sum(), np.square(each).sum()] for each in differences]
    return {
        "people": np.array([len(truth), positive, len(truth) - positive]),
        layouts.DIFFERENCES: np.array(rows),
    }


def verdicts(truth: Array, *differences: Array, min_cell: int = MIN_CELL) -> tuple[OwnOutcome, ...]:
    return decide(numbers(truth, *differences), len(differences), min_cell)


def hospital(events: int, others: int) -> Array:
    return np.repeat([1.0, 0.0], [events, others])


def test_a_clear_difference_is_better_or_worse_and_a_small_one_is_undecided() -> None:
    truth, dice = hospital(100, 100), np.random.default_rng(1)
    noise = dice.normal(size=200)
    noise -= noise.mean()
    assert verdicts(truth, noise - 1, noise + 1) == ("Better", "Worse")
    assert verdicts(truth, noise - 0.05, noise) == ("Undecided", "Undecided")


def test_equal_models_are_undecided_and_models_that_differ_for_all_alike_are_not() -> None:
    truth = hospital(30, 30)
    assert verdicts(truth, np.zeros(60), np.full(60, 0.25)) == ("Undecided", "Worse")


@pytest.mark.parametrize(
    ("events", "others", "min_cell"), [(FEWEST_EVENTS - 1, 500, 11), (500, FEWEST_EVENTS - 1, 11), (49, 51, 50)]
)
def test_a_small_class_gives_no_verdict(events: int, others: int, min_cell: int) -> None:
    truth = hospital(events, others)
    differences = np.full(len(truth), -1.0)
    assert verdicts(truth, differences, differences, min_cell=min_cell) == ("TooFewPeople", "TooFewPeople")
    truth = hospital(max(events, min_cell, FEWEST_EVENTS), max(others, min_cell, FEWEST_EVENTS))
    assert verdicts(truth, np.full(len(truth), -1.0), min_cell=min_cell) == ("Better",)


def test_the_second_comparison_is_tested_less_strictly_than_the_first() -> None:
    """Holm: 0.5 % for the most significant comparison, and then 1 % for the other one."""
    truth = hospital(500, 500)
    noise = np.random.default_rng(2).normal(size=1000)
    noise = (noise - noise.mean()) / noise.std(ddof=1)

    def at(deviations: float) -> Array:
        shifted: Array = noise + deviations / np.sqrt(1000)
        return shifted

    assert verdicts(truth, at(2.7)) == ("Worse",)
    assert verdicts(truth, at(2.7), at(0.0)) == ("Undecided", "Undecided")
    assert verdicts(truth, at(2.7), at(-2.9)) == ("Worse", "Better")
    assert verdicts(truth, at(2.5), at(-2.9)) == ("Undecided", "Better")


@pytest.mark.parametrize(("events", "others"), [(20, 20), (20, 180), (60, 540), (20, 1980)])
def test_chance_alone_seldom_makes_a_verdict(events: int, others: int) -> None:
    """The candidate and both references differ from the true log odds by errors of the same size. The rate over both
    comparisons is ERROR where the normal distribution fits: with few people, it is somewhat higher."""
    truth = hospital(events, others)
    rate, made = events / len(truth), 0
    for seed in range(TRIALS):
        dice = np.random.default_rng([seed, events, others])
        odds = np.log(rate / (1 - rate)) + np.where(truth == 1, 1.0, -1.0) + dice.normal(size=len(truth))
        first, *others_ = (
            losses(1 / (1 + np.exp(-odds - dice.normal(size=len(truth)) * 0.3)), truth) for _ in range(3)
        )
        made += any(each != "Undecided" for each in verdicts(truth, *(first - each for each in others_)))
    assert made <= 2 * ERROR * TRIALS


def test_models_that_differ_for_fewer_than_six_people_are_always_undecided() -> None:
    """A verdict then tells nothing of their labels, whatever models an attacker chooses."""
    for people in (2 * FEWEST_EVENTS, 200, 5000):
        truth = hospital(people // 2, people - people // 2)
        for count in range(1, 6):
            dice = np.random.default_rng(count)
            for _ in range(50):
                differences = np.zeros(people)
                differences[:count] = dice.choice([0.01, 1.0, 13.0], size=count) if count % 2 else 13.0
                assert verdicts(truth, differences) == ("Undecided",)
                assert verdicts(truth, -differences, differences) == ("Undecided", "Undecided")


def test_the_words_are_four() -> None:
    assert get_args(OwnOutcome) == ("Better", "Worse", "Undecided", "TooFewPeople")
