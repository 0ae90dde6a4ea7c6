"""Predicts for each row of a hospital's file, read as `prepare` reads it; guesses no value that the file lacks.

Asks no cluster. The target needs no column in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wardround.card import network
from wardround.card.folder import Folder, FolderRefused
from wardround.pod import dataset
from wardround.tabular import schema
from wardround.tabular.problems import ROW_MALFORMED
from wardround.wire.card import ModelCard

# The rows of an evaluation that choose the operating point: those that no training has seen, if there are any.
ROWS = ("Test", "Validation")
THRESHOLD = "threshold"


@dataclass(frozen=True)
class Answer:
    """The answer for one row. `row`: its number in the file, where the header of a CSV file is 1 and the first row of a
    Parquet file is 1. `probability`: None if the row has `faults`, each of which names a field and a reason.

    `positive`: whether the probability reaches the operating point; None if the card has none.
    """

    row: int
    identifier: str
    probability: float | None
    positive: bool | None
    faults: tuple[str, ...] = ()


def operating_point(card: ModelCard) -> float | None:
    """The probability from which a row is positive, as an evaluation with sensitivityAtSpecificity measured it."""
    found = [metric for rows in ROWS if (metric := card.metric(THRESHOLD, rows))]
    return float(found[0].value) if found else None


def answers(folder: Folder, spec: Mapping[str, Any], file: Path) -> Iterator[Answer]:
    """One answer for each row of the file, in its order. `spec`: of the hospital's Dataset.

    Raises FolderRefused, SchemaInvalid, and Failure (ColumnMissing, DataUnreadable, DataReplaced).
    """
    model, point = network.network(folder), operating_point(folder.card)
    inputs = _inputs(folder, spec)
    reading, kind = dataset.Reading(), spec.get("format", "CSV")
    number = 2 if kind == "CSV" else 1
    for examined in dataset.examine(file, kind, inputs, reading):
        for answer in _batch(examined, inputs, model, point):
            while number in reading.malformed:
                yield Answer(number, "", None, None, (f"the row: {ROW_MALFORMED}",))
                number += 1
            yield replace(answer, row=number)
            number += 1
    for malformed in (each for each in reading.malformed if each >= number):
        yield Answer(malformed, "", None, None, (f"the row: {ROW_MALFORMED}",))


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


def _batch(
    examined: dataset.Examined, inputs: schema.Schema, model: network.Network, point: float | None
) -> Iterator[Answer]:
    whole = ~np.logical_or.reduce(examined.wrong)
    by_name = dict(zip((each.field.name for each in inputs.sources), examined.checked[1:], strict=True))
    columns = [by_name[each.name].numbers for each in inputs.features]
    # float32, as in the view from which the model has learnt.
    rows = np.stack([numbers[whole].astype(np.float32) for numbers in columns if numbers is not None], axis=1)
    computed = iter(network.probabilities(model, rows).tolist())
    identifiers = examined.checked[0].text.to_pylist()
    for position, identifier in enumerate(identifiers):
        if whole[position]:
            probability = next(computed)
            yield Answer(0, identifier, probability, None if point is None else probability >= point)
        else:
            yield Answer(0, identifier or "", None, None, tuple(_faults(examined, inputs, position)))


def _faults(examined: dataset.Examined, inputs: schema.Schema, position: int) -> Iterator[str]:
    for source, column in zip(inputs.columns, examined.checked, strict=True):
        for reason, mask in column.problems:
            if mask[position]:
                yield f"{source.field.name}: {reason}"
