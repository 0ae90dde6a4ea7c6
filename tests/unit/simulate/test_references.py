"""An evaluation with references: its differences are those of a slow loop over the patients of all hospitals."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.simulation.rounds import OWN, documents
from tests.unit.simulate.rounds import Object, played
from wardround.metrics.digits import end_text, rounded_count, text
from wardround.simulate import table
from wardround.simulate.errors import SimulationError
from wardround.simulate.play import Finished, play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared

Z = 1.959963984540054


def rounds(*references: str) -> list[Object]:
    """Statistics, three rounds of training, and an evaluation of the last model."""
    statistics, *trained, evaluation = documents(OWN)
    trained = trained[:3]
    evaluation["spec"] |= {"base": {"roundName": trained[-1]["metadata"]["name"]}, "quorum": {"min": 2}}
    evaluation["spec"]["references"] = list(references)
    return [statistics, *trained, evaluation]


@dataclass
class Patients:
    """What the scorer of each hospital reads: losses by hospital, patient and model, row by row."""

    losses: dict[str, dict[int, list[list[float]]]] = field(default_factory=dict)
    positives: dict[str, set[int]] = field(default_factory=dict)

    def see(self, ended: Ended) -> None:
        if ended.verb != "score":
            return
        folder = ended.container.folder
        if not (folder / "private" / "labels.i64").exists():
            return  # withheld
        rows = np.fromfile(folder / "private" / "labels.i64", "<i8").reshape(-1, 2)
        names = ("out", "out-reference1", "out-reference2")
        models = [np.fromfile(folder / each / "predictions.f64", "<f8") for each in names if (folder / each).exists()]
        hospital = ended.container.job["metadata"]["labels"]["wardround.io/participant"]
        losses: dict[int, list[list[float]]] = defaultdict(lambda: [[] for _ in models])
        for place, (label, patient) in enumerate(rows.tolist()):
            for number, model in enumerate(models):
                chance = min(max(float(model[place]), 1e-6), 1 - 1e-6)
                losses[patient][number].append(-math.log(chance if label else 1 - chance))
        self.losses[hospital] = losses
        self.positives[hospital] = {patient for label, patient in rows.tolist() if label}

    def differences(self, reference: int) -> list[list[float]]:
        """By hospital, each patient's loss by the model minus that by the reference."""
        return [
            [
                math.fsum(models[0]) / len(models[0]) - math.fsum(models[reference]) / len(models[reference])
                for models in patients.values()
            ]
            for patients in self.losses.values()
        ]


def test_the_differences_are_those_of_a_loop_over_patients(data: Path) -> None:
    patients = Patients()
    ended = list(play(prepared(rounds("train-1", "train-2"), data, trainer=OWN.program), watch=patients.see))
    last = ended[-1]
    assert isinstance(last, Finished)
    first, second = last.result.differences
    assert (first.reference, second.reference, first.model) == ("train-1", "train-2", "train-3")
    assert first.better == "Lower"
    for place, difference in enumerate((first, second), 1):
        apart = patients.differences(place)
        people, smaller = sum(map(len, apart)), min(map(len, apart))
        value = math.fsum(map(math.fsum, apart)) / people
        variance = sum(
            len(each) / (len(each) - 1) * math.fsum((d - math.fsum(each) / len(each)) ** 2 for d in each)
            for each in apart
        )
        half = Z * math.sqrt(variance) / people
        assert (difference.value, difference.low, difference.high) == (
            text(value, smaller),
            end_text(value - half, smaller, upper=False),
            end_text(value + half, smaller, upper=True),
        )
        assert (difference.people, difference.hospitals) == (rounded_count(people), 2)
        assert difference.events == rounded_count(sum(map(len, patients.positives.values())))
    # The last model has learned more than the first one.
    assert float(first.value) <= float(second.value) <= 0
    assert float(first.value) < 0
    row = table.rows([last])[-1]
    assert (row.metric, row.model, row.reference, row.value) == (
        *("lossDifference", "train-3", "train-2"),
        float(second.value),
    )
    loss = table.rows([last])[-2]
    assert (loss.metric, loss.model, loss.reference) == ("referenceLoss", "train-2", "")
    assert second.reference_loss is not None
    assert (loss.value, loss.low, loss.people) == (float(second.reference_loss), None, second.people)


def test_a_reference_changes_no_number_of_the_model(data: Path) -> None:
    compared, alone = played(rounds("train-1"), data)[-1], played(rounds(), data)[-1]
    assert compared.result.metrics == alone.result.metrics
    assert compared.result.digest != alone.result.digest
    assert alone.result.differences == ()
    again = played(rounds("train-1"), data)[-1]
    assert again.result.digest == compared.result.digest


@pytest.mark.parametrize(
    ("references", "words"),
    [
        (("heart-9",), "Round evaluate compares its model with round heart-9, and none of the given files has"),
        (("train-3",), "references names the round of spec.base"),
        (("train-1", "train-1"), "at most 2 names, and each name only once"),
        (("train-1", "train-2", "statistics"), "at most 2 names, and each name only once"),
        (("statistics",), "ReferenceTaskDiffers"),
    ],
)
def test_references_that_cannot_be_compared_are_refused(data: Path, references: tuple[str, ...], words: str) -> None:
    with pytest.raises(SimulationError, match=words):
        played(rounds(*references), data)
