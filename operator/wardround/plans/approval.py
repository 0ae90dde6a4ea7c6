"""Decides which tasks an Approval covers, and how it stands. Pure: courier, site operator and command line share it.

The hub signs with each task what the whole series asks for (`Assignment.model`). The site compares the task with that,
and that with the terms that a person has approved. So a hub that changes a term, or sends a task that is not as the
terms say, needs another approval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wardround.api import conditions
from wardround.api.approval import Approval, ApprovalStatus
from wardround.api.conditions import Condition, Conditions
from wardround.api.times import read_time, to_seconds
from wardround.plans import terms
from wardround.plans.schedules import scheduled, variants
from wardround.plans.terms import SeriesTerms
from wardround.reasons.registry import REASONS
from wardround.sealing.assignments import assignment_digest
from wardround.wire.assignment import AssignedModel, AssignedReference, Assignment, Resources
from wardround.wire.compression import used
from wardround.wire.strategy_terms import evaluated

# Both sides show this sentence about a task that the site has accepted.
LACKING = (
    "The site has accepted this task, but policy.approval of the Site is Manual, and no approval applies to the task. "
    "So the courier neither fetches nor sends anything for the task until a person approves it."
)


def lacking(known: Conditions) -> Condition | None:
    """The condition Accepted of a task that the site has accepted, and that waits for people all the same. None for
    another task."""
    accepted = conditions.find_true(known, "Accepted")
    return accepted if accepted is not None and LACKING in accepted.message else None


def task_key(assignment: Assignment, envelope: str) -> str:
    """By what an Approval counts a task. The hub can sign many assignments for one attempt of a round, and the site may
    do a further one once it has forgotten the first one. So the digest of what is signed tells them apart. Raises
    Refused."""
    digest = assignment_digest(envelope).partition(":")[2]
    return f"{assignment.round_uid}/{assignment.attempt}/{digest}"


def is_evaluation(assignment: Assignment) -> bool:
    return assignment.task == "Evaluate"


# A task against its own terms


def _kind(task: Assignment, model: AssignedModel) -> bool:
    rows = f" {task.rows}" if is_evaluation(task) else ""
    return f"{task.task}{rows}" in model.tasks


def _number(task: Assignment, model: AssignedModel) -> bool:
    lowest = 0 if task.task == "Statistics" else 1
    return lowest <= model.round <= model.rounds


def _image(task: Assignment, model: AssignedModel) -> bool:
    return task.task == "Statistics" or task.image == model.image


def _command(task: Assignment, model: AssignedModel) -> bool:
    return task.task == "Statistics" or task.command == model.command


def _parameters(task: Assignment, model: AssignedModel) -> bool:
    if task.task == "Statistics":
        return not task.parameters
    return dict(task.parameters) == scheduled(model.parameters, model.schedules, model.round)


def _frozen(task: Assignment, model: AssignedModel) -> bool:
    return task.task != "Train" or task.exchange.frozen == model.frozen


def _metrics(task: Assignment, model: AssignedModel) -> bool:
    asked = model.metrics if task.task == "Train" else evaluated(model.metrics)
    return task.task == "Statistics" or task.metrics == asked


def _quorum(task: Assignment, model: AssignedModel) -> bool:
    approved = model.evaluation_quorum if is_evaluation(task) else model.quorum
    # A round that adds sums mixes more hospitals than one whose strategy chooses some of them.
    same = dataclasses.replace(task.quorum, min=approved.min) == approved
    return same and task.quorum.min >= approved.min


def resources(task: str, model: AssignedModel) -> Resources:
    """What a task of this kind asks for in the series."""
    # Statistics runs our own code, which needs neither accelerators nor sockets.
    return Resources(1, 0, local_sockets=False) if task == "Statistics" else model.resources


def _resources(task: Assignment, model: AssignedModel) -> bool:
    return task.resources == resources(task.task, model)


def _compression(task: Assignment, model: AssignedModel) -> bool:
    return task.compression == used(model.compression, task=task.task, initial=task.initial)


def _references(task: Assignment, model: AssignedModel) -> bool:
    return all(_made_by_the_series(each, model) for each in task.references)


def _made_by_the_series(reference: AssignedReference, model: AssignedModel) -> bool:
    """Whether the model of a reference was made as a round of this series makes one."""
    possible = variants(model.parameters, model.schedules)
    same = (reference.image, reference.command) == (model.image, model.command)
    return same and dict(reference.parameters) in possible


# What of a task can differ from what the hub says of its series, in the words of `spec` of a FederatedModel.
COMPARED: Mapping[str, Callable[[Assignment, AssignedModel], bool]] = {
    "task": _kind,
    "round": _number,
    "image": _image,
    "command": _command,
    "parameters": _parameters,
    "frozen": _frozen,
    "metrics": _metrics,
    "quorum": _quorum,
    "resources": _resources,
    "references": _references,
    "compression": _compression,
}


def deviations(assignment: Assignment) -> tuple[str, ...]:
    """In what a task differs from the terms that came with it. Empty for a round that a person has made."""
    model = assignment.model
    return tuple(name for name, agrees in COMPARED.items() if not agrees(assignment, model)) if model else ()


# An Approval


def is_over(approval: Approval, now: datetime) -> bool:
    """Whether it was withdrawn, or its time is over."""
    if approval.spec.withdrawn_by is not None:
        return True
    until = read_time(approval.spec.until) if approval.spec.until is not None else None
    return approval.spec.until is not None and (until is None or until <= now)


def is_approval(approval: Approval, now: datetime) -> bool:
    return approval.spec.verdict == "Approve" and approval.spec.until is not None and not is_over(approval, now)


@dataclass(frozen=True, kw_only=True)
class EarlierTask:
    """A task that the site has accepted without a person. `key`: its `task_key`. `terms`: digest of the terms of its
    series."""

    key: str
    terms: str
    evaluation: bool


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """All Approvals of the site, and the tasks that it has accepted without a person."""

    every: Sequence[Approval] = ()
    earlier: Collection[EarlierTask] = field(default_factory=tuple)


def counted(approvals: Approvals, terms_text: str, *, evaluations: bool) -> frozenset[str]:
    """The accepted tasks of these terms. They count for every Approval of the terms, so that a new one does not begin
    at zero. An Approval of a sweep does not say of which model a task was, so all its tasks count for each of them."""
    wanted = terms.texts(terms_text)
    listed = (
        key
        for each in approvals.every
        if not wanted.isdisjoint(terms.texts(each.spec.terms))
        for key in (each.status.evaluation_tasks if evaluations else each.status.round_tasks)
    )
    known = {terms.digest(each) for each in wanted}
    remembered = (each.key for each in approvals.earlier if each.terms in known and each.evaluation is evaluations)
    return frozenset((*listed, *remembered))


def limit(approval: Approval, *, evaluations: bool) -> int:
    return approval.spec.max_evaluations if evaluations else approval.spec.max_rounds


def covering(assignment: Assignment, key: str, approvals: Approvals, now: datetime) -> Approval | None:
    """The Approval that covers the task with this `task_key`, the oldest if there are several."""
    series = terms.series_terms(assignment)
    if series is None or deviations(assignment):
        return None
    evaluations = is_evaluation(assignment)
    fitting = (
        each
        for each in _oldest_first(approvals.every)
        if terms.covers(each.spec.terms, series) and is_approval(each, now)
    )
    for each in fitting:
        others = counted(approvals, each.spec.terms, evaluations=evaluations) - {key}
        if len(others) < limit(each, evaluations=evaluations):
            return each
    return None


def denying(assignment: Assignment, approvals: Approvals) -> Approval | None:
    """The denial of the model that this task trains, measures or delivers, whatever its terms are now. A denial has no
    end in time."""
    model_uid = _model_uid(assignment)
    if model_uid is None:
        return None
    for each in _oldest_first(approvals.every):
        if is_denial(each) and names_model(each, assignment.round_namespace, model_uid):
            return each
    return None


def is_denial(approval: Approval) -> bool:
    return approval.spec.verdict == "Deny" and approval.spec.withdrawn_by is None


def names_model(approval: Approval, federation: str, model_uid: str) -> bool:
    """Whether an Approval, of any version of Wardround, is about this model. A denial that names no model may be about
    each model."""
    named = terms.named_models(approval.spec.terms)
    if named is None:
        return approval.spec.verdict == "Deny"
    return (federation, model_uid) in named


def _model_uid(assignment: Assignment) -> str | None:
    """The UID of the FederatedModel. A Deliver round is no round of a series."""
    if assignment.delivery is not None:
        return assignment.delivery.model_uid
    return assignment.model.uid if assignment.model is not None else None


def why_not_covered(assignment: Assignment, approvals: Approvals, now: datetime) -> str:
    """For the hospital's people: why no Approval of the task's model covers the task; "" if there is none of it."""
    series = terms.series_terms(assignment)
    if series is None:
        return ""
    if denial := denying(assignment, approvals):
        return f"No Approval covers the task, because Approval {denial.metadata.name} denies its model."
    for each in reversed(_oldest_first(approvals.every)):
        approved = series_of_model(each, series.model_uid)
        if each.spec.verdict == "Approve" and approved is not None:
            return f"Approval {each.metadata.name} does not cover the task: {_reason(each, approved, assignment, now)}."
    return ""


def series_of_model(approval: Approval, model_uid: str) -> SeriesTerms | None:
    """The terms of this model's series in an Approval; None if it is not about the model."""
    return next((each for each in terms.read(approval.spec.terms) if each.model_uid == model_uid), None)


