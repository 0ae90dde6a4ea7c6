"""What a site is asked: one participant's part of one round, as the hub signs it. docs/contracts.md, section 3.

Its texts come into logs, Events and objects of the hospital, so they have the patterns of the CRDs
(test_crd_types.py). A hub that signs others steers no terminal there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from wardround.wire.codec import Text, since
from wardround.wire.compression import NONE, Compression

# Versions of assignments. Each one adds fields that a reader must understand (wire/versions.py).
LOWEST, COMPRESSION_SINCE = 4, 5

LABEL = Text("[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63)
NAME = Text("[a-z0-9]([-a-z0-9.]*[a-z0-9])?", 253)
UID = Text("[-A-Za-z0-9]+", 64)
METRIC = Text("[A-Za-z][A-Za-z0-9_.-]*", 64)
NUMBER = Text("-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?", 32)
# Whether it is by digest has a reason of its own. Statistics has none.
IMAGE = Text("([a-z0-9][a-zA-Z0-9._:/@-]*)?", 512)
PLAIN = "[ -~]*"
# No control characters but tab and line feed, and no overrides of the writing direction.
SHOWN = r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]*"
WORD = Text(SHOWN, 256)
PARAMETER = Text(SHOWN, 63)
VALUE = Text(SHOWN, 1024)
PATTERN = Text(SHOWN, 128)
TOKEN = Text(PLAIN, 128)
DIGEST = Text("sha256:[0-9a-f]{64}", 71)
FIELD_NAME = Text(SHOWN, 128)
FIELD_DIGEST = Text("[0-9a-f]{12}", 12)
ROWS = Text("Validation|Test", 16)
RELEASE = Text("Participants|Readers", 16)
FIELD = Text("[a-z][A-Za-z0-9]*", 64)
# A user of the hub's API server.
USER = Text(SHOWN, 512)
# A task of a series, with the rows that an Evaluate round reads.
TASK_OF_SERIES = Text("Statistics|Train|Evaluate (Validation|Test)", 32)
# The one of them that measures the version which becomes the current one.
EVALUATE_TEST = "Evaluate Test"
MOST_THREADS = 256
# With how many other models one evaluation compares its model.
MOST_REFERENCES = 2
# Number of a model's version, and of the versions that a site keeps.
MOST_VERSIONS = 1_000_000


@dataclass(frozen=True)
class Exchange:
    """Which tensors must come back bit-equal: shell patterns over names."""

    frozen: tuple[Annotated[str, PATTERN], ...]


@dataclass(frozen=True)
class Quorum:
    """When a round may close without everyone."""

    min: int
    required: tuple[Annotated[str, LABEL], ...]
    grace_seconds: int
    on_shortfall: Annotated[str, TOKEN]


@dataclass(frozen=True)
class Resources:
    """Counts that the Site maps to its own hardware; whether the training code may open sockets of IP."""

    nodes: int
    accelerators_per_node: int
    local_sockets: bool


@dataclass(frozen=True)
class AssignedField:
    """A field of the round's DataSchema. `digest`: the beginning of the SHA-256 of what the field means."""

    name: Annotated[str, FIELD_NAME]
    digest: Annotated[str, FIELD_DIGEST]


@dataclass(frozen=True)
class AssignedSchema:
    """The round's DataSchema, by digests: the site compares them with its own DataSchema, and uses no text of the hub.

    `columns_digest`: of the part that stays the same along a chain of rounds. `fields`: in their order.
    """

    digest: Annotated[str, DIGEST]
    columns_digest: Annotated[str, DIGEST]
    fields: tuple[AssignedField, ...]


@dataclass(frozen=True, kw_only=True)
class AssignedPushed:
    """A model that a person has pushed. `digest`: of the file. `requested_by`: the user, as the hub's API server knows
    the user."""

    digest: Annotated[str, DIGEST]
    requested_by: Annotated[str, USER]


@dataclass(frozen=True)
class AssignedBase:
    """The base model: its signed manifest and its data key, wrapped for the addressee."""

    manifest: str
    wrapped_key: bytes


@dataclass(frozen=True, kw_only=True)
class AssignedReference:
    """A model with which an Evaluate round compares its own: the result of the round `round_name` of the federation.

    `manifest`, `wrapped_key`: as of AssignedBase. `image`, `command`, `parameters`: those of the round that made it.
    `state_round`: as of the Assignment, for this model.
    """

    round_name: Annotated[str, NAME]
    manifest: str
    wrapped_key: bytes
    image: Annotated[str, IMAGE]
    image_digest: Annotated[str, TOKEN]
    command: tuple[Annotated[str, WORD], ...]
    parameters: Mapping[Annotated[str, PARAMETER], Annotated[str, VALUE]]
    state_round: str


@dataclass(frozen=True, kw_only=True)
class AssignedDelivery:
    """The version of a model that a Deliver round brings to the hospital. The file is the base of the assignment.

    `model_name`, `model_uid`: of the FederatedModel, in the namespace of the round. `keep`: how many of the newest
    versions the site keeps. `card`: the model's card, signed by the hub (DSSE).
    """

    model_name: Annotated[str, NAME]
    model_uid: Annotated[str, UID]
    version: int
    keep: int
    card: str


@dataclass(frozen=True)
class AssignedStep:
    """From this Train round on, a parameter has this value."""

    from_round: int
    value: Annotated[str, VALUE]


@dataclass(frozen=True)
class AssignedSchedule:
    """A parameter whose value changes during the series."""

    parameter: Annotated[str, PARAMETER]
    steps: tuple[AssignedStep, ...]


