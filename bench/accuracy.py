"""Measures the accuracy of a federated model beside a pooled and local models: `python -m bench.accuracy --case NAME`.

Each split draws test rows anew, and deals the other rows to the hospitals. All models train for equally many epochs
with the parameters of the demo, which nobody has tuned, and are tried on the same test rows. `bench/accuracy_inside.py`
simulates the rounds inside the trainer image, where torch is. Prints a table, and JSON as its last line. Asserts
nothing.

Wisconsin breast cancer data: 569 cases of W. H. Wolberg, W. N. Street and O. L. Mangasarian, 1995, as scikit-learn
ships them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from lab import demo_data, demo_rounds, trainer_python

CASES = {
    "wisconsin": "5 hospitals with equal shares of the training rows",
    "wisconsin-skewed": "5 hospitals with shares of each class from a Dirichlet distribution (0.5)",
}
HOSPITALS = 5
TEST_SHARE = 0.2
CONCENTRATION = 0.5
# Shares are drawn again until each hospital has so many rows: with fewer it could not train.
FEWEST_ROWS = 10
MODELS = ("federated", "pooled", "local", "local_worst")

Indices = npt.NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", required=True, choices=sorted(CASES))
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_splits(folder / "splits", options.case, options.splits, options.seed)
        (folder / "rounds.json").write_text(json.dumps(rounds()), "utf-8")
        folder.chmod(0o755)
        arguments = [f"{trainer_python.GIVEN}/rounds.json", f"{trainer_python.GIVEN}/splits"]
        output = trainer_python.run("bench.accuracy_inside", arguments, folder, ("bench",), say)
    splits = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    result = summary(splits)
    show(options.case, result, time.monotonic() - began)
    print(json.dumps({"case": options.case, **result}))


def summary(splits: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and number of splits of each model's accuracy in percent."""
    values = {
        "federated": [each["federated"] for each in splits],
        "pooled": [each["pooled"] for each in splits],
        "local": [fmean(each["local"]) for each in splits],
        "local_worst": [min(each["local"]) for each in splits],
    }
    return {
        name: {
            "mean": round(100 * fmean(accuracies), 3),
            "sd": round(100 * stdev(accuracies), 3) if len(accuracies) > 1 else 0.0,
            "n": len(accuracies),
        }
        for name, accuracies in values.items()
    }


def show(case: str, result: dict[str, dict[str, float]], seconds: float) -> None:
    table = Table(title=f"{case}: {CASES[case]}", caption=f"{seconds:.0f} s")
    for name in ("model", "accuracy on test rows", "sd", "splits"):
        table.add_column(name, justify="left" if name == "model" else "right")
    words = ("federated", "pooled: all training rows", "local, mean of the hospitals", "local, worst hospital")
    for model, text in zip(MODELS, words, strict=True):
        numbers = result[model]
        table.add_row(text, f"{numbers['mean']:.2f} %", f"{numbers['sd']:.2f}", str(numbers["n"]))
    Console().print(table)


def rounds() -> dict[str, list[dict[str, Any]]]:
    """The rounds of each kind of model: the demo's for the federation, one round of equally many epochs for the others.
    All are tried on the holdout."""
    chain = demo_rounds.federated("registry.example/trainer@sha256:" + "b" * 64)
    alone = demo_rounds.alone(chain, "alone")
    return {"together": _for_everybody(chain), "alone": _for_everybody(alone)}


def _for_everybody(chain: demo_rounds.Chain) -> list[dict[str, Any]]:
    everybody = {"selector": {"matchLabels": {"hospital": "any"}}}
    for each in chain.training:
        each["spec"]["participants"], each["spec"]["quorum"] = everybody, {"min": 1}
    evaluation = chain.evaluation
    evaluation["spec"] |= {"participants": {"names": ["holdout"]}, "quorum": {"min": 1}, "metrics": ["accuracy"]}
    return [*chain.training, evaluation]


def write_splits(folder: Path, case: str, splits: int, seed: int) -> None:
    """One folder for each split: `test.csv`, `together` with the hospitals, `pooled` and `alone-N` with one each."""
    header, rows, malignant = wisconsin()
    draw = np.random.default_rng(seed)
    for number in range(splits):
        own = folder / f"{number:03}"
        train, test = stratified(malignant, draw)
        own.mkdir(parents=True)
        demo_data.write((header, [rows[each] for each in test]), own / "test.csv")
        dealt = list(deal(case, train, malignant, draw))
        _hospital(own / "pooled" / "pooled", header, [rows[each] for each in train])
        for place, chosen in enumerate(dealt):
            name = f"hospital-{place + 1}"
            for parent in ("together", f"alone-{place + 1}"):
                _hospital(own / parent / name, header, [rows[each] for each in chosen])


def wisconsin() -> tuple[list[str], list[list[str]], npt.NDArray[np.bool_]]:
    """Header, rows, and whether each case is malignant."""
    from sklearn.datasets import load_breast_cancer  # slow to import

    bunch = load_breast_cancer()
    header = ["patient_id", "malignant", *map(demo_data.column_name, bunch.feature_names)]
    malignant = bunch.target == 0
    rows = [
        [f"case-{number:04}", str(int(positive)), *(f"{value:g}" for value in values)]
        for number, (positive, values) in enumerate(zip(malignant, bunch.data, strict=True))
    ]
    return header, rows, malignant


def stratified(malignant: npt.NDArray[np.bool_], draw: np.random.Generator) -> tuple[Indices, Indices]:
    """Training and test rows. Both classes have the same share of test rows."""
    train, test = [], []
    for truth in (True, False):
        shuffled = draw.permutation(np.flatnonzero(malignant == truth))
        cut = round(TEST_SHARE * len(shuffled))
        test.append(shuffled[:cut])
        train.append(shuffled[cut:])
    return draw.permutation(np.concatenate(train)), draw.permutation(np.concatenate(test))


def deal(case: str, train: Indices, malignant: npt.NDArray[np.bool_], draw: np.random.Generator) -> Iterator[Indices]:
    """The training rows of each hospital."""
    if case == "wisconsin":
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


def _hospital(folder: Path, header: list[str], rows: list[list[str]]) -> None:
    """A hospital of which every row is a training row."""
    folder.mkdir(parents=True)
    demo_data.write((header, rows), folder / "cases.csv")
    [dataset] = demo_rounds.documents("dataset.yaml")
    dataset["spec"]["split"] = {"validation": "0", "test": "0"}
    (folder / "dataset.yaml").write_text(json.dumps(dataset), "utf-8")  # JSON is YAML that is fast to read


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
