"""A training image's whole code, to copy: logistic regression in numpy under the training contract.

Called with one verb: init, train or predict. docs/training-image.md says what each finds and leaves; try_trainer.py
beside this file runs all three without a cluster.
"""

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from safetensors.numpy import load_file, save_file

ROOT = Path(os.environ.get("WARDROUND_ROOT", "/wardround"))
OUT = ROOT / "out"
# The exit code of the contract for refused parameters: the author of the round has to apply a new round.
PARAMETERS = 64

Array = np.ndarray
Tensors = dict[str, Array]


def init(task: dict) -> None:
    """The first model. Every hospital has to write the same bytes, so only seed, schema and statistics go in."""
    features = task["dataset"]["features"]
    model = {
        # The standardisation is part of the model and frozen (`exchange.frozen`): one file is the whole model.
        "input.mean": np.zeros(len(features), np.float32),
        "input.std": np.ones(len(features), np.float32),
        # A convex loss needs no random start, so the seed is not used.
        "weight": np.zeros(len(features), np.float32),
        "bias": np.zeros(1, np.float32),
    }
    statistics = ROOT / "base" / "statistics.safetensors"
    if statistics.exists():
        sums = load_file(statistics)
        centred = sums["sum"] / sums["count"]
        variance = sums["squares"] / sums["count"] - centred**2
        model["input.mean"] = (sums["shift"] + centred).astype(np.float32)
        model["input.std"] = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
    save_file(model, OUT / "model.safetensors")


def train(task: dict) -> None:
    """From base/ to out/: the same tensors under the same names, the frozen ones untouched."""
    model = load_file(ROOT / "base" / "model.safetensors")
    rows, target = read("train", task)
    steps, rate = parameters(task)
    validate(model, task)
    inputs = standardised(model, rows)
    for _ in range(steps):
        error = probability(model, rows) - target
        model["weight"] -= (rate * inputs.T @ error / len(target)).astype(np.float32)
        model["bias"] -= np.float32(rate * error.mean())
    save_file(model, OUT / "model.safetensors")


def validate(model: Tensors, task: dict) -> None:
    """One probability of the base model for each validation row, in order: Wardround computes the metrics from them.

    The base is what all hospitals combined. Wardround alone knows the patients and who may see which number.
    """
    rows, _ = read("validation", task)
    write_probabilities("validation.f64", probability(model, rows))


def predict(task: dict) -> None:
    """One probability for each row of the evaluation, in order. Their labels are not here: our scorer has them."""
    model = load_file(ROOT / "base" / "model.safetensors")
    view = parquet.read_table(ROOT / "data" / "evaluation.parquet", columns=task["dataset"]["features"])
    write_probabilities("predictions.f64", probability(model, matrix(view)))


def write_probabilities(name: str, values: Array) -> None:
    """As bare numbers of 8 bytes: our code parses nothing that a training image wrote."""
    values.astype("<f8").tofile(OUT / name)


def parameters(task: dict) -> tuple[int, float]:
    """What the round says, always strings. A misspelt name must not quietly train with the default."""
    given = task["parameters"]
    if unknown := given.keys() - {"steps", "learningRate"}:
        refuse(f"unknown parameter {', '.join(sorted(unknown))}; there are: learningRate, steps")
    try:
        return int(given.get("steps", "200")), float(given.get("learningRate", "0.5"))
    except ValueError:
        refuse(f"steps is a whole number and learningRate a number: {given}")


def refuse(why: str) -> NoReturn:
    """The log stays at the hospital; the exit code says on the hub whose turn it is."""
    print(why, file=sys.stderr)
    sys.exit(PARAMETERS)


def read(side: str, task: dict) -> tuple[Array, Array]:
    """Rows of train.parquet or validation.parquet: shape (rows, features), and the target of 0 and 1."""
    view = parquet.read_table(ROOT / "data" / f"{side}.parquet")
    return matrix(view.select(task["dataset"]["features"])), view.column(task["dataset"]["schema"]["target"]).to_numpy()


def matrix(view: pa.Table) -> Array:
    return np.stack([column.to_numpy() for column in view.columns], axis=1)


def standardised(model: Tensors, rows: Array) -> Array:
    return (rows - model["input.mean"]) / model["input.std"]


def probability(model: Tensors, rows: Array) -> Array:
    return 1 / (1 + np.exp(-(standardised(model, rows) @ model["weight"] + model["bias"])))


if __name__ == "__main__":
    # Whatever goes wrong: a traceback in the log, which stays at the hospital, and an exit code that is not 0.
    verb = {"init": init, "train": train, "predict": predict}[sys.argv[1]]
    task = json.loads((ROOT / "task" / "task.json").read_text())
    parameters(task)  # before any work, and in every verb
    verb(task)
