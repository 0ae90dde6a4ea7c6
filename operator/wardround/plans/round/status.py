"""Composes a round's status from a ruling: conditions, counts, attention, timeline. Decides nothing."""

from dataclasses import replace
from datetime import datetime, timedelta

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.federatedround import (
    BASE_DELETED,
    Attention,
    Counts,
    FederatedRound,
    FederatedRoundStatus,
    base_name,
)
from wardround.api.timeline import Timeline, mark, reached, withdraw
from wardround.api.times import to_seconds
from wardround.plans.round.parts import TASK_REFUSED, Part, PartState, asks_again, task_refused, unfinished
from wardround.plans.round.types import EarlyRefusal, Interruption, Observation, Refusal, Ruling
from wardround.reasons.registry import is_lasting

STARTED, DISPATCHED, COLLECTED, AGGREGATED, COMPLETE = "Started", "Dispatched", "Collected", "Aggregated", "Complete"
# Condition of a round that is over, and its reason while True: only result and tasks are left of the round.
CLEANED_UP = "CleanedUp"
GRANTS_VALID = "GrantsValid"
ATTENTION_LIMIT = 16
OPERATOR_LOG = "`kubectl logs deployment/hub-operator -n HUB_NAMESPACE`"


def is_over(federated_round: FederatedRound) -> bool:
    return is_final(federated_round.status)


def is_cleaned_up(status: FederatedRoundStatus) -> bool:
    """Whether no look has to read or delete anything of the round any more. Only the hub operator writes this."""
    return conditions.is_true(status.conditions, CLEANED_UP)


def is_final(status: FederatedRoundStatus) -> bool:
    return conditions.is_over(status.conditions)


def status(
    seen: Observation,
    parts: tuple[Part, ...],
    ruling: Ruling,
    *,
    selected: tuple[str, ...],
    absent: tuple[str, ...],
) -> FederatedRoundStatus:
    """`selected`, `absent`: as of a View."""
    before = seen.round.status
    if ruling.course == "Over":
        return _over(seen, ruling)
    timeline = before.timeline
    for stage in ruling.withdrawn:
        timeline = withdraw(timeline, stage)
    for stage in ruling.stages:
        timeline = mark(timeline, stage, seen.now)
    if ruling.course == "Complete":
        timeline = mark(timeline, COMPLETE, seen.now)
    return replace(
        before,
        observed_generation=seen.round.metadata.generation,
        conditions=_conditions(seen, ruling),
        participants=_counts(parts, ruling, selected=len(selected), absent=len(absent)),
        attention=_attention(seen, ruling.attention),
        result=ruling.model.result if ruling.model else before.result,
        timeline=timeline,
    )


def _over(seen: Observation, ruling: Ruling) -> FederatedRoundStatus:
    """The final conditions stay. `CleanedUp` is written when nothing is left, and earlier only if it could not be
    written without delay."""
    before = _of_generation(seen)
    if ruling.reason != CLEANED_UP and conditions.find(before.conditions, CLEANED_UP) is None:
        return before
    holds = ruling.reason == CLEANED_UP
    return replace(before, conditions=_set(before.conditions, CLEANED_UP, holds, ruling.reason, ruling.message, seen))


def _of_generation(seen: Observation) -> FederatedRoundStatus:
    """The status before, as a statement about the present generation. `suspend` may change, and what is final stays."""
    before, generation = seen.round.status, seen.round.metadata.generation
    known = conditions.with_generation(before.conditions, generation)
    return replace(before, conditions=known, observed_generation=generation)


def interrupted(seen: Observation, planned: FederatedRoundStatus, interruption: Interruption) -> FederatedRoundStatus:
    """The status when an action of the plan raised. No final condition of the plan is written. Of its stages only the
    start is: the round's deadlines count from there, whatever goes wrong."""
    before = _of_generation(seen)
    message = (
        f"The hub operator could not {interruption.doing}: {interruption.cause}. Nobody has to act yet, because the "
        f"hub operator tries again. If this message stays, the hub's administrator runs {OPERATOR_LOG}: the log says "
        "why."
    )
    if is_over(seen.round):
        return replace(before, conditions=_set(before.conditions, CLEANED_UP, False, "ActionFailed", message, seen))
    known = before if is_final(planned) else replace(planned, timeline=_started(before, planned))
    progressing = conditions.progressing(
        known.conditions, "ActionFailed", message, now=seen.now, generation=seen.round.metadata.generation
    )
    return replace(known, conditions=progressing)


def _started(before: FederatedRoundStatus, planned: FederatedRoundStatus) -> Timeline:
    if before.timeline:
        return before.timeline
    return tuple(each for each in planned.timeline if each.stage == STARTED)


def _set(before: Conditions, kind: str, holds: bool, reason: str, message: str, seen: Observation) -> Conditions:
    generation = seen.round.metadata.generation
    return conditions.set_condition(before, kind, holds, reason, message, now=seen.now, generation=generation)


