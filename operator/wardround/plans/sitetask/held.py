"""The record of each SiteTask: the few facts on which the plans of other tasks depend. Pure.

A SiteTask may weigh a megabyte, and a site holds hundreds. So the operator holds these records in memory, and no look
at one task reads the other tasks from the API server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from wardround.api import conditions
from wardround.api.sitetask import SiteTask
from wardround.plans import approval as approvals
from wardround.plans import terms
from wardround.plans.approval import EarlierTask
from wardround.plans.assignment import UNREADABLE, Issue, issue, open_signed
from wardround.plans.denial import place
from wardround.plans.sitetask.state import is_accepted, is_final, lacks_approval, needs_no_place
from wardround.sealing import untrusted
from wardround.sealing.keys import hub_fingerprint
from wardround.sealing.refused import Refused


@dataclass(frozen=True)
class SignedAssignment:
    """What the assignment says, as the key that came with it opens it. `hub`: the fingerprint of that key. `key`: by
    which an Approval counts it, as `plans.approval.task_key` says.
    `state_rounds`: UIDs of the rounds whose states it goes on from. `place`: as `plans.denial` says. `terms`: digest of
    the terms of its series, "" for a round that a person has made. `evaluation`: whether it is an Evaluate task."""

    hub: str
    issue: Issue
    expires: datetime
    state_rounds: tuple[str, ...]
    key: str = ""
    place: str = ""
    terms: str = ""
    evaluation: bool = False


@dataclass(frozen=True, kw_only=True)
class HeldTask:
    """`holds_job`: the task's Job is not over. `signed` None: the key does not open the assignment. `approved`,
    `denied`: a person has approved, or denied, this very task. `lacks_approval`: the site has accepted the task without
    a person, and the courier has not sent yet, so under a policy that asks people it needs an approval."""

    name: str
    uid: str
    created: str
    round_uid: str
    attempt: int
    signed: SignedAssignment | None = field(repr=False)
    accepted: bool
    final: bool
    complete: bool
    needs_no_place: bool
    input_ready: bool
    holds_job: bool = False
    approved: bool = False
    denied: bool = False
    lacks_approval: bool = False

    @property
    def age(self) -> tuple[str, str]:
        """Sorts the oldest task first."""
        return self.created, self.name


def held(task: SiteTask, signed: SignedAssignment | None, *, holds_job: bool = False) -> HeldTask:
    """The record of a task. `signed` as `read_signed` says."""
    known = task.status.conditions
    return HeldTask(
        name=task.metadata.name,
        uid=task.metadata.uid,
        created=task.metadata.creation_timestamp,
        round_uid=task.spec.round_ref.uid,
        attempt=task.spec.attempt,
        signed=signed,
        accepted=is_accepted(task),
        final=is_final(task),
        complete=conditions.is_true(known, "Complete"),
        needs_no_place=needs_no_place(task),
        input_ready=conditions.is_true(known, "InputReady"),
        holds_job=holds_job,
        approved=task.spec.approved,
        denied=task.spec.denied,
        lacks_approval=lacks_approval(task, "Manual"),
    )


def under_way(tasks: Iterable[HeldTask]) -> tuple[str, ...]:
    """Names of the tasks that have not ended."""
    return tuple(each.name for each in tasks if not each.final)


def without_a_person(tasks: Iterable[HeldTask]) -> list[EarlierTask]:
    """The tasks of whole series that the site has accepted, and that no person has approved alone."""
    return [
        EarlierTask(key=each.signed.key, terms=each.signed.terms, evaluation=each.signed.evaluation)
        for each in tasks
        if each.accepted and not each.approved and each.signed is not None and each.signed.terms
    ]


def read_signed(envelope: str, hub_key: str) -> SignedAssignment | None:
    """None if the key does not open the envelope."""
    try:
        opened = open_signed(envelope, hub_key)
        series = terms.series_terms(opened)
        return SignedAssignment(
            hub=hub_fingerprint(untrusted.decode(hub_key, "HubNotPinned")),
            issue=issue(opened),
            expires=untrusted.time(opened.expires, UNREADABLE),
            state_rounds=tuple(state for state in opened.state_rounds if state),
            key=approvals.task_key(opened, envelope),
            place=place(opened),
            terms=terms.digest(terms.text(series)) if series else "",
            evaluation=approvals.is_evaluation(opened),
        )
    except Refused:
        return None
