"""How an object stands, in one headline, and what somebody has to do about it: from its conditions and tasks.

Pure: gets the objects and the time, fetches nothing, and says only what they hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wardround.cli.findings import (
    Finding,
    heard,
    of_attention,
    of_base,
    of_conditions,
    of_quality,
    of_silence,
    of_task,
)
from wardround.cli.objects import Object, began, condition, created, is_true, metrics, printable, seconds, timeline
from wardround.reasons.registry import REASONS, reason_for

WORTH_TELLING_SECONDS = 2  # until a round is taken up; objects have whole seconds for when they were made


@dataclass(frozen=True)
class Explanation:
    headline: str
    findings: tuple[Finding, ...]


def text(explained: Explanation) -> str:
    """The headline, then a paragraph for each finding. Hospitals with the same finding share one."""
    parts = [explained.headline]
    for group in _alike(explained.findings):
        first = group[0]
        # Of several hospitals none is named in the advice: each is to put its own name there.
        advice = first.advice.about(first.participant) if len(group) == 1 else first.advice
        parts.append(f"\n{', '.join(each.where for each in group)}: {first.reason}: {advice.meaning}")
        if more := _beyond(first.message, advice.meaning, advice.advice, advice.action):
            parts.append(f"  says:   {more}")
        if first.where == "round" and any(each.reason == first.reason for each in explained.findings[1:]):
            continue  # the hospitals' own paragraphs say who acts
        parts.append(f"  whose:  {advice.owner}")
        parts.append(f"  do:     {advice.action}")
    return "\n".join(parts)


def _alike(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """In order of the first of each group."""
    groups: dict[object, list[Finding]] = {}
    for index, each in enumerate(findings):
        # What is no hospital's stands alone.
        key = (each.reason, each.advice, each.message) if each.where == each.participant else index
        groups.setdefault(key, []).append(each)
    yield from groups.values()


def _beyond(message: str, *said: str) -> str:
    """What a message says that is not said beside it."""
    for each in said:
        message = message.replace(each, "")
    return "" if not message.strip(" .:") else " ".join(message.split())


# A round


@dataclass(frozen=True)
class _Round:
    """A FederatedRound with the newest RoundTask of each hospital and the Leases of the sites."""

    item: Object
    newest: Mapping[str, Object]
    leases: Mapping[str, Object | None]
    now: datetime

    @property
    def spec(self) -> Object:
        return self.item.get("spec") or {}

    @property
    def status(self) -> Object:
        return self.item.get("status") or {}

    @property
    def federation(self) -> str:
        return str(self.item["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return f"FederatedRound {self.federation}/{self.item['metadata']['name']}"

    @property
    def ended(self) -> bool:
        return is_true(self.item, "Complete") or is_true(self.item, "Failed")


def explain_round(round_: Object, tasks: list[Object], leases: dict[str, Object | None], now: datetime) -> Explanation:
    """A FederatedRound with its RoundTasks and the Leases of the sites by participant."""
    attempts = sorted(printable(tasks), key=lambda each: int(each["spec"]["attempt"]))
    seen = _Round(printable(round_), {task["metadata"]["namespace"]: task for task in attempts}, leases, now)
    findings = _findings(seen)
    return next(found for rule in HEADLINES if (found := rule(seen, findings)) is not None)


def _findings(seen: _Round) -> tuple[Finding, ...]:
    """What the round says of hospitals, what it says of its base, and what the tasks of the other hospitals say."""
    entries = seen.status.get("attention") or []
    findings = [of_attention(seen.item, seen.newest.get(each["participant"]), each) for each in entries]
    named = {each.where for each in findings}
    if not seen.ended:
        findings += of_base(seen.item)
    for hospital, task in sorted(seen.newest.items()):
        if hospital not in named:
            findings += _of_hospital(seen, hospital, task)
        if not seen.ended and not is_true(task, "Complete"):
            findings += of_silence(hospital, seen.leases.get(hospital), seen.now)
    return tuple(findings)


def _of_hospital(seen: _Round, hospital: str, task: Object) -> list[Finding]:
    """A round that has ended or is suspended calls back what is on its way: that explains nothing."""
    called_back = seen.ended or seen.spec.get("suspend")
    found = of_task(hospital, task, participant=hospital, waits=not seen.ended)
    return [each for each in found if not (called_back and each.reason == "Cancelled")]


Headline = Callable[[_Round, tuple[Finding, ...]], Explanation | None]


def _complete(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    if not is_true(seen.item, "Complete"):
        return None
    result = seen.status.get("result") or {}
    counted = (seen.status.get("participants") or {}).get("aggregated", 0)
    headline = f"{seen.name} is complete{_took(seen.item)}: {counted} hospitals, {result.get('samples', 0)} samples."
    if shown := metrics(result):
        headline += f" {shown}"
    for more in (_suppressed(result, counted), _absent(seen.spec, result)):
        headline = f"{headline.removesuffix('.')}. {more}" if more else headline
    return Explanation(headline, findings)


def _failed(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    return _stands(seen, findings, "Failed", "has failed")


def _stalled(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    return _stands(seen, findings, "Stalled", "waits for a person")


def _stands(seen: _Round, findings: tuple[Finding, ...], kind: str, verb: str) -> Explanation | None:
    """By a condition of the round that is True. Its reason is often that of a hospital, the first that it names."""
    found = condition(seen.item, kind)
    if found is None or found.status != "True":
        return None
    hospital = next((each.where for each in findings if each.reason == found.reason), "")
    advice = reason_for(found.reason).about(federation=seen.federation, dataset=seen.spec.get("datasetName", ""))
    first = Finding("round", found.reason, advice, found.message, hospital)
    return Explanation(f"{seen.name} {verb}: {found.reason}.", (first, *findings))


def _suspended(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    if not seen.spec.get("suspend"):
        return None
    return Explanation(f"{seen.name} is suspended. {REASONS['Suspended'].action}", findings)


def _runs(seen: _Round, findings: tuple[Finding, ...]) -> Explanation | None:
    chosen = seen.status.get("participants") or {}
    counts = ", ".join(f"{chosen[key]} {key}" for key in ("selected", "accepted", "sent", "failed") if key in chosen)
    hospitals = f" Hospitals: {counts}." if counts else ""
    return Explanation(f"{seen.name} runs{_reconciling(seen.item)}.{hospitals}", findings)


HEADLINES: tuple[Headline, ...] = (_complete, _failed, _stalled, _suspended, _runs)


def _suppressed(result: Object, counted: int) -> str:
    """Metrics that are not over all hospitals of the round."""
    found = [f"{each['name']} at {each['participants']} of {counted}" for each in result.get("suppressed") or []]
    return f"Over too few patients to be told (policy.minCell of each Site): {', '.join(found)}." if found else ""


def _absent(spec: Object, result: Object) -> str:
    """Declared metrics that the result lacks: training code may leave one out, and nothing fails for it."""
    if spec.get("task") == "Statistics":
        return ""
    present = {each["name"] for kind in ("metrics", "suppressed") for each in result.get(kind) or []}
    absent = [each for each in spec.get("metrics") or [] if each not in present]
    why = "no case of what it is over" if spec.get("task") == "Evaluate" else "not under `trained` of out/metrics.json"
    return f"Declared, but not in the result ({why}): {', '.join(absent)}." if absent else ""


def _took(round_: Object) -> str:
    """Without the time that the round waited for the round that it starts from, which is told apart."""
    stages, applied = timeline(round_), created(round_)
    begun = began(round_) or applied
    if not stages or begun is None:
        return ""
    waited = (begun - applied).total_seconds() if applied else 0.0
    before = f" (it waited {seconds(waited)} before it started)" if waited >= WORTH_TELLING_SECONDS else ""
    return f" after {seconds((stages[-1][1] - begun).total_seconds())}{before}"


# A task


def explain_task(task: Object, lease: Object | None, now: datetime) -> Explanation:
    """A RoundTask on the hub or a SiteTask at the site (which has no Lease of its own: None)."""
    task = printable(task)
    metadata = task["metadata"]
    kind = task.get("kind", "Task")
    name = f"{kind} {metadata['namespace']}/{metadata['name']}"
    # The hospital has named the namespace of a SiteTask.
    participant = metadata["namespace"] if kind == "RoundTask" else ""
    findings = of_task(metadata["namespace"], task, participant=participant)
    if kind == "RoundTask" and not is_true(task, "Complete"):
        findings += of_silence(metadata["namespace"], lease, now)
    if is_true(task, "Complete"):
        return Explanation(f"{name} is complete.", tuple(findings))
    if is_true(task, "Failed"):
        return Explanation(f"{name} has failed.", tuple(findings))
    stages = timeline(task)
    begun = stages[-1][1] if stages else created(task)
    age = f", for {seconds((now - begun).total_seconds())}" if begun else ""
    return Explanation(f"{name} is at stage {stages[-1][0] if stages else 'new'}{age}.", tuple(findings))


# What is Ready or not


def explain_long_lived(item: Object, lease: Object | None, now: datetime) -> Explanation:
    """A Participant, Site or Dataset."""
    item = printable(item)
    metadata = item["metadata"]
    kind = item.get("kind", "Object")
    silent = of_silence(metadata["name"], lease, now) if kind == "Participant" else []
    quality = of_quality(item) if kind == "Dataset" else []
    said = _readiness(item, heard(lease, now), silent)
    return Explanation(
        f"{kind} {metadata['namespace']}/{metadata['name']} {said}", (*of_conditions(item), *silent, *quality)
    )


def _readiness(item: Object, heard_ago: float | None, silent: Sequence[Finding]) -> str:
    """What follows the object's name in the headline."""
    ready = condition(item, "Ready")
    if is_true(item, "Suspended"):
        return f"is suspended. {REASONS['Suspended'].action}"
    if ready is None:
        return f"has not been looked at by its operator yet{_reconciling(item)}."
    if ready.status != "True":
        return f"is not ready: {ready.reason}."
    if silent:
        # Ready says that the hub trusts the site. Whether the site answers, its Lease says.
        return f"is approved. {silent[0].advice.meaning} Rounds that ask the hospital wait for its answer."
    if ready.reason == "NotReadYet":
        return f"is ready. {REASONS['NotReadYet'].meaning}"
    return f"is ready{f', last heard of {seconds(heard_ago)} ago' if heard_ago is not None else ''}."


def _reconciling(item: Object) -> str:
    found = condition(item, "Reconciling")
    if found is None or found.status != "True":
        return ""
    return f" ({found.reason}{': ' + found.message if found.message else ''})"
