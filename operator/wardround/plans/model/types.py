"""The types of a model's plan: an observation goes in, actions and a status come out. Frozen, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wardround.api.federatedmodel import FederatedModel, FederatedModelStatus, SeriesRound, SeriesStatus
from wardround.api.federatedround import FederatedRound
from wardround.api.modelversion import ModelVersion


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`round`: the live round under the name of the last one of the series. `version`: the ModelVersion under the name
    of the series' version. Once the series has ended, `best` is the round that made its best model, and `measuring` the
    round that has measured it; without one, nobody has."""

    model: FederatedModel
    round: FederatedRound | None = None
    best: FederatedRound | None = None
    measuring: FederatedRound | None = None
    version: ModelVersion | None = None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class CreateRound:
    """Create a round of the series. `base`: the round that it starts from; for the first Train round, the Statistics
    round; empty for the Statistics round."""

    round: SeriesRound
    base: str


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


@dataclass(frozen=True, kw_only=True)
class KeepRound:
    """Make the version an owner of its round, so that the round stays as long as the version."""

    round: FederatedRound
    version: ModelVersion


@dataclass(frozen=True, kw_only=True)
class ReportVersion:
    """Write the metrics of a version into its status. `measured_by`: None if no round has measured its model."""

    version: ModelVersion
    measured_by: FederatedRound | None


Action = CreateRound | SuspendRound | CreateVersion | KeepRound | ReportVersion
Course = Literal["Progressing", "Suspended", "Stalled", "Settled"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule decides. `series`: afterwards. `at_once`: whether the plan goes on as soon as the status is
    written. `again`: when to look again. `current`: name of the version that counts from now on."""

    course: Course
    reason: str
    message: str = ""
    series: SeriesStatus
    actions: tuple[Action, ...] = ()
    at_once: bool = False
    again: datetime | None = None
    current: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order, then the status; `requeue_after` in seconds."""

    actions: tuple[Action, ...]
    status: FederatedModelStatus
    requeue_after: float | None = None
