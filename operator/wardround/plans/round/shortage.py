"""Decides whether a round goes on if its aggregation could count too few updates: others may still fill the quorum.

An update counts as sent before anybody has read it. So the quorum can be reached, and the aggregation then leaves an
update out. The hub operator notes that at the RoundTask, and the round collects on until its deadline. Each further
aggregation has an update that the ones before did not have, so there are no more of them than updates.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api.timeline import withdraw
from wardround.api.times import to_seconds
from wardround.plans.round.counted import attempt, given_until
from wardround.plans.round.parts import Part, PartState
from wardround.plans.round.rulings import list_of, sentences, withheld
from wardround.plans.round.status import COLLECTED
from wardround.plans.round.strategy import beyond_scratch
from wardround.plans.round.tries import job_name
from wardround.plans.round.types import Aggregation, Cancel, Ruling
from wardround.plans.round.view import View, closed, grace, hospitals, shortfall
from wardround.wire.aggregation import AggregationFailure, AggregationResult, LeftOut

# Answers without a result that more updates may change.
NOTHING, TOO_FEW_FOR_STRATEGY = "NothingToAggregate", "TooFewForStrategy"
# Whether an update is too large depends on the others, so a further aggregation may count it.
RELATIVE = frozenset({"UpdateTooLarge"})


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """What an aggregation lacks. `missing`: a sentence. `uncounted`: hospitals that withhold their numbers. `unusable`:
    hospitals whose updates no further aggregation counts; an answer may have no room for the names of `left_out`."""

    job: Aggregation
    missing: str
    left_out: tuple[LeftOut, ...]
    uncounted: tuple[str, ...]
    unusable: frozenset[str]


def shortage(view: View) -> Shortage | None:
    """What the latest aggregation lacks; None if it has counted enough, has not ended, or has failed otherwise."""
    job = view.seen.aggregation
    match job.answer if job else None:
        case AggregationResult() as answer if job:
            names, uncounted = counted_names(view, job, answer)
            if not (missing := shortfall(view, names, "could be counted")):
                return None
            unusable = frozenset((*_unusable(answer.left_out), *uncounted))
            return Shortage(job=job, missing=missing, left_out=answer.left_out, uncounted=uncounted, unusable=unusable)
        case AggregationFailure(reason=reason) as failure if job and reason in (NOTHING, TOO_FEW_FOR_STRATEGY):
            absent = [each.participant for each in failure.left_out]
            rest = _all_but(view, job, absent)
            uncounted = rest if failure.withheld else ()
            usable = rest if reason == TOO_FEW_FOR_STRATEGY else ()
            missing = shortfall(view, usable, "could be counted") or f"{hospitals(len(usable))} could be counted."
            # Without a note of the updates that it was given, `rest` holds those that have arrived since too.
            never = rest if job.given is not None and not usable else ()
            unusable = frozenset((*_unusable(failure.left_out), *never))
            return Shortage(job=job, missing=missing, left_out=failure.left_out, uncounted=uncounted, unusable=unusable)
        case _:
            return None


def counted_names(view: View, job: Aggregation, answer: AggregationResult) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hospitals whose updates are combined, and those that withhold their numbers. The answer may have had no room
    for one of these lists."""
    absent = [each.participant for each in answer.left_out]
    names = answer.aggregated or _all_but(view, job, (*absent, *answer.uncounted))
    evaluates = view.round.spec.task == "Evaluate"
    return names, answer.uncounted or (_all_but(view, job, (*names, *absent)) if evaluates else ())


def given(view: View, job: Aggregation) -> tuple[Part, ...]:
    """The parts whose updates the aggregation was given. Others may have sent theirs later. It does not matter what has
    become of a part since: in an initial round, most later updates may have another length."""
    if job.given is None:
        return view.having(PartState.SENT)
    return tuple(part for part in view.parts if attempt(part.task) in job.given)


