"""Compares models of rounds with and without compressed updates: `python -m bench.compression --case wisconsin-skewed`.

Each hospital trains a network with one hidden layer by SGD with momentum, in numpy with the batches and the initial
weights of the built-in trainer. The updates are packed, read and combined by the code of `check` and the aggregation.
All compressions of a split have the same rows, batches and initial weights, so their differences are those of the
rounding. Nobody has tuned the parameters. Asserts nothing. Prints two tables, and JSON as its last line.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import accuracy
from bench.choice import SEED, TENSORS, Candidate, Floats, Weights, forward, trained
from lab.splits import Cases, Split
from wardround.aggregate.rules import RULES
from wardround.compression import BLOCK, Expansion, is_packed, pack, sent_length, unpack
from wardround.tensors import Layout, Tensor, canonical_layout
from wardround.wire.compression import NONE, Compression

COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
CASES = (accuracy.SKEWED, accuracy.DIABETES)
HIDDEN = (64,)
ROUNDS = Candidate(10, 0.05, 0.003)
# A model of 25.6 million float32 in 267 tensors: as many as a ResNet-50 has.
LARGE = [Tensor(f"tensor-{number:03}", "F32", (95_881,)) for number in range(267)]
Measured = tuple[float, float, Floats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, default=accuracy.SKEWED)
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    began = time.monotonic()
    drawn = accuracy.draw(options.case, options.splits, options.seed)
    measured: dict[Compression, list[Measured]] = {name: [] for name in COMPRESSIONS}
    for number, split in enumerate(drawn.splits):
        for name in COMPRESSIONS:
            measured[name].append(measure(drawn.cases, split, name, options.seed + number))
    rows = {name: summary(results, measured[NONE]) for name, results in measured.items()}
    show(f"{options.case}, {ROUNDS.rounds} rounds of 5 epochs, {options.splits} splits", rows)
    sizes = {name: large(name) for name in COMPRESSIONS}
    show("an update of 25.6 million float32 numbers (one thread)", sizes)
    seconds = round(time.monotonic() - began)
    print(json.dumps({"case": options.case, "splits": options.splits, "seconds": seconds, **rows, "large": sizes}))


def measure(cases: Cases, split: Split, compression: Compression, seed: int) -> Measured:
    """Accuracy in percent, mean log loss, and the probabilities of the test rows."""
    from wardround_trainer.network import initial

    everybody = np.concatenate(list(split.train.values()))
    mean, deviation = cases.values[everybody].mean(0), cases.values[everybody].std(0)
    values: Floats = ((cases.values - mean) / deviation).astype(np.float32)
    labels = cases.malignant.astype(np.float32)
    tensors = initial(values.shape[1], HIDDEN, SEED, None)
    positives = float(labels[everybody].sum())
    bias = math.log((positives + 1) / (len(everybody) - positives + 1))
    weights: Weights = (*(tensors[name] for name in TENSORS[:-1]), np.array([bias], np.float32))
    shares = [len(rows) / len(everybody) for rows in split.train.values()]
    for number in range(ROUNDS.rounds):
        updates = [
            trained(weights, values[rows], labels[rows], ROUNDS, [seed, number, place])
            for place, rows in enumerate(split.train.values())
        ]
        # The first round sends weights, which nobody compresses.
        weights = combined(weights, updates, shares, compression if number else NONE)
    odds = forward(weights, values[split.test])[1].astype(np.float64)
    truth = cases.malignant[split.test]
    loss = float(np.mean(np.logaddexp(0, np.where(truth, -odds, odds))))
    return float(100 * np.mean((odds > 0) == truth)), loss, 1 / (1 + np.exp(-odds))


def combined(base: Weights, updates: Sequence[Weights], shares: Sequence[float], compression: Compression) -> Weights:
    """FedAvg over the differences that the aggregation reads."""
    made = []
    for place, old in enumerate(base):
        rule = RULES["Delta"]("F32", old.size)
        tensor = Tensor(TENSORS[place], "F32", old.shape)
        differences = [(each[place] - old).astype("<f4").ravel() for each in updates]
        if is_packed(tensor, compression, ()):
            differences = [unpack(pack(each, "F32", compression), "F32", compression) for each in differences]
        rule.add(differences, shares)
        made.append(rule.result(old.ravel()).reshape(old.shape))
    return tuple(made)


def summary(results: Sequence[Measured], plain: Sequence[Measured]) -> dict[str, str]:
    """Means (standard deviations), and differences from the same splits without compression, with standard errors."""
    right, losses = [each for each, _, _ in results], [each for _, each, _ in results]
    pairs = list(zip(results, plain, strict=True))
    apart = [one[0] - other[0] for one, other in pairs]
    losses_apart = [one[1] - other[1] for one, other in pairs]
    furthest = max(float(np.abs(one[2] - other[2]).max()) for one, other in pairs)
    return {
        "accuracy in percent (sd)": f"{fmean(right):.2f} ({stdev(right):.2f})",
        "minus None, ± standard error": _paired(apart, 2),
        "log loss (sd)": f"{fmean(losses):.4f} ({stdev(losses):.4f})",
        "log loss minus None, ± standard error": _paired(losses_apart, 5),
        "largest change of a probability": f"{furthest:.5f}",
    }


def _paired(differences: Sequence[float], digits: int) -> str:
    error = stdev(differences) / len(differences) ** 0.5
    return f"{fmean(differences):+.{digits}f} ± {error:.{digits}f}"


def large(compression: Compression) -> dict[str, str]:
    """Bytes of the update of a large model, and how fast `check` packs it and the aggregation expands it."""
    layout = canonical_layout(LARGE)
    sent = sent_length(layout, compression, ())
    row = {"bytes": f"{sent:,}", "share": f"{sent / layout.length:.3f}"}
    if compression == NONE:
        return {**row, "packed in": "", "expanded in": ""}
    values = np.random.default_rng(1).normal(size=LARGE[0].shape[0]).astype("<f4") * np.float32(1e-3)
    began = time.perf_counter()
    packed = [pack(values, "F32", compression) for _ in LARGE]
    packing, began = time.perf_counter() - began, time.perf_counter()
    return {**row, "packed in": f"{packing:.1f} s", "expanded in": f"{_expanded(layout, compression, packed):.1f} s"}


def _expanded(layout: Layout, compression: Compression, packed: Sequence[bytes]) -> float:
    """Seconds to expand a file that arrives in segments of 1 MiB."""
    file = layout.header + b"".join(packed)
    began, expansion = time.perf_counter(), Expansion(layout, compression, ())
    for start in range(0, len(file), BLOCK * BLOCK):
        for _ in expansion.feed(file[start : start + BLOCK * BLOCK]):
            pass
    assert expansion.complete
    return time.perf_counter() - began


def show(title: str, rows: Mapping[Compression, Mapping[str, str]]) -> None:
    table = Table(title=title)
    table.add_column("compression")
    for column in rows[NONE]:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *row.values())
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
