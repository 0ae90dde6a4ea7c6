"""Writes a ruling as conditions, failure and timeline of the SiteTask. Decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from wardround.api import conditions, timeline
from wardround.api.sitetask import OwnVerdict, SiteTask, SiteTaskStatus, TaskDecision
from wardround.api.times import to_seconds
from wardround.plans import waits
from wardround.plans.pod import JOB_NOT_ADMITTED
from wardround.plans.sitetask.stages import POD_STAGES
from wardround.plans.sitetask.state import is_final
from wardround.plans.sitetask.types import Change, CreateJob, DeleteJob, DeleteTask, Mirror, Ruling
from wardround.plans.sitetask.view import View
from wardround.wire.outcome import Outcome, OwnMetric

DOING: Mapping[type[Change], str] = {
    CreateJob: "make the training Job",
    DeleteJob: "delete the training Job",
    DeleteTask: "delete this SiteTask",
    Mirror: "take over grants or a cancellation from the hub",
}
HAMPERED = "The site operator could not"


def status(view: View, ruling: Ruling) -> SiteTaskStatus:
    seen = view.seen
    now, generation = seen.now, seen.task.metadata.generation
    current = seen.task.status.conditions
    for kind, (value, reason) in ruling.marks.items():
        message = view.acceptance_text if kind == "Accepted" else ""
        current = conditions.set_condition(current, kind, value, reason, message, now=now, generation=generation)
    if ruling.final:
        current = conditions.set_condition(
            current, ruling.final, True, ruling.reason, ruling.message, now=now, generation=generation
        )
    if ruling.final == "Complete":
        current = conditions.settled(current, ruling.reason, now=now, generation=generation)
    elif ruling.final or ruling.reason in waits.STALLED:
        current = conditions.stalled(current, ruling.reason, ruling.message, now=now, generation=generation)
    else:
        current = conditions.progressing(current, ruling.reason, ruling.message, now=now, generation=generation)
    reached = seen.task.status.timeline
    for stage, time in ruling.stages.items():
        reached = timeline.move(reached, stage, time) if stage in POD_STAGES else timeline.mark(reached, stage, time)
    return dataclasses.replace(
        seen.task.status,
        observed_generation=generation,
        conditions=current,
        failure=ruling.failure or seen.task.status.failure,
        timeline=reached,
        metrics=_own_metrics(view) or seen.task.status.metrics,
        verdicts=_own_verdicts(view) or seen.task.status.verdicts,
        decision=_decision(view, ruling),
    )


def _decision(view: View, ruling: Ruling) -> TaskDecision | None:
    """The person's decision about the task. A later decision replaces an earlier one. A task that ends in this look
    does not come to rest on the Approval that covers it."""
    spec, before = view.seen.task.spec, view.seen.task.status.decision
    approval = view.acceptance.approval
    if spec.denied or spec.approved:
        decided: Literal["Approve", "Deny"] = "Deny" if spec.denied else "Approve"
        by, name = spec.decided_by or "", None
    elif approval is not None and not (ruling.final and approval.spec.verdict == "Approve"):
        decided = approval.spec.verdict
        by, name = approval.spec.author, approval.metadata.name
    else:
        return before
    if before is not None and (before.verdict, before.by, before.approval) == (decided, by, name):
        return before
    return TaskDecision(verdict=decided, by=by, at=to_seconds(view.seen.now), approval=name)


def _own_metrics(view: View) -> tuple[OwnMetric, ...]:
    """The numbers that `check` or `score` left for the hospital's own people."""
    report = _report(view)
    return report.metrics or () if report else ()


def _own_verdicts(view: View) -> tuple[OwnVerdict, ...]:
    """The verdicts of `score`, with the names that the assignment gives the references."""
    report, assignment = _report(view), view.assignment
    outcomes = report.verdicts or () if report else ()
    references = assignment.references if assignment else ()
    if len(outcomes) != len(references):
        return ()
    return tuple(
        OwnVerdict(reference=each.round_name, outcome=outcome)
        for each, outcome in zip(references, outcomes, strict=True)
    )


def _report(view: View) -> Outcome | None:
    """The termination message of `check` or `score`, once it has succeeded. No other container's counts: researchers'
    code can write one."""
    check = view.seen.pod.step("check") if view.seen.pod else None
    return check.report if check is not None and check.succeeded else None


def final_status(task: SiteTask, *, tidy: bool) -> SiteTaskStatus:
    """The status of a task that has ended: as at its end, for the generation that the task has now, since the hub may
    still change what the SiteTask mirrors. Once all is `tidy`, the message no longer says what is left to do."""
    generation = task.metadata.generation
    current = conditions.with_generation(task.status.conditions, generation)
    if tidy:
        current = tuple(dataclasses.replace(each, message=_without_trouble(each.message)) for each in current)
    return dataclasses.replace(task.status, observed_generation=generation, conditions=current)


def hampered(task: SiteTask, change: Change, words: str, now: datetime, *, refused: bool = False) -> SiteTaskStatus:
    """The status after a change failed that the operator will try again. `task` as it was written last, `words` of the
    failure. `refused`: the API server did not take the object, because of a policy, a quota or its schema, which
    people may correct.

    A final condition stays: its message says in addition what is left to do.
    """
    trouble = f"{HAMPERED} {DOING[type(change)]}, and tries again: {words}"
    current, generation = task.status.conditions, task.metadata.generation
    if not is_final(task):
        reason = JOB_NOT_ADMITTED if refused and isinstance(change, CreateJob) else "StepFailed"
        current = conditions.progressing(current, reason, trouble, now=now, generation=generation)
    else:
        for kind in ("Complete", "Failed"):
            if end := conditions.find_true(current, kind):
                message = f"{_without_trouble(end.message)} {trouble}"
                current = conditions.set_condition(
                    current, kind, True, end.reason, message, now=now, generation=generation
                )
    return dataclasses.replace(task.status, conditions=current)


def _without_trouble(message: str) -> str:
    return message.partition(f" {HAMPERED}")[0]
