"""Decides what to do next about a FederatedRound, and what to say of it. Pure: knows no API server and no clock.

A plan is the first rule of RULES that has something to say. "Why is it waiting" is answered there and nowhere else.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from wardround.api import conditions
from wardround.api.federatedround import Attention, Result, Suppressed, base_name
from wardround.api.names import model_location
from wardround.api.roundtask import RoundTask
from wardround.api.task import Metric
from wardround.api.timeline import reached
from wardround.api.times import parse_time, read_time, to_seconds
from wardround.plans.round.columns import differing, made_with, meant
from wardround.plans.round.parts import GRANTS_BYTES, GRANTS_EXPIRE, SUSPENDED, TASK_REFUSED, Part, Standing, puts_until
from wardround.plans.round.status import AGGREGATED, COLLECTED, DISPATCHED, STARTED, asks_until, is_over, status
from wardround.plans.round.types import (
    Action,
    Aggregate,
    Aggregation,
    Cancel,
    CleanUp,
    Dispatch,
    Grant,
    MakeRoundKey,
    Observation,
    Plan,
    StoredModel,
    StoreModel,
    Verdict,
)
from wardround.plans.round.view import (
    View,
    first,
    grace,
    hospitals,
    left_out,
    named,
    nowhere_offered,
    selected,
    shortfall,
    tell,
    unfit,
    view_of,
)
from wardround.plans.states import remaining
from wardround.reasons.registry import REASONS
from wardround.reasons.transfers import NO_RESULT
from wardround.sealing.body import PART
from wardround.wire.aggregation import AggregationFailure, AggregationResult, LeftOut

AGGREGATION_TRIES = 3
# So long after it was asked, a hospital's answer is waited for though the round cannot succeed any more: it then says
# why each refuses it, and not the fastest alone.
ANSWERS_WITHIN = timedelta(seconds=10)
# A kubelet that is alive has by then removed a pod whose grace period for deletion is over.
NODE_DEAD_AFTER = timedelta(seconds=30)
# A round that collects until its deadline has so long to combine what came: as long as the Job itself may take.
COMBINED_WITHIN = timedelta(hours=1)
# Between tries to combine while the store is away: doubled each time, up to the longest.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=60)
# A courier's answer to the last second's training still has to open, hours after a deadline it has not.
EXPIRES_AFTER_DEADLINE = timedelta(hours=1)
# Kubernetes takes a Secret of 1 MiB and refuses a larger one however often it is asked.
TOO_FEW = "TooFewParticipants"
# By the hub's own people, who know how long it will last: no round waits for these.
SHUT_OUT = ("ParticipantSuspended", "ParticipantRevoked")
LARGEST_PLAN = 1_000_000
URL_BYTES = 640
RENEW_BEFORE = timedelta(minutes=15)


Rule = Callable[[View], Verdict | None]


def plan(seen: Observation) -> Plan:
    """The actions, the status afterwards, and when to look again."""
    view = view_of(seen)
    verdict = next(verdict for rule in RULES if (verdict := rule(view)))
    times = [each for each in verdict.again if each > seen.now]
    after = (min(times) - seen.now).total_seconds() if times else None
    if verdict.course in ("Complete", "Failed") or any(isinstance(each, CleanUp) for each in verdict.actions):
        after = 0.0  # what is final is said, then `over` tidies up, and then it sees what is left
    return Plan(
        actions=verdict.actions, status=status(view.seen, view.parts, view.selected, verdict), requeue_after=after
    )


def over(view: View) -> Verdict | None:
    """A final condition is never taken back: what is left is to tidy up."""
    if not is_over(view.round):
        return None
    until = puts_until(task.metadata.annotations for task in view.seen.tasks)
    last = until is None or view.seen.now >= until
    due = view.seen.leftovers and (last or not view.seen.cleaned_up)
    tidy: tuple[Action, ...] = (CleanUp(last=last),) if due else ()
    failed = conditions.is_true(view.round.status.conditions, "Failed")
    return Verdict(
        course="Over",
        reason="Over",
        actions=(*view.cancel("RoundFailed" if failed else "RoundOver"), *tidy),
        again=(until,) if until and view.seen.leftovers else (),
    )


def complete(view: View) -> Verdict | None:
    """The result is stored: whatever happened before, the round is complete."""
    model = view.seen.model
    return None if model is None else _complete(view, model)


def quorum_impossible(view: View) -> Verdict | None:
    """Said at once, since a round's spec cannot change."""
    names, quorum = view.round.spec.participants.names, view.round.spec.quorum
    if names is None:
        return None
    if quorum.min > len(names):
        return _failed(
            view,
            "QuorumImpossible",
            f"quorum.min is {quorum.min}, but the round names {hospitals(len(names))}. {_advice('QuorumImpossible')}",
        )
    stranger = next((name for name in quorum.required if name not in names), None)
    if stranger:
        return _failed(
            view,
            "QuorumImpossible",
            f"quorum.required has {stranger}, which the round does not name. {_advice('QuorumImpossible')}",
        )
    return None


