"""What is wrong with one object, or what it waits for: a reason of the registry, with the names that the object tells.

Pure: gets the objects and the time, fetches nothing, and says only what they hold.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api.federatedround import BASE_DELETED
from wardround.api.names import task_name
from wardround.api.sitetask import approval
from wardround.api.times import read_time
from wardround.cli.objects import Object, assigned, condition, seconds
from wardround.plans.link_local import CONDITION as LINK_LOCAL
from wardround.reasons.parameter import describe
from wardround.reasons.reason import HOSPITAL, Reason
from wardround.reasons.registry import REASONS, reason_for

SILENT_AFTER_SECONDS = 60
WAITING, APPROVE = "WaitingForApproval", "To approve it, run"


@dataclass(frozen=True)
class Finding:
    """`where`: a hospital, a condition, a field of a Dataset, or "round". `advice` has all names but the hospital's,
    which is `participant`, where it is known: hospitals with the same finding are named together."""

    where: str
    reason: str
    advice: Reason
    message: str = ""
    participant: str = ""


def of_attention(round_: Object, task: Object | None, entry: Object) -> Finding:
    """An entry of the round's status.attention. `task`: the hospital's RoundTask, if the reader may see it.

    The hub makes its message from the registry too: it is shown where a newer hub knows more.
    """
    name, reason = entry["participant"], entry["reason"]
    spec = round_.get("spec") or {}
    advice = reason_for(reason).about(
        federation=round_["metadata"]["namespace"],
        dataset=spec.get("datasetName", ""),
        task=_task_of_message(entry, round_),
        parameter=_parameter_of_message(entry, spec),
    )
    message = entry.get("message", "")
    if reason in REASONS:
        # The hub knows which names there are.
        guessed = re.search(r"Was \S+ meant\?", message)
        message = guessed.group() if guessed else ""
    if task is not None:
        advice = _with_names(advice, task, spec)
        failure = (task.get("status") or {}).get("failure") or {}
        message = _with_exit_code(message, failure) if failure.get("reason") == reason else message
    return Finding(name, reason, advice, message, name)


def of_base(round_: Object) -> list[Finding]:
    deleted = condition(round_, BASE_DELETED)
    return [Finding("round", deleted.reason, reason_for(deleted.reason), deleted.message)] if deleted else []


def of_task(where: str, task: Object, *, participant: str, waits: bool = True) -> list[Finding]:
    """Why a RoundTask or SiteTask failed, or what it waits for, if that is asked too."""
    participant = participant or assigned(task, "participant")
    failure = (task.get("status") or {}).get("failure") or {}
    if failure.get("reason"):
        message = _with_exit_code(failure.get("message", ""), failure)
        advice = _with_names(reason_for(failure["reason"], failure.get("class", "")), task)
        return [Finding(where, failure["reason"], advice, message, participant)]
    wrong = [("Failed", "True"), ("Accepted", "False"), ("Stalled", "True")]
    for kind, bad in [*wrong, *([("Reconciling", "True")] if waits else [])]:
        found = condition(task, kind)
        if found is not None and found.status == bad:
            advice = _with_names(_at_the_site(reason_for(found.reason), task), task)
            message = found.message.partition(f" {APPROVE}")[0] if found.reason == WAITING else found.message
            return [Finding(where, found.reason, advice, message, participant)]
    return []


def of_conditions(item: Object) -> list[Finding]:
    """What is wrong with a Participant, Site or Dataset."""
    kind, metadata = item.get("kind"), item["metadata"]
    wrong = {"Ready": ("False", "Unknown"), "HubConnected": ("False", "Unknown"), LINK_LOCAL: ("False",)}
    findings = []
    for name, statuses in wrong.items():
        found = condition(item, name)
        if found is not None and found.status in statuses:
            advice = reason_for(found.reason).about(
                dataset=metadata["name"] if kind == "Dataset" else "",
                site_namespace="" if kind == "Participant" else metadata["namespace"],
            )
            participant = metadata["name"] if kind == "Participant" else ""
            findings.append(Finding(name, found.reason, advice, found.message, participant))
    return findings


def of_quality(dataset: Object) -> list[Finding]:
    """The rows of a Dataset that were left out, for each field and reason."""
    entries = (dataset.get("status") or {}).get("quality") or []
    return [
        Finding(
            each.get("field", ""),
            each.get("reason", ""),
            _left_out(int(each.get("rows", 0)), each.get("reason", "")),
        )
        for each in entries
    ]


def of_silence(hospital: str, lease: Object | None, now: datetime) -> list[Finding]:
    """A site that has not renewed its Lease on the hub, or never had one, is not connected."""
    age = heard(lease, now)
    if age is not None and age <= SILENT_AFTER_SECONDS:
        return []
    meaning = "The site has never been connected to the hub."
    if age is not None:
        meaning = f"The hub has not heard from the site for {seconds(age)}."
    reason = replace(REASONS["NotConnected"], meaning=meaning)
    return [Finding(hospital, reason.name, reason, participant=hospital)]


def heard(lease: Object | None, now: datetime) -> float | None:
    """How many seconds ago the hub heard from the site, by its Lease. None: never."""
    renewed = read_time(((lease or {}).get("spec") or {}).get("renewTime") or "")
    return None if renewed is None else (now - renewed).total_seconds()


def _left_out(rows: int, reason: str) -> Reason:
    action = "Correct these rows in the source if they should count. The other rows are used."
    if reason == "Missing":
        action = (
            "Fill in the value in the source if these rows should count, or remove the field from the schema. A row "
            "needs a value in each field that is `required`, and in every number and integer."
        )
    return Reason(name=reason, owner=HOSPITAL, meaning=f"{rows} rows were left out.", action=action)


def _with_exit_code(message: str, failure: Object) -> str:
    """Our own messages have it already."""
    if failure.get("exitCode") is None:
        return message
    code = f"exit code {failure['exitCode']}"
    if message.rstrip(".").endswith(code) or f"{code}:" in message:
        return message
    return f"{message} ({code})" if message else code


def _with_names(advice: Reason, task: Object, spec: Object | None = None) -> Reason:
    """With the names that a task itself tells. A RoundTask does not know in which namespace its SiteTask lies. `spec`:
    the round's, where it is known: a task tells no value of a parameter."""
    metadata = task["metadata"]
    return advice.about(
        federation=((task.get("spec") or {}).get("roundRef") or {}).get("namespace", ""),
        dataset=assigned(task, "datasetName"),
        task=metadata["name"],
        site_namespace=metadata["namespace"] if task.get("kind") == "SiteTask" else "",
        parameter=_parameter_of_task(task, spec or {}),
    )


