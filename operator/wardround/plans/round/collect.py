"""Rules of a round that has asked its hospitals: whom to ask again, until when to wait, and when it is hopeless."""

from dataclasses import replace
from datetime import timedelta

from wardround.plans.round.combine import aggregate
from wardround.plans.round.delivery import delivered, predicate
from wardround.plans.round.dispatch import ask
from wardround.plans.round.early import close_early, read_early
from wardround.plans.round.grants import grants
from wardround.plans.round.parts import PartState
from wardround.plans.round.rulings import failed, list_of, sentences
from wardround.plans.round.shortage import closes_at, explanation, reopened, shortage
from wardround.plans.round.status import COLLECTED, asks_until
from wardround.plans.round.types import MakeRoundKey, Ruling
from wardround.plans.round.view import View, closed, first, hospitals, shortfall

# A round that cannot succeed any more waits so long for each hospital's first answer. It can then say why each refuses
# it, and not the fastest alone.
ANSWERS_WITHIN = timedelta(seconds=10)


def beyond_quorum(view: View) -> Ruling | None:
    """Fails a round in which too many hospitals are lost for a quorum. It first waits a moment for the answers of the
    others."""
    hopeful = [*view.unasked, *(part.name for part in view.parts if part.state is not PartState.LOST)]
    missing = shortfall(view, hopeful, f"can still {predicate(view.round).infinitive}")
    if not missing:
        return None
    answers = [part.asked + ANSWERS_WITHIN for part in view.parts if part.unanswered]
    if any(view.seen.now < until for until in answers):
        return Ruling(
            course="Progressing",
            reason="Collecting",
            message=f"{missing} So the round will fail. The hub operator still waits for the hospitals that have "
            "not answered.",
            attention=view.attention(),
            requeue_at=(max(answers),),
        )
    lost = [each for each in view.attention() if each.participant not in hopeful]
    return failed(view, "QuorumNotMet", sentences(missing, list_of("Lost", lost)))


def collecting(view: View) -> Ruling | None:
    """Waits for updates and tries again where that may help, until all have sent or time is up."""
    sent = view.having(PartState.SENT)
    unsettled = view.having(PartState.ASKED, PartState.ACCEPTED, PartState.AGAIN)
    # Each hospital may use a model, so a delivery waits for all.
    closing = view.deadline if view.round.spec.task == "Deliver" else closes_at(view)
    if not (unsettled or view.unasked) or view.seen.now >= closing:
        return None
    # Only of a Deliver round is the key lost here: another one will do.
    key = [MakeRoundKey()] if view.seen.key_lost else []
    asks = [ask(view, name, view.seen.roster) for name in view.unasked]
    asks += [ask(view, part.name, view.selected, part.task) for part in view.having(PartState.AGAIN)]
    granted, renewals = grants(view)
    lacking = shortage(view)
    return Ruling(
        course="Progressing",
        reason="CollectingAgain" if lacking else "Collecting",
        message=sentences(
            f"{len(sent)} of {hospitals(len(view.parts) + len(view.unasked))} {predicate(view.round).past}.",
            explanation(view, lacking) if lacking else "",
            _to_approve(view),
        ),
        actions=(*key, *asks, *view.cancel_lost(), *granted, *read_early(view)),
        withdrawn=(COLLECTED,),
        attention=view.attention(),
        requeue_at=(
            closing,
            *([asks_until(view.seen)] if view.unasked else ()),
            *renewals,
            *(part.until for part in view.parts if part.until),
        ),
    )


def close(view: View) -> Ruling | None:
    """All have sent, or time is up."""
    if view.round.spec.task == "Deliver":
        return delivered(view)
    again, before = shortage(view) is not None, view.seen.aggregation
    closing = closed(reopened(view) if again else view)
    following = (before.number + 1, before.failures) if before else (1,)
    ruling = close_early(closing) or aggregate(closing, *following)
    return replace(ruling, withdrawn=(COLLECTED,)) if again else ruling


def _to_approve(view: View) -> str:
    """Which hospitals ask a person first. A message names them, because only that person can move them on."""
    waiting = [part.name for part in view.parts if part.open and part.reason == "WaitingForApproval"]
    verb = "has" if len(waiting) == 1 else "have"
    return f"{hospitals(len(waiting))} still {verb} to approve or deny the task: {first(waiting)}." if waiting else ""