def aggregated(view: View) -> Verdict | None:
    """The aggregation Job has ended: keep its result, try again, or give up."""
    job = view.seen.aggregation
    if job is None:
        return None
    node_dead = job.gone_by + NODE_DEAD_AFTER if job.gone_by else None
    if not job.over and not (node_dead and view.seen.now >= node_dead):
        return _combining(view, node_dead)
    answer = job.answer
    if isinstance(answer, AggregationResult):
        names = answer.aggregated or _all_but(view, answer.left_out)
        missing = shortfall(view, names, "could be counted")
        if missing:
            attention = (*view.attention(), *left_out(view, answer.left_out))
            said = (missing, _whom("Left out", answer.left_out), "The hub kept no result.")
            return _failed(view, "QuorumNotMet", _sentences(*said), attention)
        model = StoredModel(
            task=view.round.spec.task,
            result=_result(view, job.number, answer, names),
            aggregated=names,
            left_out=answer.left_out,
            states=remaining(view.states, frozenset(names)),
        )
        return _complete(view, model, StoreModel(number=job.number, answer=answer, model=model))
    if answer is not None and answer.reason in NO_RESULT:
        attention = (*view.attention(), *left_out(view, answer.left_out))
        said = (REASONS[answer.reason].text, answer.message, _whom("Left out", answer.left_out))
        return _failed(view, answer.reason, _sentences(*said), attention)
    if answer is not None and answer.reason == "StoreUnreachable" and view.seen.now < view.deadline:
        return _store_away(view, job, answer)
    if job.number < AGGREGATION_TRIES and view.seen.now < _combined_by(view):
        return _aggregate(view, job.number + 1)
    why = f"{answer.reason}. {answer.message}" if answer is not None else "its pod ended without an answer."
    times = "once" if job.number == 1 else f"{job.number} times"
    message = f"The aggregation Job failed {times}. The last reason: {why} {_advice('AggregationFailed')}"
    return _failed(view, "AggregationFailed", message)


def suspended(view: View) -> Verdict | None:
    """What is on its way is called back; what was sent is kept."""
    if not view.round.spec.suspend:
        return None
    return Verdict(
        course="Suspended",
        reason=SUSPENDED,
        message="spec.suspend is true. The hub asks no hospital and combines nothing until it is false.",
        actions=tuple(Cancel(task=part.task, reason=SUSPENDED) for part in view.parts if part.open),
        attention=view.attention(),
    )


def base_not_ready(view: View) -> Verdict | None:
    """A round waits for the round that it starts from, as long as that one may still complete."""
    name, task = base_name(view.round), "Train" if view.round.spec.base else "Statistics"
    if name is None:
        return None
    if view.dispatched:
        return _base_lost(view)
    if view.round.metadata.name in view.seen.waits_for:
        circle = " waits for ".join((view.round.metadata.name, *view.seen.waits_for))
        return _failed(view, "BaseCycle", f"{circle}. {_advice('BaseCycle')}")
    base, model = view.seen.base, view.seen.base_model
    if base is None and model is None:
        return _no_base(view, name)
    if base is not None and conditions.is_true(base.status.conditions, "Failed"):
        return _failed(
            view,
            "BaseFailed",
            f"Round {name} has failed, so this round has nothing to start from. {_advice('BaseFailed')}",
        )
    found = base.spec.task if base is not None else model.task if model else ""
    if found != task:
        return _failed(
            view,
            "BaseTaskDiffers",
            f"Round {name} is a {found} round. This round needs a {task} round. {_advice('BaseTaskDiffers')}",
        )
    if base is not None and not conditions.is_true(base.status.conditions, "Complete"):
        return Verdict(
            course="Progressing",
            reason="WaitingForBase",
            message=f"This round starts from round {name}, which is not Complete yet.",
        )
    return _base_lost(view)


