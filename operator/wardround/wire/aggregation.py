"""The plan of an aggregation Job (`plan.json`), its list of updates, and its answer (the termination message).

Shapes: docs/contracts.md, section 7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wardround.wire import codec
from wardround.wire.compression import Compression
from wardround.wire.models import Get, Header, ModelManifest
from wardround.wire.server_state import StateManifest


@dataclass(frozen=True)
class PlannedRound:
    """The round."""

    uid: str


@dataclass(frozen=True)
class PlannedBase:
    """The base model: the manifest that the hub signed, the data key, and URLs."""

    manifest: ModelManifest
    data_key: bytes = field(repr=False)
    get: Get


@dataclass(frozen=True)
class PlannedUpdate:
    """One participant's update: its manifest, the participant's `signing_key` that verifies it, and its parts' URLs."""

    participant: str
    attempt: int
    manifest: str
    signing_key: bytes
    get: tuple[str, ...]


@dataclass(frozen=True)
class ListPage:
    """A page of the list of updates: some of them, in the order of their participants' names."""

    updates: tuple[PlannedUpdate, ...]


@dataclass(frozen=True)
class PlannedPage:
    """Where the store has a page of the list of updates, sealed, and its length."""

    url: str
    bytes: int


@dataclass(frozen=True)
class PlannedCollection:
    """A list that grows while the round collects (wire/collected.py). `location`: the folder of its pages. `first`: the
    URL of its first page. `page_bytes`: the length of each page. `seconds`: how long the Job waits for the last one."""

    location: str
    first: str
    page_bytes: int
    seconds: int


@dataclass(frozen=True)
class PlannedList:
    """The list of updates in the store. `key`: opens its pages (sealing/pages.py). `updates`: how many it names.
    `collects`: only of a list that grows; then `updates` is the most that it may name, and `pages` is empty."""

    key: bytes = field(repr=False)
    updates: int
    pages: tuple[PlannedPage, ...]
    collects: PlannedCollection | None = None


@dataclass(frozen=True)
class PlannedUpload:
    """A presigned PUT."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class PlannedUploads:
    """The uploads of the result."""

    parts: tuple[PlannedUpload, ...]
    segments: PlannedUpload


@dataclass(frozen=True)
class PlannedMoment:
    """A moment of a server optimizer that the Job stores beside the result: under this key and header."""

    data_key: bytes = field(repr=False)
    header: Header
    location: str
    put: PlannedUploads


@dataclass(frozen=True)
class PlannedStart:
    """The state from which a server optimizer goes on: that of the base. `data_keys`, `gets`: of each moment."""

    manifest: StateManifest
    data_keys: tuple[bytes, ...] = field(repr=False)
    gets: tuple[Get, ...]


@dataclass(frozen=True)
class PlannedState:
    """The state of a server optimizer. `start`: None to begin anew."""

    moments: tuple[PlannedMoment, ...]
    start: PlannedStart | None


@dataclass(frozen=True)
class StoreAccess:
    """The store's address for this Job."""

    origin: str
    ca_bundle: str


@dataclass(frozen=True)
class PlannedGate:
    """What the gate decides from, beside the sums. `min_events`: the fewest people of either class. `trained`: by
    participant, how many rows the model of the base was trained on there."""

    min_events: int
    trained: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class AggregationPlan:
    """`plan.json`. `base_digest`: the base that each update must name; "" without base; None in an initial round, where
    the sites' digests must agree. `base`: only in a Train round with a base. `max_samples`: by participant. `metrics`:
    the names that the round declares. `specificity`: a decimal, for the metric sensitivityAtSpecificity.
    `least_cell`: the least `min_cell` of a hospital that the hub accepts. `references`: names of the rounds with whose
    models an Evaluate round compares its own. `gate`: None if the round asks for no verdict. `frozen`: patterns
    of the names of tensors that training must not change (wire/frozen.py). `compression`: of the updates.
    `reads_twice`: scratch has no room for the ciphertext of base and updates, so the Job reads them from the store a
    second time. `anticipates`: scratch has room for the whole result, so the Job combines updates while the last of
    them arrive. `listed`: the updates. Their list is in the store, because a Secret has no room for the URLs of many
    large updates. `state`: only of a strategy with a server optimizer."""

    round: PlannedRound
    task: str
    strategy: str
    weighting: str
    max_weight_share: str
    parameters: Mapping[str, str]
    max_samples: Mapping[str, int]
    metrics: tuple[str, ...]
    specificity: str
    least_cell: int
    references: tuple[str, ...]
    gate: PlannedGate | None
    private_key: bytes = field(repr=False)
    data_key: bytes = field(repr=False)
    image_digest: str
    initial: bool
    frozen: tuple[str, ...]
    compression: Compression
    location: str
    reads_twice: bool
    anticipates: bool
    base_digest: str | None
    base: PlannedBase | None
    listed: PlannedList
    put: PlannedUploads
    state: PlannedState | None
    store: StoreAccess


