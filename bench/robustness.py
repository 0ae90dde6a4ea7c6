"""Measures strategies against hostile hospitals: `python -m bench.robustness`. Asserts nothing.

Ten hospitals train ten rounds as the trainer of examples/own-image does, and the last model predicts test rows that no
hospital has. The rows are those of the Wisconsin cases (bench/accuracy.py), dealt evenly. Two hospitals (20 %) are
honest, or they follow one of ATTACKS in all rounds: they replace the difference that training made. By default, numpy
trains in this process, and the aggregation's own arithmetic combines the updates. With `--simulate`,
`wardround simulate` plays the same rounds with pods, sealing and store, which takes a hundred times as long. Prints a
table of accuracies, and JSON as its last line.
"""

from __future__ import annotations

import argparse
import array
import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file, save_file

from bench import accuracy
from lab import demo_data, demo_rounds, splits
from lab.splits import Array, Cases, Split, Truth
from tests.simulation.rounds import OWN, own_round
from wardround.aggregate import strategies
from wardround.aggregate.distances import between_rows
from wardround.aggregate.outliers import Size, too_large
from wardround.aggregate.weights import shares
from wardround.simulate.play import play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared

HONEST, HOSTILE, ROUNDS = 8, 2, 10
# The simulation asks hospitals in the order of their names, so hostile ones know the honest updates of their round.
NAMES = [*(f"honest-{number}" for number in range(HONEST)), *(f"hostile-{number}" for number in range(HOSTILE))]
STRATEGIES: dict[str, dict[str, str]] = {
    "FedAvg": {},
    "NormBounding": {"largestNorm": "0.5"},
    "Median": {},
    "TrimmedMean": {"trimmed": "2"},
    "Krum": {"hostile": "2"},
    "MultiKrum": {"hostile": "2", "chosen": "6"},
    "GeometricMedian": {},
}
Tensors = dict[str, Any]
# From this hospital's difference, those of the honest hospitals in the same round, and random numbers.
Attack = Callable[[Tensors, Sequence[Tensors], np.random.Generator], Tensors]
# The aggregation leaves out an update that is more than 30 times as large as the middle one.
SCALE = 10.0
# Standard deviations between the honest mean and the update of hostile hospitals (Baruch et al., "A Little Is Enough",
# NeurIPS 2019, take 1.5 for 50 workers of which 24 % are hostile).
SHIFT = 1.5


def _norm(update: Tensors) -> float:
    return float(np.sqrt(sum(np.sum(np.square(each, dtype=np.float64)) for each in update.values())))


def _noise(own: Tensors, honest: Sequence[Tensors], dice: np.random.Generator) -> Tensors:
    drawn = {name: dice.normal(size=each.shape) for name, each in own.items()}
    size = SCALE * _norm(own) / _norm(drawn)
    return {name: size * each for name, each in drawn.items()}


def _a_little(own: Tensors, honest: Sequence[Tensors], dice: np.random.Generator) -> Tensors:
    rows = {name: np.stack([each[name] for each in honest]) for name in own}
    return {name: each.mean(axis=0) - SHIFT * each.std(axis=0) for name, each in rows.items()}


ATTACKS: dict[str, Attack] = {
    "none": lambda own, honest, dice: own,
    "sign flip": lambda own, honest, dice: {name: -each for name, each in own.items()},
    "scaling": lambda own, honest, dice: {name: -SCALE * each for name, each in own.items()},
    "noise": _noise,
    "all-zero": lambda own, honest, dice: {name: np.zeros_like(each) for name, each in own.items()},
    "a little is enough": _a_little,
}


