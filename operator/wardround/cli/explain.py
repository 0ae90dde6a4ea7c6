"""Explains an object from its conditions and tasks: one headline, and what somebody has to do.

Pure: gets the objects and the time, fetches nothing, and says only what they hold.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api import (
    approval,
    dataset,
    federatedmodel,
    federatedround,
    lease,
    modelversion,
    participant,
    roundtask,
    site,
    sitetask,
)
from wardround.api.conditions import Condition, Conditions, find, is_final, is_true
from wardround.api.federatedmodel import FederatedModelStatus
from wardround.api.federatedround import FederatedRound, FederatedRoundSpec, FederatedRoundStatus, Result
from wardround.api.lease import Lease
from wardround.api.meta import controller
from wardround.api.roundtask import RoundTask
from wardround.cli import absent
from wardround.cli.findings import (
    Finding,
    LongLived,
    heard,
    of_attention,
    of_base,
    of_columns,
    of_conditions,
    of_evaluations,
    of_rows,
    of_silence,
    of_task,
    of_verdict,
)
from wardround.cli.objects import Object, Task, began, created, metrics, printable, read, seconds, stages
from wardround.plans.model.series import controls
from wardround.plans.model.versions import WITHOUT_NUMBERS
from wardround.plans.round.rulings import withheld
from wardround.reasons.reason import NOBODY, Reason
from wardround.reasons.registry import REASONS, reason_for

WORTH_TELLING_SECONDS = 2  # until a round is taken up; objects have whole seconds for when they were made

SUSPENDED_MODEL = (
    "The FederatedModel is suspended, so the hub operator begins no series and asks no hospital. "
    f"{REASONS['Suspended'].action}"
)


@dataclass(frozen=True)
class Explanation:
    headline: str
    findings: tuple[Finding, ...]


def text(explained: Explanation) -> str:
    """The headline, then a paragraph for each finding. Hospitals with the same finding share one."""
    parts = [explained.headline]
    for group in _alike(explained.findings):
        first = group[0]
        # Advice for several hospitals names none of them: each hospital puts its own name there.
        advice = first.advice.about(first.participant) if len(group) == 1 else first.advice
        parts.append(f"\n{', '.join(each.where for each in group)}: {first.reason}: {advice.meaning}")
        if more := _beyond(first.message, advice.meaning, advice.advice, advice.action):
            parts.append(f"  says:   {more}")
        others = (each for each in explained.findings if each is not first)
        if first.where == "round" and any(each.reason == first.reason for each in others):
            continue  # the hospitals' own paragraphs say who acts
        parts.append(f"  who:    {advice.owner}")
        parts.append(f"  do:     {advice.action}")
    return "\n".join(parts)


def _alike(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """In order of the first of each group."""
    groups: dict[object, list[Finding]] = {}
    for index, each in enumerate(findings):
        # A finding that concerns no hospital stands alone.
        key = (each.reason, each.advice, each.message) if each.where == each.participant else index
        groups.setdefault(key, []).append(each)
    yield from groups.values()


def _beyond(message: str, *parts: str) -> str:
    """The message without the `parts` that the paragraph shows anyway."""
    for each in parts:
        message = message.replace(each, "")
    return "" if not message.strip(" .:") else " ".join(message.split())


def with_change(item: Object, explained: Explanation) -> Explanation:
    """The explanation of any object. Says so if the newest change of the spec is not in the status yet: then the status
    is about the object before the change. An object that has ended, or that is new, says so itself."""
    generation, observed = item["metadata"].get("generation"), (item.get("status") or {}).get("observedGeneration")
    # The hub changes a RoundTask, and the hospital observes it: its findings say whether the hospital answers.
    if not generation or not observed or observed >= generation or is_final(item) or item["kind"] == "RoundTask":
        return explained
    metadata = item["metadata"]
    name = "/".join(str(metadata[each]) for each in ("namespace", "name") if metadata.get(each))
    change = (
        f"No operator has looked at the newest change of {item['kind']} {name} yet. All that follows is from before "
        "this change. Run the command again in some seconds."
    )
    return replace(explained, headline=f"{printable(change)}\n{explained.headline}")


# A round


@dataclass(frozen=True)
class _Round:
    """A FederatedRound with the newest RoundTask of each hospital and the Leases of the sites."""

    item: FederatedRound
    newest: Mapping[str, RoundTask]
    leases: Mapping[str, Lease | None]
    now: datetime

    @property
    def spec(self) -> FederatedRoundSpec:
        return self.item.spec

    @property
    def status(self) -> FederatedRoundStatus:
        return self.item.status

    @property
    def federation(self) -> str:
        return self.item.metadata.namespace

    @property
    def name(self) -> str:
        return f"FederatedRound {self.federation}/{self.item.metadata.name}"

    @property
    def complete(self) -> bool:
        return is_true(self.status.conditions, "Complete")

    @property
    def ended(self) -> bool:
        return self.complete or is_true(self.status.conditions, "Failed")


def explain_round(round_: Object, tasks: list[Object], leases: dict[str, Object | None], now: datetime) -> Explanation:
    """A FederatedRound with its RoundTasks and the Leases of the sites by participant. Raises codec.Malformed."""
    attempts = sorted((read(roundtask.parse, each) for each in tasks), key=lambda each: each.spec.attempt)
    newest = {task.metadata.namespace: task for task in attempts}
    heartbeats = {hospital: _heartbeat(each) for hospital, each in leases.items()}
    seen = _Round(read(federatedround.parse, round_), newest, heartbeats, now)
    findings = _findings(seen)
    return next(headline for rule in HEADLINES if (headline := rule(seen, findings)) is not None)


def _heartbeat(item: Object | None) -> Lease | None:
    return None if item is None else read(lease.parse, item)


def _findings(seen: _Round) -> tuple[Finding, ...]:
    """What the round says of hospitals, what it says of its base, and what the tasks of the other hospitals say."""
    entries = seen.status.attention
    findings = [of_attention(seen.item, seen.newest.get(each.participant), each) for each in entries]
    named = {each.where for each in findings}
    if not seen.ended:
        findings += of_base(seen.item)
    for hospital, task in sorted(seen.newest.items()):
        if hospital not in named:
            findings += _of_hospital(seen, hospital, task)
        if not seen.ended and not is_true(task.status.conditions, "Complete"):
            findings += of_silence(hospital, seen.leases.get(hospital), seen.now)
    return tuple(findings)


def _of_hospital(seen: _Round, hospital: str, task: RoundTask) -> list[Finding]:
    """A round that has ended or is suspended calls back what is on its way: that explains nothing."""
    called_back = seen.ended or seen.spec.suspend
    findings = of_task(hospital, task, participant=hospital, waits=not seen.ended)
    return [each for each in findings if not (called_back and each.reason == "Cancelled")]


Headline = Callable[[_Round, tuple[Finding, ...]], Explanation | None]


def _complete(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    if not seen.complete:
        return None
    result, counts = seen.status.result, seen.status.participants
    counted = counts.aggregated if counts else 0
    samples = result.samples if result else 0
    headline = f"{seen.name} is complete{_took(seen.item)}: {counted} hospitals, {samples} samples."
    if result is not None:
        if shown := metrics(result):
            headline += f" {shown}"
        for more in (withheld(result.withheld), _absent(seen.spec, result)):
            headline = f"{headline.removesuffix('.')}. {more}" if more else headline
    return Explanation(headline, findings)


def _failed(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    return _stands(seen, findings, "Failed", "has failed")


def _stalled(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    return _stands(seen, findings, "Stalled", "waits for a person")


def _stands(seen: _Round, findings: tuple[Finding, ...], kind: str, verb: str) -> Explanation | None:
    """By a condition of the round that is True. Its reason is often that of a hospital, the first that it names."""
    condition = find(seen.status.conditions, kind)
    if condition is None or condition.status != "True":
        return None
    hospital = next((each.where for each in findings if each.reason == condition.reason), "")
    advice = _without_this_command(
        reason_for(condition.reason).about(
            federation=seen.federation, dataset=seen.spec.dataset_name, round_name=seen.item.metadata.name
        )
    )
    first = Finding("round", condition.reason, advice, condition.message, hospital)
    return Explanation(f"{seen.name} {verb}: {condition.reason}.", (first, *findings))


def _without_this_command(advice: Reason) -> Reason:
    """The person has just run it."""
    action = re.sub("Run `kubectl wardround explain federatedround/[^`]+`: it says", "Read below", advice.action)
    return replace(advice, action=action)


def _suspended(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    if not seen.spec.suspend:
        return None
    model = controller(seen.item.metadata, federatedmodel.KIND)
    action = REASONS["Suspended"].action
    if model is not None:
        # The hub operator gives the round the model's spec.suspend again.
        action = (
            f"To continue, set spec.suspend of FederatedModel {model.name} to false. The author of the FederatedModel "
            "does this."
        )
    return Explanation(f"{seen.name} is suspended. {action}", findings)


def _runs(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    counts, hospitals = seen.status.participants, ""
    if counts is not None:
        chosen, accepted = f"{counts.selected} selected", f"{counts.accepted} accepted"
        hospitals = f" Hospitals: {chosen}, {accepted}, {counts.sent} sent, {counts.failed} failed."
    reconciling = _reconciling(find(seen.status.conditions, "Reconciling"))
    return Explanation(f"{seen.name} runs{reconciling}.{hospitals}", findings)


HEADLINES: tuple[Headline, ...] = (_complete, _failed, _stalled, _suspended, _runs)


def _absent(spec: FederatedRoundSpec, result: Result) -> str:
    if spec.task == "Statistics":
        return ""
    return absent.sentences(spec.metrics, (each.name for each in result.metrics), spec.task)


def _took(federated_round: FederatedRound) -> str:
    """Without the time that the round waited for the round that it starts from, which is told apart."""
    reached, applied = stages(federated_round.status.timeline), created(federated_round.metadata)
    begun = began(federated_round) or applied
    if not reached or begun is None:
        return ""
    waited = (begun - applied).total_seconds() if applied else 0.0
    before = f" (it waited {seconds(waited)} before it started)" if waited >= WORTH_TELLING_SECONDS else ""
    return f" after {seconds((reached[-1][1] - begun).total_seconds())}{before}"


# A task


def explain_task(item: Object, heartbeat: Object | None, now: datetime) -> Explanation:
    """A RoundTask on the hub, or a SiteTask at the site, which has no Lease of its own. Raises codec.Malformed."""
    if item["kind"] == sitetask.KIND:
        # The hospital has named the namespace of a SiteTask.
        return _task(sitetask.KIND, read(sitetask.parse, item), "", (), now)
    task = read(roundtask.parse, item)
    complete = is_true(task.status.conditions, "Complete")
    silent = [] if complete else of_silence(task.metadata.namespace, _heartbeat(heartbeat), now)
    return _task(roundtask.KIND, task, task.metadata.namespace, silent, now)


def _task(kind: str, task: Task, participant: str, silent: Sequence[Finding], now: datetime) -> Explanation:
    metadata, status = task.metadata, task.status
    name = f"{kind} {metadata.namespace}/{metadata.name}"
    findings = (*of_task(metadata.namespace, task, participant=participant), *silent)
    if is_true(status.conditions, "Complete"):
        return Explanation(f"{name} is complete.", findings)
    if is_true(status.conditions, "Failed"):
        return Explanation(f"{name} has failed.", findings)
    reached = stages(status.timeline)
    begun = reached[-1][1] if reached else created(metadata)
    age = f", for {seconds((now - begun).total_seconds())}" if begun else ""
    return Explanation(f"{name} is at stage {reached[-1][0] if reached else 'new'}{age}.", findings)


# What is Ready or not


def rounds_to_explain(item: Object) -> dict[str, str]:
    """The rounds of a FederatedModel that may wait or run: the name of each by the condition of the FederatedModel that
    is about it. They are the round of the series, the delivery, and the measurement on test rows. Also the round that
    has failed to measure the current version: it says which hospitals are missing, and why. Raises codec.Malformed."""
    status = read(federatedmodel.parse, item).status
    series, testing = status.series.rounds if status.series else (), status.testing
    names = {
        "Reconciling": next((each.name for each in reversed(series) if each.outcome == "Running"), ""),
        "Delivered": status.delivery.round if status.delivery else "",
        "Tested": testing.round if testing and (testing.outcome == "Running" or _has_failed(status)) else "",
    }
    return {condition: name for condition, name in names.items() if name}


def _has_failed(status: FederatedModelStatus) -> bool:
    """Whether the current version was not measured on test rows, because its round has failed for good."""
    testing = status.testing
    return testing is not None and testing.outcome == "Failed" and testing.version == status.current


def is_explained(model: Object, round_: Object) -> bool:
    """Whether one of `rounds_to_explain` says more than the FederatedModel. Raises codec.Malformed."""
    status = read(federatedmodel.parse, model).status
    measured = status.testing.round if status.testing and _has_failed(status) else ""
    return not is_final(round_) or round_["metadata"]["name"] == measured


def is_of(model: Object, round_: Object) -> bool:
    """Whether the round is one of the FederatedModel. Raises codec.Malformed."""
    return controls(read(federatedmodel.parse, model).metadata, read(federatedround.parse, round_).metadata)


def explain_model(item: Object, under_way: Mapping[str, Explanation]) -> Explanation:
    """A FederatedModel. `under_way`: the explanations of those `rounds_to_explain` that say more, by condition. Raises
    codec.Malformed."""
    model = read(federatedmodel.parse, item)
    explained = _long_lived(federatedmodel.KIND, model, None, ())
    # The condition Suspended is about a series that is under way.
    if model.spec.suspend and not is_true(model.status.conditions, "Suspended"):
        explained = replace(explained, headline=f"{explained.headline} {SUSPENDED_MODEL}")
    # Where a round names the people who act, "wait" is wrong.
    waits = {condition for condition, each in under_way.items() if any(f.advice.owner != NOBODY for f in each.findings)}
    # The model repeats why the round of the series waits for people.
    round_ = under_way.get("Reconciling", Explanation("", ()))
    repeated = {("Stalled", each.reason) for each in round_.findings}
    own = (
        each
        for each in explained.findings
        if (each.where not in waits or each.advice.owner != NOBODY) and (each.where, each.reason) not in repeated
    )
    headlines = (explained.headline, *(each.headline for each in under_way.values()))
    # A hospital that is silent is so in each round.
    findings = dict.fromkeys((*own, *(finding for each in under_way.values() for finding in each.findings)))
    return Explanation("\n".join(headlines), tuple(findings))


def explain_version(item: Object, model: Object | None) -> Explanation:
    """A ModelVersion. `model`: its FederatedModel, None if it is gone or if the reader may not see it. Raises
    codec.Malformed."""
    version = read(modelversion.parse, item)
    explained = _long_lived(modelversion.KIND, version, None, ())
    verdict = version.status.verdict
    if verdict is None:
        return explained
    headline = f"{explained.headline}\nThe gate's verdict is {verdict.outcome} ({verdict.reason})."
    owner = read(federatedmodel.parse, model) if model else None
    return Explanation(headline, (*explained.findings, *of_verdict(version, owner)))


def explain_long_lived(item: Object, heartbeat: Object | None, now: datetime) -> Explanation:
    """A Participant, Site, Dataset or Approval. Raises codec.Malformed."""
    kind = item["kind"]
    if kind == approval.KIND:
        return _long_lived(kind, read(approval.parse, item), None, ())
    if kind == participant.KIND:
        hospital, renewed = read(participant.parse, item), _heartbeat(heartbeat)
        return _long_lived(kind, hospital, heard(renewed, now), of_silence(hospital.metadata.name, renewed, now))
    if kind == dataset.KIND:
        table = read(dataset.parse, item)
        return _long_lived(kind, table, None, (), [*of_rows(table), *of_columns(table), *of_evaluations(table, now)])
    return _long_lived(kind, read(site.parse, item), None, ())


def _long_lived(
    kind: str,
    item: LongLived,
    heard_ago: float | None,
    silent: Sequence[Finding],
    rows: Sequence[Finding] = (),
) -> Explanation:
    readiness = _readiness(item.status.conditions, heard_ago, silent)
    headline = f"{kind} {item.metadata.namespace}/{item.metadata.name} {readiness}"
    return Explanation(headline, (*of_conditions(item), *silent, *rows))


def _readiness(conditions: Conditions, heard_ago: float | None, silent: Sequence[Finding]) -> str:
    """What follows the object's name in the headline."""
    ready = find(conditions, "Ready")
    if is_true(conditions, "Suspended"):
        return f"is suspended. {REASONS['Suspended'].action}"
    if ready is None:
        reconciling = _reconciling(find(conditions, "Reconciling"))
        return f"is new: no operator has looked at the object yet{reconciling}."
    if ready.status != "True":
        return f"is not ready: {ready.reason}."
    if silent:
        # Ready says that the hub trusts the site. Whether the site answers, its Lease says.
        return (
            f"is approved. {silent[0].advice.meaning} A round that asks this hospital waits for the hospital's answer."
        )
    delivered = find(conditions, "Delivered")
    if delivered is not None and delivered.status != "True" and delivered.reason in ("DeliveryFailed", "NameTaken"):
        return f"is ready, but hospitals do not get its current version: {delivered.reason}."
    if ready.reason in WITHOUT_NUMBERS:
        return f"is ready, but its version has no metrics: {ready.reason}."
    if ready.reason == "VersionCurrent" and ready.message:
        return f"is ready. {ready.message}"
    if ready.reason == "NotReadYet":
        return f"is ready. {ready.message or REASONS['NotReadYet'].meaning}"
    heartbeat = f" The hub heard from the hospital's site {seconds(heard_ago)} ago." if heard_ago is not None else ""
    return f"is ready.{heartbeat}"


def _reconciling(condition: Condition | None) -> str:
    if condition is None or condition.status != "True":
        return ""
    return f" ({condition.reason}{': ' + condition.message if condition.message else ''})"
