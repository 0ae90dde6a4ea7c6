"""A training pod without Kubernetes: its folders, a small dataset, and the settings that a site operator passes."""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wardround import tensors
from wardround.api import dataset_text, parameters_text, schema_text
from wardround.api.site import AllowedParameter, share
from wardround.pod import labels
from wardround.pod import prepare as preparation
from wardround.pod.folders import Folders
from wardround.pod.work import Work
from wardround.tabular import split
from wardround.tabular.schema import Schema, parse
from wardround.tensors import Array
from wardround.wire import codec
from wardround.wire.assignment import Exchange
from wardround.wire.outcome import Outcome
from wardround.wire.training import PrivateReport, RequestedTask
from wardround.wire.update import UpdateClaims, ValidationSums

T = TypeVar("T")
# The spec of the DataSchema.
SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "mean_radius", "type": "number", "unit": "mm", "minimum": "0", "maximum": "50", "required": True},
        {"name": "age", "type": "integer", "minimum": "0"},
        {"name": "malignant", "type": "integer", "required": True, "categories": ["0", "1"]},
    ],
    "target": "malignant",
}
IDENTIFIER = {"column": "patient_id", "type": "string"}
HEADER = "patient_id,mean_radius,age,malignant"
ROUND_UID = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
# A hospital's secret, as `prepare` gives it to `check` and `score`.
SALT = bytes(range(100, 132))
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RANDOM_BYTES = random.Random(1).randbytes
SPLIT = {"validation": "0.15", "test": "0.2"}
SPLIT_KEY = b"a key of the hospital"
SIDES = split.parse(SPLIT, SPLIT_KEY)


# The text of the Dataset in the environment of `prepare`.
DATASET: dict[str, Any] = {
    "path": "cases.csv",
    "format": "CSV",
    "identifier": IDENTIFIER,
    "missingValues": ["", "NA"],
    "split": SPLIT,
}
ALLOWED = (AllowedParameter(name="epochs", maximum="10"), AllowedParameter(name="batchSize", minimum="16"))


def table(schema: Mapping[str, Any] = SCHEMA, **dataset: Any) -> Schema:
    """The columns of the Dataset with these changes of its spec."""
    return parse(schema, {**DATASET, **dataset})


def task(kind: str = "Train", **changes: Any) -> dict[str, Any]:
    document = {
        "contract": "3",
        "task": kind,
        "participant": "site-a",
        "seed": 7,
        "round": {"name": "round-1", "attempt": 1},
        "roundUID": ROUND_UID,
        "stateRound": "",
        "baseDigest": "" if kind == "Statistics" else "sha256:" + "b" * 64,
        "imageDigest": "" if kind == "Statistics" else "sha256:" + "d" * 64,
        "command": [] if kind == "Statistics" else ["python", "-m", "wardround_trainer"],
        "parameters": {"epochs": "1"},
        "exchange": {"frozen": ["input.*"]},
        "dataset": copy.deepcopy(DATASET),
        "schema": copy.deepcopy(SCHEMA),
        "metrics": ["accuracy", "sensitivity", "auc"] if kind == "Evaluate" else ["loss"],
        "rows": "Test" if kind == "Evaluate" else "Validation",
        "minSamples": 1,
        "minCell": 11,
        "datasetName": "breast",
        "splitFingerprint": "",
        "maxLeftOut": "0.1",
        "maxEvaluations": 20,
        "tells": False,
        "maxSamples": 100000,
        "threads": 1,
        "liveRounds": {"uids": [], "states": [], "at": "2026-11-24T12:00:00Z"},
        "references": [],
        "compression": "None",
    }
    return {**document, **changes}


def work(document: Mapping[str, Any]) -> Work:
    """The task as `prepare` reads it from its environment."""
    return Work(
        request=codec.parse(RequestedTask, document),
        task=document["task"],
        rows=document["rows"],
        dataset_name=document["datasetName"],
        dataset=document["dataset"],
        schema=document["schema"],
        split_fingerprint=document["splitFingerprint"],
        min_samples=document["minSamples"],
        min_cell=document["minCell"],
        max_left_out=share(document["maxLeftOut"]),
        max_evaluations=document["maxEvaluations"],
        tells=document["tells"],
    )


def prepare(folders: Folders, document: Mapping[str, Any], now: datetime = NOW) -> Outcome:
    return preparation.prepare(folders, work(document), now, RANDOM_BYTES)


