"""Decides how far each participant's part of a round has come, from its RoundTasks. Decides nothing about the round."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from wardround.api import conditions
from wardround.api.federatedround import Attention, FederatedRound
from wardround.api.names import CANCELLED, GRANTS_BYTES, GRANTS_EXPIRE, REFUSED
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.api.times import parse_time, read_time
from wardround.plans.participant import barred, mismatch
from wardround.plans.round.stages import stage
from wardround.reasons.parameter import UNNAMED, describe
from wardround.reasons.registry import advise, is_retried

SUSPENDED = "Suspended"
TASK_REFUSED = "TaskRefused"
LARGEST_MANIFEST = 1 << 14  # ours have about 5 KiB


class PartState(Enum):
    """How far one participant's part has come."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    SENT = "sent"
    AGAIN = "to be tried again"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One participant's part. `task`: its latest attempt. `until`: when its present stage must be over. `refusal`: why
    the API server does not take the next attempt, in its own words."""

    name: str
    state: PartState
    task: RoundTask
    reason: str = ""
    failure_class: str = "Site"
    until: datetime | None = None
    sent_at: datetime | None = None
    refusal: str = ""

    @property
    def open(self) -> bool:
        return self.state in (PartState.ASKED, PartState.ACCEPTED)

    @property
    def unanswered(self) -> bool:
        """Whether the site has not answered at all yet, not even that it waits for approval."""
        return self.state is PartState.ASKED and self.reason != "WaitingForApproval"

    @property
    def asked(self) -> datetime:
        """When this attempt was made, by the API server's clock."""
        return parse_time(self.task.metadata.creation_timestamp)

    @property
    def to_cancel(self) -> bool:
        """Whether the site still works on it, as far as the hub knows."""
        task = self.task
        return not (task.spec.cancel or is_sent(task) or is_delivered(task) or has_failed(task) or refusal(task))

    def attention(self, federated_round: FederatedRound, guess: str = "") -> Attention | None:
        """What a person should look at, if anything. `guess`: the name that the round's author probably meant."""
        if not self.reason:
            return None
        if self.reason == TASK_REFUSED:
            return task_refused(self.name, self.refusal)
        message = advise(
            self.reason,
            self.name,
            federation=federated_round.metadata.namespace,
            dataset=federated_round.spec.dataset_name,
            task=self.task.metadata.name,
            failure_class=self.failure_class,
            parameter=_parameter(federated_round, self.task),
            guess=guess,
        )
        return Attention(participant=self.name, reason=self.reason, message=message)


def task_refused(name: str, refusal: str) -> Attention:
    """`refusal`: the API server's own words."""
    message = f"{advise(TASK_REFUSED, name)} The API server says: {refusal}"
    return Attention(participant=name, reason=TASK_REFUSED, message=message[: conditions.MESSAGE_LIMIT])


def asks_again(federated_round: FederatedRound) -> timedelta:
    """How long the hub tries to make a RoundTask that the API server refuses. People may correct a quota or a policy in
    this time."""
    limits = federated_round.spec.deadlines
    return timedelta(seconds=limits.admission_seconds + limits.queue_seconds)


def refused_since(task: RoundTask) -> tuple[datetime | None, str]:
    """Since when the API server has not taken the attempt after this one, and its last words."""
    since, _, message = task.metadata.annotations.get(REFUSED, "").partition(" ")
    return read_time(since), message


def puts_until(tasks: Iterable[Mapping[str, str]]) -> datetime | None:
    """Until when sites can store objects by their grants; None if no site has such a grant. Objects that are deleted
    before can come again. `tasks`: the annotations of the RoundTasks."""
    granted = (each.get(GRANTS_EXPIRE, "") for each in tasks if each.get(GRANTS_BYTES))
    return max((until for text in granted if (until := read_time(text))), default=None)


def is_sent(task: RoundTask) -> bool:
    return conditions.is_true(task.status.conditions, "Sent") and task.status.update is not None


def is_delivered(task: RoundTask) -> bool:
    """Whether a task of a Deliver round has ended well. Such a task sends nothing."""
    return conditions.is_true(task.status.conditions, "Complete") and task.status.update is None


def refusal(task: RoundTask) -> str | None:
    """The reason why the site refuses; None if it does not. Waiting for approval is no refusal."""
    accepted = conditions.find(task.status.conditions, "Accepted")
    if accepted is None or accepted.status != "False" or accepted.reason == "WaitingForApproval":
        return None
    return accepted.reason


def has_failed(task: RoundTask) -> bool:
    return task.status.failure is not None or conditions.is_true(task.status.conditions, "Failed")


def parts(
    federated_round: FederatedRound,
    tasks: Iterable[RoundTask],
    participants: Mapping[str, Participant],
    now: datetime,
    largest_upload: int,
) -> tuple[Part, ...]:
    """One for each participant that was asked, by name. `largest_upload`: ciphertext bytes."""
    attempts: dict[str, list[RoundTask]] = {}
    for task in sorted(tasks, key=lambda each: each.spec.attempt):
        attempts.setdefault(task.metadata.namespace, []).append(task)
    each_part = (
        _part(federated_round, attempts[name], participants.get(name), now, largest_upload) for name in sorted(attempts)
    )
    return tuple(_unless_refused(federated_round, part, now) for part in each_part)


