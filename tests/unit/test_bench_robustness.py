"""The benchmark of hostile hospitals: they break FedAvg, and Krum and the median withstand them."""

from __future__ import annotations

import numpy as np
import pytest

from bench import robustness
from lab.splits import Cases, Split


@pytest.fixture
def drawn() -> tuple[Cases, Split]:
    dice = np.random.default_rng(1)
    malignant = dice.random(400) < 0.4
    values = dice.normal(size=(400, 3)) + malignant[:, None]
    cases = Cases(["id", "malignant", "a", "b", "c"], [["", "", *map(str, row)] for row in values], malignant)
    [split] = robustness.draw_splits(cases, 1, 1)
    return cases, split


def accuracy(drawn: tuple[Cases, Split], strategy: str, attack: str) -> float:
    cases, split = drawn
    predicted = robustness.computed(cases, split, strategy, attack, 1)
    return float(np.mean((predicted >= 0.5) == cases.malignant[split.test]))


def test_hostile_hospitals_that_scale_break_fedavg_and_no_robust_strategy(drawn: tuple[Cases, Split]) -> None:
    honest = accuracy(drawn, "FedAvg", "none")
    assert honest > 0.75
    assert accuracy(drawn, "FedAvg", "scaling") < 0.5
    for strategy in ("Median", "TrimmedMean", "Krum", "MultiKrum", "GeometricMedian"):
        assert accuracy(drawn, strategy, "scaling") > honest - 0.1
