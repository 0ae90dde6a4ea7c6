"""Decides whether this site takes an assignment: an ordered list of rules; reads no cluster, clock or key of its own.

Courier and site operator both use `verify`, each with the pin that it was given itself. `decide` adds the site's
policy. Both trust the envelope, and never the fields around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from wardround.api import conditions, names
from wardround.api.approval import Approval
from wardround.api.meta import RoundRef
from wardround.api.parameter_bounds import first_outside, outside
from wardround.api.site import Policy
from wardround.plans.approval import Approvals, covering, denying, task_key
from wardround.plans.denial import denial, in_place, place
from wardround.plans.schema import difference
from wardround.reasons.parameter import describe
from wardround.reasons.registry import REASONS
from wardround.sealing import untrusted
from wardround.sealing.assignments import open_assignment
from wardround.sealing.keys import hub_fingerprint, load_verification_key
from wardround.sealing.manifests import open_model
from wardround.sealing.refused import Refused
from wardround.wire import digests
from wardround.wire.assignment import MOST_THREADS, MOST_VERSIONS, AssignedReference, Assignment
from wardround.wire.compression import used

BY_DIGEST = re.compile(rf".+@({digests.DIGEST.pattern})", re.ASCII)
UNREADABLE, NOT_UNDERSTOOD = "AssignmentUnreadable", "AssignmentNotUnderstood"
# A site forgets an assignment only when it has accepted so many that are later in the order of issue. Of those that are
# as old it accepts none that it has no SiteTask of: it cannot know whether it accepted them before. No clock of the
# site counts.
REMEMBERED = 128
# When the hub issued an assignment, then its round's UID and its attempt. A site accepts an attempt of a round once, so
# no two that it has accepted are equal in this order, though the hub may sign one time for all.
Issue = tuple[datetime, str, int]
# The hub's clock may be ahead by this much. Without a bound, a hub whose clock is wrong for a day would make the site
# refuse all later assignments.
AHEAD = timedelta(minutes=5)
AHEAD_REASON = "ClockSkew"


# People here look at these texts before they allow them. The hub chooses the texts: JSON cannot steer a terminal.
ASKED: Mapping[str, Callable[[Assignment, Policy], str]] = {
    "ImageNotByDigest": lambda assignment, _: json.dumps(_first(assignment, lambda each: not _by_digest(each)).image),
    "ImageNotAllowed": lambda assignment, policy: json.dumps(
        _first(assignment, lambda each: each.image not in policy.images).image
    ),
    "CommandNotAllowed": lambda assignment, policy: json.dumps(
        _first(assignment, lambda each: each.command not in policy.commands).command
    ),
    "ParametersNotAllowed": lambda assignment, policy: "; ".join(_outside(assignment, policy)),
    "PushedModelNotAllowed": lambda assignment, _: _pushed_by(assignment),
    "DatasetNotAllowed": lambda assignment, policy: _entry(assignment.dataset_name, assignment.round_namespace, policy),
}
LONGEST_ASKED = 512
# Tasks that run no code of the round.
OWN_CODE = ("Statistics", "Deliver")
# Both sides show this note, because a person who reads that a task was accepted relies on all walls.
LOCAL_SOCKETS = (
    "Note: the round asks for resources.localSockets, so the launcher lets the round's code open IP sockets. Only the "
    "cluster's network policies isolate the code. To forbid IP sockets, set policy.localSockets to false in the "
    "values of the site chart."
)


# The code of one model: that of the round, or that of the round that made a reference.
Program = Assignment | AssignedReference


def _programs(assignment: Assignment) -> tuple[Program, ...]:
    return (assignment, *assignment.references)


def _first(assignment: Assignment, refused: Callable[[Program], bool]) -> Program:
    """The first program that the site does not allow."""
    return next((each for each in _programs(assignment) if refused(each)), assignment)


def _by_digest(program: Program) -> bool:
    named = BY_DIGEST.fullmatch(program.image)
    return named is not None and named[1] == program.image_digest


def _outside(assignment: Assignment, policy: Policy) -> tuple[str, ...]:
    refused = [outside(assignment.task, each.parameters, policy.parameters) for each in _programs(assignment)]
    return tuple(dict.fromkeys(text for texts in refused for text in texts))


def _pushed_by(assignment: Assignment) -> str:
    """The pushed weights, as JSON, because the hub writes the users' names."""
    return "; ".join(f"weights {each.digest} pushed by {json.dumps(each.requested_by)}" for each in assignment.pushed)


