"""Makes the Approval by which a person decides about a task's model, and says how a task stands. Fetches nothing.

plans/approval.py says what an Approval covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from wardround.api import approval, sitetask
from wardround.api.approval import MOST_TASKS, Approval
from wardround.api.conditions import find, find_true, is_true
from wardround.api.meta import API_VERSION
from wardround.api.site import Policy
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.timeline import reached
from wardround.api.times import LAST_YEAR, read_time, to_seconds
from wardround.cli.cluster import Object
from wardround.cli.errors import CommandError
from wardround.cli.objects import assignment_of
from wardround.plans import approval as approvals
from wardround.plans import terms
from wardround.plans.approval import Approvals, EarlierTask
from wardround.plans.schedules import evaluations_before
from wardround.plans.sitetask.held import held, read_signed, without_a_person
from wardround.plans.terms import SeriesTerms, SweepTerms
from wardround.wire.assignment import EVALUATE_TEST, Assignment

DAYS = 90
# Evaluate rounds at the end of a series: of the last Train round, and of the comparison with other versions.
LAST_EVALUATIONS = 2
NAME_LENGTH, DIGEST_DIGITS = 30, 8
# What a person who withdraws an Approval reads, by its verdict.
AFTER_WITHDRAWAL = {
    "Approve": "Tasks that need this approval and have not ended fail, and the site operator deletes their Jobs. "
    "Updates that the courier has sent stay at the hub.",
    "Deny": "The site may accept new tasks of the model again. Tasks that it has refused stay refused.",
}


@dataclass(frozen=True)
class Reviewed:
    """A SiteTask, its assignment, and the Approvals of the site. `earlier`: the tasks that the site holds, and that
    count for an Approval of their terms. `uncovered`: keys of those that lack an approval, so that an Approval may
    cover them. `in_sweep`: whether `approve --sweep` finds other models beside the task's. `schemas`: the names of
    the site's DataSchemas by digest, because the hub signs digests alone. Empty if the person may not list them.
    `policy`: the Site's, None if there is no Site that the person may read."""

    task: SiteTask
    assignment: Assignment
    approvals: tuple[Approval, ...]
    earlier: tuple[EarlierTask, ...] = ()
    uncovered: frozenset[str] = frozenset()
    in_sweep: bool = False
    schemas: Mapping[str, str] = field(default_factory=dict)
    policy: Policy | None = None

    @property
    def where(self) -> str:
        return f"sitetask/{self.task.metadata.name} -n {self.task.metadata.namespace}"


def reviewed(item: Object, listed: Sequence[Object]) -> Reviewed:
    """The task as its assignment says, of any signer: the site refuses a task of another hub than the pinned
    one, whatever a person approves. `listed`: the Approvals. Raises CommandError."""
    task = sitetask.parse(item)
    assignment = assignment_of(task)
    if assignment is None:
        name, namespace = task.metadata.name, task.metadata.namespace
        raise CommandError(
            f"The assignment of SiteTask {name} cannot be read, so the site refuses the task. To see why: kubectl "
            f"wardround explain sitetask/{name} -n {namespace}."
        )
    return Reviewed(task, assignment, tuple(approval.parse(each) for each in listed))


def with_tasks(known: Reviewed, tasks: Iterable[Object]) -> Reviewed:
    """With all that counts for an Approval of the task's model. `tasks`: all SiteTasks of the site."""
    parsed = map(sitetask.parse, tasks)
    records = [held(each, read_signed(each.spec.assignment, each.spec.hub_key)) for each in parsed]
    uncovered = without_a_person(each for each in records if each.lacks_approval)
    return replace(known, earlier=tuple(without_a_person(records)), uncovered=frozenset(each.key for each in uncovered))


def require_open(known: Reviewed) -> None:
    """Raises CommandError if the task has ended, and nobody has denied it: an approval would change nothing. A denial
    counts for further attempts, so an approval of a denied task ends that."""
    if not has_ended(known.task) or known.task.spec.denied:
        return
    meta, model = known.task.metadata, terms.series_terms(known.assignment) is not None
    more = " To approve further tasks of the same model, repeat the command with --model." if model else ""
    raise CommandError(
        f"SiteTask {meta.namespace}/{meta.name} {state_in_words(known.task)}, so an approval of this task changes "
        f"nothing. Nothing is written.{more}"
    )


def approved(known: Reviewed) -> str:
    """What the approval of this task alone has done."""
    if has_ended(known.task):
        return (
            f"You have ended the denial of {known.where} for further attempts: the hospital may take them. This "
            f"task {state_in_words(known.task)}, and stays so."
        )
    return f"Approved: {known.where}"


def denied(known: Reviewed) -> str:
    """What the denial of this task alone has done."""
    if not has_ended(known.task):
        return f"Denied: {known.where}"
    return (
        f"Denied for further attempts only: {known.where}. This task {state_in_words(known.task)}, and stays so."
        f"{_has_left(known)}"
    )


