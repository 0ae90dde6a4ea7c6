"""Rules of a round whose updates are combined: start the aggregation Job, wait for it, keep its result, or give up."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from wardround.api.federatedround import (
    INITIAL_WEIGHTS,
    CalibrationGroup,
    HospitalResult,
    Release,
    Result,
    ResultDifference,
    ResultMetric,
    RoundVerdict,
    base_name,
    base_version,
)
from wardround.api.names import model_location
from wardround.api.task import Metric
from wardround.api.timeline import reached
from wardround.api.times import to_seconds
from wardround.metrics import registry
from wardround.metrics.digits import rounded_count
from wardround.plans.round import hospital_verdicts
from wardround.plans.round.base import base_lost, model_uid
from wardround.plans.round.columns import made_with
from wardround.plans.round.counted import attempt, counted_digest, given_until
from wardround.plans.round.ending import PAUSES, key_lost
from wardround.plans.round.grants import grants
from wardround.plans.round.parts import SUSPENDED, PartState
from wardround.plans.round.rulings import advice, completed, failed, list_of, not_done, sentences, withheld
from wardround.plans.round.scratch import GIB
from wardround.plans.round.server_state import goes_on, in_words, kept_in_words, state_unusable
from wardround.plans.round.shortage import (
    Shortage,
    counted_names,
    given,
    may_be_filled,
    note_left_out,
    shortage,
    too_late,
)
from wardround.plans.round.states import remaining
from wardround.plans.round.status import COLLECTED
from wardround.plans.round.strategy import beyond_scratch, room, too_much_for_scratch
from wardround.plans.round.tries import (
    AGGREGATION_TRIES,
    ending,
    is_failure,
    is_store_away,
    job_name,
    node_dead,
    paused_until,
    retried,
)
from wardround.plans.round.types import (
    EARLY_NUMBER,
    Action,
    Aggregate,
    Aggregation,
    Ruling,
    StoredModel,
    StoreModel,
)
from wardround.plans.round.view import View, closed, hospitals, left_out, shortfall
from wardround.reasons.registry import REASONS
from wardround.reasons.transfers import NO_RESULT
from wardround.wire.aggregation import (
    AggregationFailure,
    AggregationResult,
    CombinedDifference,
    CombinedMetric,
)
from wardround.wire.compression import NONE

# A round that collects until its deadline has so long to combine what came: as long as the Job itself may take.
COMBINED_WITHIN = timedelta(hours=1)
COUNTS_OTHERS = AggregationFailure(
    "StoreInconsistent",
    "The hub operator does not keep the result of the early aggregation Job, because this Job combined other "
    "updates than the hub operator had told it to.",
)
SUSPENDED_WHILE_COMBINING = (
    f"{PAUSES} The aggregation Job that runs already goes on, and the hub keeps its result. Until somebody sets "
    "spec.suspend to false, the hub operator makes no further Job."
)


def aggregated(view: View) -> Ruling | None:
    """The aggregation Job has ended: keep its result, collect on, try again, or give up."""
    job = view.seen.aggregation
    if job is None or _collects(view, job):
        return None
    if not gone(view):
        return _combining(view, job)
    return _ended(closed(view), job)


def _ended(view: View, job: Aggregation) -> Ruling | None:
    """`view`: of the round as it closed."""
    answer = job.answer
    pauses = view.round.spec.suspend
    if job.plan_lost:
        answer = None
    elif isinstance(answer, AggregationResult) and _counts_others(view, job, answer):
        answer = COUNTS_OTHERS
    elif lacking := shortage(view):
        if not may_be_filled(view, lacking):
            return _too_few(view, lacking)
        return None if pauses else note_left_out(view, lacking)
    if isinstance(answer, AggregationResult):
        return _keep(view, job, answer)
    if ruling := _no_result(view, answer):
        return ruling
    return None if pauses else _again(view, job, answer) or _give_up(view, job, answer)


def _counts_others(view: View, job: Aggregation, answer: AggregationResult) -> bool:
    """Whether a Job that began early has combined other updates than the round closed with.

    The hub operator can stop after it has written a last page. If a hospital is suspended then, or another update
    arrives, the hub operator writes another last page. But the Job has read the first one.
    """
    if job.number != EARLY_NUMBER:
        return False
    noted, sent = view.seen.early, tuple(part.task for part in view.having(PartState.SENT))
    digest = noted.closed if noted and noted.closed else counted_digest(view.seen, sent)
    return answer.closed != digest


def gone(view: View) -> bool:
    """Whether the aggregation Job has ended, its node has died, or nobody can keep its result."""
    job = view.seen.aggregation
    given_up = node_dead(job) if job else None
    return job is not None and (job.over or job.plan_lost or (given_up is not None and view.seen.now >= given_up))


def _collects(view: View, job: Aggregation) -> bool:
    """Whether the round still collects: the Job began early, and its list has no last page. If it has combined updates,
    it has read one, although the hub operator could not note that. Or the round collects once more, and somebody has
    deleted the Job after which it does, or its Secret."""
    if job.made is not None or job.plan_lost:
        return reached(view.round.status.timeline, COLLECTED) is None
    has_last_page = view.seen.early is not None and view.seen.early.closed != ""
    return job.number == EARLY_NUMBER and not has_last_page and not isinstance(job.answer, AggregationResult)


def aggregate(view: View, number: int, failures: int = 0) -> Ruling:
    """Combines what was sent, if it is enough. `failures`: as of Aggregation."""
    sent = view.having(PartState.SENT)
    missing = shortfall(view, [part.name for part in sent], "sent an update in time")
    if missing:
        late = list_of("Missing", not_done(view, sent))
        return failed(view, "QuorumNotMet", sentences(missing, "The hub combined nothing.", late))
    if lost := base_lost(view) or state_unusable(view):
        return lost
    if beyond_scratch(view):
        return failed(view, "TooMuchForScratch", too_much_for_scratch(view, len(sent)))
    meanwhile, _ = _meanwhile(view)
    return Ruling(
        course="Progressing",
        reason="Aggregating",
        message=sentences(
            f"The hub is combining the updates of {hospitals(len(sent))}.",
            retried(view, view.seen.aggregation),
            in_words(view, goes_on(view.seen)),
            _reading(view),
        ),
        actions=(
            Aggregate(
                number=number,
                failures=failures,
                earlier=given_until(view.seen.aggregation) - frozenset(attempt(part.task) for part in sent),
                tasks=tuple(part.task for part in sent),
                until=combined_by(view),
                scratch=room(view, len(sent)),
            ),
            # Last: if one of these fails, the others are combined all the same.
            *meanwhile,
        ),
        stages=(COLLECTED,),
        attention=view.attention(),
    )


def _reading(view: View) -> str:
    """Tells the hub's administrator why an aggregation takes longer than it could."""
    if not room(view, len(view.having(PartState.SENT))).reads_twice:
        return ""
    limit = view.seen.scratch_limit // GIB
    return (
        "The aggregation takes longer, because the updates need more room on the scratch volume than "
        f"aggregation.scratchGiB of the hub chart allows ({limit} GiB). So the Job reads the updates from the store "
        "twice."
    )


