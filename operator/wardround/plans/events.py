"""Decides when a change of conditions is worth a Kubernetes Event, and what it says. Pure.

An object has one headline: how it ended, else what a person has to do, else whether it is ready, else what it waits
for. An Event is due when the headline changes; a message that changes alone is not news.
"""

from dataclasses import dataclass
from typing import Literal

from wardround.api import conditions
from wardround.api.conditions import Condition, Conditions
from wardround.plans.reasons import advice_for
from wardround.plans.round_parts import WAITS_FOR
from wardround.plans.sitetask_pod import REASONS

NOTE_BYTES = 1024  # the API server takes no longer note
# Under way, but not as it should be.
TROUBLE = WAITS_FOR | {"HubUnreachable"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """`action` names the condition that changed, as events.k8s.io/v1 wants one word for what was done."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


def transition(before: Conditions, after: Conditions) -> Event | None:
    """The Event of going from one status to the next, if it is one to tell."""
    old, new = headline(before), headline(after)
    if new is None or (old is not None and _key(old) == _key(new)):
        return None
    return Event(
        type="Warning" if _is_trouble(new) else "Normal",
        reason=new.reason,
        action=f"Set{new.type}",
        note=_note(new).encode()[:NOTE_BYTES].decode(errors="ignore"),
    )


def headline(found: Conditions) -> Condition | None:
    """The one condition that says how the object stands."""
    for kind in ("Complete", "Failed", "Stalled"):
        if conditions.is_true(found, kind):
            return conditions.find(found, kind)
    ready = conditions.find(found, "Ready")
    if ready is not None:
        return ready
    return conditions.find(found, "Reconciling") if conditions.is_true(found, "Reconciling") else None


def _key(condition: Condition) -> tuple[str, str, str]:
    return condition.type, condition.status, condition.reason


def _is_trouble(condition: Condition) -> bool:
    ended_badly = condition.type in ("Failed", "Stalled") and condition.reason != "Cancelled"
    return ended_badly or condition.reason in TROUBLE


def _note(condition: Condition) -> str:
    """What a container said stays in the object: Events are copied to wherever a cluster collects them."""
    if condition.message and condition.reason not in REASONS:
        return condition.message
    return advice_for(condition.reason).meaning
