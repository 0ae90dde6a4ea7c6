"""ModelVersion: a model that a series has made, or that a person has pushed. Its spec is immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.federatedround import CalibrationGroup, Outcome, Release, ResultMetric
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "ModelVersion"


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """`requested_by`: the user who has pushed the model."""

    requested_by: str


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A version from which the first Train round of the series started. `round_name`: as in that version's spec.
    `version_name`, `digest`: its name and its digest; None if somebody deleted it before this version was made."""

    round_name: str
    version_name: str | None = None
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelVersionSpec:
    """`digest`: of the model's manifest, as in the result of the round. `series`: number of the series.
    `columns_digest`, `schema_digest`: of the DataSchema with which the model was trained. `parents`: the versions from
    which it was trained, one step back; none if the series began with new first weights, and for a pushed model.
    `release`: who may get the model.

    `pushed`: None for a model that a series has made. For a pushed model, `model_name` and `round_name` are the name of
    the ModelPush, `round_uid` is its UID, `version` is 1 and `series` is 0."""

    model_name: str
    version: int
    series: int
    round_name: str
    round_uid: str
    digest: str
    columns_digest: str | None = None
    schema_digest: str | None = None
    parents: tuple[Parent, ...]
    release: Release
    pushed: Pushed | None = None


@dataclass(frozen=True, kw_only=True)
class VersionVerdict:
    """What the gate says of a version. `message`: in words, for people."""

    outcome: Outcome
    reason: str
    message: str = ""


TestOutcome = Literal["Complete", "Failed", "Withheld"]


@dataclass(frozen=True, kw_only=True)
class VersionTest:
    """The one measurement of the version on test rows, for the report. `round_name`: the Evaluate round. `outcome`:
    Failed if no round has measured the version, and none will. Withheld if this is so because the hospitals have no
    test rows, or too few people in them. `message`: why there are no numbers."""

    round_name: str
    outcome: TestOutcome
    message: str = ""
    metrics: tuple[ResultMetric, ...] = ()
    calibration: tuple[CalibrationGroup, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VersionCard:
    """Which card of the model is the newest. `digest`: of the card as the hub has signed it, without the signature.
    `signed_by`: fingerprint of the hub's key."""

    digest: str
    revision: int
    signed_by: str


@dataclass(frozen=True, kw_only=True)
class ModelVersionStatus:
    """`metrics`, `calibration`: as the round measured them that was the first to measure this model. `verdict`: None
    until the series has ended. `test`: None until a round has measured the version on test rows. The gate never reads
    it. `card`: None if the hub has no card that it can use."""

    observed_generation: int | None = None
    conditions: Conditions = ()
    metrics: tuple[ResultMetric, ...] = ()
    calibration: tuple[CalibrationGroup, ...] = ()
    verdict: VersionVerdict | None = None
    test: VersionTest | None = None
    card: VersionCard | None = None


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    metadata: Meta
    spec: ModelVersionSpec
    status: ModelVersionStatus = field(default_factory=ModelVersionStatus)


def parse(value: Mapping[str, Any]) -> ModelVersion:
    return codec.parse(ModelVersion, value)
