"""Rules of a round that is over, complete or suspended, or that has lost its key."""

from wardround.api import conditions
from wardround.plans.round.parts import SUSPENDED, puts_until
from wardround.plans.round.rulings import completed, failed
from wardround.plans.round.server_state import kept_in_words
from wardround.plans.round.status import CLEANED_UP, GRANTS_VALID, is_over
from wardround.plans.round.types import EARLY_NUMBER, Action, CleanUp, Ruling, StopEarly
from wardround.plans.round.view import View
from wardround.reasons.registry import REASONS

PAUSES = "The round pauses, because its spec.suspend is true."


def over(view: View) -> Ruling | None:
    """Tidies up after a round that is over. Its final condition stays. The reason says how far that is once
    the actions are done."""
    if not is_over(view.round):
        return None
    granted = puts_until(task.metadata.annotations for task in view.seen.tasks)
    until = max((each for each in (granted, view.seen.puts_until) if each and view.seen.now < each), default=None)
    has_failed = conditions.is_true(view.round.status.conditions, "Failed")
    cancels = view.cancel("RoundFailed" if has_failed else "NotSentInTime")
    due = (view.seen.leftovers or bool(cancels)) and (until is None or not view.seen.cleaned_up)
    tidy: tuple[Action, ...] = (CleanUp(until=until),) if due else ()
    job = view.seen.aggregation
    runs = job is not None and job.number == EARLY_NUMBER and not job.over
    stopped: tuple[Action, ...] = (StopEarly(),) if runs else ()
    return Ruling(
        course="Over",
        reason=GRANTS_VALID if until else CLEANED_UP,
        message=REASONS[GRANTS_VALID].meaning if until else "",
        actions=(*cancels, *stopped, *tidy),
        requeue_at=(until,) if until else (),
    )


def complete(view: View) -> Ruling | None:
    """The result is stored: whatever happened before, the round is complete."""
    model = view.seen.model
    return None if model is None else completed(view, model, kept_in_words(view, model))


def key_lost(view: View) -> Ruling | None:
    """Fails a round whose private key somebody has deleted. An aggregation that runs already has a key of its own, and
    so the round first waits for it. A Deliver round gets another key, because no hospital seals anything for it."""
    if not view.seen.key_lost or view.round.spec.task == "Deliver":
        return None
    meta = view.round.metadata
    return failed(view, "RoundKeyLost", REASONS["RoundKeyLost"].about("", meta.namespace, round_name=meta.name).text)


def suspended(view: View) -> Ruling | None:
    """The hub cancels tasks that have not sent their update, and keeps updates that were sent."""
    if not view.round.spec.suspend:
        return None
    return Ruling(
        course="Suspended",
        reason=SUSPENDED,
        message=f"{PAUSES} Until somebody sets spec.suspend to false, the hub operator asks no hospital and combines "
        "no updates.",
        actions=view.call_back(),
        attention=view.attention(),
    )
