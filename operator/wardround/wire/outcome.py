"""The termination message of our containers, which the site operator reads. docs/contracts.md, section 6.

It is an object of the codec: absent fields are left out, and unknown fields are ignored. A reader must trust it only
from our own containers, because researchers' code can write any termination message.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from wardround.wire import canonical, codec
from wardround.wire.layouts import Rows

Heard = Literal["Open", "Silent", "Absent"]
# What one hospital says of a model beside a reference, and what of it the hub may hear.
OwnOutcome = Literal["Better", "Worse", "Undecided", "TooFewPeople"]
ToldOutcome = Literal["Better", "Worse", "Undecided"]


@dataclass(frozen=True)
class LeftOutRows:
    """The number of rows that break the Dataset's schema, by field and reason. Field `*`: malformed rows."""

    field: str
    reason: str
    rows: int


@dataclass(frozen=True)
class LeftOutClass:
    """Rows of one class: a value of the target that the schema lists, and its rows that are left out and that count."""

    value: str
    left_out: int
    kept: int


@dataclass(frozen=True)
class LeftOutTotal:
    """All rows that break the Dataset's schema, each counted once. `patients`: those of whom no row counts."""

    rows: int
    patients: int
    classes: tuple[LeftOutClass, ...] = ()


@dataclass(frozen=True)
class IgnoredColumn:
    """A column of the file that Wardround ignores, and why, in one word."""

    name: str
    reason: str


@dataclass(frozen=True)
class IgnoredColumns:
    """`count`: all columns that Wardround ignores. `named`: those that a status may name (tabular/ignored_columns)."""

    count: int
    named: tuple[IgnoredColumn, ...] = ()


@dataclass(frozen=True)
class Remark:
    """A registered reason why valid rows look wrong, and the number of patients that it is about."""

    reason: str
    patients: int


@dataclass(frozen=True, kw_only=True)
class EvaluationBudget:
    """Evaluations of one side of the split that count now, and how many more the hospital allows.

    `until`: the time after which one more is allowed than now. None: no evaluation counts, or the hospital allows none.
    """

    rows: Rows
    used: int
    left: int
    until: str | None = None


@dataclass(frozen=True)
class LinkLocalHeard:
    """The result of probing neighbours over IPv6 link-local. `answers`: labels of targets that answered."""

    heard: Heard
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OwnMetric:
    """One of the hospital's own numbers, for its own people. `low`, `high`: the 95 % interval. All texts are decimals.

    `better`: `Higher` or `Lower`; absent where neither direction is better.
    """

    name: str
    value: str
    low: str | None = None
    high: str | None = None
    better: str | None = None
    people: int
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """A written answer. `version`, `digest`: of the model that answered. `answered`: rows with a probability.

    `outside`: rows that break the DataSchema; the answer names their faults. `far_columns`: how many columns lie far
    from the rows that trained the model; None if nobody has compared them. `notes`: which columns these are, and where
    recalibration and operating point come from.
    """

    version: str
    digest: str
    answered: int
    outside: int
    far_columns: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`reason`, `failure_class` and `message` (for the site's people): of a failure. `field`: of the Dataset's schema.

    `rows` and `patients`: of the valid dataset. `training_patients`: those on the training side. `samples`: the
    weight that this task claims. `remarks`: what looks wrong in valid rows. `link_local`: from the sidecar.
    `parameter`: the parameter that the training code refuses; it counts only if the round has set it.
    `split_fingerprint`: of the key of the Dataset's split.
    `evaluations`: only of an evaluation. `metrics`: from `check` and `score`. They stay at the hospital. `verdicts`:
    from `score`, on the references in their order.
    `prediction`: only of a Prediction's pod.
    """

    reason: str | None = None
    failure_class: str | None = dataclasses.field(default=None, metadata={"json": "class"})
    message: str | None = None
    field: str | None = None
    rows: int | None = None
    patients: int | None = None
    training_patients: int | None = None
    samples: int | None = None
    schema_digest: str | None = None
    quality: tuple[LeftOutRows, ...] | None = None
    left_out: LeftOutTotal | None = None
    ignored_columns: IgnoredColumns | None = None
    remarks: tuple[Remark, ...] | None = None
    split_fingerprint: str | None = None
    evaluations: tuple[EvaluationBudget, ...] | None = None
    link_local: LinkLocalHeard | None = None
    parameter: str | None = None
    metrics: tuple[OwnMetric, ...] | None = None
    verdicts: tuple[OwnOutcome, ...] | None = None
    prediction: Predicted | None = None


def write(outcome: Outcome) -> bytes:
    """Return the termination message."""
    return canonical.dumps(codec.dump(outcome))


def read(text: str) -> Outcome | None:
    """Parse a termination message. Return None if it is malformed."""
    try:
        return codec.parse(Outcome, json.loads(text))
    except (ValueError, RecursionError):
        return None
