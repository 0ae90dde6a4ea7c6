"""Measures wisconsin-skewed if each split chooses its own parameters: `python -m bench.choice --splits 100`.

Each split compares candidates by the log loss on rows that it holds out of its own training rows, so its test rows
decide nothing. The rounds are computed in numpy with the batches and the initial weights of the built-in trainer: real
rounds would take hours for so many candidates. Also prints the accuracy with the parameters of RECIPES in
`bench/accuracy.py` and with those of the demo, to compare this copy with real rounds. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import accuracy
from lab import splits
from lab.splits import Indices, Split, Truth
from wardround_trainer.batches import batches
from wardround_trainer.network import initial

Floats = npt.NDArray[np.floating[Any]]
Weights = tuple[Floats, ...]

# The demo's values: widths of the hidden layers, rows of a batch, seed of the initial weights.
HIDDEN, BATCH, SEED = (16,), 16, 7
EPOCHS = 5
TENSORS = ("hidden.0.weight", "hidden.0.bias", "output.weight", "output.bias")


@dataclass(frozen=True)
class Candidate:
    """Parameters of the rounds. Each has EPOCHS epochs. `momentum`: of SGD; None for Adam."""

    rounds: int
    rate: float
    decay: float
    momentum: float | None = 0.9


DEMO = Candidate(5, 0.003, 0.0, None)
RECIPE = Candidate(10, 0.2, 0.003)
CANDIDATES = (
    DEMO,
    *(Candidate(10, rate, decay) for rate, decay in product((0.05, 0.1, 0.2, 0.4), (0.0, 0.001, 0.003, 0.01, 0.03))),
)


class Cases:
    """The patients of the case. `values`: of shape (patients, features). `labels`: 0 or 1, of shape (patients,)."""

    def __init__(self) -> None:
        cases = accuracy.wisconsin()
        self.values: Floats = cases.values.astype(np.float32)
        self.malignant: Truth = cases.malignant
        self.labels: Floats = cases.malignant.astype(np.float32)

    def loss(self, odds: Callable[[Indices], Floats], rows: Indices) -> float:
        """The mean log loss."""
        return float(np.mean(np.logaddexp(0, odds(rows)) - odds(rows) * self.labels[rows]))

    def accuracy(self, odds: Callable[[Indices], Floats], rows: Indices) -> float:
        """In percent."""
        return float(100 * np.mean((odds(rows) > 0) == self.malignant[rows]))

    def federated(self, train: Mapping[str, Indices], candidate: Candidate, seed: int) -> Callable[[Indices], Floats]:
        """Train with all hospitals. Return the model: log odds of rows. `seed`: of the order of rows."""
        everybody = np.concatenate(list(train.values()))
        mean, deviation = self.values[everybody].mean(0), self.values[everybody].std(0)
        values: Floats = ((self.values - mean) / deviation).astype(np.float32)
        positives = float(self.labels[everybody].sum())
        tensors = initial(values.shape[1], HIDDEN, SEED, None)
        bias = math.log((positives + 1) / (len(everybody) - positives + 1))
        weights: Weights = (*(tensors[name] for name in TENSORS[:-1]), np.array([bias], np.float32))
        for _ in range(candidate.rounds):
            updates = [
                (len(rows), trained(weights, values[rows], self.labels[rows], candidate, [seed, place]))
                for place, rows in enumerate(train.values())
            ]
            weights = tuple(
                np.sum([rows / len(everybody) * each[place] for rows, each in updates], axis=0, dtype=np.float32)
                for place in range(len(weights))
            )
        return lambda rows: forward(weights, values[rows])[1]


def forward(weights: Weights, values: Floats) -> tuple[Floats, Floats]:
    """The hidden layer and the log odds."""
    hidden = np.maximum(values @ weights[0].T + weights[1], 0)
    odds: Floats = hidden @ weights[2][0] + weights[3][0]
    return hidden, odds


def gradients(weights: Weights, values: Floats, labels: Floats) -> Weights:
    """The gradients of the mean log loss of a batch."""
    hidden, odds = forward(weights, values)
    error = ((1 + np.tanh(odds / 2)) / 2 - labels) / np.float32(len(labels))
    inner: Floats = (error[:, None] * weights[2]) * (hidden > 0)
    return inner.T @ values, inner.sum(0), (error @ hidden)[None], np.array([error.sum()], np.float32)


def trained(weights: Weights, values: Floats, labels: Floats, candidate: Candidate, seed: list[int]) -> Weights:
    """The weights after EPOCHS epochs at one hospital, as torch's SGD and Adam change them."""
    weights = tuple(each.copy() for each in weights)
    first, second = ([np.zeros_like(each) for each in weights] for _ in range(2))
    rate, per_epoch = np.float32(candidate.rate), max(1, len(values) // BATCH)
    order = int(np.random.SeedSequence(seed).generate_state(1)[0])
    for step, batch in enumerate(batches(len(values), per_epoch, order, 0, per_epoch * EPOCHS), 1):
        made = gradients(weights, values[batch], labels[batch])
        for place, (weight, gradient) in enumerate(zip(weights, made, strict=True)):
            decayed = gradient + np.float32(candidate.decay) * weight
            if candidate.momentum is not None:
                first[place] = np.float32(candidate.momentum) * first[place] + decayed
                weight -= rate * first[place]
            else:
                first[place] = np.float32(0.9) * first[place] + np.float32(0.1) * decayed
                second[place] = np.float32(0.999) * second[place] + np.float32(0.001) * np.square(decayed)
                root = np.sqrt(second[place] / np.float32(1 - 0.999**step)) + np.float32(1e-8)
                weight -= rate / np.float32(1 - 0.9**step) * first[place] / root
    return weights


def chosen(cases: Cases, split: Split, seed: int) -> Candidate:
    """The candidate with the lowest log loss on rows that are held out of the training rows of each hospital."""
    draw = np.random.default_rng(seed)
    divided = {name: splits.stratified(cases.malignant, rows, draw) for name, rows in split.train.items()}
    train = {name: kept for name, (kept, _) in divided.items()}
    held_out = np.concatenate([out for _, out in divided.values()])
    losses = {each: cases.loss(cases.federated(train, each, seed), held_out) for each in CANDIDATES}
    return min(losses, key=losses.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    cases = Cases()
    results: dict[str, list[float]] = {"chosen": [], "recipe": [], "demo": []}
    choices: Counter[Candidate] = Counter()
    drawn = accuracy.draw_splits(accuracy.SKEWED, cases.malignant, options.splits, options.seed)
    for number, split in enumerate(drawn):
        choice = chosen(cases, split, options.seed + 1 + number)
        choices[choice] += 1
        for name, candidate in (("chosen", choice), ("recipe", RECIPE), ("demo", DEMO)):
            results[name].append(cases.accuracy(cases.federated(split.train, candidate, number), split.test))
        print(f"split {number + 1} of {options.splits}", file=sys.stderr)
    for candidate, count in choices.most_common():
        print(f"{count:4} splits chose {candidate}")
    spread = {
        name: {"mean": round(fmean(each), 4), "sd": round(stdev(each), 4) if len(each) > 1 else 0.0, "n": len(each)}
        for name, each in results.items()
    }
    print(json.dumps({"case": accuracy.SKEWED, **spread}))


if __name__ == "__main__":
    main()
