"""An observation with what follows from it: the acceptance of the assignment, why the pod failed, what people read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wardround.api import conditions, timeline
from wardround.api.approval import Approval
from wardround.api.sitetask import CourierReport, SiteTask, approval, review
from wardround.api.task import Failure
from wardround.api.times import parse_time
from wardround.plans import approval as approvals
from wardround.plans import assignment as assignments
from wardround.plans.approval import Approvals
from wardround.plans.assignment import LOCAL_SOCKETS, Acceptance, ReceivedAssignment, Terms
from wardround.plans.sitetask import failure as failures
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.held import HeldTask, held, read_signed, without_a_person
from wardround.plans.sitetask.state import is_accepted, is_final, lacks_approval
from wardround.plans.sitetask.types import Observation
from wardround.reasons.reason import NOBODY
from wardround.reasons.registry import REASONS
from wardround.sealing.refused import Refused
from wardround.wire.assignment import Assignment

WAITING = "WaitingForApproval"


@dataclass(frozen=True)
class View:
    """What the rules read."""

    seen: Observation
    acceptance: Acceptance
    failure: Failure | None

    @property
    def assignment(self) -> Assignment | None:
        return self.acceptance.assignment

    @property
    def courier(self) -> CourierReport:
        return self.seen.task.status.courier or CourierReport()

    @property
    def approval(self) -> Approval | None:
        """The Approval that covers the task, or by which the site has accepted it. None if it is gone."""
        decision = self.seen.task.status.decision
        if self.acceptance.outcome == "Accepted" and self.acceptance.approval is not None:
            return self.acceptance.approval
        if not is_accepted(self.seen.task):
            return None
        named = decision.approval if decision else None
        return next((each for each in self.seen.approvals if each.metadata.name == named), None)

    @property
    def lacks_approval(self) -> bool:
        """Whether the courier waits for people, though the site has accepted the task: nobody has approved it, or the
        Approval on which it rests does not cover it."""
        task, assignment, rests_on = self.seen.task, self.assignment, self.approval
        if self.acceptance.outcome != "Accepted" or assignment is None or is_final(task):
            return False
        policy = self.seen.site.spec.policy.approval
        if lacks_approval(task, policy):
            return self.acceptance.approval is None
        if policy != "Manual" or task.spec.approved or rests_on is None or self.acceptance.approval is not None:
            return False
        return not approvals.stands_for(rests_on, assignment, task_key(task, assignment), self.seen.now)

    @property
    def uncovered(self) -> str:
        """Why no Approval covers the task; empty if one does, or if there is none of its model."""
        if self.assignment is None or not (self.lacks_approval or self.acceptance.reason == WAITING):
            return ""
        return approvals.why_not_covered(self.assignment, known_approvals(self.seen), self.seen.now)

    @property
    def acceptance_text(self) -> str:
        """What the site's people read about the acceptance, before they approve and after."""
        meta = self.seen.task.metadata
        message = self.acceptance.message_at(meta.name, meta.namespace)
        waits = self.acceptance.reason == WAITING or self.lacks_approval
        text = self.text(WAITING) if waits else message
        local = self.assignment is not None and self.assignment.resources.local_sockets
        if self.acceptance.outcome == "Refused" or not local:
            return text
        return f"{LOCAL_SOCKETS} {text}" if text else LOCAL_SOCKETS

    def text(self, name: str) -> str:
        """What the site's people read about a reason: its meaning, and what to do if somebody has to act."""
        metadata = self.seen.task.metadata
        if name not in REASONS:
            return ""
        reason = REASONS[name].about(task=metadata.name, site_namespace=metadata.namespace)
        if name == WAITING:
            read = review(metadata.name, metadata.namespace)
            approve = approval(metadata.name, metadata.namespace, metadata.uid)
            cause = f"{self.uncovered} {approvals.LACKING if self.lacks_approval else reason.meaning}".lstrip()
            return conditions.fitting(
                cause, f"To read what the task asks for, run `{read}`. To approve the task, run `{approve}`."
            )
        return reason.meaning if reason.owner == NOBODY else reason.text

    @property
    def seconds_left(self) -> float | None:
        """Until the assignment expires."""
        if self.assignment is None:
            return None
        return (parse_time(self.assignment.expires) - self.seen.now).total_seconds()

    @property
    def own(self) -> HeldTask:
        """The record of this task beside those of the others."""
        return own_record(self.seen.task)

    def seconds_to(self, until: datetime | None) -> list[float]:
        """Seconds to the times at which the plan changes though nothing happens: the end of the stage (`until`), of a
        silent node, of the assignment, of the Approval."""
        silent = failures.silent_from(self.seen.pod) if self.seen.pod else None
        ends = approvals.until(self.approval, self.seen.now)
        times = [(time - self.seen.now).total_seconds() for time in (until, silent, ends) if time is not None]
        return [seconds for seconds in (*times, self.seconds_left) if seconds is not None and seconds > 0]

    @property
    def accelerators(self) -> int:
        return self.assignment.resources.accelerators_per_node if self.assignment else 0


