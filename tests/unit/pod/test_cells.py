"""A round is a query over the validation rows. It learns nothing about few patients.

The attack: the hub chooses the base model, and the result has its loss over the validation rows. With one validation
row, the loss is a function of one patient that the hub chooses.
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
from wardround.pod.outcome import PodError

SIDES = world.SIDES


def patients(side: str, count: int) -> list[str]:
    names = (f"patient-{number}" for number in range(10**6))
    on_side = (name for name in names if SIDES.side(name) == side)
    return [next(on_side) for _ in range(count)]


def lines(validation: int, *, visits: int = 1, values: int = 2, first: int = 0) -> list[str]:
    """Rows of 60 training patients and `validation` validation patients, `visits` rows each. `values`: so many whole
    numbers from `first` on take turns as the target."""
    people = patients("train", 60) + patients("validation", validation)
    return [
        f"{name},{10 + number % 20 + visit / 100},{20 + number % 60},{first + number % values}"
        for number, name in enumerate(people)
        for visit in range(visits)
    ]


def return_the_base(folders: Folders, chances: Callable[[Any], Any]) -> None:
    (folders.out / "model.safetensors").write_bytes((folders.base / "model.safetensors").read_bytes())
    view = parquet.read_table(folders.view_file("validation"))
    world.probabilities(folders.out / "validation.f64", chances(view))
    (folders.out / "metrics.json").write_text(json.dumps({"base": {"dice": float(np.sum(chances(view)))}}))


def age(view: Any) -> Any:
    """Probabilities of a base model with weight 1 on age and 0 elsewhere: for one row, they reveal the age."""
    return 1 / (1 + np.exp(-view.column("age").to_numpy().astype(np.float64) / 20))


def query(root: Path, rows: list[str], chances: Callable[[Any], Any] = age, **changes: Any) -> Folders:
    folders = world.pod(root, rows)
    world.model(folders.base / "model.safetensors")
    prepare(folders, world.task(parameters={"epochs": "0"}, metrics=["loss", "dice"], **changes))
    return_the_base(folders, chances)
    outcome = check(folders)
    assert (outcome is None) == (world.sums(folders) is None)
    return folders


def is_silent(folders: Folders) -> bool:
    """Whether the update says nothing about validation rows, and says that it does not."""
    return world.update(folders)["withheld"] is True and world.sums(folders) is None


@pytest.mark.parametrize("validation", [1, 8, 20])
@pytest.mark.parametrize("visits", [1, 20])
def test_sums_of_few_validation_patients_are_withheld_for_any_number_of_rows(
    tmp_path: Path, validation: int, visits: int
) -> None:
    """Of 20 patients 10 are positive, one fewer than the smallest cell."""
    folders = query(tmp_path, lines(validation, visits=visits))
    assert is_silent(folders)
    assert world.update(folders)["samples"] == 60  # training still counts


def test_predictions_for_few_patients_cannot_fail_the_round(tmp_path: Path) -> None:
    """Otherwise each round reveals one bit that the hub chooses: whether its model's output on the row is finite."""
    for number, value in enumerate((math.nan, 0.5, 2.0)):
        folders = query(tmp_path / str(number), lines(1), lambda view, value=value: np.full(len(view), value))  # type: ignore[misc]
        assert is_silent(folders)


def test_sums_without_validation_rows_are_withheld(tmp_path: Path) -> None:
    """Without validation rows, a trainer may measure on its training rows. That metric must not leave either."""
    assert is_silent(query(tmp_path, lines(0)))


def test_sums_of_enough_patients_leave(tmp_path: Path) -> None:
    folders = query(tmp_path, lines(22, visits=3))
    assert world.update(folders)["withheld"] is False
    sums = world.sums(folders)
    assert sums is not None
    assert sums.people == 22
    assert [float(each) for each in sums.sums["people"]] == [22, 11, 11]
    assert sums.reported.keys() == {"dice"}


def test_a_hospital_may_raise_the_smallest_cell(tmp_path: Path) -> None:
    assert is_silent(query(tmp_path, lines(22), minCell=12))


def test_a_reported_metric_of_a_target_that_is_not_binary_needs_enough_patients(tmp_path: Path) -> None:
    for validation in (10, 11):
        folders = query(tmp_path / str(validation), lines(validation, values=3), schema=without_classes())
        assert is_silent(folders) is (validation == 10)


def without_classes() -> Any:
    """A DataSchema that does not say that the target is 0 or 1."""
    schema = world.task()["schema"]
    del schema["fields"][2]["categories"]
    return schema


@pytest.mark.parametrize(("validation", "expected"), [(20, True), (21, True), (22, False)])
@pytest.mark.parametrize("first", [0, 1, 7])
def test_a_target_with_two_values_has_two_classes_whatever_its_schema_says(
    tmp_path: Path, validation: int, expected: bool, first: int
) -> None:
    """A mean loss over 20 patients of whom one is positive tells how many are positive."""
    rows = lines(validation, first=first)
    assert is_silent(query(tmp_path, rows, schema=without_classes())) is expected


@pytest.mark.parametrize("first", [0, 1])
def test_a_target_with_one_value_has_an_empty_class(tmp_path: Path, first: int) -> None:
    assert is_silent(query(tmp_path, lines(40, values=1, first=first), schema=without_classes()))


@pytest.mark.parametrize("kind", ["Train", "Statistics"])
def test_no_update_is_made_from_fewer_patients_than_the_smallest_cell(tmp_path: Path, kind: str) -> None:
    people = patients("train", 10)
    few = [f"{name},{10 + visit},50,{number % 2}" for number, name in enumerate(people) for visit in range(5)]
    with pytest.raises(PodError, match="at least 11") as caught:
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