def _entry(dataset: str, federation: str, policy: Policy) -> str:
    """The entry of policy.datasets that would allow the task. It keeps the federations that the Dataset's entry has,
    because policy.datasets has one entry for each name."""
    listed = [each for allowed in policy.datasets if allowed.name == dataset for each in allowed.federations]
    return json.dumps({"name": dataset, "federations": [*listed, federation]})


@dataclass(frozen=True, kw_only=True)
class ReceivedAssignment:
    """What came from the hub, and what it is compared with."""

    envelope: str
    hub_key: str
    hub_fingerprint: str
    round_ref: RoundRef
    attempt: int
    site_fingerprint: str
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The site's side.

    `task_name`: of the SiteTask, as the hub has named it. `schemas`: for each Dataset, the spec of its DataSchema, None
    if that is missing. `taken`: highest attempt of this very round that this site accepted before, 0 if none.
    `accepted`: the place in the order of issue of each assignment that this site has accepted and remembers.
    `approved`, `denied`: by a person, this very task. `denials`: the names of the other SiteTasks that a person has
    denied, by `plans.denial.place`. `approvals`: of whole series. `models`: whether the site has a claim of models.
    """

    participant: str
    task_name: str
    policy: Policy
    schemas: Mapping[str, Mapping[str, Any] | None]
    taken: int
    accepted: Collection[Issue]
    approved: bool
    denied: bool = False
    denials: Mapping[str, str] = field(default_factory=dict)
    approvals: Approvals = field(default_factory=Approvals)
    models: bool = False


@dataclass(frozen=True)
class Acceptance:
    """`assignment` is there when the envelope opened, whatever was decided; `asked`: what of it was refused.
    `parameter`: which of the round's parameters that is, in words that the round itself has written; `bound`: what the
    site allows for it. `field`: which of the assignment's fields cannot be read. `difference`: in what the round
    differs from the hospital's DataSchema or policy. `approval`: the Approval of the task's series that decided.
    `denial`: by what the hospital denies the task."""

    outcome: Literal["Accepted", "Waiting", "Refused"]
    reason: str
    assignment: Assignment | None = None
    asked: str = ""
    parameter: str = ""
    bound: str = ""
    field: str = ""
    difference: str = ""
    approval: Approval | None = None
    denial: str = ""

    @property
    def message(self) -> str:
        """For the site's own people, as far as the assignment alone tells."""
        return self.message_at()

    def message_at(self, task: str = "", site_namespace: str = "") -> str:
        """For the site's own people: what happened, what the assignment asks for, who acts and how. The hub gets the
        reason alone. `task`, `site_namespace`: of the SiteTask."""
        if self.outcome == "Accepted":
            return ""
        reason = REASONS[self.reason].about(task=task, site_namespace=site_namespace)
        if self.assignment is not None:
            asks = self.assignment
            described = describe(self.parameter, asks.parameters, self.bound)
            reason = reason.about(
                asks.participant,
                asks.round_namespace,
                asks.dataset_name,
                round_name=asks.round_name,
                parameter=described,
            )
        if self.field and self.reason == NOT_UNDERSTOOD:
            return f"{reason.meaning} The site does not know {self.field}. {reason.advice}"
        if self.field:
            return (
                f"{reason.meaning} The field {self.field} of the assignment does not match docs/contracts.md. "
                f"{reason.advice}"
            )
        if self.denial:
            return in_place(self.denial, task, site_namespace)
        if self.difference:
            return f"{reason.meaning} {self.difference} {reason.advice}"
        if not self.asked:
            return reason.text
        asked = self.asked if len(self.asked) <= LONGEST_ASKED else self.asked[:LONGEST_ASKED] + "..."
        cause = f"{reason.meaning} The assignment asks for {asked}."
        return conditions.fitting(cause, reason.advice)