def _at_the_site(advice: Reason, task: Object) -> Reason:
    """Where the task waits for a person, the commands that this person runs."""
    if advice.name != WAITING or task.get("kind") != "SiteTask":
        return advice
    metadata = task["metadata"]
    read = (
        f"kubectl get sitetask {metadata['name']} -n {metadata['namespace']} -o jsonpath='{{.spec.assignment}}' | "
        "jq -r .payload | base64 -d | jq ."
    )
    approve = approval(metadata["name"], metadata["namespace"], metadata["uid"])
    return replace(advice, action=f"Read what the task asks for: `{read}`. {APPROVE} `{approve}`.")


def _task_of_message(entry: Object, round_: Object) -> str:
    """The task's name, as the hub's message has it: a person who runs rounds may not read RoundTasks."""
    begins = task_name(round_["metadata"]["name"], round_["metadata"]["uid"], 0).removesuffix("0")
    found = re.search(rf"{re.escape(begins)}[0-9]+", entry.get("message", ""))
    return found.group() if found else ""


def _parameter_of_task(task: Object, spec: Object) -> str:
    failure = (task.get("status") or {}).get("failure") or {}
    return describe(failure.get("parameter") or "", spec.get("parameters") or {}, failure.get("bound") or "")


def _parameter_of_message(entry: Object, spec: Object) -> str:
    """The parameter that a hospital refuses, as the hub's message describes it: one of the round's own."""
    found = re.search(r"The parameter is (.+?)\. Compare its name", entry.get("message", ""))
    return found[1] if found and found[1].partition(". ")[0] in (spec.get("parameters") or {}) else ""
