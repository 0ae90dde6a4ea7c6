"""FederatedModel: a model that is trained over a series of rounds. The hub operator writes its status, never its spec.

`schemaName`, `initial` and `release` are immutable. Changes of the other fields count from the next round.
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
Stage = Literal["Statistics", "Training", "Evaluating", "Comparing", "Ended"]
From = Literal["Current", "Scratch"]
Then = Literal["Hold", "Skip"]
Promote = Literal["Automatic", "Manual"]
Recipients = Literal["Participants", "Nobody"]
Outcome = Literal["Running", "Complete", "Failed"]
SeriesTrigger = Literal["Created", "Cron", "NewPatients", "Requested"]


@dataclass(frozen=True, kw_only=True)
class RoundTemplate:
    """What all rounds of a model share: fields of a FederatedRound. `metrics`: of Train and Evaluate rounds."""

    image: str
    dataset_name: str
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
    """`seed`: of every Train round. `pushed`: the ModelVersion from which the first Train round starts, and with
    series.from `Scratch` that of each series; None for new first weights."""

    seed: int = 0
    pushed: str | None = None


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
    """When the series ends early. `patience`: it ends after this number of rounds in a row that do not improve the best
    loss by more than `min_delta`. `seconds`: no Train round begins later than this after its start. Zero: no limit."""

    patience: int = 0
    min_delta: str = "0"
    seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class OnFailure:
    """`retries`: how many rounds may replace one that has failed. `then`: if all of these fail too, the series waits
    for a change of the spec, or ends without a version."""

    retries: int = 2
    then: Then = "Hold"


@dataclass(frozen=True, kw_only=True)
class Series:
    """`start`: of every series but the first one. `Current` continues from the current version, and `Scratch` computes
    new statistics and makes first weights anew."""

    rounds: int
    start: From = field(default="Current", metadata={"json": "from"})
    parameters: Mapping[str, str] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    stop: Stop = field(default_factory=Stop)
    on_failure: OnFailure = field(default_factory=OnFailure)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The Evaluate rounds of a series. `every`: one follows each Train round whose number is a multiple of this, beside
    those at the end of the series. 0: only those. `test_rows`: whether each version is measured on test rows, once,
    when it becomes the current one. `quorum`: None for that of the other rounds."""

    every: int = 0
    test_rows: bool = True
    quorum: Quorum | None = None


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When further series begin: whichever comes first. `cron`: five fields, in a time zone of the IANA database.
    `new_patients`: when the hospitals have so many more training patients than when the last series began, a week after
    that at the earliest."""

    cron: str | None = None
    time_zone: str = "Etc/UTC"
    new_patients: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelGate:
    """Which versions become the current one. `min_events`: the fewest people of either class with which the gate
    decides. `promote`: Manual leaves each version to people."""

    min_events: int = 20
    promote: Promote = "Automatic"


@dataclass(frozen=True, kw_only=True)
class Pinned:
    version: int


@dataclass(frozen=True, kw_only=True)
class History:
    """`versions`: how many of the newest versions stay, beside the current one and the best one."""

    versions: int = 5


@dataclass(frozen=True, kw_only=True)
class Deliver:
    """`recipients`: to whom each version goes when it becomes the current one."""

    recipients: Recipients = field(default="Nobody", metadata={"json": "to"})


@dataclass(frozen=True, kw_only=True)
class FederatedModelSpec:
    """`trigger`: None for one series. `current`: exactly this version is the current one; None: the gate decides."""

    schema_name: str
    round: RoundTemplate
    series: Series
    initial: Initial = field(default_factory=Initial)
    evaluation: Evaluation = field(default_factory=Evaluation)
    release: Release = "Participants"
    card: Card = field(default_factory=Card)
    trigger: Trigger | None = None
    gate: ModelGate = field(default_factory=ModelGate)
    current: Pinned | None = None
    deliver: Deliver = field(default_factory=Deliver)
    history: History = field(default_factory=History)
    suspend: bool = False


@dataclass(frozen=True, kw_only=True)
class SeriesRound:
    """A round of the series. `generation`: of the FederatedModel from whose spec the round was made. `number`: 0 for
    Statistics, from 1 for Train. An Evaluate round has the number of the Train round whose model it measures.
    `references`: the rounds with whose models the gate compares that model.

    `loss`: of the model that the round made, on validation rows, as the first other round measured it; absent until
    then.
    `hospitals`: how many hospitals the loss is over.
    """

    name: str
    task: Task
    number: int
    attempt: int = 1
    generation: int
    outcome: Outcome = "Running"
    loss: str | None = None
    hospitals: int | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SeriesStatus:
    """`trigger`: why the series began. `Created`: it is the first one. `Cron`, `NewPatients`: the field of the spec's
    trigger that was due. `Requested`: a person asked for it. `request`: what people had asked for by then, the value of
    the annotation `wardround.io/begin`.
    `base`: the round of the version from which the first Train round starts; None if there is no such round.
    `pushed`: the pushed ModelVersion from which the first Train round starts. Without both, that round makes first
    weights.
    `round`: number of the last Train round. `best`, `loss`: the round whose model has the lowest loss, and the loss.
    `evaluations_stopped`: the generation of the FederatedModel of which the series makes no further Evaluate rounds
    between Train rounds, because one has failed as each further one would.
    `training_patients`: how many the hospitals told when the series began; None if no hospital told.
    `not_compared`: why the gate has compared nothing. `version`: name of the ModelVersion that the series has made.
    `skipped`: the series has ended without one."""

    number: int = 1
    stage: Stage
    started: str
    trigger: SeriesTrigger
    request: str | None = None
    base: str | None = None
    pushed: str | None = None
    round: int = 0
    best: str | None = None
    loss: str | None = None
    evaluations_stopped: int | None = None
    training_patients: int | None = None
    not_compared: str | None = None
    version: str | None = None
    skipped: bool = False
    rounds: tuple[SeriesRound, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NextStart:
    """When the next series begins, and the trigger from which the time was computed."""

    at: str
    cron: str
    time_zone: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What tables show of a model, as texts for people. `loss`, `auc`: of the current version on validation rows, with
    the 95 % interval. `trend`: by how much the loss changed between the last two measured models of the series."""

    loss: str | None = None
    auc: str | None = None
    trend: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """The newest delivery. `number`: it counts deliveries. `version`: name of the ModelVersion. `round`: name of the
    Deliver round. `recipients`: the hospitals that the round asks because they joined later; empty if it asks all that
    the model's rounds select. `asked`: the hospitals that deliveries of this version have asked, without those of a
    round that is not over. `complete`: whether an earlier delivery of this version is Complete."""

    number: int
    version: str
    round: str
    recipients: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, kw_only=True)