def _has_left(known: Reviewed) -> str:
    """What a task that has ended has done already."""
    if known.assignment.delivery is not None:
        complete = is_true(known.task.status.conditions, "Complete")
        return " Its model is on the hospital's claim of models." if complete else ""
    # A Failed task can have sent its update before.
    sent = is_true(known.task.status.conditions, "Complete") or reached(known.task.status.timeline, "Sent") is not None
    return " Its update is at the hub, and stays there." if sent else ""


def series_terms(known: Reviewed) -> SeriesTerms:
    """Raises CommandError for the task of a round that a person has made."""
    series = terms.series_terms(known.assignment)
    if known.assignment.delivery is not None:
        raise CommandError(
            "You can approve or deny only this task, because it delivers a version and does not say what the "
            "model's series asks for. Leave out --model and --sweep. To deny the whole model, name the SiteTask of "
            "one of its Train rounds."
        )
    if series is None:
        raise CommandError(
            "You can approve or deny only this task, because it belongs to no FederatedModel. Leave out --model and "
            "--sweep."
        )
    return series


def of_the_model(known: Reviewed) -> list[Approval]:
    """The Approvals of the task's model, whatever their terms are, and whatever version of Wardround wrote them."""
    series = series_terms(known)
    return [each for each in known.approvals if approvals.names_model(each, series.federation, series.model_uid)]


def withdrawable(known: Reviewed) -> list[str]:
    """Names of the Approvals by which the site accepts tasks of the task's model, or another version of Wardround
    accepts them. A denial is none of them: a person who withdraws an approval does not want to allow the model.
    Raises CommandError if there are none."""
    names = [
        each.metadata.name
        for each in of_the_model(known)
        if each.spec.verdict == "Approve" and each.spec.withdrawn_by is None
    ]
    if not names:
        none = (
            "There is nothing to withdraw: nobody has approved this model, or each Approval of it is withdrawn already."
        )
        raise CommandError(" ".join((none, *denials_left(known))))
    return names


def denials_left(known: Reviewed) -> list[str]:
    """For a person who withdraws the approval of the task's model: the denials of the model, which stay."""
    namespace = known.task.metadata.namespace
    return [
        f"Approval {each.metadata.name} still denies the model. To end this denial: kubectl wardround withdraw "
        f"approval/{each.metadata.name} -n {namespace}"
        for each in of_the_model(known)
        if approvals.is_denial(each)
    ]


def approve_model(
    known: Reviewed, *, rounds: int | None, evaluations: int | None, until: str | None, author: str, now: datetime
) -> Object:
    """The Approval of the task's series. Without `rounds` and `evaluations`, twice as many as the series plans, because
    each attempt counts. Raises CommandError."""
    series = series_terms(known)
    most = limits(series, rounds=rounds, evaluations=evaluations, until=until, now=now)
    require_room(known, series, most)
    spec = {"verdict": "Approve", "author": author, "terms": terms.text(series), **most}
    return approval_object(known, f"{prefix(series.model_name)}-s{series.series}", spec)


def planned_rounds(series: SeriesTerms | SweepTerms) -> int:
    """How many rounds a series of one model has: its Train rounds, and the Statistics round."""
    return series.rounds + 1


def planned_evaluations(series: SeriesTerms | SweepTerms) -> int:
    """How many Evaluate rounds a series of one model has."""
    between = evaluations_before(series.evaluation_every, series.rounds)
    # The last one is of the version that becomes the current one.
    return LAST_EVALUATIONS + between + (EVALUATE_TEST in series.tasks)


def deny_model(known: Reviewed, author: str) -> Object:
    """The Approval that denies the task's model. Raises CommandError."""
    series = series_terms(known)
    spec = {"verdict": "Deny", "author": author, "terms": terms.text(series)}
    return approval_object(known, f"{prefix(series.model_name)}-s{series.series}", spec)


def prefix(model_name: str) -> str:
    """The beginning of an Approval's name."""
    return model_name[:NAME_LENGTH].rstrip("-.")


def approval_object(known: Reviewed, beginning: str, spec: Object) -> Object:
    """An Approval in the namespace of the task, under a new name."""
    taken = {each.metadata.name for each in known.approvals}
    base = f"{beginning}-{terms.digest(spec['terms']).partition(':')[2][:DIGEST_DIGITS]}"
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    name = next(each for each in names if each not in taken)
    meta = {"name": name, "namespace": known.task.metadata.namespace}
    return {"apiVersion": API_VERSION, "kind": approval.KIND, "metadata": meta, "spec": spec}


def limits(
    asks: SeriesTerms | SweepTerms, *, rounds: int | None, evaluations: int | None, until: str | None, now: datetime
) -> Object:
    """The fields of an Approval's spec that bound it. Raises CommandError."""
    models = len(asks.models) if isinstance(asks, SweepTerms) else 1
    return {
        "maxRounds": limit("--rounds", rounds, 2 * models * planned_rounds(asks)),
        "maxEvaluations": limit("--evaluations", evaluations, 2 * models * planned_evaluations(asks)),
        "until": end(until, now),
    }


