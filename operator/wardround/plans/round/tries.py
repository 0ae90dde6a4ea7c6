"""Says how a try to combine a round's updates ended, and how long the hub operator pauses after it."""

from __future__ import annotations

from datetime import datetime, timedelta

from wardround.api import names
from wardround.plans.round.rulings import sentences
from wardround.plans.round.types import EARLY_NUMBER, Aggregation
from wardround.plans.round.view import View
from wardround.wire.aggregation import AggregationFailure, AggregationResult

# Tries that a store or a disruption ended do not count.
AGGREGATION_TRIES = 3
# After a failure, doubled after each further one. Three failures end a round, and a node may lack memory for a while.
PAUSE_AFTER_FAILURE = timedelta(seconds=30)
# After tries that do not count: doubled each time, up to the longest.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=60)
# Disruptions do not count, and each try reads all updates again. A node that lacks memory or disk can evict each pod.
LONGEST_PAUSE_AFTER_DISRUPTION = timedelta(minutes=10)
# A kubelet that is alive has by then removed a pod whose grace period for deletion is over.
NODE_DEAD_AFTER = timedelta(seconds=30)


def node_dead(job: Aggregation) -> datetime | None:
    """When the deletion of the Job's pod is given up."""
    return job.gone_by + NODE_DEAD_AFTER if job.gone_by else None


def is_failure(job: Aggregation, answer: AggregationFailure | None) -> bool:
    """Whether a try without a result counts. `answer`: of the try, as the hub operator takes it."""
    disrupted = answer is None and (job.disrupted or job.plan_lost)
    return job.number != EARLY_NUMBER and not disrupted and not is_store_away(answer)


def is_store_away(answer: AggregationFailure | None) -> bool:
    return answer is not None and answer.reason == "StoreUnreachable"


def paused_until(view: View, job: Aggregation, answer: AggregationFailure | None) -> datetime | None:
    """Until when no other Job is made after this one; None if it may be made now, as after the Job that began early.
    The clock of the node that said when the pod ended may be fast: a little, and the pause is longer by as much, or so
    much that its time says nothing."""
    ended = job.ended or node_dead(job) or job.made if job.number != EARLY_NUMBER else None
    if ended is None:
        return None
    pause = _pause(job, answer)
    return ended + pause if ended - LONGEST_PAUSE <= view.seen.now < ended + pause else None


def _pause(job: Aggregation, answer: AggregationFailure | None) -> timedelta:
    if is_failure(job, answer):
        return PAUSE_AFTER_FAILURE * (1 << job.failures)
    longest = LONGEST_PAUSE if is_store_away(answer) else LONGEST_PAUSE_AFTER_DISRUPTION
    return min(SHORTEST_PAUSE * (1 << min(job.number - 1, 8)), longest)


def job_name(view: View, job: Aggregation) -> str:
    return names.aggregation_name(view.round.metadata.uid, job.number)


def ending(view: View, job: Aggregation, answer: AggregationFailure | None) -> str:
    """How a try ended that has made no result."""
    name = job_name(view, job)
    if job.made is not None:
        return f"Job {name} is not there any more: a person has deleted it, or Kubernetes a day after its end."
    if job.plan_lost:
        return f"Somebody has deleted Secret {name}, which has the key of the result of Job {name}."
    if answer is not None:
        return sentences(f"Job {name} ended with {answer.reason}.", answer.message)
    code = "" if job.exit_code is None else f"exit code {job.exit_code}"
    details = ", ".join(filter(None, (job.cause, code)))
    seen = f" ({details})" if details else ""
    if job.disrupted:
        return f"The pod of Job {name} was deleted or evicted, or its node was lost{seen}."
    return f"The pod of Job {name} ended before it wrote an answer{seen}."


def retried(view: View, job: Aggregation | None) -> str:
    """Which try follows after this one, and why; empty after the try that began early, or after none."""
    if job is None or job.number == EARLY_NUMBER:
        return ""
    if isinstance(job.answer, AggregationResult) and not job.plan_lost:
        return f"This is try {job.number + 1}. Job {job_name(view, job)} could count too few updates."
    answer = job.answer if isinstance(job.answer, AggregationFailure) else None
    return f"This is try {job.number + 1}. {ending(view, job, answer)}"
