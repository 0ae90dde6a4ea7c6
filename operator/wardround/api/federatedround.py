"""FederatedRound: one round of a federation. Its spec is immutable, except `suspend`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.api.task import Metric
from wardround.api.timeline import Timeline
from wardround.wire import codec
from wardround.wire.compression import NONE, Compression

KIND = "FederatedRound"
BASE_DELETED = "BaseDeleted"  # condition: the round whose result this round starts from was deleted
Task = Literal["Train", "Statistics", "Evaluate", "Deliver"]
Rows = Literal["Validation", "Test"]
Better = Literal["Higher", "Lower"]
Outcome = Literal["Accepted", "Worse", "Undecided"]
Release = Literal["Participants", "Readers"]
INITIAL_WEIGHTS = "initial weights"  # the model that a first Train round measures
DEFAULT_COMMAND = ("python", "-m", "wardround_trainer")


@dataclass(frozen=True, kw_only=True)
class Base:
    """Exactly one of `round_name` and `version_name`. `version_name`: a ModelVersion that a person has pushed."""

    round_name: str | None = None
    version_name: str | None = None

    @property
    def name(self) -> str:
        """The name of the round or of the version."""
        return self.round_name or self.version_name or ""


@dataclass(frozen=True, kw_only=True)
class Initial:
    """A round without a base: every site makes the initial model from the round's seed, and from the result of a
    Statistics round if one is named."""

    statistics_round_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Exchange:
    frozen: tuple[str, ...] = ("wardround.input.*",)


@dataclass(frozen=True, kw_only=True)
class Selector:
    match_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Participants:
    names: tuple[str, ...] | None = None
    selector: Selector | None = None


@dataclass(frozen=True, kw_only=True)
class Quorum:
    min: int = 1
    required: tuple[str, ...] = ()
    grace_seconds: int = 60
    on_shortfall: str = "Fail"


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    total_seconds: int = 3600
    admission_seconds: int = 600
    queue_seconds: int = 600
    start_seconds: int = 300
    train_seconds: int = 1800
    upload_seconds: int = 600


@dataclass(frozen=True, kw_only=True)
class Resources:
    nodes: int = 1
    accelerators_per_node: int = 0
    local_sockets: bool = False
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    strategy: str = "FedAvg"
    weighting: str = "Samples"
    max_weight_share: str = "1"
    parameters: Mapping[str, str] = field(default_factory=dict)
    compression: Compression = NONE


@dataclass(frozen=True, kw_only=True)
class Gate:
    """An Evaluate round decides whether its model may replace the references. `min_events`: the fewest people of either
    class with which it decides."""

    min_events: int = 20


@dataclass(frozen=True, kw_only=True)
class Card:
    """What people say of the model on its card."""

    intended_use: str = ""
    limits: str = ""
    licence: str = ""
    contact: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The version of a FederatedModel that a Deliver round brings to the hospitals. `versions`: how many of the newest
    versions a hospital keeps."""

    model_name: str
    model_uid: str
    version: int
    versions: int


@dataclass(frozen=True, kw_only=True)
class FederatedRoundSpec:
    task: Task
    dataset_name: str
    schema_name: str
    participants: Participants
    suspend: bool = False
    base: Base | None = None
    initial: Initial | None = None
    seed: int = 0
    image: str | None = None
    command: tuple[str, ...] = DEFAULT_COMMAND
    parameters: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange = field(default_factory=Exchange)
    metrics: tuple[str, ...] = ("loss",)
    rows: Rows = "Validation"
    references: tuple[str, ...] = ()
    gate: Gate | None = None
    specificity: str = "0.9"
    quorum: Quorum = field(default_factory=Quorum)
    deadlines: Deadlines = field(default_factory=Deadlines)
    resources: Resources = field(default_factory=Resources)
    aggregation: Aggregation = field(default_factory=Aggregation)
    retry_limit: int = 2
    release: Release = "Participants"
    card: Card = field(default_factory=Card)
    delivery: Delivery | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """`selected`: those that the hub asked, and before it asks, those that the round selects. `absent`: those that the
    round selects, but the hub did not ask. `refused`: those of `failed` whose task would fail for the same reason
    in each further round that asks for the same."""

    selected: int = 0
    absent: int = 0
    accepted: int = 0
    sent: int = 0
    failed: int = 0
    refused: int = 0
    aggregated: int = 0


