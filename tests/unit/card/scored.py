"""The predictions that an evaluation scores: the pod's own steps, without a pod."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tests.unit.card.models import DATASET, SCHEMA, Made
from tests.unit.trainer.conftest import DOCUMENT
from wardround.card import folder
from wardround.pod import dataset
from wardround.tabular import schema
from wardround_trainer import verbs
from wardround_trainer.task import Folders

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Scored:
    """`rows`: what the model reads, of shape (rows, features). `probabilities`: what the scorer reads."""

    identifiers: list[Any]
    rows: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any]


def built_in(root: Path) -> None:
    """`predict` of the built-in trainer."""
    verbs.predict(Folders(root))


def own_image(root: Path) -> None:
    """`predict` of examples/own-image, a program of its own."""
    program = str(ROOT / "examples/own-image/trainer.py")
    subprocess.run([sys.executable, program, "predict"], env={"WARDROUND_ROOT": str(root), "PATH": ""}, check=True)


def scored(made: Made, file: Path, root: Path, rows: int, predict: Callable[[Path], None] = built_in) -> Scored:
    """`prepare` reads the file into a view, and the trainer's `predict` reads view and model."""
    for name in ("task", "data", "base", "out"):
        (root / name).mkdir(parents=True)
    shutil.copy(made.path / folder.MODEL_FILE, root / "base" / "model.safetensors")
    table = schema.parse(SCHEMA, DATASET)
    names = [each.name for each in table.features]
    view = {"schema": SCHEMA, "features": names, "rows": rows}
    document = {**DOCUMENT, "task": "Evaluate", "parameters": {}, "dataset": view}
    (root / "task" / "task.json").write_text(json.dumps(document))
    [batch] = dataset.read(file, "CSV", table, dataset.Reading())
    features = pa.table({name: batch.view.column(name) for name in names})
    parquet.write_table(features, root / "data" / "evaluation.parquet")
    predict(root)
    read = np.stack([features.column(name).to_numpy() for name in names], axis=1)
    return Scored(batch.identifiers, read, np.fromfile(root / "out" / "predictions.f64", "<f8"))