def _meanwhile(view: View) -> tuple[tuple[Action, ...], list[datetime]]:
    """What is done for hospitals that have not sent while others are combined, and when again. They go on until a
    result is kept, or until the round's deadline: the aggregation may leave out so many that the quorum needs them."""
    if view.round.spec.suspend:
        return view.call_back(), []
    if view.seen.now >= view.deadline:
        return view.cancel("NotSentInTime"), []
    granted, renewals = grants(view)
    return (*view.cancel_lost(), *granted), [view.deadline, *renewals]


def _keep(view: View, job: Aggregation, answer: AggregationResult) -> Ruling:
    """Keeps a result over enough hospitals."""
    names, _ = counted_names(view, job, answer)
    model = StoredModel(
        task=view.round.spec.task,
        result=_result(view, job, answer, names),
        aggregated=names,
        left_out=(*answer.left_out, *too_late(view, job, names)),
        states=remaining(view.states, frozenset(names)),
        image=view.round.spec.image or "",
        command=view.round.spec.command,
        parameters=view.round.spec.parameters,
        samples=_samples(names, answer.counted) if view.round.spec.task == "Train" else {},
        quorum=view.round.spec.quorum.min,
        release=_release(view),
        pushed=view.seen.base_model.pushed if view.seen.base_model else None,
        model_uid=model_uid(view.round),
        server_state=goes_on(view.seen),
        state_lost=job.state_lost,
    )
    return completed(view, model, kept_in_words(view, model), StoreModel(number=job.number, answer=answer, model=model))


def _release(view: View) -> Release:
    """A result holds what those before it hold. So it goes to readers only if all of them may."""
    base = view.seen.base_model
    starts = base_name(view.round) is not None or base_version(view.round) is not None
    unbroken = not starts or (base is not None and base.release == "Readers")
    return "Readers" if unbroken and view.round.spec.release == "Readers" else "Participants"


