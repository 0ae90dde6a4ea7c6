"""Training code that keeps a trail in its state: the names of the rounds from which it got a state.

It runs in the `train` container; a round's parameters carry it (`carried`). Its model is one number, which each round
increases by one. The trail is not part of the model, so it never leaves the site.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet
from safetensors.numpy import load_file, save_file

PLACE = Path("/wardround")
OUT = PLACE / "out"


def main() -> None:
    task = json.loads((PLACE / "task/task.json").read_text())
    {"init": init, "train": train, "predict": predict}[sys.argv[-1]](task)


def init(task: dict[str, Any]) -> None:
    # `init` must not see a state, because all hospitals must make equal bytes.
    assert not (PLACE / "state").exists()
    save_file({"input.mean": np.zeros(1, np.float32), "weight": np.zeros(1, np.float32)}, OUT / "model.safetensors")


def train(task: dict[str, Any]) -> None:
    model = load_file(PLACE / "base/model.safetensors")
    model["weight"] += 1
    save_file(model, OUT / "model.safetensors")
    trail = read(task)
    assert list((PLACE / "state/out").iterdir()) == []
    (PLACE / "state/out/trail.json").write_text(json.dumps([*trail, task["round"]["name"]]))
    try:
        (PLACE / "state/in/more").write_text("more")
    except OSError as error:
        print("NOT WRITTEN " + type(error).__name__)


def predict(task: dict[str, Any]) -> None:
    read(task)
    assert not (PLACE / "state/out").exists()
    rows = parquet.read_metadata(PLACE / "data/evaluation.parquet").num_rows
    np.full(rows, 0.5).astype("<f8").tofile(OUT / "predictions.f64")


def read(task: dict[str, Any]) -> list[str]:
    """Reads and prints the trail. The log stays at the hospital."""
    file = PLACE / "state/in/trail.json"
    trail: list[str] = json.loads(file.read_text()) if file.exists() else []
    print("FOUND " + json.dumps({"stateRound": task["stateRound"], "trail": trail}), flush=True)
    return trail
