"""Steps of server optimizers: they make a model's next step from the mean difference and the moments so far. Pure.

The mean difference of a round takes the part of a gradient (Reddi et al., "Adaptive Federated Optimization", ICLR 2021,
algorithm 2). All arithmetic is element by element in float64, in the order of the formulas, so the size of a slice
changes no bit. As in algorithm 2, no moment is corrected for its first value (no bias correction).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wardround.aggregate.rules import SLICE, Delta
from wardround.tensors import DTYPES, Array, narrow, widen


class Optimizer(ABC):
    """A server optimizer. `moments`: how many numbers it remembers for each number of the model."""

    moments: int

    @abstractmethod
    def first(self) -> tuple[float, ...]:
        """Return the value of each moment before the first step."""

    @abstractmethod
    def step(self, difference: Array, moments: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Return what to add to the model, and the moments after the step. All arrays are float64 of one shape."""


@dataclass(frozen=True)
class Momentum(Optimizer):
    """FedAvgM: m = momentum m + difference, and the step is rate m (Hsu et al., "Measuring the Effects of Non-Identical
    Data Distribution for Federated Visual Classification", 2019)."""

    rate: float
    momentum: float

    moments = 1

    def first(self) -> tuple[float, ...]:
        return (0.0,)

    def step(self, difference: Array, moments: Sequence[Array]) -> tuple[Array, list[Array]]:
        [before] = moments
        moment = self.momentum * before + difference
        return self.rate * moment, [moment]


@dataclass(frozen=True)
class Adaptive(Optimizer):
    """FedAdagrad, FedAdam and FedYogi: m = beta1 m + (1 - beta1) difference, and the step is rate m / (sqrt(v) + tau).

    They differ in `second`, the next v. v begins as tau squared, the least value that the paper allows.
    """

    rate: float
    beta1: float
    tau: float

    moments = 2

    def first(self) -> tuple[float, ...]:
        return (0.0, self.tau * self.tau)

    def step(self, difference: Array, moments: Sequence[Array]) -> tuple[Array, list[Array]]:
        moment, spread = moments
        moment = self.beta1 * moment + (1 - self.beta1) * difference
        spread = self.second(spread, difference * difference)
        return self.rate * moment / (np.sqrt(spread) + self.tau), [moment, spread]

    @abstractmethod
    def second(self, spread: Array, square: Array) -> Array:
        """Return the next v. `spread`: the v before. `square`: of the difference."""


class Adagrad(Adaptive):
    """v = v + difference^2."""

    def second(self, spread: Array, square: Array) -> Array:
        return np.asarray(spread + square)


@dataclass(frozen=True)
class Adam(Adaptive):
    """v = beta2 v + (1 - beta2) difference^2."""

    beta2: float

    def second(self, spread: Array, square: Array) -> Array:
        return np.asarray(self.beta2 * spread + (1 - self.beta2) * square)


@dataclass(frozen=True)
class Yogi(Adaptive):
    """v = v - (1 - beta2) difference^2 sign(v - difference^2)."""

    beta2: float

    def second(self, spread: Array, square: Array) -> Array:
        return np.asarray(spread - (1 - self.beta2) * square * np.sign(spread - square))


class Optimized(Delta):
    """Base plus the optimizer's step. If the step is 0, the base bit by bit."""

    def __init__(self, dtype: str, size: int, *, optimizer: Optimizer) -> None:
        super().__init__(dtype, size)
        self._optimizer = optimizer

    def moved(self, base: Array | None, before: Sequence[Array] | None) -> list[Array]:
        """Return the reduced values, and then each moment after the step, all in the file's dtype."""
        assert base is not None
        optimizer = self._optimizer
        made = [np.empty(self.size, DTYPES[self.dtype]) for _ in range(1 + optimizer.moments)]
        # A number that overflows is refused when the segment is complete.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, self.size, SLICE):
                part = slice(start, start + SLICE)
                difference = self._sum[part]
                if before is None:
                    moments = [np.full(difference.size, value) for value in optimizer.first()]
                else:
                    moments = [widen(each[part], self.dtype) for each in before]
                step, after = optimizer.step(difference, moments)
                moved = narrow(widen(base[part], self.dtype) + step, self.dtype)
                made[0][part] = np.where(step == 0, base[part], moved)
                for into, moment in zip(made[1:], after, strict=True):
                    into[part] = narrow(moment, self.dtype)
        return made

    def result(self, base: Array | None) -> Array:
        """Return the reduced values of a first step."""
        return self.moved(base, None)[0]
