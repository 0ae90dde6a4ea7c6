"""Reading objects as the command line shows them: conditions, reasons, ages. Pure, tolerant of what is absent."""

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from wardround.api.times import parse_time, read_time

Object = dict[str, Any]
T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Condition:
    status: str
    reason: str
    message: str
    since: str


def condition(item: Object, kind: str) -> Condition | None:
    for each in (item.get("status") or {}).get("conditions") or []:
        if each.get("type") == kind:
            return Condition(
                each.get("status", "Unknown"),
                each.get("reason", ""),
                each.get("message", ""),
                each.get("lastTransitionTime", ""),
            )
    return None


def is_true(item: Object, kind: str) -> bool:
    found = condition(item, kind)
    return found is not None and found.status == "True"


def timeline(item: Object) -> list[tuple[str, datetime]]:
    """Stages and when each was reached, in time's order; without those whose time, a site's word, is none."""
    found = [(each["stage"], read_time(each["time"])) for each in (item.get("status") or {}).get("timeline") or []]
    return sorted(((stage, time) for stage, time in found if time is not None), key=lambda each: each[1])


def assigned(task: Object, field: str) -> str:
    """A name in the assignment of a RoundTask or SiteTask; empty where there is none. Whoever signed it: what cannot be
    an object's name is none."""
    try:
        payload = json.loads(base64.b64decode(json.loads(task["spec"]["assignment"])["payload"], validate=True))
        found = payload[field]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) and _NAME.fullmatch(found) else ""


def created(item: Object) -> datetime | None:
    stamp = item.get("metadata", {}).get("creationTimestamp")
    return parse_time(stamp) if stamp else None


def began(round_: Object) -> datetime | None:
    """When a round took up its work: before that it waits for the round that it starts from."""
    return next((time for stage, time in timeline(round_) if stage == "Started"), None)


def seconds(text: float) -> str:
    """A duration as people read it: 0.4s, 12s, 3m05s, 2h10m."""
    if text < 10:
        return f"{max(text, 0.0):.1f}s"
    whole = round(text)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def metrics(sent: Object) -> str:
    """Of an update or a result: `loss=0.12 auc=suppressed`; of a result also `auc=0.91 (without 1)` hospital."""
    values = {each["name"]: each["value"] for each in sent.get("metrics") or []}
    missing = {}
    for each in sent.get("suppressed") or []:
        name, count = (each, 0) if isinstance(each, str) else (each["name"], each["participants"])
        values.setdefault(name, "suppressed")
        missing[name] = f" (without {count})" if count and values[name] != "suppressed" else ""
    return " ".join(f"{name}={value}{missing.get(name, '')}" for name, value in values.items())


def printable(value: T) -> T:
    """An object or a text, without what steers a terminal: control characters, overrides of the writing direction and
    line breaks become spaces. What is shown of an object, others than its reader have written."""
    made: Any = value
    if isinstance(value, str):
        made = "".join(each if each.isprintable() else " " for each in value)
    elif isinstance(value, dict):
        made = {printable(key): printable(each) for key, each in value.items()}
    elif isinstance(value, list):
        made = [printable(each) for each in value]
    return cast(T, made)
