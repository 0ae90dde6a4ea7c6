"""Signs and opens assignments; no I/O and no clock. Shapes: docs/contracts.md, section 3."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from wardround.api.names import UID
from wardround.sealing import envelope, untrusted
from wardround.sealing.keys import SUITE, SigningKey, VerificationKey, dump_verification_key
from wardround.sealing.opened import OpenedTexts
from wardround.sealing.refused import Refused
from wardround.wire import codec, versions
from wardround.wire.assignment import MOST_REFERENCES, Assignment

# Characters of all assignments that are kept open. A common one has 5,000 to 9,000, and takes 11 KB while it is open. A
# hub that writes many long ones takes no more of a site's memory.
_OPENED: OpenedTexts[Assignment] = OpenedTexts(1 << 20)


def sign_assignment(assignment: Assignment, key: SigningKey) -> str:
    """Return the assignment's envelope."""
    return envelope.sign_envelope(versions.write(assignment), envelope.ASSIGNMENT, key)


def open_assignment(text: str, key: VerificationKey) -> Assignment:
    """Return a signed assignment. Raises Refused("AssignmentNotUnderstood") if it needs a reader of another version,
    Refused("AssignmentUnreadable") for every other fault.

    Operators read a task's assignment again and again while the task runs, so the last ones are kept open.
    """
    public = dump_verification_key(key)
    assignment = _OPENED.get(text, public)
    if assignment is None:
        assignment = _open_assignment(text, key)
        _OPENED.put(text, public, assignment)
    return assignment


def assignment_digest(text: str) -> str:
    """Return the digest of what is signed in an assignment's envelope. Raises Refused("AssignmentUnreadable")."""
    try:
        return envelope.payload_digest(text, envelope.ASSIGNMENT)
    except Refused:
        raise Refused("AssignmentUnreadable") from None


def _open_assignment(text: str, key: VerificationKey) -> Assignment:
    """The result depends only on text and key, not on the time, so it can be kept."""
    reason = "AssignmentUnreadable"
    try:
        payload = envelope.open_envelope(text, envelope.ASSIGNMENT, key)
    except Refused:
        raise Refused(reason) from None
    try:
        assignment = versions.read(payload)
    except versions.NotUnderstood as unknown:
        raise Refused("AssignmentNotUnderstood", untrusted.place(unknown.field)) from None
    except codec.Malformed as malformed:
        raise Refused(reason, untrusted.place(malformed.place)) from None
    untrusted.time(assignment.issued, reason)
    untrusted.time(assignment.expires, reason)
    if assignment.suite != SUITE:
        raise Refused(reason)
    # Only Train makes an initial model. In other tasks, nothing would check the image and command that make it.
    if assignment.initial and assignment.task != "Train":
        raise Refused(reason)
    # Another task would ignore them, and another number of models has no containers.
    if assignment.references and (assignment.task != "Evaluate" or len(assignment.references) > MOST_REFERENCES):
        raise Refused(reason, "references")
    # The UIDs become parts of paths on the site's volume.
    if not all(state == "" or UID.fullmatch(state) for state in assignment.state_rounds):
        raise Refused(reason)
    # All callers share what is cached, so nobody may change it.
    references = tuple(replace(each, parameters=MappingProxyType(each.parameters)) for each in assignment.references)
    return replace(assignment, parameters=MappingProxyType(assignment.parameters), references=references)