def _reason(approval: Approval, approved: SeriesTerms, assignment: Assignment, now: datetime) -> str:
    series = terms.series_terms(assignment)
    assert series is not None, "only a task of a series is compared with an Approval"
    if is_over(approval, now):
        return "a person has withdrawn this Approval, or its time is over"
    if names := terms.differing(approved, series):
        return f"the hub now asks for other terms ({', '.join(names)})"
    if names := deviations(assignment):
        return f"the task differs from the terms that its assignment states for the series ({', '.join(names)})"
    kind = "evaluations" if is_evaluation(assignment) else "rounds"
    return f"the site has accepted as many {kind} as the Approval allows"


def _oldest_first(approvals: Iterable[Approval]) -> list[Approval]:
    return sorted(approvals, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name))


def count(approval: Approval, assignment: Assignment, key: str, approvals: Approvals) -> ApprovalStatus:
    """The Approval's status once the task with this `task_key` counts. The lists only grow."""
    evaluations, before = is_evaluation(assignment), approval.status
    known = before.evaluation_tasks if evaluations else before.round_tasks
    keys = counted(approvals, approval.spec.terms, evaluations=evaluations) | {key}
    after = (*known, *sorted(keys - set(known)))
    if evaluations:
        return dataclasses.replace(before, evaluations=len(after), evaluation_tasks=after)
    return dataclasses.replace(before, rounds=len(after), round_tasks=after)