def too_late(view: View, job: Aggregation, names: Collection[str]) -> tuple[LeftOut, ...]:
    """The updates that arrived after the aggregation had begun that made the result. `names`: the hospitals in it."""
    known = {*names, *(part.name for part in given(view, job))}
    sent = view.having(PartState.SENT)
    return tuple(LeftOut(part.name, "NotSentInTime") for part in sent if part.name not in known)


def may_be_filled(view: View, lacking: Shortage) -> bool:
    """Whether a further aggregation may count enough: with updates that have arrived since, or that may still arrive.
    Without a note of the updates that the Job was given, nobody can tell which have arrived since."""
    if lacking.job.given is None:
        return False
    countable = _countable(view, lacking)
    hopeful = [part.name for part in countable]
    more = bool(_arrived(lacking.job, countable))
    if view.seen.now < view.deadline:
        others = view.having(PartState.ASKED, PartState.ACCEPTED, PartState.AGAIN)
        coming = [*view.unasked, *(part.name for part in others)]
        hopeful, more = [*hopeful, *coming], more or bool(coming)
    return more and not shortfall(view, hopeful)


def note_left_out(view: View, lacking: Shortage) -> Ruling | None:
    """Notes at the RoundTasks whose updates were left out. None once that is done: the round then collects on."""
    reasons = _unusable(lacking.left_out)
    cancels = tuple(
        Cancel(task=part.task, reason=reasons[part.name])
        for part in view.parts
        if part.name in reasons and part.state is not PartState.LOST
    )
    if not cancels:
        return None
    return Ruling(
        course="Progressing",
        reason="CollectingAgain",
        message=explanation(view, lacking),
        actions=cancels,
        withdrawn=(COLLECTED,),
        attention=view.attention(),
    )


def explanation(view: View, lacking: Shortage) -> str:
    """Why the round collects although it has aggregated, and until when."""
    return sentences(
        f"Job {job_name(view, lacking.job)} has made no result: {lacking.missing}",
        withheld(len(lacking.uncounted)),
        list_of("Left out", lacking.left_out),
        f"Other hospitals can still send an update, at the latest at {to_seconds(view.deadline)}.",
    )


def closes_at(view: View) -> datetime:
    """Until when a round waits for hospitals that have not sent. Updates that no aggregation can count begin no grace,
    and no update is aggregated twice without a new one, even if somebody has deleted the Job that had it."""
    lacking, job = shortage(view), view.seen.aggregation
    countable = _countable(view, lacking) if lacking else view.having(PartState.SENT)
    if job is not None and job.given is not None and not _arrived(job, countable):
        return view.deadline
    if beyond_scratch(closed(view)):
        return view.deadline  # with further hospitals, the longest updates may be no majority
    return min([view.deadline, *grace(view, countable)])


def reopened(view: View) -> View:
    """The view of a round that collects on. The time for its next aggregation counts from its next closing."""
    before = view.round.status
    status = replace(before, timeline=withdraw(before.timeline, COLLECTED))
    return replace(view, seen=replace(view.seen, round=replace(view.round, status=status)))


def _countable(view: View, lacking: Shortage) -> tuple[Part, ...]:
    """The parts that have sent an update which a further aggregation may count."""
    return tuple(part for part in closed(view).having(PartState.SENT) if part.name not in lacking.unusable)


def _arrived(job: Aggregation, sent: Collection[Part]) -> tuple[Part, ...]:
    """Those of these parts whose update no aggregation was given."""
    known = given_until(job)
    return tuple(part for part in sent if attempt(part.task) not in known)


def _unusable(left_out: Collection[LeftOut]) -> dict[str, str]:
    """The reason of each participant whose update no further aggregation counts."""
    return {each.participant: each.reason for each in left_out if each.reason not in RELATIVE}


def _all_but(view: View, job: Aggregation, absent: Collection[str]) -> tuple[str, ...]:
    return tuple(part.name for part in given(view, job) if part.name not in absent)