def _no_base(view: View, name: str) -> Verdict:
    """It may still be applied: tools apply many objects in any order."""
    created = parse_time(view.round.metadata.creation_timestamp)
    until = created + timedelta(seconds=view.round.spec.deadlines.admission_seconds)
    if view.seen.base_deleted:
        reason = "BaseUnusable"
        message = (
            f"Somebody deleted round {name} before this round was applied. The hub keeps its result for earlier rounds "
            f"only. {_advice(reason)}"
        )
    else:
        reason = "BaseNotFound"
        message = (
            f"Namespace {view.round.metadata.namespace} has no FederatedRound {name}. A round can start only from a "
            f"round of its own namespace. {_advice(reason)}"
        )
    if view.seen.now >= until:
        return _failed(view, reason, message)
    waits = f"{message} The round waits until {to_seconds(until)}. Then it fails."
    return Verdict(course="Stalled", reason=reason, message=waits, again=(until,))


def _base_lost(view: View) -> Verdict | None:
    """Nothing goes on from a result that the hub cannot open: nobody is asked, and no update is combined."""
    name = base_name(view.round)
    if name is None or view.seen.base_model is not None:
        return None
    said = f"The hub has no usable key of the result of round {name}. {_advice('BaseLost')}"
    return _failed(view, "BaseLost", said)


def never_dispatched(view: View) -> Verdict | None:
    """The API server took no RoundTask, and did not say so of the RoundTask: that was tried again until now."""
    if view.dispatched or view.seen.now < view.deadline:
        return None
    return _failed(view, "NotDispatched", REASONS["NotDispatched"].text)


def dispatch(view: View) -> Verdict | None:
    """Asks all who may be asked, once they are enough. A named participant who may not be is waited for."""
    if view.dispatched:
        return None
    barred = {name: reason for name in view.selected if (reason := unfit(view, name))}
    barred |= differing(view.seen, [name for name in view.selected if name not in barred])
    # Of what nobody offers no hospital is to be told: its name is the round's to check.
    unknown = nowhere_offered(view, barred)
    attention = tuple(
        Attention(participant=name, reason=reason, message=tell(view, reason, name))
        for name, reason in barred.items()
        if not (unknown and reason == "DatasetNotFound")
    )
    fit = tuple(name for name in view.selected if name not in barred)
    missing = _sentences(shortfall(view, fit), selected(view)) if shortfall(view, fit) else ""
    # A hospital that the hub suspended or revoked, or that a selector found, is left out without waiting for it.
    by_name = view.round.spec.participants.names is not None
    awaited = [name for name, reason in barred.items() if by_name and reason not in SHUT_OUT]
    until = view.start + timedelta(seconds=view.round.spec.deadlines.admission_seconds)
    if (missing or awaited) and view.seen.now < until:
        for_whom = tuple(each for each in attention if each.participant in awaited) or attention
        reason, why = ("DatasetUnknown", unknown) if unknown else _waits_for(for_whom, missing)
        then = "fails" if missing else f"continues with {len(fit)} of {hospitals(len(view.selected))}"
        return Verdict(
            course="Stalled",
            reason=reason,
            message=f"{why} The round waits until {to_seconds(until)}. Then it {then}.",
            stages=(STARTED,),
            attention=attention,
            again=(until,),
        )
    if unknown:
        return _failed(view, "DatasetUnknown", unknown, attention)
    if missing:
        reasons = set(barred.values()) or {TOO_FEW}
        reason = reasons.pop() if len(reasons) == 1 else "QuorumNotMet"
        # All by name first: what is too long for a condition loses its end.
        said = (missing, _whom("Left out", attention), *(each.message for each in attention[:3]))
        return _failed(view, reason, _sentences(*said), attention)
    asked = {part.name for part in view.parts}
    tasks = tuple(_ask(view, name, fit) for name in fit if name not in asked)
    return Verdict(
        course="Progressing",
        reason="Dispatched",
        message=f"The hub has asked {hospitals(len(fit))}.",
        actions=(MakeRoundKey(), *tasks),
        stages=(STARTED, DISPATCHED),
        attention=attention,
        again=(until, view.deadline),
    )


def _waits_for(whom: tuple[Attention, ...], missing: str) -> tuple[str, str]:
    """Reason and message of a round that waits for these hospitals: the first in full, then the others by name."""
    if not whom:
        return TOO_FEW, missing
    others = f" It also waits for {named(whom[1:])}." if whom[1:] else ""
    return whom[0].reason, f"{whom[0].message}{others}"


