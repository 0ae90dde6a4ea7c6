"""The files of the training contract: their paths, the reader of task.json, the writer of results. Knows no torch.

A file is written under another name and then renamed, so a reader never sees half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround_trainer import parameters
from wardround_trainer.failure import TrainerError
from wardround_trainer.parameters import Parameters

CONTRACT = "3"
OPTIMIZER_STATE = "optimizer.safetensors"


@dataclass(frozen=True)
class Folders:
    """Paths of the pod's files. All lie under one root: `/wardround` in a pod, any folder in a test."""

    root: Path

    @classmethod
    def from_environment(cls) -> Folders:
        return cls(Path(os.environ.get("WARDROUND_ROOT", "/wardround")))

    @property
    def model(self) -> Path:
        return self.root / "base" / "model.safetensors"

    @property
    def statistics(self) -> Path:
        return self.root / "base" / "statistics.safetensors"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def trained(self) -> Path:
        return self.out / "model.safetensors"

    @property
    def predictions(self) -> Path:
        return self.out / "predictions.f64"

    @property
    def validation(self) -> Path:
        return self.out / "validation.f64"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint" / "checkpoint.pt"

    @property
    def state_in(self) -> Path:
        return self.root / "state" / "in" / OPTIMIZER_STATE

    @property
    def state_out(self) -> Path:
        return self.root / "state" / "out" / OPTIMIZER_STATE

    def view(self, side: str) -> Path:
        return self.root / "data" / f"{side}.parquet"


@dataclass(frozen=True)
class Task:
    """The fields of task.json that the trainer uses. `features`: the model's inputs, in the view's order.

    `seed`: the round's, for initial weights, which must be equal at all hospitals. `order_seed`: a secret of this
    hospital, for all other random choices. An attacker who knows the order of rows could compute the rows. `threads`:
    how many threads compute, because sums of floats depend on it.
    `fingerprint`: identifies the work, for checkpoints.
    """

    features: tuple[str, ...]
    target: str
    parameters: Parameters
    seed: int
    order_seed: int
    threads: int
    frozen: tuple[str, ...]
    metrics: tuple[str, ...]
    fingerprint: str


def read(folders: Folders) -> Task:
    """Reads task.json. Raises TrainerError (ContractUnknown) and ParametersError."""
    document = json.loads((folders.root / "task" / "task.json").read_text("utf-8"))
    if document["contract"] != CONTRACT:
        raise TrainerError(
            "ContractUnknown", f"task.json has contract {document['contract']!r}, this trainer supports {CONTRACT}"
        )
    # An attempt may continue from the checkpoint of an earlier attempt, but only for the same work.
    work = {**document, "round": {**document["round"], "attempt": None}}
    return Task(
        features=tuple(document["dataset"]["features"]),
        target=document["dataset"]["schema"]["target"],
        parameters=parameters.parse(document["parameters"]),
        seed=document["seed"],
        order_seed=document["orderSeed"],
        threads=document["threads"],
        frozen=tuple(document["exchange"]["frozen"]),
        metrics=tuple(document["metrics"]),
        fingerprint=hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest(),
    )


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    def write(partial: Path) -> None:
        partial.write_text(json.dumps(document))

    replace(path, write)


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a partial path, syncs that file, and renames it to `path`."""
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    # safetensors makes files that only their owner may read, and `check` may run as another user.
    partial.chmod(0o644)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
