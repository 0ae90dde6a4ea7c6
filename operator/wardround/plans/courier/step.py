"""Decides the courier's next step for one task, and the step after an error. Pure: knows no file, store or API server.

Each step is decided anew from the object and the workspace, so that a restarted courier goes on where the last one was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from wardround.api.approval import Approval
from wardround.api.sitetask import CourierReport, SiteTask
from wardround.plans.approval import stands_for, task_key
from wardround.plans.assignment import ReceivedAssignment, base_digest, require_version, verify
from wardround.plans.courier.types import (
    AwaitUpdate,
    Deliver,
    Fetch,
    Input,
    Leave,
    LookAtApproval,
    LookAtFolder,
    Observation,
    OpenGrants,
    Report,
    Rest,
    Seal,
    SealedUpdate,
    Send,
    Step,
    Trouble,
    TryAgain,
)
from wardround.plans.sitetask.state import is_accepted, is_final
from wardround.sealing.refused import Refused
from wardround.wire.assignment import Assignment
from wardround.wire.digests import CONTENT_MD5
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Get
from wardround.wire.mounts import INPUT, REFERENCES

POLL_SECONDS = 0.2
# What is refused stays refused until the SiteTask changes.
REFUSED_SECONDS = 3600.0
# After a report that the API server did not take.
UNREPORTED_SECONDS = 5.0
WORKSPACE_UNUSABLE = "WorkspaceUnusable"
NOT_APPROVED = "WaitingForApproval"
MODEL = "model.safetensors"
REST = Rest()


def next_step(seen: Observation) -> Step:
    """The next step. Raises Refused if signed data is not as expected; `after` decides what follows."""
    task = seen.task
    if seen.deleted or is_final(task):
        return Leave()
    if not is_accepted(task) or task.spec.cancel:
        return REST
    return _before_approval(seen) or _admitted(seen, _verified(seen))


def _before_approval(seen: Observation) -> Step | None:
    """The step of a task to which the people of the hospital have not agreed, where they are asked. None if they have.

    That a task is accepted is the site operator's word alone. The site operator may write neither `spec.approved` nor
    an Approval, and may only add to the count of an Approval. Raises Refused.
    """
    spec, decision = seen.task.spec, seen.task.status.decision
    if seen.approval == "Deny" or spec.denied:
        raise Refused("Denied")
    if seen.approval == "Policy" or spec.approved:
        return None
    name = decision.approval if decision else None
    if name is not None and seen.read_approval is None:
        return LookAtApproval(name=name)
    approval = seen.read_approval.approval if seen.read_approval else None
    if approval is not None and _stands_for(approval, seen):
        return None
    return _report(seen, reason=NOT_APPROVED) or REST


def _stands_for(approval: Approval, seen: Observation) -> bool:
    """Raises Refused."""
    assignment = _verified(seen)
    return stands_for(approval, assignment, task_key(assignment, seen.task.spec.assignment), seen.now)


def _verified(seen: Observation) -> Assignment:
    """Raises Refused."""
    spec = seen.task.spec
    received = ReceivedAssignment(
        envelope=spec.assignment,
        hub_key=spec.hub_key,
        hub_fingerprint=seen.hub_fingerprint,
        round_ref=spec.round_ref,
        attempt=spec.attempt,
        site_fingerprint=seen.site_fingerprint,
        now=seen.now,
    )
    assignment = verify(received)
    require_version(assignment, seen.lowest_version)
    return assignment


def _admitted(seen: Observation, assignment: Assignment) -> Step:
    """The way of a task that this site does: fetch, wait for training, seal, ask for grants, send. A Deliver task ends
    when the claim of models has what was fetched."""
    if assignment.task == "Deliver" and _reported(seen).delivery is not None:
        return REST
    if seen.folder is None:
        return LookAtFolder()
    if missing := missing_inputs(assignment, seen.folder.inputs):
        return _fetch(seen, assignment, missing[0])
    if assignment.task == "Deliver":
        return _deliver(seen, assignment)
    if report := _report(seen, CourierReport(input="Ready")):
        return report
    if not seen.folder.has_update:
        return AwaitUpdate(requeue_after=POLL_SECONDS)
    if seen.sealed is None:
        return Seal(assignment=assignment, base_digest=base_digest(assignment, seen.task.spec.hub_key))
    if report := _report(seen, CourierReport(upload=seen.sealed.upload)):
        return report
    if seen.sent:
        return _report(seen, CourierReport(update=seen.sealed.update)) or REST
    return _send(seen, assignment)


def _deliver(seen: Observation, assignment: Assignment) -> Step:
    if not seen.takes_models:
        raise Refused("NoModelsClaim")
    if not seen.delivered:
        return Deliver(assignment=assignment)
    return _report(seen, CourierReport(delivery="Done")) or REST


def _fetch(seen: Observation, assignment: Assignment, wanted: Input) -> Step:
    granted = _granted(seen, assignment)
    if not isinstance(granted, Grants):
        return granted
    grant = next((get for each, get in granted_inputs(assignment, granted) if each.path == wanted.path), None)
    return Fetch(assignment=assignment, grant=grant, input=wanted) if grant is not None else REST


def _send(seen: Observation, assignment: Assignment) -> Step:
    if _reported(seen).update is not None or seen.sealed is None:
        return REST
    granted = _granted(seen, assignment)
    if not isinstance(granted, Grants):
        return granted
    puts = granted.put
    return Send(puts=puts) if puts is not None and fits(seen.sealed, puts) else REST


def _granted(seen: Observation, assignment: Assignment) -> Grants | OpenGrants | Rest:
    """The grants that the hub gives now. The courier opens grants that the hub has renewed."""
    text, opened = seen.task.spec.grants, seen.grants
    if not text:
        return REST
    return opened.grants if opened is not None and opened.text == text else OpenGrants(assignment=assignment, text=text)


def fits(sealed: SealedUpdate, puts: tuple[Put, ...]) -> bool:
    """Whether these grants are for this ciphertext: older ones may be for another. An earlier hub signs no MD5."""
    return tuple(put.bytes for put in puts) == sealed.parts and all(
        put.headers.get(CONTENT_MD5, md5) == md5 for put, md5 in zip(puts, sealed.md5, strict=True)
    )


def _reported(seen: Observation) -> CourierReport:
    return seen.task.status.courier or CourierReport()


def _report(seen: Observation, change: CourierReport | None = None, *, reason: str = "") -> Report | None:
    """None if the report says so already."""
    before, change = _reported(seen), change or CourierReport()
    news = [
        change.input is not None and change.input != before.input,
        change.delivery is not None and change.delivery != before.delivery,
        change.upload is not None and change.upload != before.upload,
        change.update is not None and change.update != before.update,
        bool(reason) and reason != before.reason,
    ]
    return Report(change=change, reason=reason) if any(news) else None


def after(trouble: Trouble, failures: int) -> Leave | TryAgain:
    """The step after an error. `failures`: how many errors came before it in a row."""
    match trouble.kind:
        case "Gone":
            return Leave()
        case "Refused":
            return TryAgain(reason=trouble.reason, failures=failures, requeue_after=REFUSED_SECONDS)
        case "Workspace":
            return TryAgain(reason=WORKSPACE_UNUSABLE, failures=failures + 1)
        case "Store" | "Models":
            return TryAgain(reason=trouble.reason, failures=failures + 1)
        case "Api":
            # The API server does not take a report now either.
            return TryAgain(reason="", failures=failures + 1)


def failures_after(step: Step, failures: int) -> int:
    """How many errors in a row count after a step without an error. An error before training says nothing about what
    may fail after it."""
    return 0 if isinstance(step, Rest | AwaitUpdate) else failures


def stops_transfers(task: SiteTask) -> bool:
    """Whether the hub has ended the task, or it is over: the courier then stops in the middle of a transfer."""
    return is_final(task) or task.spec.cancel


def on_object(task: SiteTask, *, followed: bool) -> Literal["Observe", "Follow", "RemoveFolder"]:
    """What to do about a SiteTask that the watch has shown. `followed`: the courier follows it already."""
    if followed:
        return "Observe"
    return "RemoveFolder" if is_final(task) else "Follow"


def inputs(assignment: Assignment) -> tuple[Input, ...]:
    """The models that training reads. The base of an initial round is the result of a Statistics round."""
    base, name = assignment.base, "statistics.safetensors" if assignment.initial else MODEL
    own = (Input(path=f"{INPUT}/{name}", manifest=base.manifest, wrapped_key=base.wrapped_key),) if base else ()
    references = tuple(
        Input(path=f"{folder}/{MODEL}", manifest=each.manifest, wrapped_key=each.wrapped_key)
        for folder, each in zip(REFERENCES, assignment.references, strict=False)
    )
    return (*own, *references)


def granted_inputs(assignment: Assignment, grants: Grants) -> Iterator[tuple[Input, Get]]:
    """The models that the hub lets the courier fetch, each with its URLs."""
    base = () if assignment.base is None else (grants.get,)
    granted = zip(inputs(assignment), (*base, *grants.references), strict=False)
    return ((each, get) for each, get in granted if get is not None)


def missing_inputs(assignment: Assignment, here: Collection[str]) -> tuple[Input, ...]:
    """The models that are left to fetch. A file has its name only once it is verified and whole."""
    return tuple(each for each in inputs(assignment) if each.path not in here)
