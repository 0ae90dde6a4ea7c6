"""What a look at a task reads: Approvals only if the task may depend on one, the positive control only before a Job."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.plans_site.plans import UPDATE
from tests.worlds.site import a_task, accepted, condition
from wardround.plans.pod import Job
from wardround.plans.sitetask.lookups import needs_approvals, needs_control

BY_APPROVAL = {"decision": {"verdict": "Approve", "by": "alice", "at": "2026-11-24T11:59:00Z", "approval": "breast-s1"}}
BY_A_PERSON = {"decision": {"verdict": "Approve", "by": "alice", "at": "2026-11-24T11:59:00Z"}}
ENDED = condition("Failed")


@pytest.mark.parametrize(
    ("status", "approvals", "control"),
    [
        ({}, True, False),
        (accepted(), False, True),
        (accepted(**BY_APPROVAL), True, True),
        (accepted(**BY_A_PERSON), False, True),
        (accepted(ENDED, **BY_APPROVAL), False, False),
        ({"conditions": [ENDED]}, False, False),
    ],
    ids=["waits", "accepted", "by an Approval", "by a person", "ended", "refused"],
)
def test_a_look_reads_only_what_the_task_may_depend_on(status: dict[str, Any], approvals: bool, control: bool) -> None:
    task = a_task(status=status)
    assert (needs_approvals(task, "Policy"), needs_control(task, None)) == (approvals, control)


def test_a_task_that_has_its_job_needs_no_control() -> None:
    job = Job(name="t", namespace="hospital-a", uid="u")
    assert not needs_control(a_task(status=accepted()), job)


@pytest.mark.parametrize(
    ("policy", "spec", "status", "needs"),
    [
        ("Manual", {}, accepted(), True),
        ("Policy", {}, accepted(), False),
        ("Deny", {}, accepted(), False),
        ("Manual", {}, accepted(**BY_A_PERSON), False),
        ("Manual", {"approved": True}, accepted(), False),
        ("Manual", {"denied": True}, accepted(), False),
        ("Manual", {}, accepted(ENDED), False),
        ("Manual", {}, accepted(courier={"update": UPDATE}), False),
    ],
    ids=["asks now", "asks nobody", "no task", "decided", "approved", "denied", "ended", "sent"],
)
def test_a_task_lacks_an_approval_if_the_policy_asks_people_only_now(
    policy: str, spec: dict[str, Any], status: dict[str, Any], needs: bool
) -> None:
    assert needs_approvals(a_task(spec=spec, status=status), policy) is needs
