"""Finds what is wrong with an object, or what it waits for: a reason of the registry, with the object's names.

Pure: gets the objects and the time, fetches nothing, and says only what they hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api.approval import Approval
from wardround.api.conditions import Condition, find
from wardround.api.dataset import Dataset
from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import BASE_DELETED, Attention, FederatedRound
from wardround.api.lease import Lease
from wardround.api.meta import Meta
from wardround.api.modelversion import ModelVersion
from wardround.api.names import task_name
from wardround.api.participant import Participant
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask, approval, review
from wardround.api.task import Failure
from wardround.api.times import read_time
from wardround.cli.objects import Task, assigned, seconds
from wardround.plans.approval import lacking
from wardround.plans.link_local import CONDITION as LINK_LOCAL
from wardround.plans.model.versions import WITHOUT_NUMBERS
from wardround.reasons.parameter import UNNAMED, describe
from wardround.reasons.reason import HOSPITAL, NOBODY, Reason
from wardround.reasons.registry import REASONS, reason_for
from wardround.reasons.training import at_a_dataset
from wardround.tabular import ignored_columns, problems

SILENT_AFTER_SECONDS = 60
DESCRIBED = re.compile(r"The parameter is (.+?)\. Compare its name")
WAITING = "WaitingForApproval"
READ, APPROVE = "To read what the task asks for, run", "To approve the task, run"


LongLived = Participant | Site | Dataset | FederatedModel | ModelVersion | Approval


@dataclass(frozen=True)
class Finding:
    """`where`: a hospital, a condition, a field of a Dataset, or "round". `advice` has all names but the hospital's,
    which is `participant`, where it is known: hospitals with the same finding are named together."""

    where: str
    reason: str
    advice: Reason
    message: str = ""
    participant: str = ""


def of_attention(federated_round: FederatedRound, task: Task | None, entry: Attention) -> Finding:
    """The finding of an entry of the round's status.attention. `task`: the hospital's RoundTask, if the reader may see
    it.

    The hub makes the entry's message from the registry too. The finding shows it if a newer hub says more.
    """
    name, reason, message = entry.participant, entry.reason, entry.message
    metadata, spec = federated_round.metadata, federated_round.spec
    advice = reason_for(reason).about(
        federation=metadata.namespace,
        dataset=spec.dataset_name,
        round_name=metadata.name,
        task=_task_of_message(message, metadata),
        parameter=_parameter_of_message(message, spec.parameters),
    )
    if reason in REASONS:
        # The hub knows which names there are.
        guessed = re.search(r"Was \S+ meant\?", message)
        message = guessed.group() if guessed else ""
    if task is not None:
        advice = _with_names(advice, task, spec.parameters)
        failure = task.status.failure
        message = _with_exit_code(message, failure) if failure and failure.reason == reason else message
    return Finding(name, reason, advice, message, name)


def of_base(federated_round: FederatedRound) -> list[Finding]:
    deleted = find(federated_round.status.conditions, BASE_DELETED)
    return [Finding("round", deleted.reason, reason_for(deleted.reason), deleted.message)] if deleted else []


def of_task(where: str, task: Task, *, participant: str, waits: bool = True) -> list[Finding]:
    """Why a RoundTask or SiteTask failed. With `waits`, also what it waits for."""
    participant = participant or assigned(task).participant
    failure = task.status.failure
    if failure is not None:
        message = _with_exit_code(failure.message or "", failure)
        advice = _with_names(reason_for(failure.reason, failure.failure_class), task)
        return [Finding(where, failure.reason, advice, message, participant)]
    wrong = [("Failed", "True"), ("Accepted", "False"), ("Stalled", "True")]
    for kind, bad in [*wrong, *([("Reconciling", "True")] if waits else [])]:
        condition = find(task.status.conditions, kind)
        if condition is not None and condition.status == bad:
            advice = _with_names(_at_the_site(reason_for(condition.reason), task), task)
            message = _without_commands(condition.message) if condition.reason == WAITING else condition.message
            lacking = _lacking(where, task, participant) if condition.reason != WAITING else []
            return [Finding(where, condition.reason, advice, message, participant), *lacking]
    return []


def _lacking(where: str, task: Task, participant: str) -> list[Finding]:
    """The task is accepted, and waits for people all the same, whatever its pod does meanwhile."""
    accepted = lacking(task.status.conditions)
    if accepted is None:
        return []
    advice = _with_names(_at_the_site(reason_for(WAITING), task), task)
    return [Finding(where, WAITING, advice, _without_commands(accepted.message), participant)]


def _without_commands(message: str) -> str:
    """The message of a task that waits for people, without the commands: the advice has them."""
    return message.partition(f" {READ}")[0].partition(f" {APPROVE}")[0]


def of_conditions(item: LongLived) -> list[Finding]:
    """What is wrong with it."""
    metadata = item.metadata
    unready = ("False", "Unknown")
    wrong: dict[str, tuple[str, ...]] = {"Ready": unready, "HubConnected": unready, LINK_LOCAL: ("False",)}
    if isinstance(item, FederatedModel):
        # A model is not ready as long as its first series runs, and that is nobody's fault.
        holds, lacks = ("True",), ("False",)
        wrong = {"Stalled": holds, "Ready": lacks, "VersionWaits": holds, "Scheduled": lacks}
        wrong |= {"Delivered": lacks, "Tested": lacks, "Reconciling": holds}
    findings: list[Finding] = []
    for name, statuses in wrong.items():
        condition = find(item.status.conditions, name)
        if condition is not None and (condition.status in statuses or _is_unmeasured(item, condition)):
            advice = _with_own_names(item, condition)
            if isinstance(item, FederatedModel) and advice.owner == NOBODY and not advice.explained:
                continue  # for example no trigger, or no delivery
            if any(each.reason == condition.reason for each in findings):
                continue  # two conditions of a model can have one cause
            participant = metadata.name if isinstance(item, Participant) else ""
            findings.append(Finding(name, condition.reason, advice, condition.message, participant))
    return findings


def of_verdict(version: ModelVersion, model: FederatedModel | None) -> list[Finding]:
    """What people can do about the candidate, if the gate has not accepted it or if it waits for their decision.
    Nothing about other versions: people have decided about them, or a newer one has replaced them. `model`: None if it
    is gone, or if the reader may not see it."""
    verdict, meta = version.status.verdict, version.metadata
    if model is None or model.status.candidate != meta.name or meta.name in model.status.served:
        return []
    waits = [each for each in of_conditions(model) if each.reason == "PeopleDecide"]
    if waits:
        return waits
    if verdict is None or verdict.outcome == "Accepted":
        return []
    advice = reason_for(verdict.reason).about(federation=meta.namespace, model=version.spec.model_name)
    return [Finding("verdict", verdict.reason, advice, verdict.message)]


def _is_unmeasured(item: LongLived, ready: Condition) -> bool:
    """Whether a version, or the current version of a model, counts although no round has measured it."""
    return isinstance(item, FederatedModel | ModelVersion) and ready.reason in WITHOUT_NUMBERS


def of_rows(dataset: Dataset) -> list[Finding]:
    """The rows of a Dataset that were left out, for each field and reason, and remarks about the valid rows."""
    entries = dataset.status.left_out.fields if dataset.status.left_out else ()
    left_out = [Finding(each.field, each.reason, _left_out(each.rows, each.reason)) for each in entries]
    remarks = [
        Finding(
            "rows left out" if each.reason == "ClassLeftOut" else "valid rows",
            each.reason,
            reason_for(each.reason).about(dataset=dataset.metadata.name),
            f"{each.patients} patients",
        )
        for each in dataset.status.remarks or ()
    ]
    return [*left_out, *remarks]


def of_columns(dataset: Dataset) -> list[Finding]:
    """The columns of the file that Wardround ignores and that the Dataset's status names, for each reason."""
    ignored = dataset.status.ignored
    if ignored is None:
        return []
    findings = []
    for name, columns in ignored_columns.by_reason((each.name, each.reason) for each in ignored.columns).items():
        known = ignored_columns.REASONS.get(name)
        if known is None:
            continue  # A newer version has written it.
        meaning = f"No model sees these columns of the data file, because {known.meaning}."
        advice = Reason(name=name, owner=HOSPITAL, meaning=meaning, action=known.advice)
        findings.append(Finding("ignored columns", name, advice, columns))
    return findings


