"""Conditions of all kinds, and how to change them. Decides nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from wardround.api.times import read_time, to_seconds

Status = Literal["True", "False", "Unknown"]
End = Literal["Complete", "Failed"]
MESSAGE_LIMIT = 1024
SENTENCE_END = re.compile(r"[.!?](?= )")
# The transition time in the CRDs' default conditions, which stand there before an operator has written any.
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


def find_true(conditions: Conditions, kind: str) -> Condition | None:
    """The condition of this type if it is True."""
    condition = find(conditions, kind)
    return condition if condition is not None and condition.status == "True" else None


def is_true(conditions: Conditions, kind: str) -> bool:
    return find_true(conditions, kind) is not None


def is_over(conditions: Conditions) -> bool:
    """Whether the object has ended. These conditions stay."""
    return any(is_true(conditions, kind) for kind in ("Complete", "Failed"))


def is_final(item: Mapping[str, Any]) -> bool:
    """Like `is_over`, for a round or a task. `item`: as an API server sends it, which may be that of another party."""
    return shows(item, "Complete", "Failed")


def shows(item: Mapping[str, Any], *kinds: str) -> bool:
    """Whether one of these conditions is True. `item`: as of `is_final`."""
    known = (item.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in kinds and each.get("status") == "True" for each in known)


def since(conditions: Conditions, kind: str, status: Status = "True") -> datetime | None:
    """The time since which the condition has this status, or None if it has another."""
    condition = find(conditions, kind)
    return read_time(condition.last_transition_time) if condition is not None and condition.status == status else None


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
    """All conditions, with one changed. As in Kubernetes, the transition time changes only if the status changes."""
    text: Status = ("True" if status else "False") if isinstance(status, bool) else status
    before = find(conditions, kind)
    kept = before is not None and before.status == text and before.last_transition_time not in ("", NEVER)
    after = Condition(
        type=kind,
        status=text,
        reason=reason,
        message=shortened(message),
        last_transition_time=before.last_transition_time if before and kept else to_seconds(now),
        observed_generation=generation,
    )
    if before is None:
        return (*conditions, after)
    return tuple(after if each.type == kind else each for each in conditions)


def shortened(message: str) -> str:
    """The message within the limit of the CRDs. It ends with a whole sentence, never within a command, unless half of
    what fits would be lost: then it quotes something long, such as an answer of the API server."""
    if len(message) <= MESSAGE_LIMIT:
        return message
    ends = [match.end() for match in SENTENCE_END.finditer(message, 0, MESSAGE_LIMIT + 1)]
    whole = [end for end in ends if end >= MESSAGE_LIMIT // 2 and message.count("`", 0, end) % 2 == 0]
    return message[: whole[-1] if whole else MESSAGE_LIMIT]


def fitting(cause: str, advice: str) -> str:
    """Both as one message. If they do not fit, the cause alone: `explain` shows the advice anyway."""
    whole = f"{cause} {advice}"
    return whole if len(whole) <= MESSAGE_LIMIT else shortened(cause)


def with_generation(conditions: Conditions, generation: int) -> Conditions:
    """The same conditions for a newer generation. A final state holds also after a change of the spec, but
    `kubectl wait` and kstatus ignore conditions of an older generation."""
    return tuple(replace(each, observed_generation=generation) for each in conditions)


def progressing(conditions: Conditions, reason: str, message: str, *, now: datetime, generation: int) -> Conditions:
    """Sets `Reconciling`: kstatus, Argo CD and Flux show the object as in progress."""
    conditions = set_condition(conditions, "Reconciling", True, reason, message, now=now, generation=generation)
    return set_condition(conditions, "Stalled", False, reason, "", now=now, generation=generation)


def stalled(conditions: Conditions, reason: str, message: str, *, now: datetime, generation: int) -> Conditions:
    """Sets `Stalled`: a person must act, or the object has failed for good. kstatus shows it as failed."""
    conditions = set_condition(conditions, "Reconciling", False, reason, "", now=now, generation=generation)
    return set_condition(conditions, "Stalled", True, reason, message, now=now, generation=generation)


def settled(conditions: Conditions, reason: str, *, now: datetime, generation: int) -> Conditions:
    """Clears both: nothing is left to do. kstatus shows the object as current unless `Ready` is not True."""
    conditions = set_condition(conditions, "Reconciling", False, reason, "", now=now, generation=generation)
    return set_condition(conditions, "Stalled", False, reason, "", now=now, generation=generation)


def ended(
    conditions: Conditions, kind: End, reason: str, message: str, *, now: datetime, generation: int
) -> Conditions:
    """Sets the final condition, and what kstatus reads of it."""
    conditions = set_condition(conditions, kind, True, reason, message, now=now, generation=generation)
    if kind == "Complete":
        return settled(conditions, reason, now=now, generation=generation)
    return stalled(conditions, reason, message, now=now, generation=generation)
