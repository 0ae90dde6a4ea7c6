"""Why an object waits or failed, whose problem it is and what to do: from its conditions, failure and attention list.

Pure: gets the objects and the time, fetches nothing, and says only what they hold.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api.federatedround import BASE_DELETED
from wardround.api.names import task_name
from wardround.api.times import read_time
from wardround.cli.objects import (
    Object,
    assigned,
    began,
    condition,
    created,
    is_true,
    metrics,
    printable,
    seconds,
    timeline,
)
from wardround.plans.link_local import CONDITION as FINDING
from wardround.reasons.reason import HOSPITAL, Reason
from wardround.reasons.registry import REASONS, reason_for

SILENT_AFTER_SECONDS = 60
WORTH_TELLING_SECONDS = 2  # until a round is taken up; objects have whole seconds for when they were made


@dataclass(frozen=True)
class Finding:
    where: str
    reason: str
    advice: Reason
    message: str = ""


@dataclass(frozen=True)
class Explanation:
    headline: str
    findings: tuple[Finding, ...]


def text(explained: Explanation) -> str:
    parts = [explained.headline]
    for each in explained.findings:
        parts.append(f"\n{each.where}: {each.reason}: {each.advice.meaning}")
        if each.message and each.message != each.advice.meaning:
            parts.append(f"  says:   {each.message}")
        parts.append(f"  whose:  {each.advice.owner}")
        parts.append(f"  do:     {each.advice.action}")
    return "\n".join(parts)


def explain_round(round_: Object, tasks: list[Object], leases: dict[str, Object | None], now: datetime) -> Explanation:
    """A FederatedRound with its RoundTasks and the Leases of the sites by participant."""
    round_, tasks = printable(round_), printable(tasks)
    federation, spec = round_["metadata"]["namespace"], round_.get("spec") or {}
    name = f"FederatedRound {federation}/{round_['metadata']['name']}"
    status = round_.get("status") or {}
    newest = {
        task["metadata"]["namespace"]: task for task in sorted(tasks, key=lambda each: int(each["spec"]["attempt"]))
    }
    findings = [_attention(each, round_, newest.get(each["participant"])) for each in status.get("attention") or []]
    named = {each.where for each in findings}
    ended = is_true(round_, "Complete") or is_true(round_, "Failed")
    findings += [] if ended else _of_base(round_)
    for hospital, task in sorted(newest.items()):
        if hospital not in named:
            its = _task_findings(hospital, task, participant=hospital, waits=not ended)
            # A round that has ended or is suspended calls back what is on its way: that explains nothing.
            called_back = ended or spec.get("suspend")
            findings += [each for each in its if not (called_back and each.reason == "Cancelled")]
        if not ended and not is_true(task, "Complete"):
            findings += _silence(hospital, leases.get(hospital), now)
    if is_true(round_, "Complete"):
        result = status.get("result") or {}
        counted = (status.get("participants") or {}).get("aggregated", 0)
        took = _took(round_)
        headline = f"{name} is complete{took}: {counted} hospitals, {result.get('samples', 0)} samples."
        if shown := metrics(result):
            headline += f" {shown}"
        for more in (_suppressed(result, counted), _absent(spec, result)):
            headline = f"{headline.removesuffix('.')}. {more}" if more else headline
        return Explanation(headline, tuple(findings))
    for kind, verb in (("Failed", "has failed"), ("Stalled", "waits for a person")):
        found = condition(round_, kind)
        if found is not None and found.status == "True":
            # What stands between the round and its start is mostly about one hospital: the first that it names.
            whose = next((each.where for each in findings if each.reason == found.reason), "")
            advice = reason_for(found.reason).about(whose, federation, spec.get("datasetName", ""))
            first = Finding("round", found.reason, advice, found.message)
            return Explanation(f"{name} {verb}: {found.reason}.", (first, *findings))
    if spec.get("suspend"):
        return Explanation(f"{name} is suspended. {REASONS['Suspended'].action}", tuple(findings))
    waits = _reconciling(round_)
    chosen = status.get("participants") or {}
    counts = ", ".join(f"{chosen[key]} {key}" for key in ("selected", "accepted", "sent", "failed") if key in chosen)
    return Explanation(f"{name} runs{waits}." + (f" Hospitals: {counts}." if counts else ""), tuple(findings))


def explain_task(task: Object, lease: Object | None, now: datetime) -> Explanation:
    """A RoundTask on the hub or a SiteTask at the site (which has no Lease of its own: None)."""
    task = printable(task)
    metadata = task["metadata"]
    kind = task.get("kind", "Task")
    name = f"{kind} {metadata['namespace']}/{metadata['name']}"
    # A SiteTask lies in a namespace that the hospital has named.
    participant = metadata["namespace"] if kind == "RoundTask" else ""
    findings = _task_findings(metadata["namespace"], task, participant=participant)
    if kind == "RoundTask" and not is_true(task, "Complete"):
        findings += _silence(metadata["namespace"], lease, now)
    if is_true(task, "Complete"):
        return Explanation(f"{name} is complete.", tuple(findings))
    if is_true(task, "Failed"):
        return Explanation(f"{name} has failed.", tuple(findings))
    stages = timeline(task)
    begun = stages[-1][1] if stages else created(task)
    age = f", for {seconds((now - begun).total_seconds())}" if begun else ""
    return Explanation(f"{name} is at stage {stages[-1][0] if stages else 'new'}{age}.", tuple(findings))


def explain_long_lived(item: Object, lease: Object | None, now: datetime) -> Explanation:
    """A Participant, Site or Dataset: the kinds that are Ready or not."""
    item = printable(item)
    metadata = item["metadata"]
    kind = item.get("kind", "Object")
    name = f"{kind} {metadata['namespace']}/{metadata['name']}"
    participant = metadata["name"] if kind == "Participant" else ""
    findings: list[Finding] = []
    for each, wrong in (("Ready", ("False", "Unknown")), ("HubConnected", ("False", "Unknown")), (FINDING, ("False",))):
        found = condition(item, each)
        if found is not None and found.status in wrong:
            advice = reason_for(found.reason).about(
                participant,
                dataset=metadata["name"] if kind == "Dataset" else "",
                site_namespace="" if kind == "Participant" else metadata["namespace"],
            )
            findings.append(Finding(each, found.reason, advice, found.message))
    silent = _silence(metadata["name"], lease, now) if kind == "Participant" else []
    findings += silent
    if kind == "Dataset":
        findings += [
            Finding(
                each.get("field", ""),
                each.get("reason", ""),
                _left_out(int(each.get("rows", 0)), each.get("reason", "")),
            )
            for each in (item.get("status") or {}).get("quality") or []
        ]
    ready = condition(item, "Ready")
    if is_true(item, "Suspended"):
        return Explanation(f"{name} is suspended. {REASONS['Suspended'].action}", tuple(findings))
    if ready is None:
        return Explanation(f"{name} has not been looked at by its operator yet{_reconciling(item)}.", tuple(findings))
    if ready.status != "True":
        return Explanation(f"{name} is not ready: {ready.reason}.", tuple(findings))
    if silent:
        # Ready says that the hub trusts it. Whether it answers, its Lease says.
        headline = f"{name} is approved. {silent[0].advice.meaning} Rounds that ask the hospital wait for its answer."
        return Explanation(headline, tuple(findings))
    heard = _heard(lease, now)
    if ready.reason == "NotReadYet":
        return Explanation(f"{name} is ready. {reason_for(ready.reason).meaning}", tuple(findings))
    return Explanation(
        f"{name} is ready{f', last heard of {seconds(heard)} ago' if heard is not None else ''}.", tuple(findings)
    )


def _left_out(rows: int, reason: str) -> Reason:
    action = "correct them in the source if they should count; the others are used."
    if reason == "Missing":
        action = (
            "fill it in at the source if they should count, or take the field off the schema: a row needs a value in "
            "what is `required` and in every number and integer."
        )
    return Reason(name=reason, owner=HOSPITAL, meaning=f"{rows} rows were left out.", action=action)


def _task_findings(where: str, task: Object, *, participant: str, waits: bool = True) -> list[Finding]:
    """Why the task failed, or what it waits for, if that is asked too. `participant`: as far as the task tells it."""
    failure = (task.get("status") or {}).get("failure") or {}
    if failure.get("reason"):
        message = _with_exit_code(failure.get("message", ""), failure)
        advice = _fill(reason_for(failure["reason"], failure.get("class", "")), task, participant)
        return [Finding(where, failure["reason"], advice, message)]
    wrong = [("Failed", "True"), ("Accepted", "False"), ("Stalled", "True")]
    for kind, bad in [*wrong, *([("Reconciling", "True")] if waits else [])]:
        found = condition(task, kind)
        if found is not None and found.status == bad:
            return [Finding(where, found.reason, _fill(reason_for(found.reason), task, participant), found.message)]
    return []


def _with_exit_code(message: str, failure: Object) -> str:
    """Our own messages have it already."""
    if failure.get("exitCode") is None:
        return message
    code = f"exit code {failure['exitCode']}"
    if message.rstrip(".").endswith(code) or f"{code}:" in message:
        return message
    return f"{message} ({code})" if message else code


def _fill(advice: Reason, task: Object, participant: str = "") -> Reason:
    """With the names that a task itself tells: a RoundTask does not know in which namespace its SiteTask lies."""
    metadata = task["metadata"]
    here = metadata["namespace"] if task.get("kind") == "SiteTask" else ""
    federation = ((task.get("spec") or {}).get("roundRef") or {}).get("namespace", "")
    return advice.about(
        participant or assigned(task, "participant"),
        federation,
        assigned(task, "datasetName"),
        task=metadata["name"],
        site_namespace=here,
        parameter=((task.get("status") or {}).get("failure") or {}).get("parameter") or "",
    )


def _silence(hospital: str, lease: Object | None, now: datetime) -> list[Finding]:
    """A site that has not renewed its Lease on the hub, or never had one, is not connected."""
    age = _heard(lease, now)
    if age is not None and age <= SILENT_AFTER_SECONDS:
        return []
    meaning = "The site has never been connected to the hub."
    if age is not None:
        meaning = f"The hub has not heard from the site for {seconds(age)}."
    reason = replace(REASONS["NotConnected"], meaning=meaning)
    return [Finding(hospital, reason.name, reason)]


def _heard(lease: Object | None, now: datetime) -> float | None:
    """How many seconds ago, by the Lease; None for never."""
    renewed = read_time(((lease or {}).get("spec") or {}).get("renewTime") or "")
    return None if renewed is None else (now - renewed).total_seconds()


def _suppressed(result: Object, counted: int) -> str:
    """Metrics that are not over all hospitals of the round."""
    found = [f"{each['name']} at {each['participants']} of {counted}" for each in result.get("suppressed") or []]
    return f"Over too few patients to be told (policy.minCell of each Site): {', '.join(found)}." if found else ""


def _absent(spec: Object, result: Object) -> str:
    """Declared metrics that the result has not: training code may leave one out, and nothing fails for it."""
    if spec.get("task") == "Statistics":
        return ""
    found = {each["name"] for kind in ("metrics", "suppressed") for each in result.get(kind) or []}
    absent = [each for each in spec.get("metrics") or [] if each not in found]
    why = "no case of what it is over" if spec.get("task") == "Evaluate" else "not under `trained` of out/metrics.json"
    return f"Declared, but not in the result ({why}): {', '.join(absent)}." if absent else ""


def _of_base(round_: Object) -> list[Finding]:
    deleted = condition(round_, BASE_DELETED)
    return [Finding("round", deleted.reason, reason_for(deleted.reason), deleted.message)] if deleted else []


def _attention(said: Object, round_: Object, task: Object | None) -> Finding:
    """The hub's message is made from the table that this reads too: it is shown where a newer hub knows more."""
    name, reason = said["participant"], said["reason"]
    federation, dataset = round_["metadata"]["namespace"], (round_.get("spec") or {}).get("datasetName", "")
    advice = reason_for(reason).about(
        name, federation, dataset, task=_named(said, round_), parameter=_parameter(said, round_)
    )
    message = "" if reason in REASONS else said.get("message", "")
    if task is not None:
        advice = _fill(advice, task)
        failure = (task.get("status") or {}).get("failure") or {}
        message = _with_exit_code(message, failure) if failure.get("reason") == reason else message
    return Finding(name, reason, advice, message)


