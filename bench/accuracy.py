"""Measures the accuracy of a federated model beside a pooled and local models: `python -m bench.accuracy --case NAME`.

Each split draws test rows anew, and deals the other rows to the hospitals. The federated and the pooled model, and the
hospitals' own except in wisconsin-small, train for equally many epochs with the parameters of the demo, which nobody
has tuned. All are tried on the same test rows. Prints a table, and JSON as its last line. Asserts nothing.

Wisconsin breast cancer data: 569 cases of W. H. Wolberg, W. N. Street and O. L. Mangasarian, 1995, as scikit-learn
ships them. `bench/accuracy_mixed.py` has the data of `mixed`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import accuracy_mixed
from lab import demo_data, demo_splits, splits
from lab.demo_splits import EVERYBODY
from lab.splits import POOLED, TOGETHER, Array, Cases, Indices, Split, Truth

SMALL, SKEWED, MIXED = "wisconsin-small", "wisconsin-skewed", "mixed"
CASES = {
    "wisconsin": "5 hospitals with equal shares of the training rows",
    SKEWED: "5 hospitals with shares of each class from a Dirichlet distribution (0.5)",
    SMALL: "the demo's hospitals; local: each hospital's own tuned and corrected model",
    MIXED: "diabetes patients of 5 hospitals, each with its own columns, units and spellings of one DataSchema",
}
HOSPITALS = 5
CONCENTRATION = 0.5
# Shares are drawn again until each hospital has so many rows: with fewer it could not train.
FEWEST_ROWS = 10
# The clinic of the demo, with 12 % of the cases.
CLINIC = demo_data.HOSPITALS[-1].name

Result = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", required=True, choices=sorted(CASES))
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    began = time.monotonic()
    if options.case == SMALL:
        measured = demo_splits.measure(say, options.splits, options.seed, pooled=True)
        on_all = [{model: value for (model, who), value in each.items() if who == EVERYBODY} for each in measured]
        comparison = demo_splits.compare(measured)
        Console().print(demo_splits.table(comparison))
        further = {"clinic": demo_splits.document(comparison)["gain"][CLINIC]}
    else:
        mixed = options.case == MIXED
        cases = accuracy_mixed.cases() if mixed else wisconsin()
        layout = accuracy_mixed.layout() if mixed else None
        drawn = list(draw_splits(options.case, cases.malignant, options.splits, options.seed))
        predicted = splits.predictions(cases, drawn, say, layout=layout)
        on_all = [accuracies(cases, split, each) for split, each in zip(drawn, predicted, strict=True)]
        further = {}
    result = summary(on_all)
    show(options.case, result, time.monotonic() - began)
    print(json.dumps({"case": options.case, **result, **further}))


def accuracies(cases: Cases, split: Split, predicted: Mapping[str, Array]) -> dict[str, float]:
    """Each model's accuracy on the test rows."""
    truth = cases.malignant[split.test]
    return {model: float(np.mean((each >= 0.5) == truth)) for model, each in predicted.items()}


def summary(measured: Sequence[Mapping[str, float]]) -> Result:
    """Mean, standard deviation and number of splits of each kind of model, in percent."""
    local = [[value for model, value in each.items() if model not in (TOGETHER, POOLED)] for each in measured]
    values = {
        "federated": [each[TOGETHER] for each in measured],
        "pooled": [each[POOLED] for each in measured],
        "local": [fmean(each) for each in local],
        "local_worst": [min(each) for each in local],
    }
    return {
        name: {
            "mean": round(100 * fmean(each), 3),
            "sd": round(100 * stdev(each), 3) if len(each) > 1 else 0.0,
            "n": len(each),
        }
        for name, each in values.items()
    }


def show(case: str, result: Result, seconds: float) -> None:
    table = Table(title=f"{case}: {CASES[case]}", caption=f"{seconds:.0f} s")
    for name in ("model", "accuracy on test rows", "sd", "splits"):
        table.add_column(name, justify="left" if name == "model" else "right")
    words = {
        "federated": "federated",
        "pooled": "pooled: all training rows",
        "local": "local, mean of the hospitals",
        "local_worst": "local, worst hospital",
    }
    for model, text in words.items():
        numbers = result[model]
        table.add_row(text, f"{numbers['mean']:.2f} %", f"{numbers['sd']:.2f}", str(numbers["n"]))
    Console().print(table)


def wisconsin() -> Cases:
    from sklearn.datasets import load_breast_cancer  # slow to import

    bunch = load_breast_cancer()
    header = ["patient_id", "malignant", *map(demo_data.column_name, bunch.feature_names)]
    malignant = bunch.target == 0
    rows = [
        [f"case-{number:04}", str(int(positive)), *(f"{value:g}" for value in values)]
        for number, (positive, values) in enumerate(zip(malignant, bunch.data, strict=True))
    ]
    return Cases(header, rows, malignant)


def draw_splits(case: str, malignant: Truth, number: int, seed: int) -> Iterator[Split]:
    draw = np.random.default_rng(seed)
    for _ in range(number):
        train, test = splits.stratified(malignant, np.arange(len(malignant)), draw)
        dealt = deal(case, train, malignant, draw)
        yield Split({f"hospital-{place}": chosen for place, chosen in enumerate(dealt, 1)}, test)


def deal(case: str, train: Indices, malignant: Truth, draw: np.random.Generator) -> Iterator[Indices]:
    """The training rows of each hospital."""
    if case != SKEWED:
        yield from np.array_split(train, HOSPITALS)
        return
    while True:
        parts: list[list[Indices]] = [[] for _ in range(HOSPITALS)]
        for truth in (True, False):
            own = train[malignant[train] == truth]
            shares = draw.dirichlet([CONCENTRATION] * HOSPITALS)
            cuts = np.round(np.cumsum(shares)[:-1] * len(own)).astype(int)
            for part, chosen in zip(parts, np.split(own, cuts), strict=True):
                part.append(chosen)
        dealt = [draw.permutation(np.concatenate(each)) for each in parts]
        if min(map(len, dealt)) >= FEWEST_ROWS:
            yield from dealt
            return


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
