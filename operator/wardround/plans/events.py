"""Decides when a change of conditions is worth a Kubernetes Event, and what it says. Pure.

An object has one headline: how it ended, else what a person has to do, else whether it is ready, else what it waits
for. An Event is due when the headline changes; if only a message changes, no Event is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wardround.api import conditions
from wardround.api.conditions import Condition, Conditions
from wardround.api.federatedround import BASE_DELETED
from wardround.plans import link_local, waits
from wardround.reasons.registry import POD, REASONS, reason_for

NOTE_BYTES = 1024  # the API server takes no longer note
# Under way or complete, but not as it should be.
TROUBLE = waits.TROUBLE | {each.name for each in REASONS.values() if each.warns}
# Conditions that are told when they get this status, whatever the headline is.
BESIDE: Mapping[str, conditions.Status] = {BASE_DELETED: "True", link_local.CONDITION: "False"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """`action` names the condition that changed, as events.k8s.io/v1 wants one word for what was done."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


def transitions(before: Conditions, after: Conditions, *, steps: bool = True) -> tuple[Event, ...]:
    """The Events of a change of status: one for a new headline, and one for each condition that is told beside it.
    `steps`: whether a step forward is told too, that is, what an object waits for if all is well."""
    events: list[Event] = []
    for old, new in (
        (headline(before), headline(after)),
        *((_with(before, kind, status), _with(after, kind, status)) for kind, status in BESIDE.items()),
    ):
        if new is not None and (old is None or _key(old) != _key(new)) and (steps or not _is_step(new)):
            events.append(_event(new))
    return tuple(events)


def _with(shown: Conditions, kind: str, status: conditions.Status) -> Condition | None:
    condition = conditions.find(shown, kind)
    return condition if condition is not None and condition.status == status else None


def _event(new: Condition) -> Event:
    return Event(
        type="Warning" if _is_trouble(new) else "Normal",
        reason=new.reason,
        action=f"Set{new.type}",
        note=_note(new).encode()[:NOTE_BYTES].decode(errors="ignore"),
    )


def headline(shown: Conditions) -> Condition | None:
    """The one condition that says how the object stands."""
    for kind in ("Complete", "Failed", "Stalled"):
        if conditions.is_true(shown, kind):
            return conditions.find(shown, kind)
    ready = conditions.find(shown, "Ready")
    if ready is not None:
        return ready
    for kind in ("Reconciling", "Suspended"):
        if conditions.is_true(shown, kind):
            return conditions.find(shown, kind)
    return None


def _key(condition: Condition) -> tuple[str, str, str]:
    return condition.type, condition.status, condition.reason


def _is_trouble(condition: Condition) -> bool:
    ended_badly = condition.type in ("Failed", "Stalled", *BESIDE) and condition.reason != "Cancelled"
    return ended_badly or condition.reason in TROUBLE


def _is_step(condition: Condition) -> bool:
    return condition.type == "Reconciling" and not _is_trouble(condition)


def _note(condition: Condition) -> str:
    """What a container said stays in the object: Events are copied to wherever a cluster collects them."""
    if condition.message and condition.reason not in POD:
        return condition.message
    return reason_for(condition.reason).meaning
