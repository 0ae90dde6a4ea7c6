"""Finds the models of a sweep among a hospital's tasks, shows them, and makes the one Approval of all. Fetches nothing.

The hub signs no name of a sweep, and the hospital needs none: an Approval lists the models and their values, so it
covers no other model, whatever that one claims.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api.approval import MOST_TASKS
from wardround.cli import approvals, reviews
from wardround.cli.approvals import Reviewed
from wardround.cli.cluster import Object
from wardround.cli.errors import CommandError
from wardround.cli.objects import printable
from wardround.plans import approval as plans
from wardround.plans import terms
from wardround.plans.terms import LONGEST_TERMS, MOST_MODELS, SeriesTerms, SweepTerms


@dataclass(frozen=True)
class Sweep:
    """`omitted`: names of models that one Approval has no room for. `gone`: names and UIDs of models that
    share their name with a model of the sweep."""

    terms: SweepTerms
    omitted: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return terms.text(self.terms)

    @property
    def digest(self) -> str:
        return terms.digest(self.text)


def sweep(known: Reviewed, tasks: Sequence[Object]) -> Sweep:
    """The models whose tasks ask for the same as this task's model, but for the values of parameters. `tasks`: all
    SiteTasks of the hospital. Raises CommandError if there is no other model, or if this task has ended."""
    own = approvals.series_terms(known)
    if approvals.has_ended(known.task):
        raise CommandError(
            f"The command approved nothing: SiteTask {known.task.metadata.name} has ended, so somebody may have "
            "deleted its model. Name a SiteTask of the sweep that has not ended. To see the SiteTasks: kubectl get "
            f"sitetasks -n {known.task.metadata.namespace}."
        )
    candidates = {own.model_uid: (known.assignment.issued, own)}
    for item in tasks:
        if (each := _alike(item, own)) and each[1].model_uid != own.model_uid:
            uid = each[1].model_uid
            # If a model has two tasks, the newer task says what the model's series asks for now.
            candidates[uid] = max(candidates.get(uid, each), each, key=lambda one: one[0])
    newest = _newest(candidates.values(), own)
    gone = tuple(f"{each.model_name} (UID {each.model_uid})" for _, each in candidates.values() if each not in newest)
    series = [own, *sorted((each for each in newest if each is not own), key=lambda each: each.model_name)]
    room = min(MOST_MODELS, MOST_TASKS // approvals.planned_rounds(own))
    made = terms.sweep_terms(series[:room])
    if made is None:
        why = (
            "a sweep needs several models that differ only in values of parameters, and no other model with a task at "
            "this site is such a model"
            if len(series) == 1
            else f"one Approval covers at most {MOST_TASKS} rounds, and each model asks for {own.rounds + 1}"
        )
        raise CommandError(
            f"The command approved nothing, because there is no sweep: {why}. To approve only the model "
            f"{own.model_name} of this task, use --model in place of --sweep."
        )
    return Sweep(made, tuple(each.model_name for each in series[room:]), gone)


def with_tasks(known: Reviewed, tasks: Sequence[Object]) -> Reviewed:
    """With all that a person reads before an Approval of the task's model or sweep. `tasks`: all SiteTasks of the
    site."""
    try:
        sweep(known, tasks)
        in_sweep = True
    except CommandError:
        in_sweep = False
    return replace(approvals.with_tasks(known, tasks), in_sweep=in_sweep)


def _newest(candidates: Collection[tuple[str, SeriesTerms]], own: SeriesTerms) -> list[SeriesTerms]:
    """Of two models of one name, the one whose task the hub issued last: somebody has deleted the other one. The model
    of this task stays in any case, because a person has named it."""
    newest: dict[str, SeriesTerms] = {}
    for _, each in sorted(candidates, key=lambda one: one[0]):
        newest[each.model_name] = each
    return list((newest | {own.model_name: own}).values())


def approve_sweep(
    known: Reviewed,
    chosen: Sweep,
    *,
    rounds: int | None,
    evaluations: int | None,
    until: str | None,
    author: str,
    now: datetime,
) -> Object:
    """The Approval of all models of the sweep. Without `rounds` and `evaluations`, twice as many as their series plan,
    because each attempt counts. Raises CommandError."""
    if len(chosen.text.encode()) > LONGEST_TERMS:
        raise CommandError(
            "The command approved nothing: what these models ask for is too long for one Approval. Approve each "
            "model with --model."
        )
    most = approvals.limits(chosen.terms, rounds=rounds, evaluations=evaluations, until=until, now=now)
    approvals.require_room(known, chosen.terms, most)
    spec = {"verdict": "Approve", "author": author, "terms": chosen.text, **most}
    first = approvals.prefix(approvals.series_terms(known).model_name)
    return approvals.approval_object(known, f"{first}-sweep", spec)


def review(
    known: Reviewed,
    chosen: Sweep,
    *,
    rounds: int | None = None,
    evaluations: int | None = None,
    until: str | None = None,
    now: datetime,
) -> list[str]:
    """What the models ask for, in words, and the command that approves them within the same limits. `rounds`,
    `evaluations`, `until`: as the person has given them. Raises CommandError."""
    asks = chosen.terms
    most = approvals.limits(asks, rounds=rounds, evaluations=evaluations, until=until, now=now)
    varied = ", ".join(asks.models[0].values) or "nothing"
    lines = [
        f"{len(asks.models)} models of federation {asks.federation} ask for the same, but for {varied}:",
        *reviews.listed({each.name: f"{reviews.parameters(each.values)} (UID {each.uid})" for each in asks.models}),
        "Each of them:",
        *reviews.listed(reviews.facts(asks, known.schemas)),
        f"  {reviews.NOT_BOUND}",
        f"The Approval of the sweep covers {approvals.limits_in_words(most)}. These limits are for all its models "
        "together, so one model can use them up. To set lower limits, give --rounds and --evaluations.",
        *(f"  {each}" for each in approvals.too_low(asks, most)),
    ]
    if chosen.omitted:
        lines.append(
            f"  This Approval has no room for these further models of the sweep: {', '.join(chosen.omitted)}. "
            "Approve each of them with --model."
        )
    if chosen.gone:
        lines.append(
            "  This Approval does not cover these models, because the list above has another model with the same "
            f"name: {', '.join(chosen.gone)}."
        )
    command = f"kubectl wardround approve {known.where} --sweep --digest {chosen.digest} {approvals.bounds(most)}"
    lines += reviews.what_counts(known, asks)
    lines += reviews.if_there_is_room(known, asks, most, f"To approve these models: {command}")
    return [printable(each) for each in lines]


def _alike(item: Object, own: SeriesTerms) -> tuple[str, SeriesTerms] | None:
    """When the hub issued this task and the terms of its series, if that may be one of the sweep."""
    try:
        other = approvals.reviewed(item, ())
    except CommandError:
        return None  # The site refuses a task that cannot be read.
    series = terms.series_terms(other.assignment)
    # A task that has ended may be of a model that nobody has any more.
    if series is None or approvals.has_ended(other.task) or plans.deviations(other.assignment):
        return None
    return (other.assignment.issued, series) if terms.alike(series) == terms.alike(own) else None
