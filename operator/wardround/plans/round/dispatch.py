"""Rules of a round that has asked no hospital yet: who may be asked, who is waited for, and when all are asked."""

from datetime import datetime, timedelta

from wardround.api.roundtask import RoundTask
from wardround.api.times import to_seconds
from wardround.plans import versions
from wardround.plans.round.candidates import TOO_FEW, Candidates, assess
from wardround.plans.round.rulings import advice, failed, list_of, sentences
from wardround.plans.round.states import reference_states
from wardround.plans.round.status import DISPATCHED, STARTED
from wardround.plans.round.strategy import too_much_to_aggregate
from wardround.plans.round.types import Dispatch, MakeRoundKey, Ruling
from wardround.plans.round.view import View, hospitals
from wardround.reasons.registry import REASONS

# A courier may open an assignment after the round's deadline, when training ended in its last second.
EXPIRES_AFTER_DEADLINE = timedelta(hours=1)


def quorum_impossible(view: View) -> Ruling | None:
    """Fails a round whose quorum is impossible at once, since a round's spec cannot change."""
    names, quorum = view.round.spec.participants.names, view.round.spec.quorum
    if names is None:
        return None
    if quorum.min > len(names):
        return failed(
            view,
            "QuorumImpossible",
            f"quorum.min is {quorum.min}, but the round names {hospitals(len(names))}. {advice('QuorumImpossible')}",
        )
    stranger = next((name for name in quorum.required if name not in names), None)
    if stranger:
        return failed(
            view,
            "QuorumImpossible",
            f"quorum.required names {stranger}, but participants.names does not. {advice('QuorumImpossible')}",
        )
    return None


def never_dispatched(view: View) -> Ruling | None:
    """Fails a round if the API server has refused all of its first RoundTasks until the time was over."""
    if view.dispatched or view.seen.now < view.deadline:
        return None
    return failed(view, "NotDispatched", REASONS["NotDispatched"].text)


def dispatch(view: View) -> Ruling | None:
    """Asks all hospitals that the hub may ask, if they are enough. Waits for a named hospital that the hub may not ask
    yet."""
    if view.dispatched:
        return None
    candidates = assess(view)
    return (
        _wait(view, candidates)
        or _give_up(view, candidates)
        or too_much_to_aggregate(view, len(candidates.fit))
        or _ask_all(view, candidates)
    )


def ask(view: View, name: str, roster: tuple[str, ...], after: RoundTask | None = None) -> Dispatch:
    """A first attempt, or the one that follows `after`."""
    assert view.seen.schema is not None, "a round without its DataSchema asks nobody"
    return Dispatch(
        participant=name,
        attempt=after.spec.attempt + 1 if after else 1,
        version=versions.common(view.seen.participants[name]),
        after=after,
        roster=roster,
        schema=view.seen.schema,
        expires=view.deadline + EXPIRES_AFTER_DEADLINE,
        state_round=view.states.get(name, ""),
        reference_states=reference_states(view.seen, name),
    )


def _admitted_until(view: View) -> datetime:
    return view.start + timedelta(seconds=view.round.spec.deadlines.admission_seconds)


def _wait(view: View, candidates: Candidates) -> Ruling | None:
    """As long as admission lasts: for a quorum, and for each hospital that the round names and nobody shut out."""
    until = _admitted_until(view)
    if view.seen.now >= until or not (candidates.missing or candidates.awaited):
        return None
    reason, message = candidates.trouble()
    then = "fails" if candidates.missing else f"continues with {len(candidates.fit)} of {hospitals(len(view.selected))}"
    return Ruling(
        course="Stalled",
        reason=reason,
        message=f"{message} The round waits until {to_seconds(until)}, and then {then}.",
        stages=(STARTED,),
        attention=candidates.attention,
        requeue_at=(until,),
    )


def _give_up(view: View, candidates: Candidates) -> Ruling | None:
    if candidates.unknown:
        return failed(view, "DatasetUnknown", candidates.unknown, candidates.attention)
    if not candidates.missing:
        return None
    reasons = set(candidates.barred.values()) or {TOO_FEW}
    reason = reasons.pop() if len(reasons) == 1 else "QuorumNotMet"
    # All names come first: a text that is too long for a condition loses its end.
    texts = (
        candidates.missing,
        list_of("Left out", candidates.attention),
        *(each.message for each in candidates.attention[:3]),
    )
    return failed(view, reason, sentences(*texts), candidates.attention)


def _ask_all(view: View, candidates: Candidates) -> Ruling:
    asked = {part.name for part in view.parts}
    return Ruling(
        course="Progressing",
        reason="Dispatched",
        message=f"The hub has asked {hospitals(len(candidates.fit))}.",
        actions=(MakeRoundKey(), *(ask(view, name, candidates.fit) for name in candidates.fit if name not in asked)),
        stages=(STARTED, DISPATCHED),
        attention=candidates.attention,
        requeue_at=(_admitted_until(view), view.deadline),
    )
