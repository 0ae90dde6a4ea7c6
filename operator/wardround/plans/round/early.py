"""Decides whether an aggregation begins while its round collects, and what the hub operator writes onto its list.

Such an aggregation has the number 0, so a failure takes none of the round's tries. It begins once. If it ends before
the round closes, the hub operator makes another Job at closing, as for a round without it. Pure.
"""

from dataclasses import replace
from datetime import timedelta

from wardround.api.roundtask import RoundTask
from wardround.plans.round.combine import COMBINED_WITHIN, aggregate, combined_by, gone
from wardround.plans.round.counted import counted_digest, update_identity
from wardround.plans.round.parts import PartState
from wardround.plans.round.strategy import has_known_lengths, room
from wardround.plans.round.types import (
    EARLY_NUMBER,
    Action,
    Aggregate,
    Collects,
    EarlyList,
    ListUpdates,
    Observation,
    Ruling,
    StopEarly,
)
from wardround.plans.round.upload import largest_upload
from wardround.plans.round.view import View
from wardround.wire.strategy_terms import STRATEGIES

NOTHING = EarlyList()
COLLECTS, CLOSED, GIVEN_UP = "collects", "closed=", "given-up"


def read_early(view: View) -> tuple[Action, ...]:
    """What to do while the round collects: begin with the first update, then list each update that is there.

    The API server may refuse the Job. So the first page is written by the look that sees the Job.
    """
    if not view.having(PartState.SENT):
        return ()
    early = view.seen.early or NOTHING
    if view.seen.aggregation is None and early.pages == 0:
        begin = _begin(view)
        return (begin,) if begin else ()
    if not _waits(view):
        return ()
    action = _list(view, early, closes=False)
    return (action,) if action.tasks else ()


def close_early(view: View) -> Ruling | None:
    """Lets the Job that began early combine what was sent, or another Job in its place. None if no such Job runs."""
    job = view.seen.aggregation
    if job is None or job.number != EARLY_NUMBER or gone(view):
        return None
    if not _waits(view):
        ruling = aggregate(view, EARLY_NUMBER + 1)
        begins = any(isinstance(each, Aggregate) for each in ruling.actions)
        return replace(ruling, actions=(StopEarly(), *ruling.actions)) if begins else ruling
    ruling = aggregate(view, EARLY_NUMBER)
    last = _list(view, view.seen.early or NOTHING, closes=True)
    return replace(ruling, actions=tuple(last if isinstance(each, Aggregate) else each for each in ruling.actions))


def _waits(view: View) -> bool:
    """Whether a Job that began early waits for further pages, and has the time that a Job at closing would have.

    The pod of a Job may wait for a node. Its wait for the last page begins later, and the Job's deadline does not.
    """
    job, early = view.seen.aggregation, view.seen.early
    if job is None or job.number != EARLY_NUMBER or early is None:
        return False
    has_time = job.until is None or view.seen.now + COMBINED_WITHIN <= job.until
    return has_time and not (early.closed or early.given_up or gone(view))


def _begin(view: View) -> Aggregate | None:
    """None if the round has no aggregation that begins early: the size of the updates has to be known, and each update
    has to be examined alone."""
    spec, seen = view.round.spec, view.seen
    terms = STRATEGIES[spec.aggregation.strategy]
    if seen.early_seconds == 0 or terms.at_once or not has_known_lengths(view):
        return None
    most = len(view.parts) + len(view.unasked)
    space = room(view, most)
    if space.reads_twice:
        return None
    return Aggregate(
        number=EARLY_NUMBER,
        tasks=(),
        # The round may close so much later, and then the Job has the time of a Job that begins at closing.
        until=combined_by(view) + timedelta(seconds=seen.early_seconds),
        scratch=space,
        collects=Collects(most=most, largest=largest_upload(view.round, seen.base_model), seconds=seen.early_seconds),
    )


def _list(view: View, early: EarlyList, *, closes: bool) -> ListUpdates:
    sent = tuple(part.task for part in view.having(PartState.SENT))
    marks = {mark(view.seen, task): task for task in sent}
    new = {each: task for each, task in marks.items() if each not in early.listed}
    return ListUpdates(
        tasks=tuple(new.values()),
        before=early,
        after=EarlyList(
            listed=early.listed | frozenset(new),
            closed=counted_digest(view.seen, sent) if closes else "",
        ),
        counted=sent if closes else None,
    )


def mark(seen: Observation, task: RoundTask) -> str:
    """Sixteen hexadecimal digits of the identity of a task's update."""
    return update_identity(seen, task).removeprefix("sha256:")[:16]


def note(early: EarlyList) -> str:
    """The text that `noted` reads."""
    state = GIVEN_UP if early.given_up else f"{CLOSED}{early.closed}" if early.closed else COLLECTS
    return " ".join((str(early.pages), state, *sorted(early.listed)))


def noted(text: str) -> EarlyList:
    """What the hub operator has noted; nothing for a text that a person has changed."""
    pages, *rest = text.split() or ["0"]
    if not pages.isdecimal() or not rest:
        return NOTHING
    state, *listed = rest
    return EarlyList(
        pages=int(pages),
        listed=frozenset(listed),
        closed=state.removeprefix(CLOSED) if state.startswith(CLOSED) else "",
        given_up=state == GIVEN_UP,
    )
