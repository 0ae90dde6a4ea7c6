"""What the containers of a training pod tell each other about the task. docs/contracts.md, section 6.

`prepare` reads a RequestedTask from WARDROUND_TASK, and writes a TrainingTask for the code that trains and a
PrivateReport for `check` and `score`. The trainer image reads the same task.json with its own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wardround.wire.assignment import Exchange

TaskKind = Literal["Train", "Statistics", "Evaluate"]
# Of the training contract (docs/training-image.md): a trainer refuses a task.json of another.
CONTRACT = "2"


@dataclass(frozen=True)
class RoundAttempt:
    """Which attempt of which round, by the round's name."""

    name: str
    attempt: int


@dataclass(frozen=True)
class LiveRounds:
    """UIDs of the rounds that could still go on at this site `at` that time, and of those whose `states` they need.

    `prepare` removes the checkpoints of other rounds, and their states where there are too many.
    """

    uids: tuple[str, ...]
    states: tuple[str, ...]
    at: str


@dataclass(frozen=True, kw_only=True)
class RequestedTask:
    """WARDROUND_TASK: what the round asks of this site, as the site operator took it from the assignment.

    The pod's kind, the Dataset and the site's own limits are in other variables, which admission compares with the
    objects. `seed`: of an initial round. `base_digest`: of the base model, "" without one. `max_samples`: what this
    site may claim. `state_round`: UID of the round whose state is read, "" for none.
    """

    contract: str
    participant: str
    seed: int | None = None
    round: RoundAttempt
    round_uid: str
    state_round: str
    base_digest: str
    image_digest: str
    parameters: Mapping[str, str]
    exchange: Exchange
    metrics: tuple[str, ...]
    max_samples: int
    live_rounds: LiveRounds


@dataclass(frozen=True)
class View:
    """The prepared data: the Dataset's Table Schema, and rows of train.parquet or, in Evaluate, test.parquet."""

    schema: Mapping[str, Any]
    rows: int


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """task.json: all that researchers' code is told.

    `seed` is equal at all sites, for initial weights. `order_seed` is this site's secret, for all else that is drawn.
    """

    contract: str
    task: TaskKind
    participant: str
    seed: int | None
    order_seed: int
    round: RoundAttempt
    state_round: str
    base_digest: str
    parameters: Mapping[str, str]
    exchange: Exchange
    dataset: View
    metrics: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PrivateReport:
    """private/report.json: what `check` and `score` have to know, where researchers' code cannot change it.

    `samples`: what the update counts. `cells`: distinct patients that metrics are over, by cell (pod/metrics.py).
    """

    task: TaskKind
    base_digest: str
    exchange: Exchange
    metrics: tuple[str, ...]
    schema: Mapping[str, Any]
    samples: int
    min_cell: int
    cells: Mapping[str, int]
