"""The demo's comparison over many splits of its data: the federation against each hospital's best own model.

One split says little: 20 splits differ by several points. The rounds of the demo are simulated on each split. Nothing
is tuned on test rows, and the federation's parameters are tuned nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from lab import demo_data, local_model, splits
from lab.demo_data import HOSPITALS
from lab.images import Progress
from lab.splits import TEST_SHARE, TOGETHER, Array, Cases, Indices, Split

SPLITS = 20
SEED = 2026
EVERYBODY = "all hospitals"

# The accuracy of a model (TOGETHER, POOLED or a hospital's own) on some patients (EVERYBODY or a hospital's).
Accuracies = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Spread:
    """A number over splits, in percent: mean, standard deviation, and a 95 % interval of the mean.

    Splits share rows, so the interval is the corrected one of Nadeau and Bengio (2003), with Student's t.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @classmethod
    def over(cls, values: Sequence[float]) -> Spread:
        """`values`: fractions, one for each split; at least two."""
        from scipy import stats  # slow to import

        percent = 100 * np.array(values)
        mean, sd, n = float(percent.mean()), float(percent.std(ddof=1)), len(percent)
        half = float(stats.t.ppf(0.975, n - 1)) * sd * math.sqrt(1 / n + TEST_SHARE / (1 - TEST_SHARE))
        return cls(mean, sd, mean - half, mean + half, n)


@dataclass(frozen=True)
class Comparison:
    """Accuracies over the splits. `together`, `alone`: by the patients that they are over: EVERYBODY or a hospital.

    `alone`: of each hospital's own model, on EVERYBODY and on its own patients. `gain`: of the federation over that
    model, in pairs on the same test rows.
    """

    together: Mapping[str, Spread]
    alone: Mapping[str, Mapping[str, Spread]]
    gain: Mapping[str, Mapping[str, Spread]]


def measure(progress: Progress, number: int = SPLITS, seed: int = SEED, *, pooled: bool = False) -> list[Accuracies]:
    """Simulate the demo's rounds on so many splits, and fit each hospital's own model. Raises LabError.

    `pooled`: also one network on the rows of all.
    """
    cases, owner = demo_cases()
    draw = np.random.default_rng(seed)
    drawn = [_split(cases, owner, draw) for _ in range(number)]
    predicted = splits.predictions(cases, drawn, progress, alone=False, pooled=pooled)
    return [
        _accuracies(cases, owner, split, each, place)
        for place, (split, each) in enumerate(zip(drawn, predicted, strict=True))
    ]


def compare(measured: Sequence[Accuracies]) -> Comparison:
    """`measured`: of each split, at least two."""

    def spread(model: str, patients: str) -> Spread:
        return Spread.over([each[model, patients] for each in measured])

    def gain(name: str, patients: str) -> Spread:
        return Spread.over([each[TOGETHER, patients] - each[name, patients] for each in measured])

    names = [hospital.name for hospital in HOSPITALS]
    return Comparison(
        together={patients: spread(TOGETHER, patients) for patients in (EVERYBODY, *names)},
        alone={name: {patients: spread(name, patients) for patients in (EVERYBODY, name)} for name in names},
        gain={name: {patients: gain(name, patients) for patients in (EVERYBODY, name)} for name in names},
    )


def demo_cases() -> tuple[Cases, np.typing.NDArray[np.str_]]:
    """The demo's cases, and each case's hospital. Without the rows that have faults: `prepare` leaves them out."""
    header: list[str] = []
    rows: list[list[str]] = []
    owner: list[str] = []
    for name, (names, table) in demo_data.tables().items():
        faulty = {row for row, _, _ in demo_data.BLEMISHES[name]}
        kept = [row for number, row in enumerate(table) if number not in faulty]
        header, rows, owner = names, rows + kept, owner + [name] * len(kept)
    return Cases(header, rows, np.array([row[1] == "1" for row in rows])), np.array(owner)


def table(comparison: Comparison) -> Table:
    """Each hospital's own model beside the federation's: on all hospitals' patients, and on its own."""
    first = comparison.together[EVERYBODY]
    title = f"Accuracy: mean of {first.n} other splits of the same cases, simulated (95 % interval)"
    result = Table(title=title, title_justify="left", caption_justify="left")
    columns = ("test rows of", "federation", "model of", "own model", "federation gains, points")
    for name in columns:
        result.add_column(name, justify="left" if name in ("test rows of", "model of") else "right", no_wrap=True)
    for hospital in HOSPITALS:
        for patients in (EVERYBODY, hospital.name):
            result.add_row(
                patients,
                _percent(comparison.together[patients]),
                hospital.name,
                _percent(comparison.alone[hospital.name][patients]),
                _points(comparison.gain[hospital.name][patients]),
                end_section=patients == hospital.name,
            )
    result.caption = (
        "Own model: logistic regression, its penalty chosen by cross-validation on the hospital's "
        "training rows. It is corrected for the prevalence of all hospitals where it predicts their patients."
    )
    return result


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON, in percent and points."""

    def spread(each: Spread) -> dict[str, float]:
        rounded = {name: round(getattr(each, name), 3) for name in ("mean", "sd", "low", "high")}
        return {**rounded, "n": each.n}

    def by_patients(each: Mapping[str, Spread]) -> dict[str, dict[str, float]]:
        return {patients: spread(value) for patients, value in each.items()}

    return {
        "federated": by_patients(comparison.together),
        "local": {name: by_patients(each) for name, each in comparison.alone.items()},
        "gain": {name: by_patients(each) for name, each in comparison.gain.items()},
    }


def _split(cases: Cases, owner: np.typing.NDArray[np.str_], draw: np.random.Generator) -> Split:
    """Every hospital holds out the same share of each class of its own rows."""
    train: dict[str, Indices] = {}
    test: list[Indices] = []
    for hospital in HOSPITALS:
        train[hospital.name], held_out = splits.stratified(
            cases.malignant, np.flatnonzero(owner == hospital.name), draw
        )
        test.append(held_out)
    return Split(train, np.concatenate(test))


def _accuracies(
    cases: Cases, owner: np.typing.NDArray[np.str_], split: Split, predicted: Mapping[str, Array], seed: int
) -> Accuracies:
    """`seed`: of the folds of cross-validation."""
    values, truth = cases.values, cases.malignant[split.test]
    prevalence = float(cases.malignant[np.concatenate(list(split.train.values()))].mean())

    def right(probabilities: Array, chosen: Any = slice(None)) -> float:
        return float(np.mean((probabilities[chosen] >= 0.5) == truth[chosen]))

    result = {(model, EVERYBODY): right(each) for model, each in predicted.items()}
    for name, own in split.train.items():
        theirs = owner[split.test] == name
        model = local_model.fit(values[own], cases.malignant[own], seed)
        result[TOGETHER, name] = right(predicted[TOGETHER], theirs)
        result[name, EVERYBODY] = right(model.predict(values[split.test], prevalence))
        result[name, name] = right(model.predict(values[split.test]), theirs)
    return result


def _percent(spread: Spread) -> str:
    return f"{spread.mean:.1f} % ({spread.low:.1f}-{min(spread.high, 100):.1f})"


def _points(spread: Spread) -> str:
    return f"{spread.mean:+.1f} ({spread.low:+.1f} to {spread.high:+.1f})"
