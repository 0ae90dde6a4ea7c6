"""Small complete observations of a round; each test changes the one thing that it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.players.hospital import Hospital
from wardround.api import conditions
from wardround.api.conditions import Condition, Conditions
from wardround.api.federatedround import FederatedRound, FederatedRoundStatus, Result
from wardround.api.federatedround import parse as parse_round
from wardround.api.meta import Meta, RoundRef
from wardround.api.participant import Federation, OfferedDataset, Participant, ParticipantSpec, PublicKeys, SiteReport
from wardround.api.participant import ParticipantStatus as Status
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.task import Failure, TaskSpec, Update, Upload
from wardround.api.timeline import Stage
from wardround.api.times import to_seconds
from wardround.plans.participant import status as participant_status
from wardround.plans.round.types import Aggregation, Observation, StoredModel
from wardround.plans.schema import assigned
from wardround.sealing.body import MODEL, new_header
from wardround.wire import codec
from wardround.wire.aggregation import AggregationResult, CombinedMetric, LeftOut
from wardround.wire.versions import KNOWN

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FEDERATION = "breast-cancer"
UID = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
IMAGE = "registry.example/trainer@sha256:" + "b" * 64
# The spec of the round's DataSchema, and another one with the same columns.
SCHEMA: dict[str, Any] = {
    "fields": [{"name": "mean_radius", "type": "number", "unit": "mm"}, {"name": "malignant", "type": "boolean"}],
    "target": "malignant",
}
WIDER: dict[str, Any] = {**SCHEMA, "fields": [{**SCHEMA["fields"][0], "maximum": "90"}, SCHEMA["fields"][1]]}
ASSIGNED = assigned(SCHEMA)
NAMES = ("site-a", "site-b", "site-c")
LOSS = CombinedMetric(value="0.5", low="0.4", high="0.6", people=42, hospitals=3)
STORED = StoredModel(task="Train", result=Result(digest="d", location="l", bytes=1, samples=2), aggregated=NAMES)


def combined(*names: str, left_out: tuple[LeftOut, ...] = ()) -> AggregationResult:
    """What the aggregation says when it has combined the updates of these."""
    header = new_header(
        bytes(32),
        kind=MODEL,
        round_uid=UID,
        attempt=1,
        participant="",
        base_digest="",
        image_digest="",
        schema_digest="",
        length=1234,
    )
    return AggregationResult(
        header=header,
        digest="sha256:" + "d" * 64,
        segments_digest="sha256:" + "e" * 64,
        bytes=1250,
        samples=42,
        metrics={"loss": LOSS},
        calibration=(),
        by_hospital={},
        differences=(),
        verdict=None,
        withheld=0,
        uncounted=(),
        aggregated=names,
        counted=(10,) * len(names),
        left_out=left_out,
        state=(),
        closed=None,
    )


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@cache
def hospital(name: str) -> Hospital:
    """With one pair of real keys a name: plans recompute fingerprints."""
    return Hospital(name)


def keys(name: str) -> PublicKeys:
    return hospital(name).keys


def participant(name: str, **spec: Any) -> Participant:
    approved: dict[str, Any] = {
        "display_name": name,
        "key_fingerprint": hospital(name).fingerprint,
        "allowed_federations": (Federation(namespace=FEDERATION),),
        "max_samples": 1000,
    }
    site = SiteReport(keys=keys(name), datasets=(OfferedDataset(name="breast"),), assignment_versions=KNOWN)
    return Participant(
        metadata=Meta(name=name, namespace=name, uid=f"uid-{name}", labels={"country": "de"}),
        spec=ParticipantSpec(**approved | spec),
        status=Status(site=site),
    )


def revoked(name: str) -> Participant:
    """One of which the hub operator has said that its account is gone."""
    revoked_participant = participant(name)
    return replace(revoked_participant, status=participant_status(revoked_participant, "", NOW, has_account=False))


def meaning(name: str, digest: str, columns: str = ASSIGNED.columns_digest) -> Participant:
    """One that has said so of its Dataset."""
    offering_participant = participant(name)
    assert offering_participant.status.site is not None
    offers = (OfferedDataset(name="breast", schema_digest=digest, columns_digest=columns),)
    return replace(
        offering_participant,
        status=replace(offering_participant.status, site=replace(offering_participant.status.site, datasets=offers)),
    )


def federated_round(name: str = "train-1", uid: str = UID, **spec: Any) -> FederatedRound:
    item: dict[str, Any] = {
        "task": "Train",
        "initial": {},
        "image": IMAGE,
        "datasetName": "breast",
        "schemaName": "breast-v1",
        "participants": {"names": list(NAMES)},
        "quorum": {"min": 2, "graceSeconds": 60},
        **spec,
    }
    item = {key: value for key, value in item.items() if value is not None}
    meta = {
        "name": name,
        "namespace": FEDERATION,
        "uid": uid,
        "generation": 1,
        "creationTimestamp": to_seconds(NOW),
    }
    return parse_round({"metadata": meta, "spec": item})


def condition(kind: str, status: bool, reason: str, seconds: float = 0) -> Condition:
    return Condition(
        type=kind, status="True" if status else "False", reason=reason, last_transition_time=to_seconds(at(seconds))
    )


def task(name: str, *conditions_: Condition, attempt: int = 1, **changes: Any) -> RoundTask:
    """A RoundTask as it is when nobody has answered yet; `changes` go to its status, spec or metadata."""
    status = {key: changes.pop(key) for key in ("failure", "upload", "update", "timeline") if key in changes}
    notes = changes.pop(
        "annotations", {"wardround.io/grants-expire": to_seconds(at(3600)), "wardround.io/grants-bytes": ""}
    )
    meta = Meta(
        name=f"train-1-0-a{attempt}",
        namespace=name,
        uid=f"task-{name}-{attempt}",
        annotations=notes,
        creation_timestamp=to_seconds(changes.pop("created", NOW)),
    )
    ref = RoundRef(namespace=FEDERATION, name="train-1", uid=UID)
    spec = TaskSpec(round_ref=ref, attempt=attempt, assignment="{}", hub_key="", **changes)
    return RoundTask(metadata=meta, spec=spec, status=RoundTaskStatus(conditions=conditions_, **status))


def accepted(name: str, **changes: Any) -> RoundTask:
    return task(name, condition("Accepted", True, "Accepted"), **changes)


def sent(name: str, seconds: float = 100, **changes: Any) -> RoundTask:
    known: dict[str, Any] = {"upload": Upload(bytes=1000), "update": Update(manifest="{}", samples=10)}
    return task(
        name,
        condition("Accepted", True, "Accepted"),
        condition("Trained", True, "Trained", seconds - 10),
        condition("Sent", True, "Sent", seconds),
        **{**known, **changes},
    )


def failed(name: str, failure_class: Any = "Platform", reason: str = "Evicted", **changes: Any) -> RoundTask:
    failure = Failure(failure_class=failure_class, reason=reason, exit_code=1)
    return task(name, condition("Failed", True, reason), failure=failure, **changes)


def refused(name: str, reason: str, **changes: Any) -> RoundTask:
    return task(name, condition("Accepted", False, reason), **changes)


def stages(*names: str) -> tuple[Stage, ...]:
    return tuple(Stage(name, to_seconds(NOW)) for name in names)


def dispatched(current: FederatedRound, held: Conditions = ()) -> FederatedRound:
    status = FederatedRoundStatus(timeline=stages("Started", "Dispatched"), conditions=held)
    return replace(current, status=status)


def over(current: FederatedRound, kind: str) -> FederatedRound:
    generation = current.metadata.generation
    ended = conditions.with_generation((condition(kind, True, kind),), generation)
    return replace(current, status=FederatedRoundStatus(observed_generation=generation, conditions=ended))


def observation(current: FederatedRound | None = None, **changes: Any) -> Observation:
    known: dict[str, Any] = {
        "round": current or federated_round(),
        "participants": {name: participant(name) for name in NAMES},
        "schema": ASSIGNED,
        "now": NOW,
    }
    return Observation(**known | changes)


def status_json(status: FederatedRoundStatus) -> Any:
    return codec.dump(status)


def collecting(*tasks: Any, **changes: Any) -> Observation:
    """Of a round whose participants have been asked; `spec` changes the round's."""
    spec = changes.pop("spec", {})
    return observation(dispatched(federated_round(**spec)), tasks=tasks, leftovers=True, **changes)


def aggregating(number: int = 1, spec: dict[str, Any] | None = None, **changes: Any) -> Observation:
    job = Aggregation(number=number, over=True, **changes)
    return collecting(*map(sent, NAMES), spec=spec or {}, aggregation=job)
