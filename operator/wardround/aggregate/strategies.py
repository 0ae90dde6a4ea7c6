"""Strategies combine the updates of a Train round: what each wants to know of them, their weights, and its rules. Pure.

Masked sums, Statistics and Evaluate add sums, whatever the strategy is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from wardround.aggregate.optimizers import Adagrad, Adam, Momentum, Optimized, Optimizer, Yogi
from wardround.aggregate.rules import RULES, Rules, TrimmedDelta, TrimmedMean
from wardround.tensors import Array
from wardround.wire.strategy_terms import Parameters

# Weiszfeld's steps end when the weights change by less than this in sum, or after so many of them.
LEAST_CHANGE, MOST_STEPS = 1e-9, 1000
# A distance counts as at least this part of the mean distance, so that no weight is infinite (Pillutla et al., 2022).
SMOOTHING = 1e-6


@dataclass(frozen=True)
class Facts:
    """What the examination knows of the usable updates, in the participants' order.

    `shares`: by samples, up to the hub's limits; they sum to 1. `norms`: Euclidean, over all floats. `distances`: the
    squared Euclidean distances between updates, if the strategy wants them. `steps`: the local steps that count; 1
    each unless the strategy wants them.
    """

    shares: Sequence[float]
    norms: Sequence[float]
    distances: Array | None = None
    steps: Sequence[int] = ()


class Strategy(ABC):
    """The arithmetic of a strategy. Its terms: wire/strategy_terms.py. `wants_distances`, `wants_steps`: see Facts."""

    wants_distances: bool = False
    wants_steps: bool = False

    def rules(self) -> Rules:
        """Return the rules for the tensors of a round."""
        return RULES

    @abstractmethod
    def weights(self, facts: Facts) -> list[float]:
        """Return the weight of each update for the rules. An update of weight 0 is not added."""


class FedAvg(Strategy):
    """The mean, weighted by samples (McMahan et al., AISTATS 2017)."""

    def weights(self, facts: Facts) -> list[float]:
        return list(facts.shares)


class FedNova(Strategy):
    """The mean of differences, each divided by its number of local steps, times the mean number of steps (Wang et al.,
    NeurIPS 2020). With equal numbers it is FedAvg. The division is that of the paper for plain SGD: a number of steps
    says less about SGD with momentum or Adam."""

    wants_steps = True

    def weights(self, facts: Facts) -> list[float]:
        exact = [Fraction(share) for share in facts.shares]
        # Shares of floats sum to 1 only nearly, and equal numbers have to cancel.
        mean = sum((share * steps for share, steps in zip(exact, facts.steps, strict=True)), Fraction(0)) / sum(exact)
        return [float(share * mean / steps) for share, steps in zip(exact, facts.steps, strict=True)]


@dataclass(frozen=True)
class NormBounding(Strategy):
    """FedAvg of differences, each of which is scaled down to `largest_norm` if it is longer (Sun et al., 2019)."""

    largest_norm: float

    def weights(self, facts: Facts) -> list[float]:
        return [
            share * (self.largest_norm / norm) if norm > self.largest_norm else share
            for share, norm in zip(facts.shares, facts.norms, strict=True)
        ]


@dataclass(frozen=True)
class TrimmedMeans(Strategy):
    """The mean of each element without its `trimmed` lowest and highest values. None: the coordinate median (Yin et
    al., ICML 2018)."""

    trimmed: int | None

    def rules(self) -> Rules:
        return {
            **RULES,
            "Delta": partial(TrimmedDelta, trimmed=self.trimmed),
            "Mean": partial(TrimmedMean, trimmed=self.trimmed),
        }

    def weights(self, facts: Facts) -> list[float]:
        return _equal(len(facts.shares))


@dataclass(frozen=True)
class Krum(Strategy):
    """The plain mean of the `chosen` updates with the lowest scores (Blanchard et al., NIPS 2017). A score is the sum
    of squared distances to the n - `hostile` - 2 nearest others. Of equal scores, the first participant's is lower."""

    hostile: int
    chosen: int = 1

    wants_distances = True

    def weights(self, facts: Facts) -> list[float]:
        assert facts.distances is not None
        nearest = len(facts.shares) - self.hostile - 2
        # The first column of each sorted row is the distance to itself.
        scores = np.sort(facts.distances, axis=1)[:, 1 : 1 + nearest].sum(axis=1)
        chosen = set(np.argsort(scores, kind="stable")[: self.chosen].tolist())
        return [1 / len(chosen) if place in chosen else 0.0 for place in range(len(facts.shares))]


class GeometricMedian(Strategy):
    """The point with the smallest sum of distances to all updates: smoothed Weiszfeld steps (Pillutla et al., IEEE
    Transactions on Signal Processing 70, 2022), with equal weights.

    Each step is a weighted mean of updates. So the steps need only the distances between updates, and no reading.
    """

    wants_distances = True

    def weights(self, facts: Facts) -> list[float]:
        squared = facts.distances
        assert squared is not None
        count = len(facts.shares)
        weights = np.full(count, 1 / count)
        least = SMOOTHING * float(np.sqrt(squared).mean())
        if least == 0:
            return _equal(count)
        for _ in range(MOST_STEPS):
            # Squared distances from the point: |sum of w x - x_i|^2, where the weights sum to 1.
            products = squared @ weights
            from_point = np.sqrt(np.maximum(products - float(weights @ products) / 2, 0.0))
            nearer = 1 / np.maximum(from_point, least)
            changed = nearer / nearer.sum()
            change = float(np.abs(changed - weights).sum())
            weights = changed
            if change < LEAST_CHANGE:
                break
        return [float(each) for each in weights]


@dataclass(frozen=True)
class ServerOptimizer(FedAvg):
    """A step of an optimizer along the mean difference of FedAvg."""

    optimizer: Optimizer

    def rules(self) -> Rules:
        return {**RULES, "Delta": partial(Optimized, optimizer=self.optimizer)}


def _equal(count: int) -> list[float]:
    return [1 / count] * count


def strategy(name: str, parameters: Parameters) -> Strategy:
    """Return the strategy of a plan that wire/strategy_terms.py accepts."""
    match name:
        case "FedAvg":
            return FedAvg()
        case "NormBounding":
            return NormBounding(float(parameters["largestNorm"]))
        case "FedNova":
            return FedNova()
        case "FedAvgM" | "FedAdagrad" | "FedAdam" | "FedYogi":
            return ServerOptimizer(_optimizer(name, {key: float(text) for key, text in parameters.items()}))
        case "Median":
            return TrimmedMeans(None)
        case "TrimmedMean":
            return TrimmedMeans(int(parameters["trimmed"]))
        case "Krum":
            return Krum(int(parameters["hostile"]))
        case "MultiKrum":
            return Krum(int(parameters["hostile"]), int(parameters["chosen"]))
        case "GeometricMedian":
            return GeometricMedian()
    raise ValueError(name)


def _optimizer(name: str, given: Mapping[str, float]) -> Optimizer:
    rate = given["serverLearningRate"]
    match name:
        case "FedAvgM":
            return Momentum(rate, given["momentum"])
        case "FedAdagrad":
            return Adagrad(rate, given["beta1"], given["tau"])
        case "FedAdam":
            return Adam(rate, given["beta1"], given["tau"], given["beta2"])
        case "FedYogi":
            return Yogi(rate, given["beta1"], given["tau"], given["beta2"])
    raise ValueError(name)