def begun(seen: Observation) -> datetime:
    """The time from which deadlines count: the start of the round, or the end of a suspension. A suspended round has no
    deadline. The first look after the suspension finds the condition as it was, and its own time is the end."""
    started = reached(seen.round.status.timeline, STARTED) or seen.now
    known = seen.round.status.conditions
    if seen.round.spec.suspend or conditions.is_true(known, "Suspended"):
        return seen.now
    resumed = conditions.since(known, "Suspended", "False")
    return max(started, resumed) if resumed else started


def asks_until(seen: Observation) -> datetime:
    """Until when the hub operator tries to make a first RoundTask that the API server refuses."""
    total = timedelta(seconds=seen.round.spec.deadlines.total_seconds)
    return begun(seen) + min(total, asks_again(seen.round))


def refused(
    seen: Observation, planned: FederatedRoundStatus, asked: int, refusals: tuple[Refusal, ...]
) -> FederatedRoundStatus:
    """The status once it is known which RoundTasks the API server does not take now. `asked`: how many there were.

    A round of which it took none is not dispatched, as long as there is time to ask again.
    """
    if not refusals:
        return planned
    entries = tuple(task_refused(each.participant, each.message) for each in refusals)
    status = replace(planned, attention=_attention(seen, (*entries, *planned.attention)))
    until = asks_until(seen)
    if seen.tasks or len(refusals) < asked or seen.now >= until:
        return status
    message = f"The hub operator tries again until {to_seconds(until)}. Then the round fails. {entries[0].message}"
    waiting = Ruling(course="Stalled", reason=TASK_REFUSED, message=message)
    return replace(status, conditions=_conditions(seen, waiting), timeline=_started(seen.round.status, planned))


def begins_later(
    seen: Observation, planned: FederatedRoundStatus, refusals: tuple[EarlyRefusal, ...]
) -> FederatedRoundStatus:
    """The status when the API server does not take the aggregation that would begin early. The round goes on."""
    reconciling = conditions.find(planned.conditions, "Reconciling")
    if not refusals or reconciling is None:
        return planned
    message = (
        f"{reconciling.message} The aggregation has not begun early, because the hub's API server refused it or did "
        f"not answer ({refusals[0].cause}). The hub operator tries again, and the aggregation begins at the latest "
        f"when the round closes. The hub's administrator finds the cause by {OPERATOR_LOG}, for example a "
        "ResourceQuota of the hub's namespace."
    )
    progressing = conditions.progressing(
        planned.conditions, reconciling.reason, message, now=seen.now, generation=seen.round.metadata.generation
    )
    return replace(planned, conditions=progressing)


def _conditions(seen: Observation, ruling: Ruling) -> Conditions:
    spec, now, generation = seen.round.spec, seen.now, seen.round.metadata.generation
    result = seen.round.status.conditions
    for kind in ("Complete", "Failed"):
        holds = ruling.course == kind
        message = ruling.message if holds else ""
        result = _set(result, kind, holds, ruling.reason, message, seen)
    was_suspended = conditions.find(result, "Suspended") is not None
    if spec.suspend or was_suspended:
        reason = "Suspended" if spec.suspend else "Resumed"
        message = ruling.message if ruling.course == "Suspended" else ""
        result = _set(result, "Suspended", spec.suspend, reason, message, seen)
    if seen.base_deleted and seen.base_model is not None:
        kept = (
            f"Somebody deleted round {base_name(seen.round)}, from which this round starts. Nobody has to act for "
            "this round: the hub keeps the deleted round's result until this round is over. No later round can "
            "start from it."
        )
        result = _set(result, BASE_DELETED, True, BASE_DELETED, kept, seen)
    if ruling.course == "Progressing":
        return conditions.progressing(result, ruling.reason, ruling.message, now=now, generation=generation)
    if ruling.course in ("Stalled", "Failed"):
        return conditions.stalled(result, ruling.reason, ruling.message, now=now, generation=generation)
    return conditions.settled(result, ruling.reason, now=now, generation=generation)


def _counts(parts: tuple[Part, ...], ruling: Ruling, *, selected: int, absent: int) -> Counts:
    def count(state: PartState) -> int:
        return sum(part.state is state for part in parts)

    aggregated = ruling.model.aggregated if ruling.model else ()
    # The hub operator cancels these next.
    late = unfinished(parts, aggregated) if ruling.model else []
    lost = [part for part in parts if part.state is PartState.LOST and part.name not in aggregated]
    return Counts(
        selected=selected,
        absent=absent,
        accepted=sum(conditions.is_true(part.task.status.conditions, "Accepted") for part in parts),
        sent=count(PartState.SENT),
        failed=len(lost) + len(late),
        refused=sum(is_lasting(part.reason) for part in lost),
        aggregated=len(aggregated),
    )


def _attention(seen: Observation, entries: tuple[Attention, ...]) -> tuple[Attention, ...]:
    """One entry a participant: its first. If there are too many, a hospital that the quorum requires and that refuses
    the round is among those that stay."""
    first: dict[str, Attention] = {}
    for each in entries:
        first.setdefault(each.participant, each)
    if len(first) <= ATTENTION_LIMIT:
        return tuple(first.values())
    required = seen.round.spec.quorum.required
    ordered = sorted(first.values(), key=lambda each: each.participant not in required or not is_lasting(each.reason))
    return tuple(ordered[:ATTENTION_LIMIT])
