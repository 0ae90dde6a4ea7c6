"""The types of a round's plan: an observation goes in, actions and a status come out. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from wardround.api.federatedround import Attention, FederatedRound, FederatedRoundStatus, Release, Result, Task
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.api.task import Upload
from wardround.plans.round.scratch import SCRATCH_LIMIT, Scratch
from wardround.wire.aggregation import AggregationAnswer, AggregationResult, LeftOut
from wardround.wire.assignment import AssignedPushed, AssignedSchema
from wardround.wire.server_state import StateManifest

# The number of the aggregation that begins while its round collects. Those that begin later count from 1.
EARLY_NUMBER = 0


@dataclass(frozen=True, kw_only=True)
class EarlyList:
    """What the hub operator has noted of the list of an aggregation that began early. `pages`: how many there are at
    least. `listed`: marks of the updates on them (plans/round/early.py). `closed`: the digest of what the last page
    says; empty until the hub operator has written it.
    `given_up`: the hub operator cannot read the plan, so it writes no further page."""

    pages: int = 0
    listed: frozenset[str] = frozenset()
    closed: str = ""
    given_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """The latest aggregation Job of a round. It runs until `over`. `ended`: when its pod ended, if that is known.
    `until`: when Kubernetes ends the Job, if that is known.

    `gone_by`: when a pod that is being deleted should be gone. If its node has died, Kubernetes never says that it is.
    `disrupted`: the pod was deleted or evicted, or its node was lost. `exit_code`: of its container, if that is known.
    `cause`: what Kubernetes calls the end of the pod, or of its container, for example OOMKilled.
    `failures`: how many tries before it failed, those not counted that the store or a disruption ended.
    `given`: the attempts whose updates it combines (plans/round/counted.py); None if nothing says which. `earlier`:
    the others that tries before it were given. `plan_lost`: its Secret, with the key of its result, is not there.
    `before`: the try before this one, if there was one and its Job is still there.
    `made`: only of a try whose Job is not there any more: when the hub operator made the Job.
    `state_lost`: the Job has stored a server state, but the hub operator cannot read its keys in the plan.
    """

    number: int
    failures: int = 0
    given: frozenset[str] | None = None
    earlier: frozenset[str] = frozenset()
    plan_lost: bool = False
    state_lost: bool = False
    over: bool = False
    answer: AggregationAnswer | None = None
    ended: datetime | None = None
    until: datetime | None = None
    gone_by: datetime | None = None
    disrupted: bool = False
    exit_code: int | None = None
    cause: str = ""
    before: Aggregation | None = None
    made: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A round's result whose key and signed manifest the hub keeps. `task`: the round's.

    `states`: by participant that is not `aggregated` here, UID of the round whose state it has (plans/round/states.py).
    `image`, `command`, `parameters`: the code that made it, which an evaluation runs when it compares with this result.
    `samples`: by participant whose update is in the model, how many of its rows count (plans/round/combine.py).
    `quorum`: the fewest hospitals that the round asked for. `release`: who may get the result; Readers only if this
    round and every round that led to it said so. `pushed`: the model that a person has pushed, if it is this model or
    one that led to it. `model_uid`: of the FederatedModel that controlled the round; empty if a person has made it.
    `server_state`: how the server optimizer went on (plans/round/server_state.py); empty without one. `state_lost`: the
    hub could not keep the server state that the round made.
    """

    task: Task
    result: Result
    aggregated: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    command: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)
    quorum: int = 1
    release: Release = "Participants"
    pushed: AssignedPushed | None = None
    model_uid: str = ""
    server_state: str = ""
    state_lost: bool = False

    @property
    def as_pushed(self) -> bool:
        """Whether these are the weights that a person has pushed, so that no hospital's update is in them."""
        return self.pushed is not None and not self.aggregated and self.pushed.digest == self.result.digest


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A round with whose model an Evaluate round compares its own. The fields are those of the base in Observation."""

    name: str
    round: FederatedRound | None = None
    uid: str = ""
    deleted: bool = False
    model: StoredModel | None = None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that a plan may know.

    `tasks`: of all attempts, without their grants. Only one of them has its assignment (hub/round_tasks.py).
    `base`: the live round that the spec names as base or for its statistics. `base_model`: the result that the round
    starts from, if the hub has one that it can use. `base_card`: whether the hub has a card of that result.
    `base_state`: the state of the server optimizer that made that result. `base_state_damaged`: this hub has not signed
    the state that it has for that result.
    `base_uid`: UID of the round that made that result. `base_deleted`: that round is gone. If there is no `base_model`
    either, it was gone before this round was applied.
    `references`: those of the spec, in its order.
    `leftovers`: the Secret of the round's key exists, or it is gone and nobody has noted that nothing else is left.
    `cleaned_up`: it is only the memory of a first clean-up.
    `puts_until`: until when sites can store objects, as that memory says.
    `key_lost`: the round has asked hospitals, and somebody has deleted its private key.
    `roster`: the participants that the round asks, as the first assignments say; empty if there is no assignment.
    `schema`: of the round, as its first assignments say, and before them as the DataSchema says; None if that is
    missing, or has `schema_fault`.
    `waits_for`: the name of the base, of the base's base, and so on; empty if it was not looked up.
    `scratch_limit`: the most bytes of scratch that an aggregation may have.
    `early`: the list of the aggregation that began early; None if none has begun. `early_seconds`: how long such an
    aggregation waits for its round to close; 0 to begin none.
    """

    round: FederatedRound
    participants: Mapping[str, Participant]
    tasks: tuple[RoundTask, ...] = ()
    base: FederatedRound | None = None
    base_uid: str = ""
    base_deleted: bool = False
    base_model: StoredModel | None = None
    base_card: bool = False
    base_state: StateManifest | None = None
    base_state_damaged: bool = False
    references: tuple[Reference, ...] = ()
    aggregation: Aggregation | None = None
    model: StoredModel | None = None
    leftovers: bool = False
    cleaned_up: bool = False
    puts_until: datetime | None = None
    key_lost: bool = False
    roster: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    scratch_limit: int = SCRATCH_LIMIT
    early: EarlyList | None = None
    early_seconds: int = 0
    schema: AssignedSchema | None
    schema_fault: str = ""
    now: datetime