def view_of(seen: Observation) -> View:
    acceptance = decide(seen)
    assignment = acceptance.assignment
    statistics = assignment is not None and assignment.task == "Statistics"
    ours = {"prepare", "check"} | ({"train"} if statistics else set())
    seconds = assignment.train_seconds if assignment else None
    failure = failures.failure(seen.job, seen.pod, ours=frozenset(ours), train_seconds=seconds, now=seen.now)
    return View(seen, acceptance, _with_known_parameter(failure, assignment.parameters if assignment else {}))


def own_record(task: SiteTask) -> HeldTask:
    return held(task, read_signed(task.spec.assignment, task.spec.hub_key))


def task_key(task: SiteTask, assignment: Assignment) -> str:
    """By what an Approval counts this task. `assignment`: the task's, which was readable."""
    return approvals.task_key(assignment, task.spec.assignment)


def has_reached(seen: Observation, stage: str) -> bool:
    return timeline.reached(seen.task.status.timeline, stage) is not None


def _with_known_parameter(failure: Failure | None, parameters: Mapping[str, str]) -> Failure | None:
    """Training code may name a parameter that it refuses. Only a name that the round itself has written leaves."""
    if failure is None or failure.parameter is None or failure.parameter in parameters:
        return failure
    return dataclasses.replace(failure, parameter=None)


def decide(seen: Observation) -> Acceptance:
    """Whether the site takes the assignment. It never takes back an acceptance because of a policy that changed."""
    spec, site = seen.task.spec, seen.site
    if is_accepted(seen.task):
        try:
            opened = assignments.open_pinned(spec.assignment, spec.hub_key, site.spec.hub.fingerprint)
            return Acceptance("Accepted", "Accepted", opened, approval=_later_approval(seen, opened))
        except Refused as refused:
            return Acceptance("Refused", refused.reason, field=refused.field)
    identity = site.status.courier
    received = ReceivedAssignment(
        envelope=spec.assignment,
        hub_key=spec.hub_key,
        hub_fingerprint=site.spec.hub.fingerprint,
        round_ref=spec.round_ref,
        attempt=spec.attempt,
        site_fingerprint=(identity.fingerprint if identity else None) or "",
        now=seen.now,
    )
    attempts = [task.attempt for task in seen.others if task.round_uid == spec.round_ref.uid and task.accepted]
    terms = Terms(
        participant=site.spec.hub.participant_namespace,
        task_name=seen.task.metadata.name,
        policy=site.spec.policy,
        schemas={name: each.schema for name, each in seen.datasets.items()},
        taken=max(attempts, default=0),
        accepted=memory.issues(seen.others),
        approved=spec.approved,
        denied=spec.denied,
        denials=memory.denials(seen.others, site.spec.hub.fingerprint),
        approvals=known_approvals(seen),
        models=bool(site.spec.workload.models_claim_name),
    )
    return assignments.decide(received, terms)


def _later_approval(seen: Observation, assignment: Assignment) -> Approval | None:
    """The Approval that covers a task which the site accepted before its policy asked people. A denial of the model
    goes first, as for a task that the site has not accepted yet."""
    if not lacks_approval(seen.task, seen.site.spec.policy.approval):
        return None
    known = known_approvals(seen)
    if approvals.denying(assignment, known):
        return None
    return approvals.covering(assignment, task_key(seen.task, assignment), known, seen.now)


def known_approvals(seen: Observation) -> Approvals:
    """The Approvals, and the tasks of whole series that the site has accepted without a person.

    Among the tasks that lack an approval, the oldest comes first: the younger ones do not count against it. Otherwise
    two tasks would block each other at the last round of an Approval.
    """
    own = held(seen.task, None)
    first = [each for each in seen.others if not (own.lacks_approval and each.lacks_approval and each.age > own.age)]
    return Approvals(every=seen.approvals, earlier=without_a_person(first))
