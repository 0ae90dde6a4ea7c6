"""Fits intercept and slope that recalibrate a model's probabilities, from groups of bins of predicted probability.

A recalibrated probability is 1 / (1 + exp(-(intercept + slope * logit(p)))): Cox, Biometrika 45 (1958). Of the labels,
the fit knows only how many people of each group are positive. So it tells no more of a few people than the groups do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardround.metrics import bins
from wardround.metrics.bins import Floats

# A fit that needs more steps has no maximum.
MOST_STEPS = 100
# A step smaller than this, relative to the line, ends the fit.
TOLERANCE = 1e-9
# Rounding of the likelihood, and of a determinant, relative to their size.
ROUNDING = 1e-12
# A steeper line separates the classes: its likelihood grows without end.
STEEPEST = 100.0
# Beyond it, exp overflows. The probability is exactly 0 or 1 well before.
LARGEST_ODDS = 700.0
# The smallest expected share. It keeps the likelihood finite.
LEAST_SHARE = 1e-300


@dataclass(frozen=True)
class Line:
    """Intercept and slope on log odds. `errors`: the standard errors of the two, in this order."""

    intercept: float
    slope: float
    errors: tuple[float, float]


def middles() -> Floats:
    """The log odds in the middle of each bin: the mean of the log odds of its edges."""
    odds = np.log(bins.EDGES / (1 - bins.EDGES))
    return np.asarray((odds[:-1] + odds[1:]) / 2, np.float64)


def recalibrated(probability: float, intercept: float, slope: float) -> float:
    """The recalibrated probability. `probability`: as the model answers it, clipped as in an evaluation."""
    clipped = min(max(probability, bins.LEAST), bins.MOST)
    odds = intercept + slope * math.log(clipped / (1 - clipped))
    return 1 / (1 + math.exp(-min(max(odds, -LARGEST_ODDS), LARGEST_ODDS)))


def fit(weights: Floats, positives: Floats, groups: Sequence[tuple[int, int]]) -> Line | None:
    """The line of the largest likelihood, by Fisher scoring.

    `weights`, `positives`: of all people and of positives, by bin. `groups`: (start, stop) of each, as `bins.merge`
    returns them. In a group, the expected share of positives is the mean over the people of its bins.

    None if no finite line has the largest likelihood: there are fewer than two groups, or they separate the classes.
    """
    if len(groups) < 2:
        return None
    data = _Groups(
        np.array([start for start, _ in groups]),
        weights,
        np.array([weights[start:stop].sum() for start, stop in groups]),
        np.array([positives[start:stop].sum() for start, stop in groups]),
    )
    line = np.array([0.0, 1.0])
    for _ in range(MOST_STEPS):
        gradient, information = data.derivatives(line)
        if not np.linalg.det(information) > ROUNDING * information[0, 0] * information[1, 1]:
            return None
        step = data.shortened(line, np.asarray(np.linalg.solve(information, gradient), np.float64))
        line = line + step
        if abs(line[1]) > STEEPEST:
            return None
        if float(np.abs(step).max()) < TOLERANCE * max(1.0, float(np.abs(line).max())):
            intercept, slope = np.sqrt(np.diag(np.linalg.inv(data.derivatives(line)[1]))).tolist()
            return Line(float(line[0]), float(line[1]), (intercept, slope))
    return None


@dataclass(frozen=True)
class _Groups:
    """`starts`: the first bin of each group. `people`, `positives`: weights by group."""

    starts: npt.NDArray[np.int64]
    weights: Floats
    people: Floats
    positives: Floats

    def derivatives(self, line: Floats) -> tuple[Floats, Floats]:
        """The gradient of the log likelihood, and Fisher's information."""
        odds = middles()
        each = _logistic(line[0] + line[1] * odds)
        slopes = self.weights * each * (1 - each)
        by_parameter = np.stack([self._summed(slopes), self._summed(slopes * odds)])
        expected = self._expected(line)
        scaled = by_parameter / (expected * (1 - expected) * self.people)
        return scaled @ (self.positives - expected * self.people), scaled @ by_parameter.T

    def shortened(self, line: Floats, step: Floats) -> Floats:
        """The step, halved until the likelihood does not fall: a whole step may lead too far."""
        before = self.likelihood(line)
        for _ in range(MOST_STEPS):
            if self.likelihood(line + step) >= before - ROUNDING * abs(before):
                break
            step = step / 2
        return step

    def likelihood(self, line: Floats) -> float:
        """The log likelihood of the line."""
        expected = self._expected(line)
        negatives = self.people - self.positives
        return float(self.positives @ np.log(expected) + negatives @ np.log(1 - expected))

    def _expected(self, line: Floats) -> Floats:
        """The expected share of positives of each group, within the open interval from 0 to 1."""
        shares = self._summed(self.weights * _logistic(line[0] + line[1] * middles())) / self.people
        return np.clip(shares, LEAST_SHARE, 1 - np.finfo(np.float64).epsneg)

    def _summed(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, self.starts), np.float64)


def _logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -LARGEST_ODDS, LARGEST_ODDS))), np.float64)
