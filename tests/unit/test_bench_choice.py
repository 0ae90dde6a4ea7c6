"""The numpy copy of the trainer in bench/choice.py computes gradients of the loss, and no test row decides a choice."""

from __future__ import annotations

import numpy as np
import pytest

from bench import accuracy, choice


def test_gradients_are_those_of_the_mean_log_loss() -> None:
    dice = np.random.default_rng(1)
    values, labels = dice.normal(size=(16, 5)), np.arange(16) % 2.0
    weights = tuple(dice.normal(size=shape) for shape in ((4, 5), (4,), (1, 4), (1,)))

    def loss(changed: choice.Weights) -> float:
        odds = choice.forward(changed, values)[1]
        return float(np.mean(np.logaddexp(0, odds) - odds * labels))

    made = choice.gradients(weights, values, labels)
    for place, weight in enumerate(weights):
        for index in np.ndindex(weight.shape):
            losses = []
            for step in (1e-5, -1e-5):
                changed = [each.copy() for each in weights]
                changed[place][index] += step
                losses.append(loss(tuple(changed)))
            assert made[place][index] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-6)


def test_a_choice_looks_at_no_test_row(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = choice.Cases()
    [split] = accuracy.draw_splits(accuracy.SKEWED, cases.malignant, 1, 3)
    monkeypatch.setattr(choice, "CANDIDATES", (choice.Candidate(1, 0.001, 0.0), choice.Candidate(1, 0.1, 0.0)))
    first = choice.chosen(cases, split, 5)
    cases.values[split.test], cases.labels[split.test] = np.nan, np.nan
    assert choice.chosen(cases, split, 5) == first == choice.CANDIDATES[1]