class MeasurementStatus:
    """The newest measurement of a version on test rows. `version`: name of the ModelVersion. `round`: name of the
    Evaluate round. `begun`: whether the hub operator has seen this round. `outcome`: Failed or Withheld if no further
    round measures this version. `series`: number of the version's series. `number`: of the Train round that made the
    version, None if its series was not the newest one when the round was named."""

    version: str
    round: str
    series: int
    number: int | None = None
    attempt: int = 1
    begun: bool = False
    outcome: Literal["Running", "Complete", "Failed", "Withheld"] = "Running"


@dataclass(frozen=True, kw_only=True)
class FederatedModelStatus:
    """`current`: name of the ModelVersion that counts. `candidate`: of the newest one, unless it is the current one.
    `versions`: names of the ModelVersions of this model, in order. `served`: of those that are or were current.
    `pinned_early`: the generation of a spec that named its current version before that version was Ready. `next`: None
    without a trigger. `delivery`, `testing`: None before the first one. `summary`: None as long as no model is
    measured."""

    observed_generation: int | None = None
    conditions: Conditions = ()
    current: str | None = None
    candidate: str | None = None
    versions: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    pinned_early: int | None = None
    next: NextStart | None = None
    delivery: DeliveryStatus | None = None
    testing: MeasurementStatus | None = None
    series: SeriesStatus | None = None
    summary: Summary | None = None


@dataclass(frozen=True, kw_only=True)
class FederatedModel:
    metadata: Meta
    spec: FederatedModelSpec
    status: FederatedModelStatus = field(default_factory=FederatedModelStatus)


def parse(value: Mapping[str, Any]) -> FederatedModel:
    return codec.parse(FederatedModel, value)
