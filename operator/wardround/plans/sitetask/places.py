"""Decides which tasks come before this one in the queue for a place to train. Pure."""

from __future__ import annotations

from wardround.api import conditions
from wardround.plans.sitetask.state import needs_no_place
from wardround.plans.sitetask.types import Observation


def ahead(seen: Observation) -> list[str]:
    """Names of the tasks that hold a place, then of the older tasks that wait for one. A task whose Job the API server
    does not admit keeps no other task waiting."""
    own = seen.task.metadata
    holding: list[str] = []
    waiting: list[str] = []
    for other in sorted(seen.others, key=lambda task: (task.metadata.creation_timestamp, task.metadata.name)):
        if needs_no_place(other):
            continue
        if other.metadata.name in seen.busy:
            holding.append(other.metadata.name)
        elif conditions.is_true(other.status.conditions, "InputReady") and (
            (other.metadata.creation_timestamp, other.metadata.name) < (own.creation_timestamp, own.name)
        ):
            waiting.append(other.metadata.name)
    return holding + waiting
