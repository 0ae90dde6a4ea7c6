"""Writes answers as CSV: one line for each row of the file, the same on a laptop and in a hospital's pod."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from wardround.card.predict import Answer

COLUMNS = ("row", "identifier", "probability", "recalibrated", "operatingPoint", "positive", "fault")


@dataclass(frozen=True)
class AnswerCounts:
    """`answered`: rows with a probability. `outside`: rows that break the schema, and have a fault instead."""

    answered: int
    outside: int


def write(answers: Iterable[Answer], file: TextIO) -> AnswerCounts:
    """Writes nothing before the first answer is there, because the file may be unreadable. Raises as `answers`."""
    writer = csv.writer(file, lineterminator="\n")
    rows = outside = 0
    for answer in answers:
        if not rows:
            writer.writerow(COLUMNS)
        rows += 1
        outside += answer.probability is None
        writer.writerow(_cells(answer))
    if not rows:
        writer.writerow(COLUMNS)
    return AnswerCounts(rows - outside, outside)


def _cells(answer: Answer) -> tuple[str, ...]:
    positive = "" if answer.positive is None else str(answer.positive).lower()
    numbers = _number(answer.probability), _number(answer.recalibrated)
    # In full, so that the file has the threshold with which `positive` was decided.
    point = "" if answer.operating_point is None else repr(answer.operating_point)
    return (str(answer.row), answer.identifier, *numbers, point, positive, "; ".join(answer.faults))


def _number(value: float | None) -> str:
    """Nine decimals, and no sign of zero: code that names a float's exponent hides more about the row in it."""
    return "" if value is None else f"{round(value, 9) + 0.0:.9g}"