def of_evaluations(dataset: Dataset, now: datetime) -> list[Finding]:
    """The sides of the split on which the hospital allows no more evaluations now."""
    advice = reason_for("EvaluationsUsedUp").about(
        dataset=dataset.metadata.name, site_namespace=dataset.metadata.namespace
    )
    findings = []
    for each in dataset.status.evaluations or ():
        until = read_time(each.until or "")
        if each.left == 0 and (until is None or until > now):
            after = f", the next is possible after {each.until}" if until else ""
            findings.append(Finding(f"{each.rows} rows", advice.name, advice, f"{each.used} evaluations{after}"))
    return findings


def of_silence(hospital: str, lease: Lease | None, now: datetime) -> list[Finding]:
    """A site that has not renewed its Lease on the hub, or never had one, is not connected."""
    age = heard(lease, now)
    if age is not None and age <= SILENT_AFTER_SECONDS:
        return []
    meaning = "The hub has never heard from the site: the site has never been connected."
    if age is not None:
        meaning = f"The hub has not heard from the site for {seconds(age)}."
    reason = replace(REASONS["NotConnected"], meaning=meaning)
    return [Finding(hospital, reason.name, reason, participant=hospital)]


def heard(lease: Lease | None, now: datetime) -> float | None:
    """How many seconds ago the hub heard from the site, by its Lease. None: never."""
    renewed = read_time(lease.spec.renew_time) if lease else None
    return None if renewed is None else (now - renewed).total_seconds()


