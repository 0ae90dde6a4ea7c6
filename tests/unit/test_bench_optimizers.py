"""The benchmark of server optimizers gives each strategy the same number of tries, and each strategy learns."""

from __future__ import annotations

import numpy as np

from bench import optimizers
from lab.splits import Cases, Split


def test_every_strategy_has_as_many_settings_and_learns_with_one_of_them() -> None:
    dice = np.random.default_rng(1)
    malignant = dice.random(300) < 0.4
    values = dice.normal(size=(300, 3)) + malignant[:, None]
    cases = Cases(["id", "malignant", "a", "b", "c"], [["", "", *map(str, row)] for row in values], malignant)
    rows = np.arange(300)
    split = Split({"large": rows[:150], "small": rows[150:200]}, rows[200:])
    assert {len(optimizers.grid(name)) for name in optimizers.NAMES} == {12}
    chosen = optimizers.chosen(cases, split, 1)
    assert chosen.keys() == set(optimizers.NAMES)
    assert min(accuracy for accuracy, _ in chosen.values()) > 0.75
