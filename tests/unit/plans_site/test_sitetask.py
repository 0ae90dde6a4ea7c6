"""What a site decides about an update that is sent and about a task that has ended, and what its hub hears."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.plans import CREATE, DELETE, UPDATE, holds, hub_status, outcome, reason, training
from tests.worlds.site import (
    ASSIGNMENT,
    JOB,
    NOW,
    a_pod,
    a_round_task,
    a_task,
    accepted,
    change_names,
    condition,
    ended,
    ready,
    running,
    seen,
)
from wardround.api.roundtask import RoundTaskStatus
from wardround.plans.sitetask.hub import PROGRESS_SECONDS, due, left_alone, mirror
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.status import hampered


def test_a_checked_update_is_trained_and_being_sent() -> None:
    planned = plan(training(ended("prepare", 0), ended("train", 0), ended("check", 0)))
    assert holds(planned.status, "Trained").status == "True"
    assert reason(planned) == "Sending"


def test_the_hub_is_told_how_many_bytes_to_grant() -> None:
    observation = seen(a_task(status=ready(upload={"bytes": 123456})), job=JOB)
    status = hub_status(observation)
    assert status.upload is not None
    assert status.upload.bytes == 123456
    assert due(RoundTaskStatus(), status, heard_ago=0.1) == 0


def test_a_sent_update_completes_the_task_on_both_sides() -> None:
    observation = seen(a_task(status=ready(upload={"bytes": 1}, update=UPDATE)), job=JOB)
    planned = plan(observation)
    assert holds(planned.status, "Complete").status == "True"
    assert hub_status(observation).update is not None
    assert [stage.stage for stage in planned.status.timeline][-2:] == ["Sealed", "Sent"]


def test_an_update_of_a_pod_whose_network_opened_is_not_complete() -> None:
    sidecar = {"name": "isolation", **{"state": ended("isolation", 75, outcome("NetworkOpen"))["state"]}}
    observation = seen(
        a_task(status=ready(upload={"bytes": 1}, update=UPDATE)), job=JOB, pod=a_pod(ended("check", 0), sidecar)
    )
    assert holds(plan(observation).status, "Failed").reason == "NetworkOpen"


@pytest.mark.parametrize("cause", ["StoreUnreachable", "StoreTooSlow", "StoreUntrusted", "StoreRefused"])
def test_a_store_that_fails_is_waited_for(cause: str) -> None:
    planned = plan(seen(a_task(status=accepted(courier={"reason": cause}))))
    assert reason(planned) == cause
    assert holds(planned.status, "Reconciling").status == "True"


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("Altered", "Network"),
        ("HubNotPinned", "Site"),
        ("StoreNotPinned", "Site"),
        ("OutputLink", "Code"),
        ("AssignmentVersionTooLow", "Site"),
    ],
)
def test_a_task_fails_if_the_courier_gives_up(cause: str, kind: str) -> None:
    failure = plan(seen(a_task(status=accepted(courier={"reason": cause})))).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == (kind, cause)


@pytest.mark.parametrize(
    "changes", [{"round_task": a_round_task(a_task(), cancel=True)}, {"round_task": None}], ids=["cancelled", "gone"]
)
def test_a_task_that_the_hub_has_ended_is_closed_and_its_job_deleted(changes: dict[str, Any]) -> None:
    observation = seen(a_task(status=ready()), job=JOB, pod=a_pod(running("train")), **changes)
    planned = plan(observation)
    assert holds(planned.status, "Failed").reason == "Cancelled"
    after = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=planned.status))
    assert "DeleteJob" in change_names(plan(after))


def test_a_hub_that_is_away_ends_nothing() -> None:
    observation = seen(
        a_task(status=ready()), job=JOB, pod=a_pod(running("prepare")), hub_reached=False, round_task=None
    )
    assert reason(plan(observation)) == "Training"


def test_a_task_whose_time_is_over_fails_by_itself() -> None:
    planned = plan(seen(a_task(status=ready()), job=JOB, now=NOW + timedelta(hours=2)))
    assert holds(planned.status, "Failed").reason == "Expired"


def test_a_closed_task_is_remembered_though_it_is_gone_at_the_hub_and_has_expired() -> None:
    task = a_task(status=accepted(condition("Complete")))
    assert change_names(plan(seen(task, round_task=None, now=NOW + timedelta(days=9)))) == ()


def test_a_refused_task_that_is_gone_at_the_hub_is_forgotten_at_once() -> None:
    task = a_task(status={"conditions": [condition("Accepted", "False", "Denied"), condition("Failed")]})
    assert change_names(plan(seen(task, round_task=None))) == ("DeleteTask",)


def test_the_job_of_failed_training_code_stays_for_its_log() -> None:
    task = a_task(status=ready(condition("Failed", reason="TrainerFailed")))
    assert change_names(plan(seen(task, job=JOB, pod=a_pod(ended("train", 1))))) == ()


def test_new_grants_and_a_cancellation_are_passed_on() -> None:
    task = a_task()
    assert change_names(plan(seen(task, round_task=a_round_task(task, grants="bmV3")))) == ("Mirror",)


def test_the_hub_is_not_told_of_times_alone() -> None:
    quiet = hub_status(seen())
    later = dataclasses.replace(quiet, timeline=hub_status(training(running("prepare"))).timeline)
    without_start = dataclasses.replace(later, timeline=later.timeline[:1])
    assert due(dataclasses.replace(quiet, timeline=()), without_start, heard_ago=3600) is None
    assert due(quiet, later, heard_ago=0.1) == 0


@pytest.mark.parametrize(("heard_ago", "wait"), [(1.0, PROGRESS_SECONDS - 1), (60.0, 0), (-3600.0, PROGRESS_SECONDS)])
def test_the_site_tells_progress_at_intervals_if_the_hub_does_not_act_on_it(heard_ago: float, wait: float) -> None:
    preparing, working = (
        hub_status(training(running("prepare"))),
        hub_status(training(ended("prepare", 0), running("train"))),
    )
    checked = hub_status(training(ended("prepare", 0), ended("train", 0), ended("check", 0)))
    assert due(preparing, working, heard_ago) in (None, wait)
    assert due(working, checked, heard_ago) == wait


@pytest.mark.parametrize(
    "status",
    [
        ready(upload={"bytes": 1}),
        ready(upload={"bytes": 1}, update=UPDATE),
        ready(condition("Failed", reason="TrainerFailed")),
    ],
)
def test_the_site_tells_the_hub_at_once_of_a_status_that_the_hub_acts_on(status: dict[str, Any]) -> None:
    acceptance = hub_status(seen(a_task()))
    assert due(RoundTaskStatus(), acceptance, heard_ago=0.1) == 0
    assert due(acceptance, hub_status(seen(a_task(status=status), job=JOB)), heard_ago=0.1) == 0


def test_an_action_that_failed_is_named_until_it_succeeds() -> None:
    observation = seen(a_task(status=ready()))
    planned = plan(observation)
    written = dataclasses.replace(observation.task, status=planned.status)
    status = hampered(written, CREATE, "post Job: 503 not now", NOW)
    assert holds(status, "Reconciling").reason == "StepFailed"
    assert "make the training Job, and tries again: post Job: 503" in holds(status, "Reconciling").message
    again = dataclasses.replace(observation, task=dataclasses.replace(written, status=status))
    assert change_names(plan(again)) == ("CreateJob",)
    assert plan(again).status == status, "it would go to and fro with each try"
    assert reason(plan(dataclasses.replace(again, job=JOB))) == "Starting"
    assert "503" not in str(mirror(status, a_round_task(written), ASSIGNMENT))


def test_a_failed_task_keeps_its_reason_while_the_deletion_of_its_job_fails() -> None:
    end = dataclasses.replace(a_task(status=ready(condition("Failed", reason="Cancelled"))))
    observation = seen(end, job=JOB, pod=a_pod(running("train")))
    assert change_names(plan(observation)) == ("DeleteJob",)
    status = hampered(end, DELETE, "delete Job: 403 no", NOW)
    again = hampered(dataclasses.replace(end, status=status), DELETE, "delete Job: 503 not now", NOW)
    assert holds(again, "Failed").reason == "Cancelled"
    assert holds(again, "Failed").message.count("could not delete the training Job") == 1
    left = dataclasses.replace(end, status=again)
    assert holds(plan(dataclasses.replace(observation, task=left)).status, "Failed").message.endswith("503 not now")
    tidy = plan(dataclasses.replace(observation, task=left, job=None, pod=None)).status
    assert "503" not in holds(tidy, "Failed").message


def test_a_task_for_which_the_site_has_no_room_says_so_at_the_hub() -> None:
    status = left_alone(a_round_task(a_task()), "TooManyTasks", NOW)
    assert (holds(status, "Accepted").status, holds(status, "Accepted").reason) == ("Unknown", "TooManyTasks")
    assert holds(status, "Reconciling").reason == "TooManyTasks"


def test_planning_twice_changes_nothing() -> None:
    observation = training(ended("prepare", 0), running("train"))
    first = plan(observation).status
    again = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=first))
    assert plan(again).status == first
