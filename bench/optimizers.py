"""Compares FedAvg with server optimizers and FedNova where hospitals differ: `python -m bench.optimizers`.

The rows are those of the case `wisconsin-skewed` (bench/accuracy.py): five hospitals with very different numbers of
rows and shares of malignant cases. Each hospital trains a logistic regression by SGD in batches, so a hospital with
more rows makes more steps. numpy trains in this process, and the aggregation's own arithmetic combines the updates.

Each strategy has a grid of the same number of settings. Each split chooses the setting with the lowest log loss on rows
that it holds out of its own training rows. Then it trains on all its training rows, and measures test rows that decided
nothing. Asserts nothing. Prints a table, and JSON as its last line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean, stdev

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import accuracy
from lab import splits
from lab.splits import Array, Cases, Split, Truth
from wardround.aggregate import steps
from wardround.aggregate.strategies import Facts, FedAvg, strategy
from wardround.aggregate.weights import shares

ROUNDS, EPOCHS, BATCH, DECAY = 10, 5, 16, 0.003
LOCAL = ("0.03", "0.1", "0.3")
# Four settings of each strategy, which are tried with each local learning rate: twelve for each. FedAvg and FedNova
# have nothing to set at the server, so they try more local learning rates and decays instead.
SERVER: Mapping[str, Sequence[Mapping[str, str]]] = {
    "FedAvgM": [
        {"serverLearningRate": rate, "momentum": momentum}
        for rate, momentum in itertools.product(("0.5", "1"), ("0.5", "0.9"))
    ],
    "FedAdagrad": [
        {"serverLearningRate": rate, "beta1": "0", "tau": tau}
        for rate, tau in itertools.product(("0.1", "0.3"), ("0.001", "0.1"))
    ],
    "FedAdam": [
        {"serverLearningRate": rate, "beta1": "0.9", "beta2": "0.99", "tau": tau}
        for rate, tau in itertools.product(("0.1", "0.3"), ("0.001", "0.1"))
    ],
    "FedYogi": [
        {"serverLearningRate": rate, "beta1": "0.9", "beta2": "0.99", "tau": tau}
        for rate, tau in itertools.product(("0.1", "0.3"), ("0.001", "0.1"))
    ],
}
PLAIN = ("FedAvg", "FedNova")
PLAIN_RATES, PLAIN_DECAYS = ("0.03", "0.1", "0.3", "1"), (0.001, 0.003, 0.01)


@dataclass(frozen=True)
class Setting:
    """One try of a strategy. `rate`, `decay`: of the hospitals' SGD. `server`: parameters of the strategy."""

    rate: float
    decay: float
    server: Mapping[str, str]


def grid(name: str) -> list[Setting]:
    """Twelve settings of a strategy."""
    if name in PLAIN:
        return [Setting(float(rate), decay, {}) for rate, decay in itertools.product(PLAIN_RATES, PLAIN_DECAYS)]
    return [Setting(float(rate), DECAY, server) for rate, server in itertools.product(LOCAL, SERVER[name])]


