"""Predicts for each row of a hospital's file, read as `prepare` reads it; guesses no value that the file lacks.

Asks no cluster. The target needs no column in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wardround.card import network
from wardround.card.folder import Folder, FolderRefused
from wardround.metrics import registry
from wardround.metrics.recalibration import recalibrated
from wardround.pod import dataset
from wardround.tabular import schema
from wardround.tabular.problems import ROW_MALFORMED
from wardround.wire.card import CardMetric, ModelCard

# The rows of an evaluation that choose the operating point: those that no training has seen, if there are any.
ROWS = ("Test", "Validation")
# A recalibration is chosen on validation rows, as a model is. So numbers over test rows stay those of rows that chose
# nothing.
RECALIBRATED_ON = ("Validation", "Test")
_WORDS = {"Validation": "validation", "Test": "test"}


@dataclass(frozen=True)
class Answer:
    """The answer for one row. `row`: its number in the file, where the header of a CSV file is 1 and the first row of a
    Parquet file is 1. `probability`: None if the row has `faults`, each of which names a field and a reason.

    `recalibrated`: the probability by the card's intercept and slope; None if the card has none.
    `positive`: whether `probability` reaches the operating point; None if the card has none.
    """

    row: int
    identifier: str
    probability: float | None
    recalibrated: float | None
    positive: bool | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recalibration:
    """`rows`, `people`, `hospitals`: the rows that it was fitted on, and who is behind it. `round_name`: the round that
    measured the model."""

    intercept: float
    slope: float
    rows: str
    people: int
    hospitals: int
    round_name: str

    @property
    def words(self) -> str:
        """Where it comes from, for people."""
        return (
            f"intercept {self.intercept} and slope {self.slope}, fitted by the round {self.round_name} on the "
            f"{_WORDS[self.rows]} rows of {_people(self.people, self.hospitals)}"
        )


def recalibration(card: ModelCard) -> Recalibration | None:
    """The line on the card that recalibrates a probability. None: no round has told one over enough hospitals.

    Raises FolderRefused.
    """
    slope = card.steering(registry.SLOPE, RECALIBRATED_ON)
    intercept = card.metric(registry.INTERCEPT, slope.rows) if slope else None
    if slope is None or intercept is None or intercept.round_name != slope.round_name:
        return None
    values = _number(intercept), _number(slope)
    return Recalibration(*values, slope.rows, slope.people, slope.hospitals, slope.round_name)


def operating_point(card: ModelCard) -> float | None:
    """The probability from which a row is positive, as an evaluation with sensitivityAtSpecificity measured it.

    None: no round has told one over enough hospitals. Raises FolderRefused.
    """
    metric = _operating_point(card)
    return _number(metric, 0, 1) if metric else None


def notes(card: ModelCard) -> tuple[str, str]:
    """Where the recalibration and the operating point come from, or what the card lacks. Two sentences for people."""
    line, point = recalibration(card), _operating_point(card)
    recalibrated_by = (
        f"recalibrated: by {line.words}."
        if line
        else "recalibrated: empty. The card has no calibrationIntercept and calibrationSlope from more than half as "
        "many hospitals as trained the model. An Evaluate round with the metric calibration computes both, from at "
        "least 400 people without the largest hospital."
    )
    positive_from = (
        f"positive: from the probability {point.value} on. The round {point.round_name} chose this threshold on the "
        f"{_WORDS[point.rows]} rows of {_people(point.people, point.hospitals)}{_specificity_there(card, point)}."
        if point
        else "positive: empty. The card has no threshold from more than half as many hospitals as trained the model. "
        "An Evaluate round with the metric sensitivityAtSpecificity chooses one."
    )
    return recalibrated_by, positive_from


def _operating_point(card: ModelCard) -> CardMetric | None:
    return card.steering(registry.THRESHOLD, ROWS)


def _specificity_there(card: ModelCard, point: CardMetric) -> str:
    """Whoever makes the evaluation chooses how specific the operating point is. So the answer says it."""
    there = card.metric(registry.AT_THRESHOLD, point.rows)
    return f". The specificity there is {there.value}" if there and there.round_name == point.round_name else ""


def _people(people: int, hospitals: int) -> str:
    return f"{people} people at {hospitals} hospital{'s' if hospitals != 1 else ''}"


def _number(metric: CardMetric, lowest: float = -sys.float_info.max, highest: float = sys.float_info.max) -> float:
    value = float(metric.value)
    if not lowest <= value <= highest:
        raise FolderRefused(
            f"the card's {metric.name} is {metric.value}, so `predict` cannot compute with this card. Ask the people "
            f"who made the round {metric.round_name}, and pull the model again after another evaluation"
        )
    return value


def answers(folder: Folder, spec: Mapping[str, Any], file: Path) -> Iterator[Answer]:
    """One answer for each row of the file, in its order. `spec`: of the hospital's Dataset.

    Raises FolderRefused, SchemaInvalid, and Failure (ColumnMissing, DataUnreadable, DataReplaced).
    """
    rules = _Rules(network.network(folder), recalibration(folder.card), operating_point(folder.card))
    inputs = _inputs(folder, spec)
    reading, kind = dataset.Reading(), spec.get("format", "CSV")
    number = 2 if kind == "CSV" else 1
    for examined in dataset.examine(file, kind, inputs, reading):
        for answer in _batch(examined, inputs, rules):
            while number in reading.malformed:
                yield Answer(number, "", None, None, None, (f"the row: {ROW_MALFORMED}",))
                number += 1
            yield replace(answer, row=number)
            number += 1
    for malformed in (each for each in reading.malformed if each >= number):
        yield Answer(malformed, "", None, None, None, (f"the row: {ROW_MALFORMED}",))


def _inputs(folder: Folder, spec: Mapping[str, Any]) -> schema.Schema:
    """The columns to read: those of the card's DataSchema without the target, which a new patient does not have."""
    described = folder.card.data_schema
    if described is None:
        raise FolderRefused(f"the card of {folder.path} names no features")
    table = schema.parse(described, spec)
    return replace(
        table,
        fields=tuple(each for each in table.fields if each.name != table.target),
        sources=tuple(each for each in table.sources if each.field.name != table.target),
    )


