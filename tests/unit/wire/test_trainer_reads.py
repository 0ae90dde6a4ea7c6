"""The trainer image must not import `wardround`: its reading of task.json is held to the type that prepare writes."""

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
from wardround.wire import codec, layouts
from wardround.wire.training import CONTRACT, TrainingTask
from wardround_trainer import network
from wardround_trainer import task as trainer
from wardround_trainer.failure import Failure


def given(root: Path, task: TrainingTask) -> trainer.Folders:
    (root / "task").mkdir()
    (root / "task" / "task.json").write_bytes(codec.write_document(task))
    return trainer.Folders(root)


def test_the_trainer_reads_what_prepare_writes(tmp_path: Path) -> None:
    found = trainer.read(given(tmp_path, dataclasses.replace(TRAINING, seed=7)))
    assert (found.features, found.target) == (("mean_radius",), "malignant")
    assert (found.seed, found.order_seed) == (7, TRAINING.order_seed)
    assert (found.frozen, found.metrics) == (TRAINING.exchange.frozen, TRAINING.metrics)
    assert found.parameters.epochs == 5


def test_the_trainer_knows_the_contract_of_this_version_and_no_other(tmp_path: Path) -> None:
    assert trainer.CONTRACT == CONTRACT
    with pytest.raises(Failure, match="contract '3'"):
        trainer.read(given(tmp_path, dataclasses.replace(TRAINING, contract="3")))


def test_the_task_that_the_trainers_own_tests_give_it_is_one_that_prepare_writes() -> None:
    """They run inside the trainer image, where the type is not."""
    document: Any = json.loads(json.dumps(DOCUMENT))
    assert codec.dump_document(codec.parse_document(TrainingTask, document)) == document


def test_the_trainer_makes_its_standardisation_of_the_tensors_that_a_statistics_round_has() -> None:
    sums = {name: np.full(shape, 8.0) for name, shape in layouts.statistics(3).items()}
    given = {**sums, "sum": np.full(3, 16.0), "squares": np.full(3, 64.0), "positives": np.array([2.0])}
    found = network.initial(3, (), 7, given)
    assert found["input.mean"].tolist() == [8 + 16 / 8] * 3
    assert found["input.std"].tolist() == [2.0] * 3
    assert found["output.bias"].tolist() == [np.float32(round(math.log(3 / 7), 6))]