def verify(received: ReceivedAssignment) -> Assignment:
    """The assignment, if the pinned hub made it for this very task and these very keys. Raises Refused(reason)."""
    assignment = open_pinned(received.envelope, received.hub_key, received.hub_fingerprint)
    if assignment.site_fingerprint != received.site_fingerprint:
        raise Refused("NotAddressee")
    signed = RoundRef(namespace=assignment.round_namespace, name=assignment.round_name, uid=assignment.round_uid)
    if (signed, assignment.attempt) != (received.round_ref, received.attempt):
        raise Refused("Replayed")  # an envelope of another task in this one's place
    if untrusted.time(assignment.expires, UNREADABLE) <= received.now:
        raise Refused("Expired")
    return assignment


def open_pinned(envelope: str, hub_key: str, pin: str) -> Assignment:
    """The assignment under the pinned hub key, compared with nothing yet. Raises Refused(reason)."""
    if not is_pinned(hub_key, pin):
        raise Refused("HubNotPinned")
    return open_signed(envelope, hub_key)


def is_pinned(hub_key: str, pin: str) -> bool:
    """Whether the pin is of this key. Raises Refused."""
    return hub_fingerprint(untrusted.decode(hub_key, "HubNotPinned")) == pin


def open_signed(envelope: str, hub_key: str) -> Assignment:
    """The assignment, opened with the key that came with it, whichever hub that is. It proves nothing about a task that
    was not accepted under a pin. Raises Refused(reason)."""
    try:
        key = load_verification_key(untrusted.decode(hub_key, "HubNotPinned"))
    except Refused:
        raise Refused("HubNotPinned") from None
    return open_assignment(envelope, key)


def base_digest(assignment: Assignment, hub_key: str) -> str:
    """Digest of the base model that an update must name; "" where the round has none. Raises Refused."""
    if assignment.base is None or assignment.initial:
        return ""
    return _model_digest(assignment.base.manifest, hub_key)


def reference_digests(assignment: Assignment, hub_key: str) -> tuple[str, ...]:
    """Digests of the models with which an evaluation compares its own. Raises Refused."""
    return tuple(_model_digest(each.manifest, hub_key) for each in assignment.references)


def _model_digest(manifest: str, hub_key: str) -> str:
    key = load_verification_key(untrusted.decode(hub_key, "HubNotPinned"))
    return open_model(manifest, key).digest


def decide(received: ReceivedAssignment, terms: Terms) -> Acceptance:
    """Whether the site takes part. The first rule that gives a reason decides."""
    if not received.site_fingerprint:
        return Acceptance("Waiting", "NoKeys")
    try:
        assignment = verify(received)
    except Refused as refused:
        return Acceptance("Refused", refused.reason, field=refused.field)
    if refusal := first_refusal(REFUSALS, assignment, terms):
        return refusal
    if untrusted.time(assignment.issued, UNREADABLE) > received.now + AHEAD:
        return Acceptance("Waiting", AHEAD_REASON, assignment)
    if terms.policy.approval == "Manual" and not terms.approved:
        return _by_approval(assignment, received, terms)
    return Acceptance("Accepted", "Accepted", assignment)


def first_refusal(rules: Sequence[Rule], assignment: Assignment, terms: Terms) -> Acceptance | None:
    """The refusal by the first of these rules that gives a reason."""
    reasons = (rule(assignment, terms) for rule in rules)
    reason = next((each for each in reasons if each), "")
    return _refused(assignment, terms, reason) if reason else None


