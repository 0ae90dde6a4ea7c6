"""Measures a federated model beside a pooled and local models: `python -m bench.accuracy --case NAME`.

Each split draws test rows anew, and the other rows are the hospitals' training rows. All models are tried on the same
test rows. Without a recipe in RECIPES, the federated and the pooled model, and the hospitals' own except in
wisconsin-small, train for equally many epochs with the parameters of the demo, which nobody has tuned. `--choose`
compares recipes by the log loss on rows that are held out of the training rows of other splits. Prints tables, and JSON
as its last line. Asserts nothing.

Wisconsin breast cancer data: 569 cases of W. H. Wolberg, W. N. Street and O. L. Mangasarian, 1995, as scikit-learn
ships them. `bench/accuracy_mixed.py` and `bench/accuracy_diabetes.py` have the data of the cases of these names.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import accuracy_diabetes, accuracy_mixed
from lab import demo_data, demo_splits, splits
from lab.demo_splits import EVERYBODY
from lab.splits import POOLED, TOGETHER, Array, Cases, Indices, Layout, Recipe, Split, Truth

SMALL, SKEWED, MIXED, DIABETES = "wisconsin-small", "wisconsin-skewed", "mixed", "diabetes"
CASES = {
    "wisconsin": "5 hospitals with equal shares of the training rows",
    SKEWED: "5 hospitals with shares of each class from a Dirichlet distribution (0.5)",
    SMALL: "the demo's hospitals; local: each hospital's own tuned and corrected model",
    MIXED: "women of 4 real centres, each with its own columns, units and categories of one DataSchema",
    DIABETES: "diabetes patients dealt to 5 hospitals, each with its own columns, units and categories",
}
HOSPITALS = 5
CONCENTRATION = 0.5
# Shares are drawn again until each hospital has so many rows: with fewer it could not train.
FEWEST_ROWS = 10
# The clinic of the demo, with 12 % of the cases.
CLINIC = demo_data.HOSPITALS[-1].name
METRICS = ("accuracy", "loss", "auc")
# Probabilities are clipped, as Wardround clips them.
CLIP = 1e-6
# The candidates with the lowest log loss on rows that are held out of the training rows of other splits. The federated
# and the pooled model each have their own choice. Hospitals alone train as the demo does.
RECIPES = {
    SKEWED: {
        TOGETHER: Recipe(
            10, {"optimizer": "SGD", "momentum": "0.9", "learningRate": "0.2", "weightDecay": "0.003", "epochs": "5"}
        ),
        POOLED: Recipe(1, {"learningRate": "0.003", "weightDecay": "0.003", "epochs": "25"}),
    }
}
ADAM: dict[str, str] = {"optimizer": "Adam"}
SGD = {"optimizer": "SGD", "momentum": "0.9"}
# Rounds, epochs a round, and parameters. Other models than the federated train for all epochs in one round.
CANDIDATES: tuple[tuple[int, int, dict[str, str]], ...] = (
    (5, 5, {**ADAM, "learningRate": "0.003", "weightDecay": "0"}),
    (5, 5, {**ADAM, "learningRate": "0.003", "weightDecay": "0.003"}),
    (5, 5, {**ADAM, "learningRate": "0.02", "weightDecay": "0.003", "optimizerState": "keep"}),
    (10, 5, {**ADAM, "learningRate": "0.01", "weightDecay": "0.003", "optimizerState": "keep"}),
    (20, 5, {**ADAM, "learningRate": "0.003", "weightDecay": "0.01"}),
    (10, 5, {**SGD, "learningRate": "0.1", "weightDecay": "0.01"}),
    (10, 5, {**SGD, "learningRate": "0.2", "weightDecay": "0.01"}),
    (10, 5, {**SGD, "learningRate": "0.2", "weightDecay": "0.003"}),
)

Result = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Drawn:
    """The patients and splits of a case. `layout`: None for files as they are. `hospital`: each row's, or None if rows
    belong to no hospital before they are dealt."""

    cases: Cases
    splits: Sequence[Split]
    layout: Layout | None = None
    hospital: np.typing.NDArray[np.str_] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", required=True, choices=sorted(CASES))
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--choose", action="store_true", help="compare the candidates of RECIPES on other splits")
    options = parser.parse_args()
    began = time.monotonic()
    if options.choose:
        choose(options.case, options.splits, options.seed + 1)
        return
    further = {}
    if options.case == SMALL:
        measured = demo_splits.measure(say, options.splits, options.seed, pooled=True)
        on_all: list[dict[str, dict[str, float]]] = [
            {model: {"accuracy": value} for (model, patients), value in each.items() if patients == EVERYBODY}
            for each in measured
        ]
        comparison = demo_splits.compare(measured)
        Console().print(demo_splits.table(comparison))
        further = {"clinic": demo_splits.document(comparison)["gain"][CLINIC]}
    else:
        drawn = draw(options.case, options.splits, options.seed)
        on_all = measure(drawn, RECIPES.get(options.case, {}))
    results = {name: summary(on_all, name) for name in METRICS if name in on_all[0][TOGETHER]}
    show(options.case, results, time.monotonic() - began)
    others = {name: result for name, result in results.items() if name != "accuracy"}
    print(json.dumps({"case": options.case, **results["accuracy"], **others, **further}))


def draw(case: str, number: int, seed: int) -> Drawn:
    """So many splits of a case."""
    if case == MIXED:
        cases, centres = accuracy_mixed.cases(accuracy_mixed.published())
        drawn = accuracy_mixed.draw_splits(cases.malignant, centres, number, seed)
        return Drawn(cases, list(drawn), accuracy_mixed.layout(), centres)
    diabetes = case == DIABETES
    cases = accuracy_diabetes.cases() if diabetes else wisconsin()
    layout = accuracy_diabetes.layout() if diabetes else None
    return Drawn(cases, list(draw_splits(case, cases.malignant, number, seed)), layout)


def measure(drawn: Drawn, recipes: Mapping[str, Recipe], *, alone: bool = True) -> list[dict[str, dict[str, float]]]:
    """For each split, each model's metrics on the test rows. `alone`: also of hospitals that train alone."""
    predicted = splits.predictions(drawn.cases, drawn.splits, say, alone=alone, layout=drawn.layout, recipes=recipes)
    return [
        {model: metrics(drawn, split, probabilities) for model, probabilities in each.items()}
        for split, each in zip(drawn.splits, predicted, strict=True)
    ]


