"""Shows what a task and its model ask of a hospital, and makes the Approval by which a person decides. Fetches nothing.

plans/approval.py says what an Approval covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wardround.api import approval, sitetask
from wardround.api.approval import MOST_TASKS, Approval
from wardround.api.conditions import find, find_true, is_true
from wardround.api.meta import API_VERSION
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.times import LAST_YEAR, read_time, to_seconds
from wardround.cli.cluster import Object
from wardround.cli.errors import CommandError
from wardround.cli.objects import assignment_of, parsed_payload, printable
from wardround.plans import approval as approvals
from wardround.plans import terms
from wardround.plans.schedules import evaluations_before
from wardround.plans.terms import SeriesTerms, SweepTerms
from wardround.wire.assignment import EVALUATE_TEST, AssignedDelivery, AssignedPushed, Assignment, Quorum
from wardround.wire.models import ModelManifest

DAYS = 90
# Evaluate rounds at the end of a series: of the last Train round, and of the comparison with other versions.
LAST_EVALUATIONS = 2
NAME_LENGTH, DIGEST_DIGITS = 30, 8
NOT_BOUND = (
    "If you approve the model, the hub still chooses these things for each task: the weights and the state to start "
    "from, the seed, the deadlines, the threads, and how the hub combines updates."
)


@dataclass(frozen=True)
class Reviewed:
    """A SiteTask, its assignment, and the Approvals of the site."""

    task: SiteTask
    assignment: Assignment
    approvals: tuple[Approval, ...]

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


def require_open(known: Reviewed) -> None:
    """Raises CommandError if the task has ended, and nobody has denied it: an approval would change nothing. A denial
    counts for further attempts, so an approval of a denied task ends that."""
    if not has_ended(known.task) or known.task.spec.denied:
        return
    meta, model = known.task.metadata, terms.series_terms(known.assignment) is not None
    more = " To approve further tasks of the same model, repeat the command with --model." if model else ""
    raise CommandError(
        f"SiteTask {meta.namespace}/{meta.name} {_state(known.task)}, so an approval of this task changes nothing. "
        f"Nothing is written.{more}"
    )


def approved(known: Reviewed) -> str:
    """What the approval of this task alone has done."""
    if has_ended(known.task):
        return (
            f"You have ended the denial of {known.where} for further attempts: the hospital may take them. This "
            "task has ended, and stays refused."
        )
    return f"Approved: {known.where}"


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


def bounds(most: Object) -> str:
    """The limits of an Approval as arguments of `approve`."""
    return f"--rounds {most['maxRounds']} --evaluations {most['maxEvaluations']} --until {most['until']}"


def limits_in_words(most: Object) -> str:
    return (
        f"at most {most['maxRounds']} Train and Statistics tasks and {most['maxEvaluations']} Evaluate tasks, until "
        f"{most['until']}"
    )


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


# The text of review


def review(
    known: Reviewed,
    now: datetime,
    *,
    rounds: int | None = None,
    evaluations: int | None = None,
    until: str | None = None,
) -> list[str]:
    """What the task and its series ask for, in words, and what a person can do. `rounds`, `evaluations`, `until`: the
    limits of an Approval of the model, as the person has given them. Raises CommandError."""
    task, asks = known.task, known.assignment
    lines = [
        f"SiteTask {task.metadata.namespace}/{task.metadata.name} {_state(task)}.",
        *_decided(task),
        "",
        f"This task: {_kind(asks)} in round {asks.round_name} of federation {asks.round_namespace}, attempt "
        f"{asks.attempt}. The assignment expires at {asks.expires}",
        *listed(_of_task(asks)),
    ]
    if not has_ended(task):
        lines += [
            *_decide_soon(task, asks),
            f"  To approve this task alone: kubectl wardround approve {known.where} --uid {task.metadata.uid}",
            f"  To deny this task: kubectl wardround deny {known.where}",
        ]
    elif task.spec.denied:
        lines.append(
            "  To end the denial for further attempts: kubectl wardround approve "
            f"{known.where} --uid {task.metadata.uid}"
        )
    series = terms.series_terms(asks)
    if series is not None:
        most = limits(series, rounds=rounds, evaluations=evaluations, until=until, now=now)
        lines += ["", *_of_series(known, series, most, now)]
    return [printable(each) for each in lines]


def _state(task: SiteTask) -> str:
    known = task.status.conditions
    if is_true(known, "Complete"):
        return "is complete"
    if failed := find_true(known, "Failed"):
        return f"has failed ({failed.reason})"
    if is_true(known, "Accepted"):
        return "is accepted, and has not ended"
    accepted = find(known, "Accepted")
    return f"waits ({accepted.reason})" if accepted else "is new"


def _decide_soon(task: SiteTask, asks: Assignment) -> list[str]:
    """How long the hub waits for an answer. The assignment has only the end of the round, and not its
    admissionSeconds."""
    if is_true(task.status.conditions, "Accepted"):
        return []
    return [
        f"  Decide soon: the hub ends a task that nobody has approved within deadlines.admissionSeconds of the round "
        f"(by default 600 seconds) after {asks.issued}. The round's author knows the number."
    ]


def has_ended(task: SiteTask) -> bool:
    return is_true(task.status.conditions, "Complete") or is_true(task.status.conditions, "Failed")


def _decided(task: SiteTask) -> list[str]:
    decision = task.status.decision
    if decision is None:
        return []
    by = f" by Approval {decision.approval}" if decision.approval else ""
    return [f"{verdict_in_words(task, decision)}{by}: {decision.by}, {decision.at}"]


def verdict_in_words(task: SiteTask, decision: TaskDecision) -> str:
    """A person who ends an approved task has withdrawn the approval. A task that nobody had approved is denied, also if
    the site had accepted it."""
    failed = find_true(task.status.conditions, "Failed")
    ended = failed is not None and failed.reason == "ApprovalEnded"
    return "approval withdrawn" if ended and decision.verdict == "Deny" else decision.verdict


def _kind(asks: Assignment) -> str:
    return f"{asks.task} on {asks.rows.lower()} rows" if asks.task == "Evaluate" else asks.task


def _pushed(models: Sequence[AssignedPushed]) -> str:
    return "; ".join(f"{each.digest}, pushed by {each.requested_by}" for each in models) or "no"


def _of_task(asks: Assignment) -> Mapping[str, str]:
    if asks.delivery is not None:
        return _of_delivery(asks, asks.delivery)
    runs = asks.task != "Statistics"
    start = "first weights, which this round makes" if asks.initial else "a model that the hub chooses"
    return {
        "pushed weights": _pushed(asks.pushed),
        "Dataset": asks.dataset_name,
        "DataSchema": asks.schema.digest,
        "image": asks.image if runs else "Wardround's own",
        "command": " ".join(asks.command) if runs else "Wardround's own",
        "parameters": parameters(asks.parameters),
        "starts from": start if runs else "nothing",
        "compares with": ", ".join(each.round_name for each in asks.references) or "no other model",
        "metrics": ", ".join(asks.metrics) if runs else "none",
        "quorum": _quorum(asks.quorum),
        "compression of the update": asks.compression,
        "IP sockets": "open for the code" if asks.resources.local_sockets else "closed",
        "accelerators": str(asks.resources.accelerators_per_node),
        "result for": asks.release,
    }


def _of_delivery(asks: Assignment, delivery: AssignedDelivery) -> Mapping[str, str]:
    manifest = parsed_payload(ModelManifest, asks.base.manifest) if asks.base else None
    model = f"model {delivery.model_name} (UID {delivery.model_uid}) of federation {asks.round_namespace}"
    return {
        "pushed weights": _pushed(asks.pushed),
        "delivers": f"version {delivery.version} of {model}",
        "file": manifest.digest
        if manifest
        else ("unknown, because the model's manifest cannot be read. So the courier refuses the task"),
        "becomes": "the model's current version at the hospital. If the hospital has the version already, the task "
        "brings a newer card, which can change the threshold and the recalibration",
        "keeps": f"the newest {delivery.keep} versions of the model. The courier deletes older ones",
    }


def _of_series(known: Reviewed, series: SeriesTerms, most: Object, now: datetime) -> Iterator[str]:
    yield f"Its model: {series.model_name} (UID {series.model_uid}) of federation {series.federation}"
    yield from listed(facts(series))
    if names := approvals.deviations(known.assignment):
        yield (
            "  No Approval of the model covers this task, because the task differs from what its series asks for "
            f"({', '.join(names)})."
        )
    yield f"  {NOT_BOUND}"
    yield f"  If you approve the model, the Approval covers {limits_in_words(most)}."
    for each in of_the_model(known):
        yield f"  {_approval_line(each, series, now)}"
    uid = known.task.metadata.uid
    yield f"  To approve the model: kubectl wardround approve {known.where} --model --uid {uid} {bounds(most)}"
    if not has_ended(known.task):
        yield f"  To see and approve all models of the model's sweep: kubectl wardround approve {known.where} --sweep"
    yield f"  To deny the model: kubectl wardround deny {known.where} --model"


def facts(series: SeriesTerms | SweepTerms) -> Mapping[str, str]:
    """What a series asks for, or each series of a sweep."""
    return {
        "pushed weights": _pushed(series.pushed),
        "series": f"number {series.series}, at most {series.rounds} Train rounds",
        "tasks": ", ".join(series.tasks),
        "evaluations": _evaluations(series.evaluation_every),
        "Dataset": series.dataset_name,
        "DataSchema": series.schema,
        "image": series.image,
        "command": " ".join(series.command),
        "parameters": parameters(series.parameters),
        "schedules": "; ".join(
            f"{each.parameter}: " + ", ".join(f"{step.value} from round {step.from_round}" for step in each.steps)
            for each in series.schedules
        )
        or "none",
        "frozen tensors": ", ".join(series.frozen) or "none",
        "metrics": ", ".join(series.metrics),
        "quorum": f"{_quorum(series.quorum)}; in evaluations {_quorum(series.evaluation_quorum)}",
        "compression of updates": series.compression,
        "IP sockets": "open for the code" if series.resources.local_sockets else "closed",
        "accelerators": str(series.resources.accelerators_per_node),
        "result for": series.release,
        "digest": terms.digest(terms.text(series)),
    }


def _approval_line(each: Approval, series: SeriesTerms, now: datetime) -> str:
    spec, status = each.spec, each.status
    words = f"Approval {each.metadata.name} by {spec.author}, {each.metadata.creation_timestamp}: {spec.verdict}"
    if not terms.read(spec.terms):
        words = f"{words} (another version of Wardround may have written its terms)"
    if spec.withdrawn_by is not None:
        return f"{words}, withdrawn by {spec.withdrawn_by}{f', {status.withdrawn_at}' if status.withdrawn_at else ''}"
    if spec.verdict == "Deny":
        return words
    over = " (over)" if (ends := read_time(spec.until or "")) is None or ends <= now else ""
    counts = f"{status.rounds} of {spec.max_rounds} rounds, {status.evaluations} of {spec.max_evaluations} evaluations"
    approved = approvals.series_of_model(each, series.model_uid)
    others = terms.differing(approved, series) if approved else ()
    differs = f"; its terms differ in {', '.join(others)}" if others else ""
    return f"{words}, until {spec.until}{over}, {counts}{differs}"


def parameters(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "none"


def _evaluations(every: int) -> str:
    between = {0: "", 1: "after each Train round, "}.get(every, f"after every {every} Train rounds, ")
    return f"{between}after the last Train round, and to compare with earlier versions"


def _quorum(quorum: Quorum) -> str:
    required = f", with {', '.join(quorum.required)}" if quorum.required else ""
    return f"at least {quorum.min}{required}"


def listed(known: Mapping[str, str]) -> list[str]:
    width = max(map(len, known))
    return [f"  {name:<{width}}  {value}" for name, value in known.items()]
