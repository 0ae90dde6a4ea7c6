"""Decides which tasks come before this one in the queue for a place to train. Pure."""

from __future__ import annotations

from wardround.plans.sitetask.types import Observation


def ahead(seen: Observation) -> list[str]:
    """Names of the tasks that hold a place, then of the older tasks that wait for one. A task whose Job the API server
    does not admit keeps no other task waiting."""
    metadata = seen.task.metadata
    own_age = (metadata.creation_timestamp, metadata.name)
    candidates = sorted((task for task in seen.others if not task.needs_no_place), key=lambda task: task.age)
    holding = [task.name for task in candidates if task.holds_job]
    waiting = [task.name for task in candidates if not task.holds_job and task.input_ready and task.age < own_age]
    return holding + waiting