def _refused(assignment: Assignment, terms: Terms, reason: str) -> Acceptance:
    """The refusal with all that its message says."""
    asked = ASKED[reason](assignment, terms.policy) if reason in ASKED else ""
    refused = Acceptance("Refused", reason, assignment, asked)
    match reason:
        case "ParametersNotAllowed":
            parameter, bound = first_outside(assignment.task, assignment.parameters, terms.policy.parameters)
            return replace(refused, parameter=parameter, bound=bound)
        case "DatasetDiffers":
            differs = difference(assignment.schema, terms.schemas[assignment.dataset_name])
            return replace(refused, difference=differs)
        case "QuorumTooSmall":
            least, wanted = assignment.quorum.min, terms.policy.min_quorum
            differs = (
                f"The smallest number of updates for the round's result is {least}, and policy.minQuorum of this "
                f"hospital's Site is {wanted}."
            )
            return replace(refused, difference=differs)
        case "Denied":
            approval = denying(assignment, terms.approvals)
            return replace(refused, approval=approval, denial=_denial(assignment, terms))
    return refused


def _by_approval(assignment: Assignment, received: ReceivedAssignment, terms: Terms) -> Acceptance:
    """A person has to approve the task, unless an Approval of its series covers it."""
    approval = covering(assignment, task_key(assignment, received.envelope), terms.approvals, received.now)
    if approval is not None:
        return Acceptance("Accepted", "Accepted", assignment, approval=approval)
    return Acceptance("Waiting", "WaitingForApproval", assignment)


def _addressee(assignment: Assignment, terms: Terms) -> str:
    return "" if assignment.participant == terms.participant else "NotAddressee"


def _name(assignment: Assignment, terms: Terms) -> str:
    """People read this name, and approve the task by it. So no hub gives a task the name of another round."""
    signed = names.task_name(assignment.round_name, assignment.round_uid, assignment.attempt)
    return "" if terms.task_name == signed else "Replayed"


def _taken_before(assignment: Assignment, terms: Terms) -> str:
    return "Replayed" if assignment.attempt <= terms.taken else ""


def _forgotten(assignment: Assignment, terms: Terms) -> str:
    return "AssignmentTooOld" if overtaken(issue(assignment), terms.accepted) else ""


def issue(assignment: Assignment) -> Issue:
    """The assignment's place in the order of issue. Raises Refused."""
    return untrusted.time(assignment.issued, UNREADABLE), assignment.round_uid, assignment.attempt


def overtaken(place: Issue, accepted: Iterable[Issue]) -> bool:
    """Whether so many were issued later that the site need not remember the assignment of this place. Once it is so,
    it stays so: a site that forgets by this rule alone always has the latest `REMEMBERED`. All others of a set are
    overtaken, whatever times the hub signs, since the order is total."""
    return sum(each > place for each in accepted) >= REMEMBERED


def require_version(assignment: Assignment, lowest: int) -> None:
    """A hub that writes a lower version leaves out what the site checks in a higher one. Raises Refused."""
    if assignment.version < lowest:
        raise Refused("AssignmentVersionTooLow")


def _version(assignment: Assignment, terms: Terms) -> str:
    try:
        require_version(assignment, terms.policy.lowest_assignment_version)
    except Refused:
        return "AssignmentVersionTooLow"
    return ""


def _task(assignment: Assignment, terms: Terms) -> str:
    possible = assignment.resources.nodes == 1 and 1 <= assignment.threads <= MOST_THREADS
    possible = possible and _is_whole(assignment) and _can_compress(assignment)
    return "" if possible and assignment.task in terms.policy.tasks else "TaskNotAllowed"


def _can_compress(assignment: Assignment) -> bool:
    """Whether the update has differences, if it is to be compressed."""
    return assignment.compression == used(assignment.compression, task=assignment.task, initial=assignment.initial)