class Attacking:
    """The trainer of all hospitals. After training, a hostile hospital replaces its difference from the base."""

    def __init__(self, attack: Attack, seed: int) -> None:
        self._attack = attack
        self._dice = np.random.default_rng(seed)
        self._round = ""
        self._honest: list[Tensors] = []

    def __call__(self, verb: str) -> int:
        code = int(OWN.program(verb))
        if verb == "train" and code == 0:
            self._trained(Path(os.environ["WARDROUND_ROOT"]))
        return code

    def _trained(self, root: Path) -> None:
        task = json.loads((root / "task" / "task.json").read_text("utf-8"))
        if task["round"]["name"] != self._round:
            self._round, self._honest = task["round"]["name"], []
        file = root / "out" / "model.safetensors"
        base, model = load_file(root / "base" / "model.safetensors"), load_file(file)
        moved = {name: each - base[name] for name, each in model.items() if not name.startswith("input.")}
        if task["participant"].startswith("honest"):
            self._honest.append(moved)
            return
        changed = self._attack(moved, self._honest, self._dice)
        save_file(model | {name: (base[name] + each).astype(base[name].dtype) for name, each in changed.items()}, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--simulate", action="store_true", help="play the rounds by `wardround simulate`")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    options = parser.parse_args()
    began, cases = time.monotonic(), accuracy.wisconsin()
    measured: dict[str, dict[str, list[float]]] = {
        name: {attack: [] for attack in ATTACKS} for name in options.strategies
    }
    for number, split in enumerate(draw_splits(cases, options.splits, options.seed)):
        with TemporaryDirectory() as name:
            if options.simulate:
                write(Path(name), cases, split)
            for strategy, by_attack in measured.items():
                for attack, accuracies in by_attack.items():
                    seed = options.seed + number
                    model = played(Path(name), strategy, attack, seed) if options.simulate else None
                    predicted = model if model is not None else computed(cases, split, strategy, attack, seed)
                    accuracies.append(float(np.mean((predicted >= 0.5) == cases.malignant[split.test])))
            print(f"split {number + 1} of {options.splits}: {time.monotonic() - began:.0f} s", flush=True)
    means = {
        strategy: {attack: round(100 * fmean(each), 1) for attack, each in by_attack.items()}
        for strategy, by_attack in measured.items()
    }
    table = Table(title=f"accuracy after {ROUNDS} rounds, %, mean of {options.splits} splits")
    for column in ("strategy", *ATTACKS):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for strategy, by_name in means.items():
        table.add_row(strategy, *(f"{value:.1f}" for value in by_name.values()))
    Console(width=120).print(table)
    print(json.dumps({"splits": options.splits, "accuracy": means}))


def draw_splits(cases: Cases, number: int, seed: int) -> Iterator[Split]:
    """Test rows anew for each split. Each hospital has an equal share of the other rows."""
    draw = np.random.default_rng(seed)
    for _ in range(number):
        train, test = splits.stratified(cases.malignant, np.arange(len(cases.malignant)), draw)
        yield Split(dict(zip(NAMES, np.array_split(train, len(NAMES)), strict=True)), test)


def write(folder: Path, cases: Cases, split: Split) -> None:
    """A folder for each hospital, of which every row is a training row, and the test rows."""
    for name, chosen in split.train.items():
        (folder / name).mkdir()
        demo_data.write(cases.choose(chosen), folder / name / "cases.csv")
        dataset = demo_rounds.dataset()
        dataset["spec"]["split"] = {"validation": "0", "test": "0"}
        (folder / name / "dataset.yaml").write_text(json.dumps(dataset), "utf-8")
    demo_data.write(cases.choose(split.test), folder / "test.csv")
    (folder / "dataschema.yaml").write_text(json.dumps(demo_rounds.data_schema()), "utf-8")


def computed(cases: Cases, split: Split, strategy: str, attack: str, seed: int) -> Array:
    """Probabilities of the test rows. Trains and combines in this process."""
    dice = np.random.default_rng(seed)
    rows = np.concatenate([cases.values[each] for each in split.train.values()])
    mean, std = rows.mean(axis=0).astype("<f4"), rows.std(axis=0).astype("<f4")
    inputs = {name: (cases.values[each] - mean) / std for name, each in split.train.items()}
    model: Tensors = {"weight": np.zeros(rows.shape[1], "<f4"), "bias": np.zeros(1, "<f4")}
    for number in range(ROUNDS):
        honest: list[Tensors] = []
        for name in NAMES[:HONEST]:
            honest.append(_trained(model, inputs[name], cases.malignant[split.train[name]]))
        updates = list(honest)
        for name in NAMES[HONEST:]:
            own = _trained(model, inputs[name], cases.malignant[split.train[name]])
            updates.append(ATTACKS[attack](own, honest, dice))
        samples = [len(split.train[name]) for name in NAMES]
        model = _combined(model, updates, samples, strategy, np.concatenate([mean, std]) if number == 0 else None)
    return probabilities(model, (cases.values[split.test] - mean) / std)


def _trained(model: Tensors, inputs: Array, target: Truth) -> Tensors:
    """The difference after training, as examples/own-image/trainer.py trains with the parameters of own_round."""
    given = own_round()["parameters"]
    assert isinstance(given, dict)
    rate, moved = float(given["learningRate"]), {name: each.copy() for name, each in model.items()}
    for _ in range(int(given["steps"])):
        error = probabilities(moved, inputs) - target
        moved["weight"] -= (rate * inputs.T @ error / len(target)).astype("<f4")
        moved["bias"] -= np.float32(rate * error.mean())
    return {name: each - model[name] for name, each in moved.items()}


def probabilities(model: Tensors, inputs: Array) -> Array:
    """The probabilities of a logistic regression."""
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-(inputs @ model["weight"] + model["bias"])))
    return result


