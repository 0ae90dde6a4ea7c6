"""A round that trains nothing is a query over the validation rows. It learns nothing about few patients.

The attack: the hub chooses the base model, the code returns it unchanged, and the metrics report its loss over the
validation rows. With one validation row, the loss is a function of one patient that the hub chooses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.api.parameter_bounds import outside
from wardround.api.site import DEFAULT_PARAMETERS
from wardround.pod.check import check
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure
from wardround.tabular import split

SIDES = split.parse(world.SPLIT)


def patients(side: str, count: int) -> list[str]:
    names = (f"patient-{number}" for number in range(10**6))
    on_side = (name for name in names if SIDES.side(name) == side)
    return [next(on_side) for _ in range(count)]


def lines(validation: int, *, visits: int = 1) -> list[str]:
    """Rows of 60 training patients and `validation` validation patients, `visits` rows each."""
    people = patients("train", 60) + patients("validation", validation)
    return [
        f"{name},{10 + number % 20 + visit / 100},{20 + number % 60},{number % 2}"
        for number, name in enumerate(people)
        for visit in range(visits)
    ]


def return_the_base(folders: Folders, loss: Callable[[Any], float]) -> None:
    (folders.out / "model.safetensors").write_bytes((folders.base / "model.safetensors").read_bytes())
    view = parquet.read_table(folders.view_file("validation"))
    measured = {"steps": 0, "base": {"loss": loss(view)}, "trained": {"loss": loss(view)}}
    (folders.out / "metrics.json").write_text(json.dumps(measured))


def age(view: Any) -> float:
    """The cross-entropy of a base model with weight 1 on age and 0 elsewhere: for one row, it reveals the age."""
    odds = view.column("age").to_numpy().astype(np.float64)
    return float(np.mean(np.log1p(np.exp(-odds)) + odds * (1 - view.column("malignant").to_numpy())) + 20)


def query(root: Path, rows: list[str], loss: Callable[[Any], float] = age, **changes: Any) -> dict[str, Any]:
    folders = world.pod(root, rows)
    world.model(folders.base / "model.safetensors")
    prepare(folders, world.task(parameters={"epochs": "0"}, **changes))
    return_the_base(folders, loss)
    check(folders)
    return world.update(folders)


@pytest.mark.parametrize("validation", [1, 8, 10])
@pytest.mark.parametrize("visits", [1, 20])
def test_metrics_of_few_validation_patients_are_suppressed_for_any_number_of_rows(
    tmp_path: Path, validation: int, visits: int
) -> None:
    document = query(tmp_path, lines(validation, visits=visits))
    assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])
    assert document["samples"] == 60  # training still counts


def test_a_metric_of_few_patients_cannot_fail_the_round(tmp_path: Path) -> None:
    """Otherwise each round reveals one bit that the hub chooses: whether its model's loss on the row is finite."""
    for number, loss in enumerate((math.nan, 1.0)):
        document = query(tmp_path / str(number), lines(1), lambda _, loss=loss: loss)  # type: ignore[misc]
        assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])


def test_metrics_without_validation_rows_are_suppressed(tmp_path: Path) -> None:
    """Without validation rows, a trainer may measure on its training rows. That metric must not leave either."""
    document = query(tmp_path, lines(0), lambda _: 0.123456)
    assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])


@pytest.mark.parametrize(("validation", "value"), [(11, "0.12"), (99, "0.12"), (100, "0.123"), (1000, "0.1235")])
def test_more_patients_give_a_metric_more_digits(tmp_path: Path, validation: int, value: str) -> None:
    document = query(tmp_path, lines(validation), lambda _: 0.123456)
    assert (document["metrics"], document["suppressed"]) == ({"loss": value}, [])


def test_a_hospital_may_raise_the_smallest_cell(tmp_path: Path) -> None:
    assert query(tmp_path, lines(30), minCell=31)["suppressed"] == ["loss"]


@pytest.mark.parametrize("kind", ["Train", "Evaluate", "Statistics"])
def test_no_update_is_made_from_fewer_patients_than_the_smallest_cell(tmp_path: Path, kind: str) -> None:
    people = patients("test" if kind == "Evaluate" else "train", 10)
    few = [f"{name},{10 + visit},50,{number % 2}" for number, name in enumerate(people) for visit in range(5)]
    with pytest.raises(Failure, match="11 are needed") as caught:
        prepare(world.pod(tmp_path, few), world.task(kind, minSamples=1))
    assert caught.value.reason == "TooFewSamples"


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"epochs": "0"}, True),
        ({"epochs": "1", "learningRate": "0"}, True),
        ({"epochs": "1", "learningRate": "1e-7"}, True),
        ({"epochs": "1", "learningRate": "0.000001"}, False),
    ],
)
def test_default_bounds_refuse_a_round_that_does_not_train(parameters: dict[str, str], refused: bool) -> None:
    assert bool(outside("Train", parameters, DEFAULT_PARAMETERS)) is refused