def unfinished(all_parts: Iterable[Part], aggregated: Collection[str]) -> list[str]:
    """The participants that have not sent when a result is kept. `aggregated`: those in the result. One of these can
    have withdrawn what its RoundTask said."""
    open_states = (PartState.ASKED, PartState.ACCEPTED, PartState.AGAIN)
    return [part.name for part in all_parts if part.state in open_states and part.name not in aggregated]


def _unless_refused(federated_round: FederatedRound, part: Part, now: datetime) -> Part:
    """The hub wanted to make another attempt, and the API server did not take it: the hub asks again for a time."""
    since, message = refused_since(part.task)
    if part.state is not PartState.AGAIN or since is None:
        return part
    until = since + asks_again(federated_round)
    state = PartState.AGAIN if now < until else PartState.LOST
    return replace(part, state=state, reason=TASK_REFUSED, refusal=message, until=until)


def _is_its_own(participant: Participant, latest: RoundTask) -> bool:
    """Whether an update was sent before the revocation that the approved keys have signed: no token gives those away.
    With other keys in the Participant's status, a thief of the token may have sent it."""
    return is_sent(latest) and mismatch(participant) is None


def _part(
    federated_round: FederatedRound,
    attempts: list[RoundTask],
    participant: Participant | None,
    now: datetime,
    largest_upload: int,
) -> Part:
    latest = attempts[-1]
    if reason := _exclusion(federated_round, latest, participant):
        return _part_of(latest, PartState.LOST, reason)
    cancellation = _cancellation(latest)
    if cancellation == SUSPENDED:
        return _part_of(latest, PartState.AGAIN)
    if cancellation:
        return _part_of(latest, PartState.LOST, cancellation)
    if reason := refusal(latest):
        return _part_of(latest, PartState.LOST, reason)
    if has_failed(latest):
        return _failed(federated_round, attempts)
    # The limit holds for a sent update too: the hub makes URLs for as many parts as a site says, and all URLs go into
    # one plan.
    if latest.status.upload is not None and latest.status.upload.bytes > largest_upload:
        return _part_of(latest, PartState.LOST, "UploadTooLarge")
    return _sent(federated_round, latest) or _under_way(federated_round, latest, now)


def _part_of(task: RoundTask, state: PartState, reason: str = "") -> Part:
    return Part(name=task.metadata.namespace, state=state, task=task, reason=reason)


def _exclusion(federated_round: FederatedRound, latest: RoundTask, participant: Participant | None) -> str | None:
    """Why the hub takes nothing from this participant any more."""
    reason = barred(participant, federated_round.metadata.namespace)
    if reason == "ParticipantRevoked" and participant is not None and _is_its_own(participant, latest):
        return None
    return reason


def _cancellation(task: RoundTask) -> str | None:
    return task.metadata.annotations.get(CANCELLED, "NotSentInTime") if task.spec.cancel else None


def _sent(federated_round: FederatedRound, latest: RoundTask) -> Part | None:
    """The part of a site that has done its work: it has sent an update, or the delivery has ended."""
    delivers = federated_round.spec.task == "Deliver"
    if not (is_delivered(latest) if delivers else is_sent(latest)):
        return None
    if latest.status.update is not None and len(latest.status.update.manifest) > LARGEST_MANIFEST:
        return _part_of(latest, PartState.LOST, "ManifestUnreadable")
    sent_at = conditions.since(latest.status.conditions, "Complete" if delivers else "Sent")
    return replace(_part_of(latest, PartState.SENT), sent_at=sent_at)


def _under_way(federated_round: FederatedRound, latest: RoundTask, now: datetime) -> Part:
    """The part of a site that still has time, or had time."""
    present = stage(federated_round, latest)
    if now >= present.until:
        return _part_of(latest, PartState.LOST, present.lapsed)
    accepted = conditions.is_true(latest.status.conditions, "Accepted")
    state = PartState.ACCEPTED if accepted else PartState.ASKED
    return replace(_part_of(latest, state, present.waits_for), until=present.until)


def _failed(federated_round: FederatedRound, attempts: list[RoundTask]) -> Part:
    """Reasons that are tried again (reasons/) are so as often as the round allows. An earlier attempt has failed,
    unless the hub called it back: the site can change what it says of it now."""
    latest = attempts[-1]
    failure = latest.status.failure
    condition = conditions.find(latest.status.conditions, "Failed")
    reason = failure.reason if failure else condition.reason if condition else "Failed"
    failure_class = failure.failure_class if failure else "Site"
    failures = 1 + sum(_cancellation(each) != SUSPENDED for each in attempts[:-1])
    again = is_retried(reason, failure_class) and failures <= federated_round.spec.retry_limit
    state = PartState.AGAIN if again else PartState.LOST
    return replace(_part_of(latest, state, reason), failure_class=failure_class)


def _parameter(federated_round: FederatedRound, task: RoundTask) -> str:
    """The parameter that the site refuses, with its value and bound. Only the round's own names reach its author."""
    failure = task.status.failure
    if failure is None:
        return ""
    name, parameters = failure.parameter or "", federated_round.spec.parameters
    return describe(name, parameters, failure.bound or "") if name in parameters else UNNAMED