def stands_for(approval: Approval, assignment: Assignment, key: str, now: datetime) -> bool:
    """Whether this very Approval covers a task that was accepted by it. `key`: the task's `task_key`. The courier asks
    this too: its count lies in the Approval, where the site operator may only add to it."""
    series = terms.series_terms(assignment)
    if series is None or deviations(assignment) or not terms.covers(approval.spec.terms, series):
        return False
    evaluations = is_evaluation(assignment)
    keys = approval.status.evaluation_tasks if evaluations else approval.status.round_tasks
    within = len(keys) <= limit(approval, evaluations=evaluations)
    return is_approval(approval, now) and within and key in keys


def until(approval: Approval | None, now: datetime) -> datetime | None:
    """When an Approval that stands ends by itself."""
    if approval is None or is_over(approval, now) or approval.spec.until is None:
        return None
    return read_time(approval.spec.until)


# Its status


def status(approval: Approval, now: datetime) -> ApprovalStatus:
    """The conditions of an Approval, and when the site operator has seen that it was withdrawn."""
    generation, before = approval.metadata.generation, approval.status
    reason, ready = _readiness(approval, now)
    message = REASONS[reason].meaning
    known = conditions.set_condition(before.conditions, "Ready", ready, reason, message, now=now, generation=generation)
    if reason in ("ApprovalUnreadable", "DenialUnreadable"):
        known = conditions.stalled(known, reason, REASONS[reason].text, now=now, generation=generation)
    else:
        known = conditions.settled(known, reason, now=now, generation=generation)
    withdrawn = before.withdrawn_at or (to_seconds(now) if approval.spec.withdrawn_by is not None else None)
    return dataclasses.replace(before, observed_generation=generation, conditions=known, withdrawn_at=withdrawn)


def _readiness(approval: Approval, now: datetime) -> tuple[str, bool]:
    """The reason of the condition Ready, and whether the condition is true."""
    if approval.spec.verdict == "Deny":
        return _denial_readiness(approval)
    if not terms.read(approval.spec.terms):
        return "ApprovalUnreadable", False
    if is_over(approval, now):
        return "ApprovalOver", False
    used = approval.status.rounds >= approval.spec.max_rounds
    return ("ApprovalUsedUp", False) if used else ("SeriesApproved", True)


def _denial_readiness(denial: Approval) -> tuple[str, bool]:
    if denial.spec.withdrawn_by is not None:
        return "ApprovalOver", False
    named = terms.named_models(denial.spec.terms) is not None
    return ("SeriesDenied", True) if named else ("DenialUnreadable", False)
