"""Rules of a round that has asked its hospitals: whom to ask again, until when to wait, and when it is hopeless."""

from dataclasses import replace
from datetime import datetime, timedelta

from wardround.api.names import GRANTS_BYTES, GRANTS_EXPIRE
from wardround.api.times import read_time
from wardround.plans.round import lengths
from wardround.plans.round.combine import aggregate
from wardround.plans.round.delivery import delivered, predicate
from wardround.plans.round.dispatch import ask
from wardround.plans.round.early import close_early, read_early
from wardround.plans.round.parts import PartState
from wardround.plans.round.rulings import failed, list_of, sentences
from wardround.plans.round.status import asks_until
from wardround.plans.round.types import Cancel, Grant, MakeRoundKey, Ruling
from wardround.plans.round.upload import granted_text
from wardround.plans.round.view import View, first, grace, hospitals, shortfall

# A round that cannot succeed any more waits so long for each hospital's first answer. It can then say why each refuses
# it, and not the fastest alone.
ANSWERS_WITHIN = timedelta(seconds=10)
RENEW_BEFORE = timedelta(minutes=15)


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
    closing = view.deadline if view.round.spec.task == "Deliver" else min([view.deadline, *grace(view, sent)])
    if not (unsettled or view.unasked) or view.seen.now >= closing:
        return None
    # Only of a Deliver round is the key lost here: another one will do.
    key = [MakeRoundKey()] if view.seen.key_lost else []
    asks = [ask(view, name, view.seen.roster) for name in view.unasked]
    asks += [ask(view, part.name, view.selected, part.task) for part in view.having(PartState.AGAIN)]
    lost = [Cancel(task=part.task, reason=part.reason) for part in view.having(PartState.LOST) if part.to_cancel]
    grants, renewals = _grants(view)
    return Ruling(
        course="Progressing",
        reason="Collecting",
        message=sentences(
            f"{len(sent)} of {hospitals(len(view.parts) + len(view.unasked))} {predicate(view.round).past}.",
            _to_approve(view),
        ),
        actions=(*key, *asks, *lost, *grants, *read_early(view)),
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
    closing = replace(view, parts=lengths.at_closing(view.seen, view.parts))
    return close_early(closing) or aggregate(closing, 1)


def _to_approve(view: View) -> str:
    """Which hospitals ask a person first. A message names them, because only that person can move them on."""
    waiting = [part.name for part in view.parts if part.open and part.reason == "WaitingForApproval"]
    verb = "has" if len(waiting) == 1 else "have"
    return f"{hospitals(len(waiting))} still {verb} to approve or deny the task: {first(waiting)}." if waiting else ""


def _grants(view: View) -> tuple[list[Grant], list[datetime]]:
    """Grants to make now, and when the others have to be renewed."""
    due: list[Grant] = []
    later: list[datetime] = []
    for part in view.parts:
        if not part.open:
            continue
        notes = part.task.metadata.annotations
        upload = part.task.status.upload
        expires = read_time(notes.get(GRANTS_EXPIRE, ""))
        renew = expires - RENEW_BEFORE if expires else view.seen.now
        if renew <= view.seen.now or notes.get(GRANTS_BYTES, "") != granted_text(upload):
            due.append(Grant(task=part.task, upload=upload))
        else:
            later.append(renew)
    return due, later
