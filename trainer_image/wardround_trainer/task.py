"""The training contract's files: where they lie, what task.json says, how results are written. Knows no torch.

Files appear whole: written beside their name and renamed, so that whoever reads never sees half of one.
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
from wardround_trainer.failure import Failure
from wardround_trainer.parameters import Parameters

CONTRACT = "2"
OPTIMIZER_STATE = "optimizer.safetensors"


@dataclass(frozen=True)
class Folders:
    """All folders lie under one root: `/wardround` in a pod, anything in a test."""

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
    """What the trainer uses of task.json. `features` in schema order: the model's inputs.

    `seed` is the round's, for initial weights, which have to be equal at all hospitals. `order_seed` is this hospital's
    secret, for all else that is drawn: who knows the order of rows can solve for them.
    """

    features: tuple[str, ...]
    target: str
    parameters: Parameters
    seed: int
    order_seed: int
    frozen: tuple[str, ...]
    metrics: tuple[str, ...]
    fingerprint: str


def read(folders: Folders) -> Task:
    """Raises Failure for parameters that are none, or a task.json of another version of the contract."""
    document = json.loads((folders.root / "task" / "task.json").read_text("utf-8"))
    if document["contract"] != CONTRACT:
        raise Failure(
            "ContractUnknown", f"task.json has contract {document['contract']!r}, this trainer knows {CONTRACT}"
        )
    schema = document["dataset"]["schema"]
    target = schema["target"]
    features = [
        field["name"]
        for field in schema["fields"]
        if field["type"] in ("number", "integer") and field["name"] not in (target, schema.get("identifier"))
    ]
    # An evicted attempt may go on from the checkpoint of an earlier one, but only of the very same work.
    same_work = {**document, "round": {**document["round"], "attempt": None}}
    return Task(
        features=tuple(features),
        target=target,
        parameters=parameters.parse(document["parameters"]),
        seed=document["seed"] or 0,
        order_seed=document["orderSeed"],
        frozen=tuple(document["exchange"]["frozen"]),
        metrics=tuple(document["metrics"]),
        fingerprint=hashlib.sha256(json.dumps(same_work, sort_keys=True).encode()).hexdigest(),
    )


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    def write(partial: Path) -> None:
        partial.write_text(json.dumps(document))

    replace(path, write)


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in place, on the disk before it has the name."""
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    # safetensors closes its files to others, and whoever checks them may be another user.
    partial.chmod(0o644)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