# Each kind of task that an Approval bounds: whether it is an Evaluate task, its words, and its limit.
COUNTED = ((False, "Train and Statistics", "rounds", "maxRounds"), (True, "Evaluate", "evaluations", "maxEvaluations"))


def require_room(known: Reviewed, asks: SeriesTerms | SweepTerms, most: Object) -> None:
    """Raises CommandError if the tasks that count already have used up a limit: the Approval would then cover nothing
    that the person means."""
    if full := used_up(known, asks, most):
        raise CommandError(" ".join(("Nothing is approved.", *full)))


def used_up(known: Reviewed, asks: SeriesTerms | SweepTerms, most: Object) -> list[str]:
    """Of each kind of task that an Approval with these limits would allow, and of which as many count already: that it
    is so, and what to do."""
    counts = counted(known, asks)
    return [
        f"The Approval would cover no further {kind} task: {counts[option]} {kind} tasks with these terms count "
        f"already, and the limit is {most[limited]}. {_room(option, counts[option])}"
        for _, kind, option, limited in COUNTED
        if 0 < most[limited] <= counts[option]
    ]


def counted(known: Reviewed, asks: SeriesTerms | SweepTerms) -> dict[str, int]:
    """How many rounds and evaluations count for an Approval of these terms before it covers a task."""
    every, text = Approvals(every=known.approvals, earlier=known.earlier), terms.text(asks)
    return {
        option: len(approvals.counted(every, text, evaluations=evaluations) - known.uncovered)
        for evaluations, _, option, _ in COUNTED
    }


def _room(option: str, count: int) -> str:
    none = f"or --{option} 0 to approve none of these tasks"
    if count >= MOST_TASKS:
        return f"An Approval has no room for more than {MOST_TASKS} of them. So approve each task alone, {none}."
    return f"Give --{option} {count + 1} or more, {none}."


def bounds(most: Object) -> str:
    """The limits of an Approval as arguments of `approve`."""
    return f"--rounds {most['maxRounds']} --evaluations {most['maxEvaluations']} --until {most['until']}"


def limits_in_words(most: Object) -> str:
    return (
        f"at most {most['maxRounds']} Train and Statistics tasks and {most['maxEvaluations']} Evaluate tasks, until "
        f"{most['until']}"
    )


def too_low(asks: SeriesTerms | SweepTerms, most: Object) -> list[str]:
    """A warning about each kind of task of which the series can have more than an Approval with these limits covers."""
    models = len(asks.models) if isinstance(asks, SweepTerms) else 1
    subject = f"The series of these {models} models together have" if models > 1 else "The series has"
    planned = {"rounds": models * planned_rounds(asks), "evaluations": models * planned_evaluations(asks)}
    return [
        f"Warning: {subject} up to {planned[option]} {kind} tasks, and the Approval covers {most[limited] or 'none'} "
        "of them. Each further task waits until a person at the hospital approves it. To cover all of them, leave out "
        f"--{option}. Each attempt counts."
        for _, kind, option, limited in COUNTED
        if most[limited] < min(planned[option], MOST_TASKS)
    ]


def limit(option: str, wanted: int | None, default: int) -> int:
    """Raises CommandError."""
    if wanted is None:
        return min(default, MOST_TASKS)
    if not 0 <= wanted <= MOST_TASKS:
        raise CommandError(f"{option} takes a whole number from 0 to {MOST_TASKS}.")
    return wanted


def end(text: str | None, now: datetime) -> str:
    """Raises CommandError."""
    if text is None:
        return to_seconds(now + timedelta(days=DAYS))
    until = read_time(text if "T" in text else f"{text}T00:00:00Z")
    if until is None:
        raise CommandError(
            f"--until cannot use {text!r}: give a date such as 2027-03-31, in the year {LAST_YEAR} at the latest."
        )
    if until <= now:
        raise CommandError(f"--until {text} is in the past. Give a later date.")
    return to_seconds(until)


def state_in_words(task: SiteTask) -> str:
    known = task.status.conditions
    if is_true(known, "Complete"):
        return "is complete"
    if failed := find_true(known, "Failed"):
        return f"has failed ({failed.reason})"
    if approvals.lacking(known):
        return "is accepted, and waits until a person approves it, because policy.approval of the Site is Manual"
    if is_true(known, "Accepted"):
        return "is accepted, and has not ended"
    accepted = find(known, "Accepted")
    return f"waits ({accepted.reason})" if accepted else "is new"


def has_ended(task: SiteTask) -> bool:
    return is_true(task.status.conditions, "Complete") or is_true(task.status.conditions, "Failed")


def verdict_in_words(task: SiteTask, decision: TaskDecision) -> str:
    """A person who ends an approved task has withdrawn the approval. A task that nobody had approved is denied, also if
    the site had accepted it."""
    failed = find_true(task.status.conditions, "Failed")
    ended = failed is not None and failed.reason == "ApprovalEnded"
    return "approval withdrawn" if ended and decision.verdict == "Deny" else decision.verdict