def _combined(
    model: Tensors, updates: Sequence[Tensors], samples: Sequence[int], strategy: str, frozen: Array | None
) -> Tensors:
    """The next model. `frozen`: tensors that an update of the first round has too, because it is weights."""
    rows = [np.concatenate([each[name] for name in model]).astype("<f4") for each in updates]
    base = np.concatenate(list(model.values()))
    # The first model is zero, so weights and differences are the same.
    further = 0.0 if frozen is None else float(np.sum(np.square(frozen, dtype=np.float64)))
    norms = [float(np.sqrt(further + np.sum(np.square(each, dtype=np.float64)))) for each in rows]
    out = too_large([Size(norm, count, None) for norm, count in zip(norms, samples, strict=True)])
    kept = [place for place, mark in enumerate(out) if not mark]
    used = strategies.strategy("FedAvg", {}) if frozen is not None and strategy == "NormBounding" else None
    used = used or strategies.strategy(strategy, STRATEGIES[strategy])
    exact = shares([samples[each] for each in kept], [samples[each] for each in kept], Fraction(1))
    block = [rows[each] for each in kept]
    facts = strategies.Facts(
        [float(each) for each in exact], [norms[each] for each in kept], between_rows(np.array(block, np.float64))
    )
    weights = used.weights(facts)
    rule = used.rules()["Delta"]("F32", len(base))
    rule.add(block, weights)
    return _named(model, rule.result(base))


def _named(model: Tensors, row: Array) -> Tensors:
    """The tensors of the model's names and sizes, from all values in one row."""
    ends = np.cumsum([each.size for each in model.values()])[:-1]
    return dict(zip(model, np.split(row, ends), strict=True))


def played(folder: Path, strategy: str, attack: str, seed: int) -> Array:
    """Probabilities of the test rows, from rounds that `wardround simulate` plays."""
    predicted = array.array("d")

    def watch(ended: Ended) -> None:
        if ended.verb == "predict":
            predicted.frombytes((ended.container.folder / "out" / "predictions.f64").read_bytes())

    trainer, test = Attacking(ATTACKS[attack], seed), folder / "test.csv"
    simulation = prepared(documents(strategy), folder, holdout=test, seed=seed, min_cell=1, trainer=trainer)
    for _ in play(simulation, watch=watch):
        pass
    return np.array(predicted)


def documents(strategy: str) -> list[Mapping[str, Any]]:
    """A Statistics round, the Train rounds, and an Evaluate round on the test rows."""
    statistics, first, *_ = demo_rounds.federated(OWN.reference).training
    for each in (statistics, first):
        each["spec"] |= {"participants": {"names": NAMES}, "quorum": {"min": len(NAMES)}}
    # Robust strategies have to do with what is left: two updates may be left out for their size.
    first["spec"] |= own_round() | {"metrics": [], "quorum": {"min": HONEST}}
    training = [statistics, first]
    for number in range(2, ROUNDS + 1):
        each = copy.deepcopy(first)
        del each["spec"]["initial"]
        each["spec"]["base"] = {"roundName": training[-1]["metadata"]["name"]}
        each["metadata"]["name"] = f"train-{number}"
        training.append(each)
    for each in training[2 if strategy == "NormBounding" else 1 :]:
        each["spec"]["aggregation"] = {"strategy": strategy, "parameters": STRATEGIES[strategy]}
    evaluation = demo_rounds.federated(OWN.reference).evaluation
    evaluation["spec"] |= {
        "participants": {"names": ["holdout"]},
        "quorum": {"min": 1},
        "metrics": ["accuracy"],
        "base": {"roundName": training[-1]["metadata"]["name"]},
        "command": own_round()["command"],
    }
    return [*training, evaluation]


if __name__ == "__main__":
    main()