def beyond_quorum(view: View) -> Verdict | None:
    """So many are lost that no update of the others would change it; their answers are still worth a moment."""
    hopeful = [*view.unasked, *(part.name for part in view.parts if part.standing is not Standing.LOST)]
    missing = shortfall(view, hopeful, "can still send")
    if not missing:
        return None
    answers = [part.asked + ANSWERS_WITHIN for part in view.parts if part.unanswered]
    if any(view.seen.now < until for until in answers):
        return Verdict(
            course="Progressing",
            reason="Collecting",
            message=f"{missing} The round fails as soon as the other hospitals answer.",
            attention=view.attention(),
            again=(max(answers),),
        )
    lost = [each for each in view.attention() if each.participant not in hopeful]
    return _failed(view, "QuorumNotMet", _sentences(missing, _whom("Lost", lost)))


def collecting(view: View) -> Verdict | None:
    """Waits for updates, tries again where that may help, until all have sent or time is up."""
    sent = view.standing(Standing.SENT)
    unsettled = view.standing(Standing.ASKED, Standing.ACCEPTED, Standing.AGAIN)
    closing = min([view.deadline, *grace(view, sent)])
    if not (unsettled or view.unasked) or view.seen.now >= closing:
        return None
    again = [_ask(view, name, view.seen.roster) for name in view.unasked]
    again += [_again(view, part) for part in view.standing(Standing.AGAIN)]
    lost = [Cancel(task=part.task, reason=part.reason) for part in view.standing(Standing.LOST) if part.to_cancel]
    grants, renewals = _grants(view)
    return Verdict(
        course="Progressing",
        reason="Collecting",
        message=_sentences(
            f"{len(sent)} of {hospitals(len(view.parts) + len(view.unasked))} sent an update.", _to_approve(view)
        ),
        actions=(*again, *lost, *grants),
        attention=view.attention(),
        again=(
            closing,
            *([asks_until(view.seen)] if view.unasked else ()),
            *renewals,
            *(part.until for part in view.parts if part.until),
        ),
    )


def close(view: View) -> Verdict | None:
    """All have sent, or time is up."""
    return _aggregate(view, 1)


RULES: tuple[Rule, ...] = (
    over,
    complete,
    quorum_impossible,
    aggregated,
    suspended,
    base_not_ready,
    never_dispatched,
    dispatch,
    beyond_quorum,
    collecting,
    close,
)


def _failed(view: View, reason: str, message: str, attention: tuple[Attention, ...] | None = None) -> Verdict:
    return Verdict(
        course="Failed",
        reason=reason,
        message=message,
        attention=view.attention() if attention is None else attention,
    )


def _whom(what: str, found: Sequence[Attention | LeftOut]) -> str:
    return f"{what}: {named(found)}." if found else ""


def _advice(reason: str) -> str:
    return REASONS[reason].advice


def _to_approve(view: View) -> str:
    """Which hospitals ask a person first. Nobody else is waited for until that person has decided."""
    waiting = [part.name for part in view.parts if part.open and part.reason == "WaitingForApproval"]
    verb = "has" if len(waiting) == 1 else "have"
    return f"{hospitals(len(waiting))} {verb} still to approve: {first(waiting)}." if waiting else ""


def _sentences(*said: str) -> str:
    return " ".join(each for each in said if each)


def _complete(view: View, model: StoredModel, *before: Action) -> Verdict:
    return Verdict(
        course="Complete",
        reason="Complete",
        message=f"The hub combined {model.result.samples} samples of {hospitals(len(model.aggregated))}.",
        actions=before,
        stages=(COLLECTED, AGGREGATED),
        attention=(*view.attention(), *left_out(view, model.left_out)),
        model=model,
    )


def _aggregate(view: View, number: int) -> Verdict:
    """Combines what was sent, if it is enough."""
    sent = view.standing(Standing.SENT)
    missing = shortfall(view, [part.name for part in sent], "sent an update in time")
    if missing:
        late = [
            LeftOut(participant=part.name, reason=part.reason or "NotSentInTime")
            for part in view.parts
            if part not in sent
        ]
        asked = {part.name for part in view.parts}
        late += [LeftOut(participant=name, reason=TASK_REFUSED) for name in view.seen.roster if name not in asked]
        return _failed(view, "QuorumNotMet", _sentences(missing, "The hub combined nothing.", _whom("Missing", late)))
    if lost := _base_lost(view):
        return lost
    if _plan_bytes(sent) > LARGEST_PLAN:
        return _failed(
            view,
            "TooMuchToAggregate",
            f"The plan for {len(sent)} updates of this size does not fit a Secret. {_advice('TooMuchToAggregate')}",
        )
    return Verdict(
        course="Progressing",
        reason="Aggregating",
        message=f"The hub is combining the updates of {hospitals(len(sent))}.",
        actions=(
            *view.cancel("NotSentInTime"),
            Aggregate(number=number, tasks=tuple(part.task for part in sent), until=_combined_by(view)),
        ),
        stages=(COLLECTED,),
        attention=view.attention(),
    )


