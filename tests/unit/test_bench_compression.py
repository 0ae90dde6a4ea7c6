"""The benchmark of compression trains the same model with each compression, but for the rounding."""

from __future__ import annotations

import numpy as np

from bench import compression
from lab.splits import Cases, Split


def test_compressed_updates_give_nearly_the_same_model() -> None:
    dice = np.random.default_rng(1)
    positive = dice.random(300) < 0.4
    values = dice.normal(size=(300, 5)) + positive[:, None]
    cases = Cases(["id", "positive", *"abcde"], [["", "", *map(str, row)] for row in values], positive)
    rows = np.arange(300)
    split = Split({"large": rows[:150], "small": rows[150:200]}, rows[200:])
    measured = {each: compression.measure(cases, split, each, 1) for each in compression.COMPRESSIONS}
    plain = measured.pop("None")
    assert plain[0] > 75
    for right, loss, probabilities in measured.values():
        assert abs(right - plain[0]) <= 1
        assert 0 < abs(loss - plain[1]) < 0.01
        assert np.abs(probabilities - plain[2]).max() < 0.05
