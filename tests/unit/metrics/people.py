"""Made-up hospitals for tests of metrics: rows with labels, probabilities off any grid, and patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """`labels`, `probabilities`, `patients`: one of each for a row."""

    labels: npt.NDArray[np.int64]
    probabilities: Floats
    patients: npt.NDArray[np.int64]


def hospital(
    people: int, prevalence: float, seed: int, *, visits: int = 1, separation: float = 1.5, decimals: int = 17
) -> Rows:
    """Patients with 1 to `visits` rows each. `decimals`: few decimals make ties."""
    dice = np.random.default_rng(seed)
    counts = dice.integers(1, visits + 1, people)
    patients = np.repeat(dice.permutation(10 * people)[:people], counts)
    ill = np.repeat(dice.random(people) < prevalence, counts)
    # A patient may be ill at one visit and not at another one.
    labels = np.where(dice.random(len(ill)) < (0.2 if visits > 1 else 0.0), ~ill, ill).astype(np.int64)
    odds = dice.normal(np.log(prevalence / (1 - prevalence)) + separation * labels, 1.3)
    return Rows(labels, np.round(1 / (1 + np.exp(-odds)), decimals), patients)