def _combined_by(view: View) -> datetime:
    """Until when the aggregation may take, with all its tries."""
    collected = reached(view.round.status.timeline, COLLECTED) or view.seen.now
    return max(view.deadline, collected + COMBINED_WITHIN)


def _combining(view: View, node_dead: datetime | None) -> Verdict:
    """Waits for the aggregation Job, but not for ever. `node_dead`: when its pod's deletion is given up."""
    until = _combined_by(view)
    if view.seen.now >= until:
        why = "Kubernetes is deleting its pod, and the node does not answer" if node_dead else "It has not ended"
        return _failed(
            view,
            "AggregationDeadline",
            f"The aggregation Job had until {to_seconds(until)}. {why}. {_advice('AggregationDeadline')}",
        )
    return Verdict(
        course="Progressing",
        reason="Aggregating",
        message=REASONS["Aggregating"].meaning,
        attention=view.attention(),
        stages=(COLLECTED,),
        again=(until, *([node_dead] if node_dead else [])),
    )


def _store_away(view: View, job: Aggregation, answer: AggregationFailure) -> Verdict:
    """The updates were sent and their hospitals are done: they are not lost to a store that comes back in time."""
    pause = min(SHORTEST_PAUSE * 2 ** min(job.number - 1, 8), LONGEST_PAUSE)
    if job.ended is None or view.seen.now >= job.ended + pause:
        return _aggregate(view, job.number + 1)
    return Verdict(
        course="Progressing",
        reason="StoreUnreachable",
        message=f"The hub cannot combine the updates yet: {answer.message}",
        stages=(COLLECTED,),
        attention=view.attention(),
        again=(job.ended + pause, view.deadline),
    )


def _plan_bytes(sent: tuple[Part, ...]) -> int:
    """About how large the aggregation's Secret gets: a URL for each part, of the base and the result too."""
    parts = [-(-part.task.status.upload.bytes // PART) for part in sent if part.task.status.upload]
    manifests = sum(len(part.task.status.update.manifest) for part in sent if part.task.status.update)
    return URL_BYTES * (sum(parts) + 2 * max(parts, default=0)) + manifests


def _all_but(view: View, missing: tuple[LeftOut, ...]) -> tuple[str, ...]:
    """Who was combined, where the answer had no room for the names."""
    without = {each.participant for each in missing}
    return tuple(part.name for part in view.standing(Standing.SENT) if part.name not in without)


def _result(view: View, number: int, answer: AggregationResult, aggregated: tuple[str, ...]) -> Result:
    spec = view.round.spec
    # Sites sign what they like as metrics, and the counts of an evaluation give all that can be computed from them.
    told = {name: value for name, value in answer.metrics.items() if name in spec.metrics}
    suppressed = {name: count for name, count in answer.suppressed.items() if name in spec.metrics}
    return Result(
        digest=answer.digest,
        location=model_location(view.round.metadata.uid, number),
        bytes=answer.header.length,
        samples=answer.samples,
        metrics=tuple(Metric(name=name, value=value) for name, value in sorted(told.items())),
        suppressed=tuple(Suppressed(name=name, participants=count) for name, count in sorted(suppressed.items())),
        columns_digest=made_with(view.seen, view.parts, aggregated),
    )


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
        wanted = str(upload.bytes) if upload else ""
        if renew <= view.seen.now or notes.get(GRANTS_BYTES, "") != wanted:
            due.append(Grant(task=part.task, upload_bytes=upload.bytes if upload else None))
        else:
            later.append(renew)
    return due, later


def _ask(view: View, name: str, roster: tuple[str, ...], after: RoundTask | None = None) -> Dispatch:
    dataset = meant(view.seen, name)
    return Dispatch(
        participant=name,
        attempt=after.spec.attempt + 1 if after else 1,
        after=after,
        roster=roster,
        expires=view.deadline + EXPIRES_AFTER_DEADLINE,
        state_round=view.states.get(name, ""),
        columns=dataset.columns_digest if dataset else "",
    )


def _again(view: View, part: Part) -> Dispatch:
    return _ask(view, part.name, view.selected, part.task)