def _named(said: Object, round_: Object) -> str:
    """The task's name, as the hub's message has it: who runs rounds may not read RoundTasks."""
    begins = task_name(round_["metadata"]["name"], round_["metadata"]["uid"], 0).removesuffix("0")
    found = re.search(rf"{re.escape(begins)}[0-9]+", said.get("message", ""))
    return found.group() if found else ""


def _parameter(said: Object, round_: Object) -> str:
    """Which parameter a hospital does not allow, as the hub's message has it: one of the round's own."""
    found = re.search(r"the parameter is (\S+)\. Compare ", said.get("message", ""))
    given = (round_.get("spec") or {}).get("parameters") or {}
    return found[1] if found and found[1] in given else ""


def _reconciling(item: Object) -> str:
    found = condition(item, "Reconciling")
    if found is None or found.status != "True":
        return ""
    return f" ({found.reason}{': ' + found.message if found.message else ''})"


def _took(round_: Object) -> str:
    """Without the time that it waited for the round that it starts from, which is told apart."""
    stages, applied = timeline(round_), created(round_)
    begun = began(round_) or applied
    if not stages or begun is None:
        return ""
    waited = (begun - applied).total_seconds() if applied else 0.0
    before = f" (it waited {seconds(waited)} before it started)" if waited >= WORTH_TELLING_SECONDS else ""
    return f" after {seconds((stages[-1][1] - begun).total_seconds())}{before}"