def _is_whole(assignment: Assignment) -> bool:
    """Whether a Deliver task has a model with its version, and no other task has."""
    delivery = assignment.delivery
    if delivery is None or assignment.task != "Deliver":
        return delivery is None and assignment.task != "Deliver"
    numbers = 1 <= delivery.version <= MOST_VERSIONS and 1 <= delivery.keep <= MOST_VERSIONS
    return numbers and assignment.base is not None and not assignment.initial and not assignment.references


def _models_claim(assignment: Assignment, terms: Terms) -> str:
    return "NoModelsClaim" if assignment.task == "Deliver" and not terms.models else ""


def _dataset(assignment: Assignment, terms: Terms) -> str:
    """A federation that may not use a Dataset does not learn whether the Dataset is here."""
    name, federation = assignment.dataset_name, assignment.round_namespace
    if not any(each.name == name and federation in each.federations for each in terms.policy.datasets):
        return "DatasetNotAllowed"
    return "" if name in terms.schemas else "DatasetNotFound"


def _schema(assignment: Assignment, terms: Terms) -> str:
    """The hub combines columns by position: of others it would make a wrong result, and nobody would notice."""
    return "DatasetDiffers" if difference(assignment.schema, terms.schemas[assignment.dataset_name]) else ""


def _image(assignment: Assignment, terms: Terms) -> str:
    if assignment.task in OWN_CODE:
        return ""
    if not all(map(_by_digest, _programs(assignment))):
        return "ImageNotByDigest"
    allowed = all(each.image in terms.policy.images for each in _programs(assignment))
    return "" if allowed else "ImageNotAllowed"


def _command(assignment: Assignment, terms: Terms) -> str:
    """The whole command, never a beginning of it: what follows `python -c` is the round's own code."""
    if assignment.task in OWN_CODE:
        return ""
    allowed = all(each.command in terms.policy.commands for each in _programs(assignment))
    return "" if allowed else "CommandNotAllowed"


def _local_sockets(assignment: Assignment, terms: Terms) -> str:
    asked = assignment.resources.local_sockets
    return "LocalSocketsNotAllowed" if asked and not terms.policy.local_sockets else ""


def _parameters(assignment: Assignment, terms: Terms) -> str:
    return "ParametersNotAllowed" if _outside(assignment, terms.policy) else ""


def _quorum(assignment: Assignment, terms: Terms) -> str:
    """A delivery sends nothing, so no result combines this hospital with too few others."""
    return "" if assignment.task == "Deliver" or assignment.quorum.min >= terms.policy.min_quorum else "QuorumTooSmall"


def _release(assignment: Assignment, terms: Terms) -> str:
    allowed = assignment.release == "Participants" or terms.policy.release == "Readers"
    return "" if allowed else "ReleaseNotAllowed"


def _pushed(assignment: Assignment, terms: Terms) -> str:
    """A person chose these weights, and weights that are chosen for it can extract rows."""
    return "PushedModelNotAllowed" if assignment.pushed and not terms.policy.pushed_models else ""


def _denial(assignment: Assignment, terms: Terms) -> str:
    return denial(
        policy=terms.policy.approval,
        denied=terms.denied,
        earlier=terms.denials.get(place(assignment), ""),
        approval=denying(assignment, terms.approvals),
    )


def _denied(assignment: Assignment, terms: Terms) -> str:
    return "Denied" if _denial(assignment, terms) else ""


Rule = Callable[[Assignment, Terms], str]
# What the policy says of all tasks of a series, whichever base they start from.
OF_POLICY: tuple[Rule, ...] = (_task, _image, _command, _local_sockets, _parameters, _quorum)
REFUSALS: tuple[Rule, ...] = (
    _addressee,
    _name,
    _taken_before,
    _forgotten,
    _version,
    _task,
    # Before all that is said of how it would be done: a federation that may not ask learns nothing of it.
    _dataset,
    _schema,
    _models_claim,
    _image,
    _command,
    _local_sockets,
    _parameters,
    _quorum,
    _release,
    _pushed,
    _denied,
)
