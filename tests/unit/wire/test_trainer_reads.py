"""The trainer image must not import `wardround`, so these tests compare its reader of task.json with the type."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.golden.test_wire_golden import TRAINING
from tests.unit.trainer.conftest import DOCUMENT
from wardround.wire import codec, layouts, mounts
from wardround.wire.training import CONTRACT, TrainingTask
from wardround_trainer import network
from wardround_trainer import task as trainer
from wardround_trainer.failure import TrainerError


def pod_folders(root: Path, task: TrainingTask) -> trainer.Folders:
    (root / "task").mkdir()
    (root / "task" / "task.json").write_bytes(codec.write_document(task))
    return trainer.Folders(root)


def test_the_trainer_reads_the_task_that_prepare_writes(tmp_path: Path) -> None:
    work = trainer.read(pod_folders(tmp_path, TRAINING))
    assert (work.features, work.target) == (("mean_radius",), "malignant")
    assert (work.seed, work.order_seed, work.threads) == (7, TRAINING.order_seed, 2)
    assert (work.frozen, work.metrics) == (TRAINING.exchange.frozen, TRAINING.metrics)
    assert work.parameters.epochs == 5


def test_the_trainers_folders_are_mounted_in_its_containers() -> None:
    """It cannot import the table of mounts. `from_environment` has the root of the pod."""
    folders = trainer.Folders.from_environment()
    assert folders.root == Path(mounts.ROOT)
    files = (
        *(folders.model, folders.statistics, folders.trained, folders.predictions),
        *(folders.checkpoint, folders.state_in, folders.state_out, folders.view("train")),
    )
    mounted = {each.path for each in mounts.TABLE if each.container == "train"}
    assert {str(file.parent) for file in files} <= mounted


def test_the_trainer_accepts_only_this_version_of_the_contract(tmp_path: Path) -> None:
    assert trainer.CONTRACT == CONTRACT
    with pytest.raises(TrainerError, match="contract '4'"):
        trainer.read(pod_folders(tmp_path, dataclasses.replace(TRAINING, contract="4")))


def test_the_task_of_the_trainers_own_tests_is_a_valid_training_task() -> None:
    """These tests run inside the trainer image, which lacks the type."""
    document: Any = json.loads(json.dumps(DOCUMENT))
    assert codec.dump_document(codec.parse_document(TrainingTask, document)) == document


def test_the_trainer_standardises_by_the_tensors_of_a_statistics_round() -> None:
    sums = {name: np.full(shape, 8.0) for name, shape in layouts.statistics(3).items()}
    result = {**sums, "sum": np.full(3, 16.0), "squares": np.full(3, 64.0), "positives": np.array([2.0])}
    model = network.initial(3, (), 7, result)
    assert model["wardround.input.mean"].tolist() == [8 + 16 / 8] * 3
    assert model["wardround.input.std"].tolist() == [2.0] * 3
    assert model["output.bias"].tolist() == [np.float32(round(math.log(3 / 7), 6))]
