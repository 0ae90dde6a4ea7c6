"""Predicts for each row of a hospital's file, read as `prepare` reads it; guesses no value that the file lacks.

Asks no cluster. The target needs no column in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround.card import network
from wardround.card.distances import Distances
from wardround.card.folder import Folder, FolderRefused
from wardround.metrics import registry
from wardround.metrics.recalibration import recalibrated
from wardround.pod import dataset
from wardround.tabular import schema
from wardround.tabular.problems import ROW_MALFORMED
from wardround.wire.card import CardMetric, ModelCard

# How an evaluation names the numbers at the operating point.
AT_POINT = {"sensitivity": registry.SENSITIVITY_THERE, "specificity": registry.AT_THRESHOLD}

# How a person gets the model with a newer card, after advice to its author: on a laptop, and at a hospital.
PULL_AGAIN = "Then pull the model again."
DELIVER_AGAIN = "Then ask the author to delete the Deliver round: the hub operator delivers the model again."


@dataclass(frozen=True)
class Answer:
    """The answer for one row. `row`: its number in the file, where the header of a CSV file is 1 and the first row of a
    Parquet file is 1. `probability`: None if the row has `faults`, each of which names a field and a reason.

    `recalibrated`: the probability by the card's intercept and slope; None if the card has none.
    `operating_point`: the card's threshold, the same for all rows; None if the card has none.
    """

    row: int
    identifier: str
    probability: float | None
    recalibrated: float | None
    operating_point: float | None
    faults: tuple[str, ...] = ()

    @property
    def positive(self) -> bool | None:
        """Whether the probability reaches the operating point; None without one of the two."""
        if self.probability is None or self.operating_point is None:
            return None
        return self.probability >= self.operating_point


@dataclass(frozen=True)
class Recalibration:
    """`people`, `hospitals`: who is behind it. `round_name`: the round that measured the model."""

    intercept: float
    slope: float
    people: int
    hospitals: int
    round_name: str

    @property
    def words(self) -> str:
        """Where it comes from, for people."""
        return (
            f"intercept {self.intercept} and slope {self.slope}, fitted by the round {self.round_name} on the "
            f"validation rows of {_people(self.people, self.hospitals)}"
        )


def recalibration(card: ModelCard) -> Recalibration | None:
    """The line on the card that recalibrates a probability. None: no round has told one over validation rows of enough
    hospitals.

    Raises FolderRefused.
    """
    slope = card.steering(registry.SLOPE)
    intercept = card.metric(registry.INTERCEPT, slope.rows) if slope else None
    if slope is None or intercept is None or intercept.round_name != slope.round_name:
        return None
    values = _number(intercept), _number(slope)
    return Recalibration(*values, slope.people, slope.hospitals, slope.round_name)


def operating_point(card: ModelCard) -> float | None:
    """The probability from which a row is positive, as an evaluation with sensitivityAtSpecificity measured it.

    None: no round has told one over enough hospitals. Raises FolderRefused.
    """
    metric = _operating_point(card)
    return _number(metric, 0, 1) if metric else None


def notes(card: ModelCard, renewal: str) -> tuple[str, str]:
    """Where the recalibration and the operating point come from, or what the card lacks. For people. `renewal`: one of
    the two texts above."""
    line, point = recalibration(card), _operating_point(card)
    recalibrated_by = (
        f"The column recalibrated uses {line.words}."
        if line
        else "The column recalibrated is empty, because the card lacks calibrationIntercept and calibrationSlope over "
        "validation rows of enough hospitals: more than half of the number that trained the model. To fill this "
        "column, ask the author of this model's rounds for an Evaluate round with rows: Validation and the metric "
        "calibration over these hospitals, with at least 400 people besides those of the largest hospital. "
        f"{renewal}"
    )
    positive_from = (
        f"The column positive is true where the probability is {point.value} or more. Round {point.round_name} chose "
        "this threshold on the validation rows of "
        f"{_people(point.people, point.hospitals)}. {_at_the_point(card, point)}"
        if point
        else "The columns operatingPoint and positive are empty, because the card lacks a threshold over validation "
        "rows of enough hospitals: more than half of the number that trained the model. To fill these columns, ask the "
        "author of this model's rounds for an Evaluate round with rows: Validation and the metric "
        f"sensitivityAtSpecificity over these hospitals. {renewal}"
    )
    return recalibrated_by, positive_from


def _operating_point(card: ModelCard) -> CardMetric | None:
    return card.steering(registry.THRESHOLD)


def _at_the_point(card: ModelCard, point: CardMetric) -> str:
    """What the operating point is worth. The evaluation's author chooses it, and a high specificity can cost nearly all
    sensitivity: a clinician may then read `false` as an all-clear."""
    measured = {name: card.metric(metric, point.rows) for name, metric in AT_POINT.items()}
    known = {name: each for name, each in measured.items() if each and each.round_name == point.round_name}
    values = " and ".join(f"the {name} is {_value(each, point)}" for name, each in known.items())
    below = (
        "The sensitivity is the share of the positive people who reach the threshold. For all other "
        "positive people, the column positive is false too."
        if "sensitivity" in known
        else "The card does not say how many positive people are below the threshold."
    )
    return (
        f"{f'There, {values}. ' if values else ''}The value false says only that the probability is below the "
        f"threshold. It does not say that a person is negative. {below}"
    )


def _value(metric: CardMetric, point: CardMetric) -> str:
    """With the people behind it, unless they are those of the threshold."""
    if (metric.people, metric.hospitals) == (point.people, point.hospitals):
        return metric.value
    return f"{metric.value} (over {_people(metric.people, metric.hospitals)})"


def _people(people: int, hospitals: int) -> str:
    return f"{people} people at {hospitals} hospital{'s' if hospitals != 1 else ''}"


def _number(metric: CardMetric, lowest: float = -sys.float_info.max, highest: float = sys.float_info.max) -> float:
    value = float(metric.value)
    if not lowest <= value <= highest:
        raise FolderRefused(
            f"the card's {metric.name} is {metric.value}, so nobody can compute with this card",
            f"Ask the author of round {metric.round_name} for another Evaluate round, and then pull the model again",
        )
    return value


@dataclass(frozen=True)
class Row:
    """A row of the file, still without a probability. `number`, `faults`: as of Answer."""

    number: int
    identifier: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Rows in the file's order. `inputs`: the model's inputs for those without a fault, float32 of shape (rows,
    features)."""

    rows: Sequence[Row]
    inputs: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rules:
    """What the card says of a probability. `line`: recalibrates. `point`: the operating point."""

    line: Recalibration | None
    point: float | None

    @classmethod
    def named_by(cls, card: ModelCard) -> Rules:
        """Raises FolderRefused."""
        return cls(recalibration(card), operating_point(card))

    def answers(self, rows: Iterable[Row], probabilities: Iterable[float]) -> Iterator[Answer]:
        """One answer for each row. `probabilities`: of the rows without a fault, in their order."""
        computed = iter(probabilities)
        for row in rows:
            if row.faults:
                yield Answer(row.number, row.identifier, None, None, self.point, row.faults)
            else:
                yield self._answer(row, next(computed))

    def _answer(self, row: Row, probability: float) -> Answer:
        better = None if self.line is None else recalibrated(probability, self.line.intercept, self.line.slope)
        return Answer(row.number, row.identifier, probability, better, self.point)