@dataclass(frozen=True, kw_only=True)
class Attention:
    participant: str
    reason: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ResultMetric:
    """A number of a model over all hospitals that sent sums, as text. `low`, `high`: its 95 % interval. `people`,
    `hospitals`: how many of them it is over. `model`: the round that made the model, or INITIAL_WEIGHTS."""

    name: str
    value: str
    low: str | None = None
    high: str | None = None
    better: Better | None = None
    people: int
    hospitals: int
    rows: Rows
    model: str


@dataclass(frozen=True, kw_only=True)
class ResultDifference:
    """Mean log loss of `model` minus that of `reference`, on the same people, as text. Both are rounds that made a
    model. `low`, `high`: its 95 % interval. `reference_loss`: mean log loss of the reference, if the round
    declares the loss. `events`: people with a positive row."""

    reference: str
    value: str
    low: str | None = None
    high: str | None = None
    better: Better = "Lower"
    reference_loss: str | None = None
    people: int
    events: int
    hospitals: int
    rows: Rows
    model: str


@dataclass(frozen=True, kw_only=True)
class CalibrationGroup:
    """People whose predicted probability is from `low` to `high`. `observed`: the share of them that is positive."""

    low: str = field(metadata={"json": "from"})
    high: str = field(metadata={"json": "to"})
    people: int
    observed: str


@dataclass(frozen=True, kw_only=True)
class HospitalResult:
    """The numbers of one hospital whose Site tells them (policy.tellOwnMetrics)."""

    name: str
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoundVerdict:
    """Whether the model may replace the references. `reason`: of VERDICTS (reasons/models.py). `reference`: the one
    that decided, if one did. `unseen`: participants that trained the model, and whose people the gate did not see.
    `too_few_people`: those of `unseen` that answered, and hold fewer than `minCell` people in a class."""

    outcome: Outcome
    reason: str
    reference: str = ""
    unseen: tuple[str, ...] = ()
    too_few_people: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HospitalVerdicts:
    """How many hospitals told their own verdict on one reference (policy.tellVerdicts), and what it was. `hospitals`:
    the sum of the others."""

    reference: str
    hospitals: int
    better: int
    worse: int
    undecided: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """`columns_digest`, `schema_digest`: of the DataSchema. `withheld`: how many hospitals sent no sums, because
    too few people are in a class. `hospitals_omitted`: there was no room for `hospitals`. `compression`: of the
    updates, if they were compressed. `numbers_too_large`: hospitals of which a mean lacks a number that their training
    code reports. `middle_norm`: of the combined updates of a Train round with a base, as text."""

    digest: str
    location: str
    bytes: int
    samples: int
    metrics: tuple[ResultMetric, ...] = ()
    calibration: tuple[CalibrationGroup, ...] = ()
    differences: tuple[ResultDifference, ...] = ()
    verdict: RoundVerdict | None = None
    hospital_verdicts: tuple[HospitalVerdicts, ...] = ()
    withheld: int = 0
    hospitals: tuple[HospitalResult, ...] = ()
    hospitals_omitted: bool = False
    columns_digest: str | None = None
    schema_digest: str | None = None
    compression: Compression | None = None
    numbers_too_large: tuple[str, ...] = ()
    middle_norm: str | None = None


@dataclass(frozen=True, kw_only=True)
class FederatedRoundStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    participants: Counts | None = None
    attention: tuple[Attention, ...] = ()
    result: Result | None = None
    timeline: Timeline = ()


@dataclass(frozen=True, kw_only=True)
class FederatedRound:
    metadata: Meta
    spec: FederatedRoundSpec
    status: FederatedRoundStatus = field(default_factory=FederatedRoundStatus)


def base_version(federated_round: FederatedRound) -> str | None:
    """The pushed ModelVersion from which this round starts."""
    return federated_round.spec.base.version_name if federated_round.spec.base else None


def base_name(federated_round: FederatedRound) -> str | None:
    """The round whose result this round needs: its base, or the Statistics round of its initial model."""
    spec = federated_round.spec
    if spec.base:
        return spec.base.round_name
    return spec.initial.statistics_round_name if spec.initial else None


def source_names(federated_round: FederatedRound) -> tuple[str, ...]:
    """The rounds whose results this round needs: what it starts from, and those with which it compares its model."""
    base = base_name(federated_round)
    return (*([base] if base else []), *federated_round.spec.references)


def parse(value: Mapping[str, Any]) -> FederatedRound:
    return codec.parse(FederatedRound, value)