@dataclass(frozen=True)
class _Rules:
    """`line`: recalibrates. `point`: the operating point."""

    model: network.Network
    line: Recalibration | None
    point: float | None

    def answer(self, identifier: str, probability: float) -> Answer:
        better = None if self.line is None else recalibrated(probability, self.line.intercept, self.line.slope)
        return Answer(0, identifier, probability, better, None if self.point is None else probability >= self.point)


def _batch(examined: dataset.Examined, inputs: schema.Schema, rules: _Rules) -> Iterator[Answer]:
    whole = ~np.logical_or.reduce(examined.wrong)
    by_name = dict(zip((each.field.name for each in inputs.sources), examined.checked[1:], strict=True))
    columns = [each.numbers(by_name[each.field.name]) for each in inputs.features]
    # float32, as in the view from which the model has learnt.
    rows = np.stack([numbers[whole].astype(np.float32) for numbers in columns], axis=1)
    computed = iter(network.probabilities(rules.model, rows).tolist())
    identifiers = examined.checked[0].text.to_pylist()
    for position, identifier in enumerate(identifiers):
        if whole[position]:
            yield rules.answer(identifier, next(computed))
        else:
            yield Answer(0, identifier or "", None, None, None, tuple(_faults(examined, inputs, position)))


def _faults(examined: dataset.Examined, inputs: schema.Schema, position: int) -> Iterator[str]:
    for source, column in zip(inputs.columns, examined.checked, strict=True):
        for reason, mask in column.problems:
            if mask[position]:
                yield f"{source.field.name}: {reason}"