@dataclass(frozen=True, kw_only=True)
class MakeRoundKey:
    """Make the round's key pair, unless it exists. One that somebody has deleted is made anew."""


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """A RoundTask with a signed assignment.

    `version`: of the assignment. `schema`: the round's DataSchema. `state_round`: UID of the round whose state the site
    goes on from. `reference_states`: the same for each reference. `after`: the attempt before this one. If the API
    server does not take this one, that is noted there.
    """

    participant: str
    attempt: int
    version: int
    roster: tuple[str, ...]
    schema: AssignedSchema
    expires: datetime
    state_round: str = ""
    reference_states: tuple[str, ...] = ()
    after: RoundTask | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Fresh grants: to fetch the base, and to store the sealed update once the hub knows its length."""

    task: RoundTask
    upload: Upload | None


@dataclass(frozen=True, kw_only=True)
class Cancel:
    task: RoundTask
    reason: str


@dataclass(frozen=True, kw_only=True)
class Collects:
    """An aggregation that begins while the round collects. `most`: how many updates it may get. `largest`: bytes of
    ciphertext that each of them may have. `seconds`: how long it waits for the round to close."""

    most: int
    largest: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A Job that combines the updates of these tasks. `until`: when the round gives it up, and it has to end.
    `collects`: only of a Job that begins while the round collects; then `tasks` is empty. `failures`, `earlier`: as of
    Aggregation."""

    number: int
    failures: int = 0
    earlier: frozenset[str] = frozenset()
    tasks: tuple[RoundTask, ...]
    until: datetime
    scratch: Scratch
    collects: Collects | None = None


@dataclass(frozen=True, kw_only=True)
class ListUpdates:
    """Write the updates of these tasks onto the list of the aggregation that began early. `before`: the list before.
    `after`: what to note once the pages are written, but for their number. `counted`: the tasks whose updates are
    combined, if the round closes."""

    tasks: tuple[RoundTask, ...]
    before: EarlyList
    after: EarlyList
    counted: tuple[RoundTask, ...] | None


@dataclass(frozen=True, kw_only=True)
class StopEarly:
    """Delete the Job of the aggregation that began early: the round is over."""


@dataclass(frozen=True, kw_only=True)
class StoreModel:
    """Sign the manifest of a result and keep its key."""

    number: int
    answer: AggregationResult
    model: StoredModel


@dataclass(frozen=True, kw_only=True)
class CleanUp:
    """Delete the round's private key and the aggregation's Secrets, then the updates. Remember that sites may still
    store some `until` a time; None if they cannot."""

    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The API server does not take the RoundTask of a Dispatch now. `message`: its own words."""

    participant: str
    message: str


@dataclass(frozen=True, kw_only=True)
class EarlyRefusal:
    """The API server does not take the aggregation that would begin early. `cause`: the kind of its answer."""

    cause: str


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """An action that raised, in words: `doing` says what was to be done, `cause` why it was not. It is tried again."""

    doing: str
    cause: str


Action = MakeRoundKey | Dispatch | Grant | Cancel | Aggregate | ListUpdates | StopEarly | StoreModel | CleanUp
Course = Literal["Progressing", "Suspended", "Stalled", "Failed", "Complete", "Over"]


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one rule decides: the course of the round and why, actions, and stages reached. `withdrawn`: stages that the
    round has left again.

    `requeue_at`: times at which the operator reconciles the round again without an event. The next one counts.
    """

    course: Course
    reason: str
    message: str = ""
    actions: tuple[Action, ...] = ()
    stages: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    attention: tuple[Attention, ...] = ()
    model: StoredModel | None = None
    requeue_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order, then the status; `requeue_after` in seconds. A final status is written before tidying up, so
    that people read it at once."""

    actions: tuple[Action, ...]
    status: FederatedRoundStatus
    requeue_after: float | None = None