def environment(document: Mapping[str, Any]) -> dict[str, str]:
    """The environment of `prepare`: the hub's request, and the variables that the hospital decides."""
    ours = {"task", "rows", "datasetName", "dataset", "schema"}
    hospital = ours | {"splitFingerprint", "minSamples", "minCell", "maxLeftOut", "maxEvaluations", "tells"}
    request = {key: value for key, value in document.items() if key not in hospital}
    return {
        "WARDROUND_TASK": json.dumps(request),
        "WARDROUND_KIND": document["task"],
        "WARDROUND_ROWS": document["rows"],
        "WARDROUND_DATASET_NAME": document["datasetName"],
        "WARDROUND_DATASET": dataset_text.dump(document["dataset"]),
        "WARDROUND_SCHEMA": schema_text.dump(document["schema"]),
        "WARDROUND_SPLIT_FINGERPRINT": document["splitFingerprint"] or "none",
        "WARDROUND_MIN_SAMPLES": str(document["minSamples"]),
        "WARDROUND_MIN_CELL": str(document["minCell"]),
        "WARDROUND_MAX_LEFT_OUT": document["maxLeftOut"],
        "WARDROUND_MAX_EVALUATIONS": str(document["maxEvaluations"]),
        "WARDROUND_TELL_OWN_METRICS": json.dumps(document["tells"]),
        "WARDROUND_ALLOWED_PARAMETERS": parameters_text.dump(ALLOWED),
        "WARDROUND_ISOLATION_SECONDS": "0.25",
        "WARDROUND_LINK_LOCAL": "Warn",
    }


def rows(count: int = 300, seed: int = 1) -> list[str]:
    """One valid row for each of `count` patients. The radius predicts malignant cases with some error."""
    draw = random.Random(seed)
    lines = []
    for number in range(count):
        malignant = draw.random() < 0.4
        radius = draw.uniform(12, 30) if malignant else draw.uniform(6, 18)
        lines.append(f"patient-{number},{radius:.4f},{draw.randrange(20, 90)},{int(malignant)}")
    return lines


def pod(root: Path, lines: Sequence[str] | None = None, header: str = HEADER) -> Folders:
    """The folders with a data file and the key of the split."""
    folders = Folders(root)
    key = folders.secrets / "split" / "breast" / "key"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_bytes(SPLIT_KEY)
    for folder in (folders.raw, folders.base, folders.out):
        folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([header, *(rows() if lines is None else lines)]) + "\n"
    (folders.raw / "cases.csv").write_text(text, "utf-8")
    return folders


def report(
    folders: Folders, document: Mapping[str, Any], samples: int = 10, validation: Sequence[int] = (0, 1) * 20
) -> None:
    """Writes the private report of `prepare` and its labels, for tests that need no dataset.

    `validation`: the label of each validation row, each of another patient.
    """
    private_report = PrivateReport(
        task=document["task"],
        base_digest=document["baseDigest"],
        exchange=Exchange(tuple(document["exchange"]["frozen"])),
        compression=document.get("compression", "None"),
        metrics=tuple(document["metrics"]),
        schema=document["schema"],
        samples=samples,
        min_cell=document["minCell"],
        rows=document["rows"],
        people=len(validation),
        withheld=False,
        tells=document["tells"],
        references=len(document.get("references", ())),
        salt=SALT,
    )
    folders.private.mkdir(parents=True, exist_ok=True)
    folders.report_file.write_bytes(codec.write_document(private_report))
    rows = labels.Labelled(np.array(validation, np.int64), np.arange(len(validation)))
    labels.write(folders.labels_file, rows)


def probabilities(path: Path, values: Any, dtype: str = "<f8") -> None:
    """Writes predictions as a trainer does."""
    np.array(values, dtype).tofile(path)


MODEL: dict[str, Array] = {
    "input.mean": np.array([14.0, 55.0], np.float32),
    "input.std": np.array([4.0, 20.0], np.float32),
    "layer.weight": np.array([[0.5, -0.25]], np.float32),
    "layer.bias": np.array([0.125], np.float32),
    "steps": np.array([3], np.int64),
}


def model(path: Path, changes: Mapping[str, Array | None] | None = None, dtypes: dict[str, str] | None = None) -> str:
    """Writes MODEL with changes (None removes a tensor). Returns the digest."""
    arrays = {**MODEL, **(changes or {})}
    path.unlink(missing_ok=True)
    return tensors.write(path, {name: array for name, array in arrays.items() if array is not None}, dtypes)


def read(path: Path) -> dict[str, Array]:
    layout = tensors.layout(path)
    with path.open("rb") as file:
        return {place[0].name: tensors.read(file, place) for place in layout.places}


def sparse(path: Path, size: int) -> None:
    """Writes a sparse file of `size` bytes."""
    with path.open("wb") as file:
        file.truncate(size)


def update(folders: Folders) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folders.update / "update.json").read_text("utf-8"))
    return document


def sums(folders: Folders) -> ValidationSums | None:
    """The sums over the validation rows that the courier would seal."""
    claims = codec.read_document(UpdateClaims, (folders.update / "update.json").read_bytes())
    return None if claims.sums is None else codec.read_document(ValidationSums, claims.sums)


def at_once(count: int, make: Callable[[int], T]) -> list[T]:
    """What so many pods make that begin at the same moment, each in a thread. `make` gets the number of a pod."""
    start, made = threading.Barrier(count), list[T]()

    def one(number: int) -> None:
        start.wait()
        made.append(make(number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made
