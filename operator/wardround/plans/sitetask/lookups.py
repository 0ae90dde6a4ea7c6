"""Decides what else a look at a task reads, by what is known of the task. Pure."""

from __future__ import annotations

from wardround.api.sitetask import SiteTask
from wardround.plans.pod import Job
from wardround.plans.sitetask.state import is_accepted, is_final, lacks_approval


def needs_approvals(task: SiteTask, policy: str) -> bool:
    """Whether the task may depend on an Approval: it waits for one, was accepted by one and has not ended, or lacks
    one. `policy`: policy.approval of the Site."""
    if is_final(task):
        return False
    decision = task.status.decision
    by_approval = decision is not None and decision.approval is not None
    return not is_accepted(task) or by_approval or lacks_approval(task, policy)


def needs_control(task: SiteTask, job: Job | None) -> bool:
    """Whether the site may be about to make the Job, which needs the positive control of the isolation gate."""
    return job is None and is_accepted(task) and not is_final(task)
