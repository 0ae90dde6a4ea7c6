"""Reads the state of a task from its conditions. Decides nothing."""

from __future__ import annotations

from wardround.api import conditions
from wardround.api.roundtask import RoundTask
from wardround.api.sitetask import SiteTask
from wardround.plans.pod import JOB_NOT_ADMITTED


def is_final(task: SiteTask | RoundTask) -> bool:
    """Whether the task is complete or has failed. The RoundTask says so a little later than the SiteTask."""
    known = task.status.conditions
    return conditions.is_true(known, "Complete") or conditions.is_true(known, "Failed")


def is_accepted(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Accepted")


def lacks_approval(task: SiteTask, policy: str) -> bool:
    """Whether the site has accepted the task without a person, and has not ended it, but its policy now asks people.
    `policy`: policy.approval of the Site. What the courier has sent needs no approval any more."""
    spec, status = task.spec, task.status
    if policy != "Manual" or not is_accepted(task) or is_final(task) or spec.approved or spec.denied:
        return False
    return status.decision is None and (status.courier is None or status.courier.update is None)


def is_refused(task: SiteTask) -> bool:
    """Whether the site's API server does not admit the task's Job now."""
    known = conditions.find(task.status.conditions, "Reconciling")
    return known is not None and (known.status, known.reason) == ("True", JOB_NOT_ADMITTED)


def is_trained(task: SiteTask) -> bool:
    return conditions.is_true(task.status.conditions, "Trained")


def needs_no_place(task: SiteTask) -> bool:
    """Whether the task keeps no other task from its turn to train."""
    return is_final(task) or is_trained(task) or is_refused(task)