def _samples(names: Collection[str], counted: Sequence[int]) -> dict[str, int]:
    """How many rows of each hospital the model was trained on. Without a number for each, all hospitals count the same:
    the answer may have no room. The numbers that hospitals write into their RoundTasks have no limit."""
    rows = counted if len(counted) == len(names) else [1] * len(names)
    return {name: count for name, count in zip(sorted(names), rows, strict=True) if count > 0}


def _too_few(view: View, lacking: Shortage) -> Ruling:
    """Fails a round whose aggregation could count fewer updates than the quorum. If the quorum could not be met without
    the hospitals that withhold their numbers, further attempts would fail too."""
    answer, absent, uncounted = lacking.job.answer, lacking.left_out, lacking.uncounted
    if isinstance(answer, AggregationFailure) and not uncounted and (nothing := _no_result(view, answer)):
        return nothing
    others = {*view.selected, *view.absent}.difference(uncounted)
    reason = "NumbersWithheld" if uncounted and shortfall(view, others) else "QuorumNotMet"
    attention = (*view.attention(), *left_out(view, absent))
    lower = ", or one with a lower quorum.min" if view.round.spec.quorum.min > 1 else ""
    smaller = f"The round's author: Apply a new round that asks more hospitals{lower}." if uncounted else ""
    named = {each.participant for each in absent}
    others_missing = [each for each in not_done(view, view.having(PartState.SENT)) if each.participant not in named]
    texts = (
        lacking.missing,
        withheld(len(uncounted)),
        list_of("Left out", absent),
        list_of("Missing", others_missing),
        "The hub kept no result.",
        smaller,
    )
    return failed(view, reason, sentences(*texts), attention)


def _no_result(view: View, answer: AggregationFailure | None) -> Ruling | None:
    """The aggregation says that these updates give no result, so a further try would say the same."""
    if answer is None or answer.reason not in NO_RESULT:
        return None
    attention = (*view.attention(), *left_out(view, answer.left_out))
    texts = (REASONS[answer.reason].text, answer.message, list_of("Left out", answer.left_out))
    return failed(view, answer.reason, sentences(*texts), attention)


def _again(view: View, job: Aggregation, answer: AggregationFailure | None) -> Ruling | None:
    """Another Job, perhaps after a pause. None if enough Jobs have failed, or time is up. The hospitals are done and
    their updates are stored: neither a store that is away for a time nor a node that is drained loses them."""
    away, counts = is_store_away(answer), is_failure(job, answer)
    failures = job.failures + counts
    tries = job.number if away and view.seen.now >= view.deadline else failures
    if tries >= AGGREGATION_TRIES or view.seen.now >= combined_by(view):
        return None
    if lost := key_lost(view):
        return lost
    until = paused_until(view, job, answer)
    if until is None:
        return aggregate(view, job.number + 1, failures)
    if answer is not None and away:
        reason, message = "StoreUnreachable", f"The hub cannot combine the updates yet: {answer.message}"
    else:
        counted = (
            f"This is failure {failures} of {AGGREGATION_TRIES}."
            if counts
            else f"This is none of the {AGGREGATION_TRIES} failures after which the round fails."
        )
        reason = "AggregatingAgain"
        message = sentences(ending(view, job, answer), counted, _advised(view, job, reason))
    actions, renewals = _meanwhile(view)
    return Ruling(
        course="Progressing",
        reason=reason,
        message=message,
        actions=actions,
        stages=(COLLECTED,),
        attention=view.attention(),
        requeue_at=(until, view.deadline if away else combined_by(view), *renewals),
    )


def _give_up(view: View, job: Aggregation, answer: AggregationFailure | None) -> Ruling:
    reason = "AggregationFailed"
    tries = "1 try" if job.number <= 1 else f"{job.number} tries"
    last = ending(view, job, answer)
    return failed(
        view, reason, sentences(f"The aggregation made no result in {tries}.", last, _advised(view, job, reason))
    )


def _advised(view: View, job: Aggregation, reason: str) -> str:
    """A Job that is not there any more has neither a pod nor a log."""
    if job.made is not None:
        return "The hub's administrator: The API server's audit log shows who deleted the Job."
    return REASONS[reason].about(job=job_name(view, job)).advice


