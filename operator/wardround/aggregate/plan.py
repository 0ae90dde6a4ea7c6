"""What an aggregation Job is told and what it answers; parses and spells, decides nothing.

Shapes: docs/contracts.md, section 7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wardround.wire import codec
from wardround.wire.grants import Get
from wardround.wire.models import Header, ModelManifest

# The kubelet cuts a termination message here, and half a JSON object says nothing.
LARGEST_ANSWER = 4096


@dataclass(frozen=True)
class Round:
    """The round."""

    uid: str


@dataclass(frozen=True)
class Base:
    """The base model, whose manifest the hub itself signed: key and places."""

    manifest: ModelManifest
    data_key: bytes
    get: Get


@dataclass(frozen=True)
class Update:
    """One participant's update: its manifest, to be verified under the pinned `signing_key`, and its parts' URLs."""

    participant: str
    attempt: int
    manifest: str
    signing_key: bytes
    get: tuple[str, ...]


@dataclass(frozen=True)
class Upload:
    """A presigned PUT."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Uploads:
    """Where the result goes."""

    parts: tuple[Upload, ...]
    segments: Upload


@dataclass(frozen=True)
class StoreAccess:
    """The store as this Job reaches it."""

    origin: str
    ca_bundle: str


@dataclass(frozen=True)
class Plan:
    """`plan.json`."""

    round: Round
    task: str
    strategy: str
    weighting: str
    max_weight_share: str
    parameters: Mapping[str, str]
    max_samples: Mapping[str, int]
    private_key: bytes
    data_key: bytes
    image_digest: str
    initial: bool
    location: str
    base_digest: str | None
    base: Base | None
    updates: tuple[Update, ...]
    put: Uploads
    store: StoreAccess


@dataclass(frozen=True)
class LeftOut:
    """An update that does not count, and why."""

    participant: str
    reason: str


@dataclass(frozen=True)
class Result:
    """The answer of an aggregation that stored a model.

    `suppressed`: of each metric, how many of those who were combined have too few patients behind it to tell it.
    """

    header: Header
    digest: str
    segments_digest: str
    bytes: int
    samples: int
    metrics: Mapping[str, str]
    suppressed: Mapping[str, int]
    aggregated: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(eq=False)  # not frozen: Python itself writes to exceptions
class Failure(Exception):
    """Why there is no result; also raised to end the work."""

    reason: str
    message: str
    left_out: tuple[LeftOut, ...] = ()


def parse(data: bytes) -> Plan:
    """Return the plan. Raises Failure("PlanUnreadable")."""
    try:
        plan = codec.read_document(Plan, data, "plan.json")
    except codec.Malformed:
        raise Failure("PlanUnreadable", "plan.json is not what docs/contracts.md says: hub and image differ") from None
    known = plan.task in ("Train", "Statistics", "Evaluate")
    if not known or plan.strategy != "FedAvg" or plan.weighting != "Samples" or plan.parameters:
        raise Failure("PlanUnreadable", "this image does not know the task, strategy, weighting or their parameters")
    if (plan.base is not None) != (plan.task == "Train" and not plan.initial):
        raise Failure("PlanUnreadable", "a Train round has a base unless it is an initial one, others have none")
    return plan


def spell(answer: Result | Failure) -> bytes:
    """Return the termination message, at most 4096 bytes of JSON.

    Where the names of all participants do not fit, `aggregated` stays empty: it is everyone but those left out.
    """
    if isinstance(answer, Failure):
        answer = replace(answer, message=answer.message[:512])
    for shorter in (
        answer,
        replace(answer, aggregated=()) if isinstance(answer, Result) else replace(answer, left_out=()),
    ):
        text = json.dumps(codec.dump_document(shorter), separators=(",", ":")).encode()
        if len(text) <= LARGEST_ANSWER:
            return text
    return spell(Failure("TooManyLeftOut", "more updates were left out than an answer can name: see this Job's log"))
