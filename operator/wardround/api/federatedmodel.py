"""FederatedModel: a model that is trained over a series of rounds. The hub operator writes its status, never its spec.

`initial` and `release` are immutable. Changes of the other fields count from the next round.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.federatedround import (
    DEFAULT_COMMAND,
    Aggregation,
    Card,
    Deadlines,
    Exchange,
    Participants,
    Quorum,
    Release,
    Resources,
    Task,
)
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "FederatedModel"
Stage = Literal["Statistics", "Training", "Evaluating", "Ended"]
Outcome = Literal["Running", "Complete", "Failed"]


@dataclass(frozen=True, kw_only=True)
class RoundTemplate:
    """What all rounds of a model share: fields of a FederatedRound. `metrics`: of Train and Evaluate rounds."""

    image: str
    dataset_name: str
    schema_name: str
    participants: Participants
    quorum: Quorum
    command: tuple[str, ...] = DEFAULT_COMMAND
    exchange: Exchange = field(default_factory=Exchange)
    metrics: tuple[str, ...] = ("loss", "auc", "people", "positives")
    deadlines: Deadlines = field(default_factory=Deadlines)
    resources: Resources = field(default_factory=Resources)
    aggregation: Aggregation = field(default_factory=Aggregation)
    retry_limit: int = 2


@dataclass(frozen=True, kw_only=True)
class Initial:
    """`seed`: of every Train round."""

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    from_round: int
    value: str


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A parameter that changes from one round to another. Before the first step, `parameters` of the series count."""

    parameter: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The series ends early: after `patience` rounds in a row whose loss is not lower than the best one by more than
    `min_delta`, or `seconds` after its start. Zero: never."""

    patience: int = 0
    min_delta: str = "0"
    seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class OnFailure:
    """`retries`: further rounds in the place of one that has failed."""

    retries: int = 2


@dataclass(frozen=True, kw_only=True)
class Series:
    rounds: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    stop: Stop = field(default_factory=Stop)
    on_failure: OnFailure = field(default_factory=OnFailure)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The Evaluate round at the end of a series. `quorum`: None for that of the other rounds."""

    quorum: Quorum | None = None


@dataclass(frozen=True, kw_only=True)
class FederatedModelSpec:
    round: RoundTemplate
    series: Series
    initial: Initial = field(default_factory=Initial)
    evaluation: Evaluation = field(default_factory=Evaluation)
    release: Release = "Participants"
    card: Card = field(default_factory=Card)
    suspend: bool = False


@dataclass(frozen=True, kw_only=True)
class SeriesRound:
    """A round of the series. `generation`: of the FederatedModel from whose spec the round was made. `number`: 0 for
    Statistics, from 1 for Train. An Evaluate round has the number of the Train round whose model it measures.

    `loss`: of the model that the round made, on validation rows; absent until another round has measured it.
    """

    name: str
    task: Task
    number: int
    attempt: int = 1
    generation: int
    outcome: Outcome = "Running"
    loss: str | None = None


@dataclass(frozen=True, kw_only=True)
class SeriesStatus:
    """`round`: number of the last Train round. `best`, `loss`: the round whose model has the lowest loss, and the
    loss."""

    number: int = 1
    stage: Stage
    started: str
    round: int = 0
    best: str | None = None
    loss: str | None = None
    rounds: tuple[SeriesRound, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FederatedModelStatus:
    """`current`: name of the ModelVersion that counts."""

    observed_generation: int | None = None
    conditions: Conditions = ()
    current: str | None = None
    series: SeriesStatus | None = None


@dataclass(frozen=True, kw_only=True)
class FederatedModel:
    metadata: Meta
    spec: FederatedModelSpec
    status: FederatedModelStatus = field(default_factory=FederatedModelStatus)


def parse(value: Mapping[str, Any]) -> FederatedModel:
    return codec.parse(FederatedModel, value)
