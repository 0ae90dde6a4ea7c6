"""Reads conditions and stages of an object as the API server gives it, of any kind, for tests and measurements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.api.times import read_time

Object = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    status: str
    reason: str
    message: str
    since: str


def condition(item: Object, kind: str) -> Condition | None:
    for each in (item.get("status") or {}).get("conditions") or []:
        if each.get("type") == kind:
            texts = (each.get(key, "") for key in ("reason", "message", "lastTransitionTime"))
            return Condition(each.get("status", "Unknown"), *texts)
    return None


def is_true(item: Object, kind: str) -> bool:
    state = condition(item, kind)
    return state is not None and state.status == "True"


def timeline(item: Object) -> list[tuple[str, datetime]]:
    """Stages and when each was reached, in time's order; without those whose time is none."""
    stages = [(each["stage"], read_time(each["time"])) for each in (item.get("status") or {}).get("timeline") or []]
    return sorted(((stage, time) for stage, time in stages if time is not None), key=lambda each: each[1])