def _left_out(rows: int, reason: str) -> Reason:
    advice = problems.advice(reason) or "correct these rows in the source"
    action = f"To let rounds use these rows: {advice}."
    if reason == problems.MISSING:
        action += (
            " If a row has no value in a `required` field, or in a field of type number or integer, Wardround "
            "leaves the row out."
        )
    number = "1 row" if rows == 1 else f"{rows} rows"
    meaning = f"In all rounds, this hospital's training pods leave out {number} of the data file."
    return Reason(name=reason, owner=HOSPITAL, meaning=meaning, action=action)


def _with_exit_code(message: str, failure: Failure) -> str:
    """Our own messages have it already."""
    if failure.exit_code is None:
        return message
    code = f"exit code {failure.exit_code}"
    if message.rstrip(".").endswith(code) or f"{code}:" in message:
        return message
    return f"{message} ({code})" if message else code


def _with_names(advice: Reason, task: Task, parameters: Mapping[str, str] | None = None) -> Reason:
    """With the names that a task itself tells. A RoundTask does not know in which namespace its SiteTask lies.
    `parameters`: the round's, where they are known: a task tells no value of a parameter."""
    return advice.about(
        federation=task.spec.round_ref.namespace,
        round_name=task.spec.round_ref.name,
        dataset=assigned(task).dataset_name,
        task=task.metadata.name,
        site_namespace=task.metadata.namespace if isinstance(task, SiteTask) else "",
        parameter=_parameter_of_task(task, parameters or {}),
    )


def _with_own_names(item: LongLived, condition: Condition) -> Reason:
    """The condition's reason with the names that the object itself tells."""
    metadata, reason = item.metadata, reason_for(condition.reason)
    if isinstance(item, Participant):
        return reason
    if isinstance(item, Dataset):
        return at_a_dataset(reason).about(dataset=metadata.name, site_namespace=metadata.namespace)
    if isinstance(item, ModelVersion):
        return reason.about(federation=metadata.namespace, model=item.spec.model_name)
    if isinstance(item, FederatedModel):
        series = item.status.series
        return reason.about(
            _participant_of_message(condition.message, reason),
            metadata.namespace,
            item.spec.round.dataset_name,
            round_name=series.rounds[-1].name if series and series.rounds else "",
            model=metadata.name,
        )
    return reason.about(site_namespace=metadata.namespace)


def _participant_of_message(message: str, reason: Reason) -> str:
    """The hospital for which a FederatedModel waits. The hub's message about a hospital begins with its name. A
    sentence that names the round can stand before it."""
    match = re.search(r"(?:^|\. )([a-z0-9][a-z0-9-]*): ", message)
    return match[1] if match and "PARTICIPANT" in reason.text else ""


def _at_the_site(advice: Reason, task: Task) -> Reason:
    """Where the task waits for a person, the commands that this person runs."""
    if advice.name != WAITING or not isinstance(task, SiteTask):
        return advice
    metadata = task.metadata
    read = review(metadata.name, metadata.namespace)
    approve = approval(metadata.name, metadata.namespace, metadata.uid)
    return replace(advice, action=f"Read what the task asks for: `{read}`. {APPROVE} `{approve}`.")


def _task_of_message(message: str, metadata: Meta) -> str:
    """The task's name, as the hub's message has it: a person who runs rounds may not read RoundTasks."""
    begins = task_name(metadata.name, metadata.uid, 0).removesuffix("0")
    match = re.search(rf"{re.escape(begins)}[0-9]+", message)
    return match.group() if match else ""


def _parameter_of_task(task: Task, parameters: Mapping[str, str]) -> str:
    failure = task.status.failure
    if failure is None:
        return ""
    if isinstance(task, SiteTask) and (match := DESCRIBED.search(failure.message or "")):
        return match[1]  # the site operator has written it, with the round's value
    return describe(failure.parameter or "", parameters, failure.bound or "")


def _parameter_of_message(message: str, parameters: Mapping[str, str]) -> str:
    """The parameter that a hospital refuses, as the hub's message describes it: one of the round's own."""
    match = DESCRIBED.search(message)
    return match[1] if match and match[1].partition(". ")[0] in (*parameters, UNNAMED) else ""
