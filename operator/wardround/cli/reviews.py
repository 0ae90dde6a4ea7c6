"""Shows what a task and its model ask of a hospital, and which commands decide about them. Fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from wardround.api.approval import Approval
from wardround.api.conditions import is_true, since
from wardround.api.sitetask import SiteTask
from wardround.api.timeline import reached
from wardround.api.times import read_time, to_seconds
from wardround.cli import approvals
from wardround.cli.approvals import Reviewed
from wardround.cli.cluster import Object
from wardround.cli.objects import card_of, parsed_payload, printable
from wardround.plans import approval as plans
from wardround.plans import terms
from wardround.plans.assignment import Terms
from wardround.plans.series_refusals import refused_in_series
from wardround.plans.terms import SeriesTerms, SweepTerms
from wardround.wire.assignment import AssignedDelivery, AssignedPushed, Assignment, Quorum
from wardround.wire.card import ModelCard
from wardround.wire.models import ModelManifest

# The largest number of seconds in each field of a round's deadlines.
LONGEST = 2_592_000
NOT_BOUND = (
    "If you approve the model, the hub still chooses these things for each task: the weights and the state to start "
    "from, the seed, the deadlines, the threads, and how the hub combines updates."
)


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
        f"SiteTask {task.metadata.namespace}/{task.metadata.name} {approvals.state_in_words(task)}.",
        *_decided(task),
        "",
        f"This task: {_kind(asks)} in round {asks.round_name} of federation {asks.round_namespace}, attempt "
        f"{asks.attempt}. The assignment expires at {asks.expires}",
        *listed(_of_task(asks, known.schemas)),
    ]
    if not approvals.has_ended(task):
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
        most = approvals.limits(series, rounds=rounds, evaluations=evaluations, until=until, now=now)
        lines += ["", *_of_series(known, series, most, now)]
    return [printable(each) for each in lines]


def _decide_soon(task: SiteTask, asks: Assignment) -> list[str]:
    """How long the task waits for an answer. An earlier hub does not say how long it waits."""
    if plans.lacking(task.status.conditions):
        return [f"  {each}" for each in _before_the_stage_ends(task, asks)]
    if is_true(task.status.conditions, "Accepted"):
        return []
    issued, seconds = read_time(asks.issued), asks.admission_seconds
    if issued is None or not 0 < seconds <= LONGEST:
        return [
            "  Decide soon: the hub ends a task that nobody has approved within deadlines.admissionSeconds of the "
            f"round after {asks.issued}. The round's author knows the number."
        ]
    ends = to_seconds(issued + timedelta(seconds=seconds))
    return [
        f"  Decide before {ends}: the hub then ends the task if nobody has approved it. deadlines.admissionSeconds of "
        f"the round is {seconds}."
    ]


def _before_the_stage_ends(task: SiteTask, asks: Assignment) -> list[str]:
    """Of a task that the site has accepted, and for which the courier waits for people. The site operator ends such a
    task at the end of its stage, as plans/sitetask/stages.py says."""
    known, ends = task.status.conditions, None
    if (trained := since(known, "Trained")) is not None:
        ends = _end(trained, asks.upload_seconds)
    elif reached(task.status.timeline, "Started") is not None:
        return [
            f"The training pod has started, and goes on meanwhile. Decide at the latest {asks.upload_seconds} seconds "
            "after training has ended: the site operator then ends the task if nobody has approved it."
        ]
    elif (accepted := since(known, "Accepted")) is not None:
        ends = _end(accepted, asks.wait_seconds)
    before = f"before {ends}" if ends else "soon"
    return [
        f"Decide {before}: the site operator then ends the task if nobody has approved it. If the round ends earlier, "
        "the hub ends the task."
    ]


def _end(begun: datetime, seconds: int) -> str | None:
    """When the time of a stage is over. None if the number is no time that a round may give: `wait_seconds` is the sum
    of two deadlines."""
    return to_seconds(begun + timedelta(seconds=seconds)) if 0 <= seconds <= 2 * LONGEST else None


def _decided(task: SiteTask) -> list[str]:
    decision = task.status.decision
    if decision is None:
        return []
    by = f" by Approval {decision.approval}" if decision.approval else ""
    return [f"{approvals.verdict_in_words(task, decision)}{by}: {decision.by}, {decision.at}"]


def _kind(asks: Assignment) -> str:
    return f"{asks.task} on {asks.rows.lower()} rows" if asks.task == "Evaluate" else asks.task


def _pushed(models: Sequence[AssignedPushed]) -> str:
    return "; ".join(f"{each.digest}, pushed by {each.requested_by}" for each in models) or "no"


def _of_task(asks: Assignment, schemas: Mapping[str, str]) -> Mapping[str, str]:
    if asks.delivery is not None:
        return _of_delivery(asks, asks.delivery)
    runs = asks.task != "Statistics"
    start = "first weights, which this round makes" if asks.initial else "a model that the hub chooses"
    return {
        "pushed weights": _pushed(asks.pushed),
        "Dataset": asks.dataset_name,
        "DataSchema": _schema(asks.schema.digest, schemas),
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
        "log loss": _loss(card_of(delivery.card)),
        "becomes": "the model's current version at the hospital. If the hospital has the version already, the task "
        "brings a newer card, which can change the threshold and the recalibration",
        "keeps": f"the newest {delivery.keep} versions of the model. The courier deletes older ones",
    }


def _loss(card: ModelCard | None) -> str:
    """Of the version that comes: its author may have made a version current that the gate refused."""
    if card is None:
        return "unknown, because the model's card cannot be read. So the courier refuses the task"
    metrics = filter(None, (card.metric("loss", rows) for rows in ("Validation", "Test")))
    known = [f"{each.value} on {each.rows.lower()} rows of {each.people} people" for each in metrics]
    return f"{', '.join(known)} (lower is better)" if known else "not measured"


def _of_series(known: Reviewed, series: SeriesTerms, most: Object, now: datetime) -> Iterator[str]:
    yield f"Its model: {series.model_name} (UID {series.model_uid}) of federation {series.federation}"
    yield from listed(facts(series, known.schemas))
    yield from _refused_by_policy(known)
    if names := plans.deviations(known.assignment):
        yield (
            "  No Approval of the model covers this task, because the task differs from what its series asks for "
            f"({', '.join(names)})."
        )
    yield f"  {NOT_BOUND}"
    yield f"  If you approve the model, the Approval covers {approvals.limits_in_words(most)}."
    yield from (f"  {each}" for each in approvals.too_low(series, most))
    yield from what_counts(known, series)
    for each in approvals.of_the_model(known):
        yield f"  {_approval_line(each, series, now)}"
    arguments = f"--uid {known.task.metadata.uid} {approvals.bounds(most)}"
    command = f"kubectl wardround approve {known.where} --model {arguments}"
    yield from if_there_is_room(known, series, most, f"To approve the model: {command}")
    if known.in_sweep:
        yield (
            "  Other models ask for the same, but for some parameters, for example those of a sweep. To see and "
            f"approve them all: kubectl wardround approve {known.where} --sweep"
        )
    yield f"  To deny the model: kubectl wardround deny {known.where} --model"


def _refused_by_policy(known: Reviewed) -> Iterator[str]:
    """Tasks of the series that fail at this hospital, also if people approve them."""
    if known.policy is None:
        return
    asks, task = known.assignment, known.task
    own = Terms(
        participant=asks.participant,
        task_name=task.metadata.name,
        policy=known.policy,
        schemas={},
        taken=0,
        accepted=(),
        approved=False,
    )
    refused = refused_in_series(asks, own)
    if refused:
        yield "  The policy of this hospital refuses tasks of this series, whatever you approve:"
    for kind, acceptance in refused.items():
        yield f"    {kind}: {acceptance.message_at(task.metadata.name, task.metadata.namespace or '')}"


def what_counts(known: Reviewed, asks: SeriesTerms | SweepTerms) -> list[str]:
    """How many tasks count against the limits before the Approval covers its first task."""
    counts = approvals.counted(known, asks)
    if not any(counts.values()):
        return []
    return [
        f"  {counts['rounds']} Train and Statistics tasks and {counts['evaluations']} Evaluate tasks with these terms "
        "count against these limits already."
    ]


def if_there_is_room(known: Reviewed, asks: SeriesTerms | SweepTerms, most: Object, command: str) -> list[str]:
    """The command that approves, or why it would approve nothing."""
    return [f"  {each}" for each in approvals.used_up(known, asks, most) or [command]]


def facts(series: SeriesTerms | SweepTerms, schemas: Mapping[str, str]) -> Mapping[str, str]:
    """What a series asks for, or each series of a sweep. `schemas`: as of Reviewed."""
    return {
        "pushed weights": _pushed(series.pushed),
        "series": f"number {series.series}, at most {series.rounds} Train rounds",
        "tasks": ", ".join(series.tasks),
        "evaluations": _evaluations(series.evaluation_every),
        "Dataset": series.dataset_name,
        "DataSchema": _schema(series.schema, schemas),
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
    approved = plans.series_of_model(each, series.model_uid)
    others = terms.differing(approved, series) if approved else ()
    differs = f"; its terms differ in {', '.join(others)}" if others else ""
    return f"{words}, until {spec.until}{over}, {counts}{differs}"


def _schema(digest: str, schemas: Mapping[str, str]) -> str:
    return f"{schemas[digest]} ({digest})" if digest in schemas else digest


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
