"""Reads the state of a task from its conditions. Decides nothing."""

from __future__ import annotations

from wardround.api import conditions
from wardround.api.roundtask import RoundTask
from wardround.api.sitetask import SiteTask

JOB_NOT_ADMITTED = "JobNotAdmitted"


def is_final(task: SiteTask | RoundTask) -> bool:
    """Whether the task is complete or has failed. The RoundTask says so a little later than the SiteTask."""
    known = task.status.conditions
    return conditions.is_true(known, "Complete") or conditions.is_true(known, "Failed")


def is_accepted(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Accepted")


def is_refused(task: SiteTask) -> bool:
    """Whether the site's API server does not admit the task's Job now."""
    known = conditions.find(task.status.conditions, "Reconciling")
    return known is not None and (known.status, known.reason) == ("True", JOB_NOT_ADMITTED)


def is_trained(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Trained")


def needs_no_place(task: SiteTask) -> bool:
    """Whether the task keeps no other task from its turn to train."""
    return is_final(task) or is_trained(task) or is_refused(task)