@dataclass(frozen=True)
class LeftOut:
    """An update that is left out, and the reason."""

    participant: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CombinedMetric:
    """A number of the result, as text. `low`, `high`: its 95 % interval. `people`, `hospitals`: how many of them it is
    over."""

    value: str
    low: str | None
    high: str | None
    people: int
    hospitals: int


@dataclass(frozen=True, kw_only=True)
class CalibrationGroup:
    """People whose predicted probability is from `low` to `high`. `observed`: the share of them that is positive."""

    low: str
    high: str
    people: int
    observed: str


@dataclass(frozen=True, kw_only=True)
class CombinedDifference:
    """Mean log loss of the evaluated model minus that of the reference, as text. Below 0, the evaluated one is better.

    `low`, `high`: its 95 % interval. `loss`: mean log loss of the reference, None if the round declares no loss.
    `people`, `events`, `hospitals`: how many it is over; `events` are people with a positive row.
    """

    reference: str
    value: str
    low: str | None
    high: str | None
    loss: str | None
    people: int
    events: int
    hospitals: int


@dataclass(frozen=True, kw_only=True)
class CombinedVerdict:
    """Whether the evaluated model may replace the references (metrics/gate.py). `reference`: the one that decided;
    empty if none did. `unseen`: participants that trained the model and whose sums the gate did not see; empty also if
    they have no room."""

    outcome: Literal["Accepted", "Worse", "Undecided"]
    reason: str
    reference: str
    unseen: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AggregationResult:
    """The answer of an aggregation that stored a model.

    `metrics`: the declared metrics that may be told. `calibration`: the curve of the metric of that name.
    `by_hospital`: by participant that tells its own numbers, their texts by metric; None if they have no room.
    `differences`: from the references that may be told, in the plan's order. `verdict`: of the plan's gate.
    `withheld`: how many participants sent no sums, because too few people are in a class. `uncounted`: the names of
    these in an Evaluate round, where nothing of them is combined.
    `counted`: only of a Train round: how many rows of each participant in `aggregated` count, in the order of names; 0
    if its update has no weight. Empty without room.
    `aggregated`: the combined participants. Without room, `aggregated` or `uncounted` is empty. It then means all
    participants in neither the other list nor `left_out`.
    `state`: `segments_digest` of each moment that the Job stored.
    `closed`: the digest of the last page of a list that grows (wire/collected.py). None for a list without such a page.
    `numbers_too_large`: participants of which a mean lacks a number that their training code reports.
    `middle_norm`: of the combined updates of a Train round with a base, as text. None also if it is that of the only
    hospital, which does not tell its numbers.
    """

    header: Header
    digest: str
    segments_digest: str
    bytes: int
    samples: int
    metrics: Mapping[str, CombinedMetric]
    calibration: tuple[CalibrationGroup, ...]
    by_hospital: Mapping[str, Mapping[str, str]] | None
    differences: tuple[CombinedDifference, ...]
    verdict: CombinedVerdict | None
    withheld: int
    uncounted: tuple[str, ...]
    aggregated: tuple[str, ...]
    counted: tuple[int, ...]
    left_out: tuple[LeftOut, ...]
    state: tuple[str, ...]
    closed: str | None
    # The answer of a Job that ran before the hub's upgrade lacks these.
    numbers_too_large: tuple[str, ...] = ()
    middle_norm: str | None = None


@dataclass(frozen=True)
class AggregationFailure:
    """The answer of an aggregation that stored no model. `withheld`: as of AggregationResult."""

    reason: str
    message: str = ""
    left_out: tuple[LeftOut, ...] = ()
    withheld: int = 0


AggregationAnswer = AggregationResult | AggregationFailure


def read_answer(text: str) -> AggregationAnswer:
    """Read a termination message. Raises Malformed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise codec.Malformed("the answer of the aggregation", "not JSON") from None
    if isinstance(value, Mapping) and "reason" in value:
        return codec.parse_document(AggregationFailure, value)
    return codec.parse_document(AggregationResult, value)