def combined_by(view: View) -> datetime:
    """Until when the aggregation may take, with all its tries."""
    collected = reached(view.round.status.timeline, COLLECTED) or view.seen.now
    return max(view.deadline, collected + COMBINED_WITHIN)


def _combining(view: View, job: Aggregation) -> Ruling:
    """Waits for the aggregation Job, but not for ever."""
    until, given_up = combined_by(view), node_dead(job)
    if view.seen.now >= until:
        cause = (
            ("Kubernetes is deleting the Job's pod, but the pod's node does not answer")
            if given_up
            else "The Job has not ended"
        )
        return failed(
            view,
            "AggregationDeadline",
            f"The aggregation Job had to end by {to_seconds(until)}. {cause}. {advice('AggregationDeadline')}",
        )
    actions, renewals = _meanwhile(view)
    pauses = view.round.spec.suspend
    return Ruling(
        course="Suspended" if pauses else "Progressing",
        reason=SUSPENDED if pauses else "Aggregating",
        message=sentences(
            SUSPENDED_WHILE_COMBINING if pauses else REASONS["Aggregating"].meaning,
            retried(view, job.before),
            in_words(view, goes_on(view.seen)),
            _reading(view),
        ),
        actions=actions,
        attention=view.attention(),
        stages=(COLLECTED,),
        requeue_at=(until, *([given_up] if given_up else []), *renewals),
    )


def _result(view: View, job: Aggregation, answer: AggregationResult, names: tuple[str, ...]) -> Result:
    spec = view.round.spec
    declared = registry.with_companions(spec.metrics)
    hospitals = answer.by_hospital or {}
    return Result(
        digest=answer.digest,
        location=model_location(view.round.metadata.uid, job.number),
        bytes=answer.header.length,
        samples=rounded_count(answer.samples) if spec.task == "Evaluate" else answer.samples,
        metrics=tuple(_metric(view, name, answer.metrics[name]) for name in declared if name in answer.metrics),
        calibration=tuple(
            CalibrationGroup(low=each.low, high=each.high, people=each.people, observed=each.observed)
            for each in answer.calibration
        ),
        differences=tuple(_difference(view, each) for each in answer.differences),
        verdict=_verdict(view, job, answer),
        hospital_verdicts=hospital_verdicts.counted(spec, given(view, job), names),
        withheld=answer.withheld,
        hospitals=tuple(
            HospitalResult(
                name=name,
                metrics=tuple(
                    Metric(name=each, value=hospitals[name][each]) for each in declared if each in hospitals[name]
                ),
            )
            for name in sorted(hospitals)
        ),
        hospitals_omitted=answer.by_hospital is None,
        columns_digest=made_with(view.seen),
        schema_digest=view.seen.schema.digest if view.seen.schema else None,
        compression=spec.aggregation.compression if spec.aggregation.compression != NONE else None,
        numbers_too_large=answer.numbers_too_large,
        middle_norm=answer.middle_norm,
    )


def _verdict(view: View, job: Aggregation, answer: AggregationResult) -> RoundVerdict | None:
    """With the hospitals that the gate did not see. Those among them whose updates the aggregation has read have too
    few people: they withheld their sums, or too few people are left after their sums were scaled down."""
    verdict = answer.verdict
    if verdict is None:
        return None
    read = {part.name for part in given(view, job)}.difference(each.participant for each in answer.left_out)
    return RoundVerdict(
        outcome=verdict.outcome,
        reason=verdict.reason,
        reference=verdict.reference,
        unseen=verdict.unseen,
        too_few_people=tuple(name for name in verdict.unseen if name in read),
    )


def _difference(view: View, each: CombinedDifference) -> ResultDifference:
    spec = view.round.spec
    return ResultDifference(
        reference=each.reference,
        value=each.value,
        low=each.low,
        high=each.high,
        reference_loss=each.loss,
        people=each.people,
        events=each.events,
        hospitals=each.hospitals,
        rows=spec.rows,
        model=spec.base.name if spec.base else INITIAL_WEIGHTS,
    )


def _metric(view: View, name: str, metric: CombinedMetric) -> ResultMetric:
    """An Evaluate round measures the model of its base. So does a Train round, before its training changes it."""
    spec = view.round.spec
    return ResultMetric(
        name=name,
        value=metric.value,
        low=metric.low,
        high=metric.high,
        better=registry.better(name) or None,
        people=metric.people,
        hospitals=metric.hospitals,
        rows=spec.rows if spec.task == "Evaluate" else "Validation",
        model=spec.base.name if spec.base else INITIAL_WEIGHTS,
    )