@dataclass(frozen=True, kw_only=True)
class AssignedModel:
    """The series of a FederatedModel that the round belongs to, and all that its rounds ask for. A hospital can approve
    the whole series by it.

    `round`: number of the Train round. 0 for Statistics. An Evaluate round has the number of the Train round whose
    model it measures. `rounds`: the most Train rounds of the series. `frozen`: as of the Exchange. `evaluation_quorum`:
    of the Evaluate rounds. `compression`: of the updates of Train rounds that start from a base.
    """

    name: Annotated[str, NAME]
    uid: Annotated[str, UID]
    series: int
    round: int
    rounds: int
    tasks: tuple[Annotated[str, TASK_OF_SERIES], ...]
    image: Annotated[str, IMAGE]
    command: tuple[Annotated[str, WORD], ...]
    parameters: Mapping[Annotated[str, PARAMETER], Annotated[str, VALUE]]
    schedules: tuple[AssignedSchedule, ...]
    frozen: tuple[Annotated[str, PATTERN], ...]
    metrics: tuple[Annotated[str, METRIC], ...]
    quorum: Quorum
    evaluation_quorum: Quorum
    resources: Resources
    compression: Compression = field(default=NONE, metadata=since(COMPRESSION_SINCE))


@dataclass(frozen=True)
class AssignedSeries:
    """The fields of an Assignment about the series of a FederatedModel. A site may ignore `evaluation_every`, and
    ignores it only beside the other fields of the Assignment. So it is no field of AssignedModel."""

    model: AssignedModel
    evaluation_every: int


@dataclass(frozen=True)
class Assignment:
    """One participant's part of one round, as the hub signs it. `wire/versions.py` reads and writes it.

    `version`: which fields there are. `critical`: those that a reader must understand, beside the fields that every
    reader knows. These are the fields with `since`. Of the other fields, a reader may ignore those with a default: a
    hub that does not know such a field leaves it out. `rows`: the rows that an Evaluate round reads.
    `state_round`: UID of the round whose state the training at the site goes on from, "" for none.
    `threads`: how many threads the training code computes with.
    `release`: who may get the result in the end.
    `pushed`: the models that persons have pushed, and from which the base or a reference was made.
    `references`: the models with which an Evaluate round compares its own.
    `compression`: of the update (compression.py).
    `model`: the series of which the round is part; None for a round that a person has made. A site that ignores it
    waits for the approval of each task.
    `evaluation_every`: of the series: as in spec.evaluation of a FederatedModel. 0 for a round that a person has made.
    `keyed_digest`: the hub accepts a keyed digest in the update's manifest. A site that ignores it sends a plain one.
    `admission_seconds`: the hub ends a task that is not accepted so long after `issued`. 0: the hub does not say.
    `delivery`: of a Deliver round. A site that does not know this field does not know the task either.
    """

    version: int
    critical: tuple[Annotated[str, FIELD], ...]
    round_uid: Annotated[str, UID]
    round_namespace: Annotated[str, LABEL]
    round_name: Annotated[str, NAME]
    attempt: int
    task: Annotated[str, TOKEN]
    participant: Annotated[str, LABEL]
    site_fingerprint: Annotated[str, TOKEN]
    round_public_key: bytes
    suite: Annotated[str, TOKEN]
    image: Annotated[str, IMAGE]
    image_digest: Annotated[str, TOKEN]
    command: tuple[Annotated[str, WORD], ...]
    dataset_name: Annotated[str, LABEL]
    parameters: Mapping[Annotated[str, PARAMETER], Annotated[str, VALUE]]
    seed: int
    exchange: Exchange
    metrics: tuple[Annotated[str, METRIC], ...]
    initial: bool
    base: AssignedBase | None
    roster: tuple[Annotated[str, LABEL], ...]
    quorum: Quorum
    resources: Resources
    wait_seconds: int  # from acceptance until training begins
    train_seconds: int
    upload_seconds: int
    issued: str  # by the hub's clock, in microseconds
    expires: str
    state_round: str
    # A site that ignores `schema` may send an update over other columns than the hub means. The hub combines columns by
    # position.
    schema: AssignedSchema = field(metadata=since(LOWEST))
    # A site that ignores `rows` would count other rows than the round asks for.
    rows: Annotated[str, ROWS] = field(metadata=since(LOWEST))
    # Sums of floats depend on how threads share them: a site that ignores `threads` trains a slightly different model
    # each time that its own limits change.
    threads: int = field(metadata=since(LOWEST))
    # A site that ignores `release` may train a model that its hospital wants to keep among the participants.
    release: Annotated[str, RELEASE] = field(metadata=since(LOWEST))
    # A site that ignores `pushed` may train on weights that a person chose.
    pushed: tuple[AssignedPushed, ...] = field(metadata=since(LOWEST))
    # A site that ignores `references` would send sums without the differences that the round asks for.
    references: tuple[AssignedReference, ...] = field(metadata=since(LOWEST))
    # A site that ignores `compression` would send an update that the aggregation cannot read.
    compression: Compression = field(default=NONE, metadata=since(COMPRESSION_SINCE))
    model: AssignedModel | None = None
    delivery: AssignedDelivery | None = None
    evaluation_every: int = 0
    keyed_digest: bool = False
    admission_seconds: int = 0

    @property
    def series(self) -> AssignedSeries | None:
        """All that the assignment says of the series of which the round is part."""
        return AssignedSeries(self.model, self.evaluation_every) if self.model else None

    @property
    def state_rounds(self) -> tuple[str, ...]:
        """`state_round` of the round's model and of each reference."""
        return (self.state_round, *(each.state_round for each in self.references))