class Answers:
    """One answer for each row of the file, in its order. `distances`: of the rows that have been answered so far."""

    def __init__(self, folder: Folder, spec: Mapping[str, Any], file: Path) -> None:
        """`spec`: of the hospital's Dataset. Raises FolderRefused, SchemaInvalid."""
        self._model, self._rules = network.network(folder), Rules.named_by(folder.card)
        self._table, self._spec, self._file = inputs(folder.card, folder.path, spec), spec, file
        names = [each.name for each in self._table.features]
        self.distances = Distances(names, self._model.tensors["mean"], self._model.tensors["deviation"])

    def __iter__(self) -> Iterator[Answer]:
        """Raises PodError (ColumnMissing, DataUnreadable, DataReplaced)."""
        for batch in batches(self._table, self._spec, self._file):
            self.distances.add(batch.inputs)
            yield from self._rules.answers(batch.rows, network.probabilities(self._model, batch.inputs).tolist())


def inputs(card: ModelCard, path: Path, spec: Mapping[str, Any]) -> schema.Schema:
    """The columns to read: those of the card's DataSchema without the target, which a new patient does not have.

    `path`: of the model's folder. Raises FolderRefused, SchemaInvalid.
    """
    described = card.data_schema
    if described is None:
        raise FolderRefused(f"the card of {path} names no features")
    table = schema.parse(described, spec)
    return replace(
        table,
        fields=tuple(each for each in table.fields if each.name != table.target),
        sources=tuple(each for each in table.sources if each.field.name != table.target),
    )


def batches(table: schema.Schema, spec: Mapping[str, Any], file: Path) -> Iterator[Batch]:
    """All rows of the file, also the malformed ones. `table`: of `inputs`.

    Raises PodError (ColumnMissing, DataUnreadable, DataReplaced).
    """
    reading, kind = dataset.Reading(), spec.get("format", "CSV")
    number = 2 if kind == "CSV" else 1
    for examined in dataset.examine(file, kind, table, reading):
        rows = []
        for row in _rows(examined, table):
            while number in reading.malformed:
                rows.append(_malformed(number))
                number += 1
            rows.append(replace(row, number=number))
            number += 1
        yield Batch(rows, _inputs(examined, table))
    rest = [_malformed(each) for each in reading.malformed if each >= number]
    yield Batch(rest, np.zeros((0, len(table.features)), np.float32))


def _malformed(number: int) -> Row:
    return Row(number, "", (f"the row: {ROW_MALFORMED}",))


def _inputs(examined: dataset.CheckedRows, table: schema.Schema) -> npt.NDArray[np.float32]:
    whole = ~np.logical_or.reduce(examined.wrong)
    by_name = dict(zip((each.field.name for each in table.sources), examined.checked[1:], strict=True))
    columns = [each.numbers(by_name[each.field.name]) for each in table.features]
    # float32, as in the view from which the model has learnt.
    return np.stack([numbers[whole].astype(np.float32) for numbers in columns], axis=1)


def _rows(examined: dataset.CheckedRows, table: schema.Schema) -> Iterator[Row]:
    """Not yet with their numbers."""
    wrong = np.logical_or.reduce(examined.wrong)
    for position, identifier in enumerate(examined.checked[0].text.to_pylist()):
        yield Row(0, identifier or "", tuple(_faults(examined, table, position)) if wrong[position] else ())


def _faults(examined: dataset.CheckedRows, table: schema.Schema, position: int) -> Iterator[str]:
    for source, column in zip(table.columns, examined.checked, strict=True):
        for reason, mask in column.problems:
            if mask[position]:
                yield f"{source.field.name}: {reason}"
