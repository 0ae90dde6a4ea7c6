"""The documents that the containers of a training pod exchange. docs/contracts.md, section 6.

`prepare` reads a RequestedTask from WARDROUND_TASK, and writes a TrainingTask for the code that trains and a
PrivateReport for `check` and `score`. The trainer image reads the same task.json with its own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wardround.wire.assignment import Exchange
from wardround.wire.compression import Compression
from wardround.wire.layouts import Rows

TaskKind = Literal["Train", "Statistics", "Evaluate"]
# Version of the training contract (docs/training-image.md). A trainer refuses a task.json of another version.
CONTRACT = "3"
# Variables of `prepare` that the site operator reads again from a Job: the texts of the Dataset and its DataSchema, and
# the limits of the Site's policy for a file.
DATASET_TEXT, SCHEMA_TEXT = "WARDROUND_DATASET", "WARDROUND_SCHEMA"
MIN_SAMPLES, MIN_CELL, MAX_LEFT_OUT = "WARDROUND_MIN_SAMPLES", "WARDROUND_MIN_CELL", "WARDROUND_MAX_LEFT_OUT"


@dataclass(frozen=True)
class RoundAttempt:
    """A round's name, and the attempt."""

    name: str
    attempt: int


@dataclass(frozen=True)
class LiveRounds:
    """`uids`: the rounds that are not over at this site at the time `at`. `states`: the rounds whose states they need.

    `prepare` removes the checkpoints of other rounds, and the oldest of their states.
    """

    uids: tuple[str, ...]
    states: tuple[str, ...]
    at: str


@dataclass(frozen=True, kw_only=True)
class RequestedReference:
    """A model with which an evaluation compares its own. `base_digest`: of the model. Others: as of RequestedTask."""

    base_digest: str
    image_digest: str
    command: tuple[str, ...]
    parameters: Mapping[str, str]
    state_round: str


@dataclass(frozen=True, kw_only=True)
class RequestedTask:
    """WARDROUND_TASK: the round's request to this site, which the site operator takes from the assignment.

    Other variables hold the pod's kind, the Dataset and the site's own limits, and admission compares them with the
    objects. `seed`: of the round. `base_digest`: of the base model, "" without one. `max_samples`: the largest
    number of samples that this site may claim. `state_round`: UID of the round whose state is read, "" for none.
    `threads`: how many threads the training code computes with. `references`: of an evaluation, else none.
    `compression`: of the update.
    """

    contract: str
    participant: str
    seed: int
    round: RoundAttempt
    round_uid: str
    state_round: str
    base_digest: str
    image_digest: str
    command: tuple[str, ...]
    parameters: Mapping[str, str]
    exchange: Exchange
    metrics: tuple[str, ...]
    max_samples: int
    live_rounds: LiveRounds
    threads: int
    references: tuple[RequestedReference, ...]
    compression: Compression

    @property
    def models(self) -> tuple[RequestedModel, ...]:
        """The evaluated model and the references."""
        return (self, *self.references)

    def reference(self, each: RequestedReference) -> RequestedTask:
        """The same task with a reference as its model."""
        return replace(
            self,
            base_digest=each.base_digest,
            image_digest=each.image_digest,
            command=each.command,
            parameters=each.parameters,
            state_round=each.state_round,
            references=(),
        )


RequestedModel = RequestedTask | RequestedReference


@dataclass(frozen=True)
class DatasetView:
    """`schema`: the spec of the DataSchema, without descriptions. `features`: names of the model's inputs, which are
    columns of the view, in their order. `rows`: of train.parquet or, in Evaluate, of evaluation.parquet."""

    schema: Mapping[str, Any]
    features: tuple[str, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """task.json: the task for researchers' code.

    `seed`: the round's, equal at all sites, for initial weights. `order_seed`: secret of this site, for all other
    random choices. It depends on `seed`, so another seed gives another training. `threads`: how many threads compute,
    because sums of floats depend on it. The variables of manifests/training.py say the same number.
    """

    contract: str
    task: TaskKind
    participant: str
    seed: int
    order_seed: int
    round: RoundAttempt
    state_round: str
    base_digest: str
    parameters: Mapping[str, str]
    exchange: Exchange
    dataset: DatasetView
    metrics: tuple[str, ...]
    threads: int

    def for_initial_weights(self) -> TrainingTask:
        """The task for `init`: without the numbers that follow from the hospital's rows.

        Size, tensors and digest of the initial weights leave the hospital unsealed, and `init` chooses them.
        """
        return replace(self, order_seed=0, dataset=replace(self.dataset, rows=0))


@dataclass(frozen=True, kw_only=True)
class PrivateReport:
    """private/report.json: the report of `prepare` to `check` and `score`, which researchers' code cannot change.

    `samples`: the weight that the update claims. `rows`: the side of the split over which metrics are computed;
    `people`: the patients on it. `withheld`: too few of them, or too few in one class, for any number to leave.
    `tells`: policy.tellOwnMetrics of the Site. `salt`: 32 secret bytes, for the tensor `salt` of the update.
    `references`: with how many models an evaluation compares its own.
    """

    task: TaskKind
    base_digest: str
    exchange: Exchange
    compression: Compression
    metrics: tuple[str, ...]
    schema: Mapping[str, Any]
    samples: int
    min_cell: int
    rows: Rows
    people: int
    withheld: bool
    tells: bool
    references: int
    salt: bytes = field(repr=False)
