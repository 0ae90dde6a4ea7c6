"""A round that trains nothing is a query over the validation rows: what it can learn of few patients is nothing.

The query of the attack: the hub chooses the base model, the code hands it back, and its loss over the validation rows
leaves. Over one row that is a function of one patient, of the hub's choice.
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
    found = (f"patient-{number}" for number in range(10**6))
    ours = (name for name in found if SIDES.side(name) == side)
    return [next(ours) for _ in range(count)]


def lines(validation: int, *, visits: int = 1) -> list[str]:
    """A hospital with 60 patients to train on and so many for validation, each with as many rows."""
    people = patients("train", 60) + patients("validation", validation)
    return [
        f"{name},{10 + number % 20 + visit / 100},{20 + number % 60},{number % 2}"
        for number, name in enumerate(people)
        for visit in range(visits)
    ]


def hands_back_the_base(folders: Folders, loss: Callable[[Any], float]) -> None:
    (folders.out / "model.safetensors").write_bytes((folders.base / "model.safetensors").read_bytes())
    view = parquet.read_table(folders.view_file("validation"))
    told = {"steps": 0, "base": {"loss": loss(view)}, "trained": {"loss": loss(view)}}
    (folders.out / "metrics.json").write_text(json.dumps(told))


def age(view: Any) -> float:
    """What a base model of weight 1 on age, and none elsewhere, makes of the cross-entropy: for one row, its age."""
    odds = view.column("age").to_numpy().astype(np.float64)
    return float(np.mean(np.log1p(np.exp(-odds)) + odds * (1 - view.column("malignant").to_numpy())) + 20)


def asked(root: Path, rows: list[str], loss: Callable[[Any], float] = age, **changes: Any) -> dict[str, Any]:
    folders = world.pod(root, rows)
    world.model(folders.base / "model.safetensors")
    prepare(folders, world.task(parameters={"epochs": "0"}, **changes))
    hands_back_the_base(folders, loss)
    check(folders)
    return world.update(folders)


@pytest.mark.parametrize("validation", [1, 8, 10])
@pytest.mark.parametrize("visits", [1, 20])
def test_nothing_is_told_of_a_few_validation_patients_however_many_rows_they_have(
    tmp_path: Path, validation: int, visits: int
) -> None:
    document = asked(tmp_path, lines(validation, visits=visits))
    assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])
    assert document["samples"] == 60  # it trains all the same


def test_neither_does_the_round_fail_by_what_a_few_patients_make_of_it(tmp_path: Path) -> None:
    """Else each round is one bit of the hub's choice: whether its model's loss on the row is a number."""
    for number, loss in enumerate((math.nan, 1.0)):
        document = asked(tmp_path / str(number), lines(1), lambda _, loss=loss: loss)  # type: ignore[misc]
        assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])


def test_no_validation_rows_at_all_are_few_too(tmp_path: Path) -> None:
    """A trainer may then measure on what it has trained on: whatever it writes, it is no metric of validation."""
    document = asked(tmp_path, lines(0), lambda _: 0.123456)
    assert (document["metrics"], document["suppressed"]) == ({}, ["loss"])


@pytest.mark.parametrize(("validation", "told"), [(11, "0.12"), (99, "0.12"), (100, "0.123"), (1000, "0.1235")])
def test_over_enough_patients_it_is_told_in_as_many_digits_as_they_are_worth(
    tmp_path: Path, validation: int, told: str
) -> None:
    document = asked(tmp_path, lines(validation), lambda _: 0.123456)
    assert (document["metrics"], document["suppressed"]) == ({"loss": told}, [])


def test_a_hospital_may_ask_for_more(tmp_path: Path) -> None:
    assert asked(tmp_path, lines(30), minCell=31)["suppressed"] == ["loss"]


@pytest.mark.parametrize("kind", ["Train", "Evaluate", "Statistics"])
def test_no_update_is_of_fewer_patients_than_a_metric_may_be(tmp_path: Path, kind: str) -> None:
    people = patients("test" if kind == "Evaluate" else "train", 10)
    few = [f"{name},{10 + visit},50,{number % 2}" for number, name in enumerate(people) for visit in range(5)]
    with pytest.raises(Failure, match="11 are needed") as caught:
        prepare(world.pod(tmp_path, few), world.task(kind, minSamples=1))
    assert caught.value.reason == "TooFewSamples"


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"epochs": "0"}, True),
        ({"epochs": "1", "learningRate": "0"}, True),
        ({"epochs": "1", "learningRate": "1e-7"}, True),
        ({"epochs": "1", "learningRate": "0.000001"}, False),
    ],
)
def test_by_default_a_round_cannot_ask_for_no_training(given: dict[str, str], refused: bool) -> None:
    assert bool(outside("Train", given, DEFAULT_PARAMETERS)) is refused
