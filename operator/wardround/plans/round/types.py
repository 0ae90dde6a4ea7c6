"""What a round's plan is made from and what it says: observation in, actions and status out. Frozen, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from wardround.api.federatedround import Attention, FederatedRound, FederatedRoundStatus, Result, Task
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.wire.aggregation import AggregationAnswer, AggregationResult, LeftOut


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """The latest aggregation Job of a round: running until `over`. `ended`: when its pod did, if it is known.

    `gone_by`: when a pod that is being deleted should be gone. If its node has died, nobody says that it is.
    """

    number: int
    over: bool = False
    answer: AggregationAnswer | None = None
    ended: datetime | None = None
    gone_by: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A round's result whose key and signed manifest the hub keeps. `task`: the round's.

    `states`: UID of the round whose state a participant has that is not `aggregated` here (plans/states.py).
    """

    task: Task
    result: Result
    aggregated: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that a plan may know. `base` is the live round that the spec names as base or for its statistics,
    `base_model` the result that the round starts from, if the hub has one that it can use, `base_uid` the UID of the
    round that made it. `base_deleted`: that round is gone; without `base_model` it was gone before this one came.
    `leftovers`: there are Secrets of the round but its result's; `cleaned_up`: only the memory of a first clean-up.

    `roster`: whom the round asks, as the first assignments say; empty where there is none.
    `waits_for`: that round's name, the one that it starts from in turn, and so on; empty where nobody has looked.
    """

    round: FederatedRound
    participants: Mapping[str, Participant]
    tasks: tuple[RoundTask, ...] = ()
    base: FederatedRound | None = None
    base_uid: str = ""
    base_deleted: bool = False
    base_model: StoredModel | None = None
    aggregation: Aggregation | None = None
    model: StoredModel | None = None
    leftovers: bool = False
    cleaned_up: bool = False
    roster: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    now: datetime


@dataclass(frozen=True, kw_only=True)
class MakeRoundKey:
    """Unless it exists."""


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """A RoundTask with a signed assignment. `state_round`: UID of the round whose state the site goes on from.
    `columns`: digest of the columns that it means by the Dataset; empty where it has not said. `after`: the attempt
    before, which remembers when the API server does not take this one."""

    participant: str
    attempt: int
    roster: tuple[str, ...]
    expires: datetime
    state_round: str = ""
    columns: str = ""
    after: RoundTask | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Fresh transfer grants: for the base, and for an update of `upload_bytes` once that is known."""

    task: RoundTask
    upload_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Cancel:
    task: RoundTask
    reason: str


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A Job that reduces the updates of these tasks. `until`: when the round gives it up, and it has to end."""

    number: int
    tasks: tuple[RoundTask, ...]
    until: datetime


@dataclass(frozen=True, kw_only=True)
class StoreModel:
    """Sign the manifest of a result and keep its key."""

    number: int
    answer: AggregationResult
    model: StoredModel


@dataclass(frozen=True, kw_only=True)
class CleanUp:
    """Delete the round's private key and the aggregation's Secrets, then the updates; unless it is the `last` time,
    remember that sites may still put some."""

    last: bool


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What became of a Dispatch: the API server does not take the RoundTask now, and in what words."""

    participant: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """An action that raised, in words: what was to be done, and what stood against it. It is tried again."""

    reason: str
    doing: str
    why: str


Action = MakeRoundKey | Dispatch | Grant | Cancel | Aggregate | StoreModel | CleanUp
Course = Literal["Progressing", "Suspended", "Stalled", "Failed", "Complete", "Over"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule says: how the round stands and why, what to do, which stages are reached, when to look again."""

    course: Course
    reason: str
    message: str = ""
    actions: tuple[Action, ...] = ()
    stages: tuple[str, ...] = ()
    attention: tuple[Attention, ...] = ()
    model: StoredModel | None = None
    again: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order, then the status; `requeue_after` in seconds. A final status comes without tidying up: people
    read it at once, and what is left to do follows."""

    actions: tuple[Action, ...]
    status: FederatedRoundStatus
    requeue_after: float | None = None
