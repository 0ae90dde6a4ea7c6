"""Conditions: the one vocabulary in which every kind says how it stands. Decides nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from wardround.api.times import read_time, to_seconds

Status = Literal["True", "False", "Unknown"]
MESSAGE_LIMIT = 1024
# What the CRDs' defaults say before anybody has looked: no time at which anything changed.
NEVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Condition:
    type: str
    status: Status
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


Conditions = tuple[Condition, ...]


def find(conditions: Conditions, kind: str) -> Condition | None:
    return next((each for each in conditions if each.type == kind), None)


def is_true(conditions: Conditions, kind: str) -> bool:
    found = find(conditions, kind)
    return found is not None and found.status == "True"


def since(conditions: Conditions, kind: str, status: Status = "True") -> datetime | None:
    """Since when a condition has this status, or None if it has not."""
    found = find(conditions, kind)
    return read_time(found.last_transition_time) if found is not None and found.status == status else None


def set_condition(
    conditions: Conditions,
    kind: str,
    status: bool | Status,
    reason: str,
    message: str = "",
    *,
    now: datetime,
    generation: int,
) -> Conditions:
    """All conditions with one changed. As in core Kubernetes, the transition time moves only when the status does."""
    text: Status = ("True" if status else "False") if isinstance(status, bool) else status
    before = find(conditions, kind)
    kept = before is not None and before.status == text and before.last_transition_time not in ("", NEVER)
    after = Condition(
        type=kind,
        status=text,
        reason=reason,
        message=message[:MESSAGE_LIMIT],
        last_transition_time=before.last_transition_time if before and kept else to_seconds(now),
        observed_generation=generation,
    )
    if before is None:
        return (*conditions, after)
    return tuple(after if each.type == kind else each for each in conditions)


def following(conditions: Conditions, generation: int) -> Conditions:
    """The same, said of this generation: what is final holds for an object whose spec has changed since, and
    `kubectl wait` and kstatus believe nothing that was said of an earlier one."""
    return tuple(replace(each, observed_generation=generation) for each in conditions)


def progressing(conditions: Conditions, reason: str, message: str, *, now: datetime, generation: int) -> Conditions:
    """Under way: kstatus, Argo CD and Flux show it as in progress."""
    conditions = set_condition(conditions, "Reconciling", True, reason, message, now=now, generation=generation)
    return set_condition(conditions, "Stalled", False, reason, "", now=now, generation=generation)


def stalled(conditions: Conditions, reason: str, message: str, *, now: datetime, generation: int) -> Conditions:
    """Nothing moves until a person acts, or ever again; kstatus shows it as failed."""
    conditions = set_condition(conditions, "Reconciling", False, reason, "", now=now, generation=generation)
    return set_condition(conditions, "Stalled", True, reason, message, now=now, generation=generation)


def settled(conditions: Conditions, reason: str, *, now: datetime, generation: int) -> Conditions:
    """Nothing left to do; kstatus shows it as current, unless there is a Ready that is not True."""
    conditions = set_condition(conditions, "Reconciling", False, reason, "", now=now, generation=generation)
    return set_condition(conditions, "Stalled", False, reason, "", now=now, generation=generation)