def metrics(drawn: Drawn, split: Split, probabilities: Array) -> dict[str, float]:
    """Accuracy, mean log loss, and AUC of pairs within a hospital if the rows have hospitals."""
    truth = drawn.cases.malignant[split.test]
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    where = np.zeros(len(truth)) if drawn.hospital is None else drawn.hospital[split.test]
    return {
        "accuracy": float(np.mean((probabilities >= 0.5) == truth)),
        "loss": float(-np.mean(np.where(truth, np.log(clipped), np.log(1 - clipped)))),
        "auc": auc(truth, probabilities, where),
    }


def auc(truth: Truth, probabilities: Array, hospital: np.typing.NDArray[np.generic]) -> float:
    """The share of pairs of a positive and a negative row of one hospital that are in order. Equal ones count half."""
    pairs, in_order = 0, 0.0
    for each in np.unique(hospital):
        positive, negative = (probabilities[(hospital == each) & (truth == value)] for value in (True, False))
        difference = positive[:, None] - negative[None, :]
        pairs += difference.size
        in_order += float(np.sum(difference > 0) + np.sum(difference == 0) / 2)
    return in_order / pairs


def choose(case: str, number: int, seed: int) -> None:
    """Compare the candidates by log loss. The test rows of these splits are left out: rows that are held out of the
    training rows of each hospital take their place."""
    drawn = draw(case, number, seed)
    held_out = [_inner(drawn.cases.malignant, split, seed) for split in drawn.splits]
    drawn = Drawn(drawn.cases, held_out, drawn.layout, drawn.hospital)
    table = Table(title=f"{case}: mean log loss on rows held out of the training rows, {number} other splits")
    for name in ("rounds", "epochs a round", "parameters", "federated", "pooled"):
        table.add_column(name, justify="left" if name == "parameters" else "right")
    for rounds, epochs, parameters in CANDIDATES:
        shared = Recipe(rounds, {**parameters, "epochs": str(epochs)})
        one = Recipe(1, {**parameters, "epochs": str(rounds * epochs)})
        measured = measure(drawn, {TOGETHER: shared, POOLED: one}, alone=False)
        losses = [f"{fmean(each[model]['loss'] for each in measured):.4f}" for model in (TOGETHER, POOLED)]
        words = ", ".join(f"{name} {value}" for name, value in parameters.items())
        say(f"{rounds} x {epochs}, {words}: {', '.join(losses)}")
        table.add_row(str(rounds), str(epochs), words, *losses)
    Console().print(table)


def _inner(malignant: Truth, split: Split, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    train, test = {}, []
    for name, own in split.train.items():
        train[name], held_out = splits.stratified(malignant, own, draw)
        test.append(held_out)
    return Split(train, np.concatenate(test))


def summary(measured: Sequence[Mapping[str, Mapping[str, float]]], metric: str) -> Result:
    """Mean, standard deviation and number of splits of each kind of model. Accuracies are in percent."""
    scale, worst = (100, min) if metric == "accuracy" else (1, max if metric == "loss" else min)
    local = [
        [numbers[metric] for model, numbers in each.items() if model not in (TOGETHER, POOLED)] for each in measured
    ]
    values = {
        "federated": [each[TOGETHER][metric] for each in measured],
        "pooled": [each[POOLED][metric] for each in measured],
        "local": [fmean(each) for each in local],
        "local_worst": [worst(each) for each in local],
    }
    return {
        name: {
            "mean": round(scale * fmean(each), 4),
            "sd": round(scale * stdev(each), 4) if len(each) > 1 else 0.0,
            "n": len(each),
        }
        for name, each in values.items()
    }


def show(case: str, results: Mapping[str, Result], seconds: float) -> None:
    table = Table(title=f"{case}: {CASES[case]}", caption=f"mean (sd) on test rows; {seconds:.0f} s")
    for name in ("model", *results, "splits"):
        table.add_column(name, justify="left" if name == "model" else "right")
    words = {
        "federated": "federated",
        "pooled": "pooled: all training rows",
        "local": "local, mean of the hospitals",
        "local_worst": "local, worst hospital",
    }
    for model, text in words.items():
        cells = []
        for metric, result in results.items():
            digits, unit = (2, " %") if metric == "accuracy" else (4, "")
            numbers = result[model]
            cells.append(f"{numbers['mean']:.{digits}f}{unit} ({numbers['sd']:.{digits}f})")
        table.add_row(text, *cells, str(results["accuracy"][model]["n"]))
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