NAMES = (*PLAIN, *SERVER)
Try = tuple[str, Setting]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    began, cases = time.monotonic(), accuracy.wisconsin()
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    drawn = accuracy.draw_splits(accuracy.SKEWED, cases.malignant, options.splits, options.seed)
    for number, split in enumerate(drawn):
        for name, result in chosen(cases, split, options.seed + number).items():
            measured[name].append(result)
        if (number + 1) % 10 == 0:
            accuracy.say(f"{number + 1} of {options.splits} splits: {time.monotonic() - began:.0f} s")
    first = [loss for _, loss in measured["FedAvg"]]
    table = Table(title=f"{accuracy.SKEWED}, {ROUNDS} rounds of {EPOCHS} epochs, {options.splits} splits")
    for column in ("strategy", "accuracy (sd)", "log loss (sd)", "log loss minus FedAvg's, ± standard error"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    rows: dict[str, dict[str, float]] = {}
    for name, results in measured.items():
        right, losses = [100 * each for each, _ in results], [each for _, each in results]
        apart = [one - other for one, other in zip(losses, first, strict=True)]
        error = stdev(apart) / len(apart) ** 0.5
        rows[name] = {"accuracy": fmean(right), "sd": stdev(right), "loss": fmean(losses), "difference": fmean(apart)}
        table.add_row(
            name,
            f"{fmean(right):.1f} ({stdev(right):.1f})",
            f"{fmean(losses):.4f} ({stdev(losses):.4f})",
            f"{fmean(apart):+.4f} ± {error:.4f}",
        )
    Console(width=110).print(table)
    print(json.dumps({"splits": options.splits, "seconds": round(time.monotonic() - began), "strategies": rows}))


def chosen(cases: Cases, split: Split, seed: int) -> dict[str, tuple[float, float]]:
    """Accuracy and log loss of each strategy on the test rows, with the setting that is best on held-out training
    rows."""
    tries = [(name, setting) for name in NAMES for setting in grid(name)]
    losses = [loss for _, loss in measure(cases, held_out(cases.malignant, split, seed), tries, seed)]
    ranked = sorted(zip(losses, range(len(tries)), strict=True), reverse=True)
    best = {tries[place][0]: tries[place] for _, place in ranked}
    return dict(zip(best, measure(cases, split, list(best.values()), seed), strict=True))


def held_out(malignant: Truth, split: Split, seed: int) -> Split:
    """A split of the training rows alone."""
    draw, train, test = np.random.default_rng(seed), {}, []
    for name, own in split.train.items():
        train[name], kept = splits.stratified(malignant, own, draw)
        test.append(kept)
    return Split(train, np.concatenate(test))


def measure(cases: Cases, split: Split, tries: Sequence[Try], seed: int) -> list[tuple[float, float]]:
    """Accuracy and log loss of each try on the test rows."""
    truth = cases.malignant[split.test]
    measured = []
    for probabilities in trained(cases, split, tries, seed):
        clipped = np.clip(np.where(truth, probabilities, 1 - probabilities), 1e-6, 1)
        measured.append((float(np.mean((probabilities >= 0.5) == truth)), float(-np.log(clipped).mean())))
    return measured


def trained(cases: Cases, split: Split, tries: Sequence[Try], seed: int) -> Array:
    """Probabilities of the test rows after all rounds, of shape (tries, rows). The tries train side by side on the same
    batches, because numpy then does in one call what it would do in many."""
    rows = np.concatenate([cases.values[each] for each in split.train.values()])
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    inputs = {each: (cases.values[own] - mean) / std for each, own in split.train.items()}
    counts = [len(own) for own in split.train.values()]
    local = steps.counted([EPOCHS * -(-count // BATCH) for count in counts])
    facts = Facts([float(each) for each in shares(counts, counts, Fraction(1))], [1.0] * len(counts), None, local)
    models = np.zeros((len(tries), rows.shape[1] + 1), "<f4")
    moments: list[list[Array]] = [[] for _ in tries]
    for number in range(ROUNDS):
        differences = [
            _trained(models, inputs[each], cases.malignant[own], tries, seed + number) - models
            for each, own in split.train.items()
        ]
        for place, (name, setting) in enumerate(tries):
            # The first round sends weights, so it is FedAvg with every strategy. The first weights are zero.
            used = strategy(name, setting.server) if number else FedAvg()
            rule = used.rules()["Delta"]("F32", models.shape[1])
            rule.add([each[place] for each in differences], used.weights(facts))
            models[place], *moments[place] = rule.moved(models[place], moments[place] or None)
    return probability(models, (cases.values[split.test] - mean) / std)


def _trained(models: Array, inputs: Array, target: Truth, tries: Sequence[Try], seed: int) -> Array:
    """The weights of one hospital after EPOCHS of SGD, for each try."""
    dice, moved = np.random.default_rng(seed), models.astype(np.float64)
    rates = np.array([[setting.rate] for _, setting in tries])
    decays = np.array([[setting.decay] for _, setting in tries])
    for _ in range(EPOCHS):
        order = dice.permutation(len(target))
        for start in range(0, len(target), BATCH):
            batch = order[start : start + BATCH]
            error = probability(moved, inputs[batch]) - target[batch]
            gradient = np.column_stack([error @ inputs[batch], error.sum(axis=1)]) / len(batch)
            gradient[:, :-1] += decays * moved[:, :-1]
            moved -= rates * gradient
    return moved.astype("<f4")


def probability(models: Array, inputs: Array) -> Array:
    """The probabilities of logistic regressions whose last weight is the bias, of shape (models, rows)."""
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-(models[:, :-1] @ inputs.T + models[:, -1:])))
    return result


if __name__ == "__main__":
    main()
