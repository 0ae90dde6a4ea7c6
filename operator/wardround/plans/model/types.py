"""The types of a model's plan: an observation goes in, actions and a status come out. Frozen, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from wardround.api.federatedmodel import FederatedModel, FederatedModelStatus, SeriesRound, SeriesStatus
from wardround.api.federatedround import FederatedRound
from wardround.api.modelversion import ModelVersion, Parent, TestOutcome, VersionVerdict


@dataclass(frozen=True, kw_only=True)
class Absence:
    """Why the next round of a series cannot ask each hospital that it selects. `reason`: of a round that waits for
    hospitals. `blocks`: whether the other hospitals are too few for the quorum."""

    reason: str
    message: str
    blocks: bool


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`patients`: the training patients that the hospitals of the model tell; None if none tells. `round`: the live
    round under the name of the last one of the series. `absence`: of that round, unless it is over. `versions`: the
    live ModelVersions of this model by name. Once a series compares or has ended, `best` is the round that made its
    best model. Once it has ended, `versions` also has a ModelVersion of another model that has the name that the series
    needs, and the pushed one from which the series started, until the series has its version; `measuring` is the round
    that has measured the best model, or None if none has. Once a series compares or has ended, `rounds` has the UIDs of
    all live rounds of this model by name. `gone`: names of versions whose round is deleted or replaced: of all versions
    once a series compares or has ended, and of the current one before if the condition Ready says so already.
    `pushed_gone`: whether the pushed version that the spec names does not exist, once the series has ended.
    `delivery`: the live round under the name of the newest Deliver round. Once it is over, `receivers` are the
    hospitals that a delivery of its version would ask now, and `asked` those that this one asked, unless the status
    names them. `test`: the live round under the name of the measurement on test rows that is not over. As long as it
    was not made, `tested` is the live round that made the version, and `askable` are the hospitals that the
    measurement would ask now."""

    model: FederatedModel
    round: FederatedRound | None = None
    absence: Absence | None = None
    best: FederatedRound | None = None
    measuring: FederatedRound | None = None
    versions: Mapping[str, ModelVersion] = field(default_factory=dict)
    rounds: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    pushed_gone: bool = False
    patients: int | None = None
    delivery: FederatedRound | None = None
    test: FederatedRound | None = None
    tested: FederatedRound | None = None
    askable: frozenset[str] = frozenset()
    receivers: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    now: datetime


@dataclass(frozen=True, kw_only=True)
class CreateRound:
    """Create a round of the series. `base`: the round that it starts from; for the Train round that makes first weights
    (`initial`), the Statistics round; empty for the Statistics round. `pushed`: `base` is a pushed ModelVersion."""

    round: SeriesRound
    base: str
    initial: bool = False
    pushed: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateDelivery:
    """Create a round that brings the version to the hospitals. `recipients`: as of DeliveryStatus."""

    name: str
    version: ModelVersion
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CreateTest:
    """Create the round that measures the version on test rows. `made_by`: the round that made the version."""

    name: str
    version: ModelVersion
    made_by: FederatedRound


@dataclass(frozen=True, kw_only=True)
class SuspendRound:
    name: str
    suspend: bool


@dataclass(frozen=True, kw_only=True)
class CreateVersion:
    """Make a version of a round's result."""

    name: str
    version: int
    round: FederatedRound
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KeepRound:
    """Make the version an owner of its round, so that the round stays as long as the version."""

    round: FederatedRound
    version: ModelVersion


@dataclass(frozen=True, kw_only=True)
class ReportVersion:
    """Write metrics and verdict of a version into its status. `measured_by`: None if no round has measured its model.
    `reason`, `message`: of its condition `Ready`."""

    version: ModelVersion
    measured_by: FederatedRound | None
    verdict: VersionVerdict
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ReportTest:
    """Write into the status of a version what a round has measured on test rows. `outcome`, `message`: as of
    VersionTest. `measured_by`: None if no round has measured the version."""

    version: ModelVersion
    round_name: str
    outcome: TestOutcome
    measured_by: FederatedRound | None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportLoss:
    """Write into the status of a version that the hub has no model of it any more. `message`: of its condition
    `Ready`."""

    version: ModelVersion
    message: str


@dataclass(frozen=True, kw_only=True)
class OwnVersion:
    """Make the model an owner of a version, or not any more. A version that is owned goes when the model is deleted."""

    version: ModelVersion
    owned: bool


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Delete a FederatedRound or a ModelVersion that nothing needs any more."""

    kind: str
    name: str
    uid: str


Creation = CreateRound | CreateDelivery | CreateTest
Report = ReportVersion | ReportTest | ReportLoss
Action = Creation | SuspendRound | CreateVersion | KeepRound | Report | OwnVersion | Delete


@dataclass(frozen=True)
class Added:
    """A version that the status lists from now on. `promoted`: whether the gate makes it the current one."""

    name: str
    promoted: bool


Course = Literal["Progressing", "Suspended", "Stalled", "Settled"]


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one rule decides. `series`: afterwards. `at_once`: whether the plan goes on as soon as the status is
    written. `requeue_at`: when the operator reconciles the model again without an event. `added`: a version of the
    series that has ended, with whether it becomes the current one. `begins`: a new series begins."""

    course: Course
    reason: str
    message: str = ""
    series: SeriesStatus
    actions: tuple[Action, ...] = ()
    at_once: bool = False
    requeue_at: datetime | None = None
    added: Added | None = None
    begins: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order, then the status; `requeue_after` in seconds. `added`, `begins`: of the ruling."""

    actions: tuple[Action, ...]
    status: FederatedModelStatus
    requeue_after: float | None = None
    added: Added | None = None
    begins: bool = False
