"""`score` compares labels with predictions, and publishes only counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure
from wardround.pod.score import score


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = world.pod(tmp_path)
    prepare(folders, world.task("Evaluate"))
    return folders


def labels(folders: Folders) -> list[int]:
    return list(parquet.read_table(folders.labels_file).column(0).to_pylist())


def predict(folders: Folders, values: Any, dtype: str = "<f8") -> None:
    np.array(values, dtype).tofile(path(folders))


def test_counts_and_metrics_compare_predictions_with_labels(folders: Folders) -> None:
    truth = labels(folders)
    predict(folders, [0.9 if label else 0.1 for label in truth])
    score(folders)
    counts = world.read(folders.update / "update.safetensors")
    assert counts["positives"][90] == sum(truth)
    assert counts["negatives"][10] == len(truth) - sum(truth)
    assert counts["positives"].sum() + counts["negatives"].sum() == len(truth)
    document = world.update(folders)
    assert document["metrics"] == {"accuracy": "1", "sensitivity": "1", "auc": "1"}
    assert document["suppressed"] == []
    assert document["samples"] == len(truth)
    assert document["baseDigest"] == "sha256:" + "b" * 64


def test_a_probability_of_one_is_counted(folders: Folders) -> None:
    predict(folders, np.ones(len(labels(folders))))
    score(folders)
    assert world.read(folders.update / "update.safetensors")["positives"][99] == sum(labels(folders))


def test_metrics_over_too_few_positives_are_suppressed(tmp_path: Path) -> None:
    lines = [f"patient-{number},10,50,{int(number < 20)}" for number in range(100)]
    folders = world.pod(tmp_path, lines)
    prepare(folders, world.task("Evaluate"))
    assert 1 < sum(labels(folders)) < 11
    predict(folders, [0.2] * len(labels(folders)))
    score(folders)
    document = world.update(folders)
    assert set(document["metrics"]) == {"accuracy"}
    assert document["suppressed"] == ["auc", "sensitivity"]


def test_many_rows_of_few_patients_are_suppressed(tmp_path: Path) -> None:
    """Four positives with twelve rows each are four patients."""
    lines = [f"patient-{number % 100},10,50,{int(number % 100 < 20)}" for number in range(1200)]
    folders = world.pod(tmp_path, lines)
    prepare(folders, world.task("Evaluate"))
    assert sum(labels(folders)) > 11
    predict(folders, [0.2] * len(labels(folders)))
    score(folders)
    assert world.update(folders)["suppressed"] == ["auc", "sensitivity"]


def path(folders: Folders) -> Path:
    return folders.out / "predictions.f64"


ATTACKS: dict[str, tuple[str, Callable[[Folders, int], Any]]] = {
    "nothing": ("OutputMissing", lambda f, n: None),
    "link": ("OutputLink", lambda f, n: path(f).symlink_to(f.labels_file)),
    "10 GB": ("OutputTooLarge", lambda f, n: world.sparse(path(f), 10 << 30)),
    "Parquet": ("PredictionsInvalid", lambda f, n: parquet.write_table(pa.table({"probability": [0.5] * n}), path(f))),
    "a byte too many": ("PredictionsInvalid", lambda f, n: path(f).write_bytes(bytes(8 * n + 1))),
    "a byte too few": ("PredictionsInvalid", lambda f, n: path(f).write_bytes(bytes(8 * n - 1))),
    "too few rows": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * (n - 1))),
    "too many rows": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * (n + 1))),
    "no rows": ("PredictionsInvalid", lambda f, n: predict(f, [])),
    "single precision": ("PredictionsInvalid", lambda f, n: predict(f, [0.5] * n, "<f4")),
    "big-endian": ("PredictionsInvalid", lambda f, n: predict(f, [0.7] * n, ">f8")),
    "text": ("PredictionsInvalid", lambda f, n: path(f).write_text("0.5\n" * n)),
    "a pipe": ("OutputLink", lambda f, n: os.mkfifo(path(f))),
    "infinite": ("NotFinite", lambda f, n: predict(f, [float("inf")] + [0.5] * (n - 1))),
    "NaN": ("NotFinite", lambda f, n: predict(f, [float("nan")] + [0.5] * (n - 1))),
    "above one": ("PredictionsInvalid", lambda f, n: predict(f, [1.1] + [0.5] * (n - 1))),
    "below zero": ("PredictionsInvalid", lambda f, n: predict(f, [-0.1] + [0.5] * (n - 1))),
    "many rows": ("PredictionsInvalid", lambda f, n: world.sparse(path(f), 8 * 5_000_000)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_malformed_predictions_are_refused_with_their_reason(folders: Folders, name: str) -> None:
    reason, attack = ATTACKS[name]
    attack(folders, len(labels(folders)))
    with pytest.raises(Failure) as caught:
        score(folders)
    assert (caught.value.reason, caught.value.category) == (reason, "Code")
    assert not (folders.update / "update.json").exists()
