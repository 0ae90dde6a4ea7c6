"""What a site decides about a task that takes too long, and which cause it names."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.plans import assert_retried, holds, hub_status, outcome, reason, training
from tests.worlds.site import (
    ASSIGNMENT,
    JOB,
    NOW,
    UNPROVEN,
    a_pod,
    a_round_task,
    a_task,
    accepted,
    condition,
    ended,
    ready,
    running,
    seen,
    signed,
    waiting,
)
from wardround.api.conditions import since
from wardround.api.roundtask import RoundTaskStatus
from wardround.plans.sitetask.hub import due
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import Observation


def out_of_time(*containers: dict[str, Any], taken: str = "11:59:25", seconds: int | None = 1800) -> Observation:
    """The kubelet has stopped the pod, which its node had since `taken`."""
    pod = a_pod(*containers, phase="Failed", reason="DeadlineExceeded", startTime=f"2026-11-24T{taken}Z")
    return seen(a_task(status=ready()), job=JOB, pod=dataclasses.replace(pod, deadline_seconds=seconds))


@pytest.mark.parametrize("code", [75, 143, 137])
def test_training_that_is_stopped_for_time_is_not_taken_for_what_its_containers_say_then(code: int) -> None:
    failure = plan(out_of_time(ended("prepare", 0), ended("train", code))).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Code", "TrainDeadline")


@pytest.mark.parametrize("code", [75, 143, 137])
def test_the_kubelet_has_the_last_word_on_containers_that_end_as_time_is_over(code: int) -> None:
    """It stops them first, and says why some seconds later."""
    pod = a_pod(ended("prepare", 0), ended("train", code), startTime="2026-11-24T11:59:25Z")
    stopped = seen(a_task(status=ready()), job=JOB, pod=dataclasses.replace(pod, deadline_seconds=15))
    assert plan(stopped).status.failure is None
    before = dataclasses.replace(stopped, pod=dataclasses.replace(pod, deadline_seconds=16))
    assert plan(before).status.failure is not None


@pytest.mark.parametrize(
    ("observation", "cause"),
    [
        (out_of_time(ended("prepare", 0), ended("train", 137), taken="11:40:00"), "StartDeadline"),
        (out_of_time(waiting("prepare", "PodInitializing")), "StartDeadline"),
        (out_of_time(waiting("prepare", "ImagePullBackOff")), "ImagePullFailed"),
        (out_of_time(ended("prepare", 0), ended("train", 137), seconds=60), "DeadlineExceeded"),
        (out_of_time(ended("prepare", 0), ended("train", 137), seconds=None), "DeadlineExceeded"),
    ],
    ids=["a slow start", "no start", "no image", "somebody else's deadline", "nobody's deadline"],
)
def test_time_that_training_did_not_have_is_not_the_trainings_fault(observation: Observation, cause: str) -> None:
    failure = plan(observation).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Platform", cause)


def test_a_late_task_still_shows_that_its_network_opened() -> None:
    observation = out_of_time(
        ended("prepare", 75, outcome("NetworkOpen")), ended("isolation", 75, outcome("NetworkOpen"))
    )
    failure = plan(observation).status.failure
    assert failure is not None
    assert failure.reason == "NetworkOpen"


def on_a_dead_node(*, deleted: str = "", now: timedelta) -> Observation:
    """Its containers run, by the last word of a kubelet that says nothing any more."""
    pod = a_pod(ended("prepare", 0), running("train"), startTime="2026-11-24T11:59:00Z")
    pod = dataclasses.replace(pod, deadline_seconds=1800, gone_by=NOW if deleted else None, disrupted=bool(deleted))
    return seen(a_task(status=ready()), job=JOB, pod=pod, now=NOW + now)


def test_a_pod_that_leaves_its_node_is_waited_for_and_does_not_train() -> None:
    planned = plan(on_a_dead_node(deleted="by the cluster", now=timedelta(seconds=60)))
    assert reason(planned) == "Evicted"
    assert planned.status.failure is None
    assert planned.requeue_after == 60


@pytest.mark.parametrize(
    "observation",
    [
        on_a_dead_node(deleted="by the cluster", now=timedelta(seconds=121)),
        on_a_dead_node(now=timedelta(seconds=1900)),
    ],
    ids=["that does not remove the pod", "that does not stop the pod in time"],
)
def test_a_dead_node_is_nobodys_deadline_and_may_be_tried_again(observation: Observation) -> None:
    assert_retried(observation, "NodeLost")


def test_a_live_node_may_train_as_long_as_it_likes_until_it_says_otherwise() -> None:
    planned = plan(on_a_dead_node(now=timedelta(seconds=1800)))
    assert reason(planned) == "Training"
    assert planned.requeue_after == 30


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
WAITS: dict[str, tuple[Observation, str, str]] = {
    "a GPU": (training(phase="Pending", conditions=[UNSCHEDULABLE]), "Unschedulable", "Platform"),
    "an image": (training(waiting("prepare", "ErrImagePull")), "ImagePullFailed", "Platform"),
    "a volume": (training(waiting("prepare")), "StartDeadline", "Platform"),
    "the store": (seen(a_task(status=accepted(courier={"reason": "StoreUnreachable"}))), "StoreUnreachable", "Network"),
    "the workspace": (
        seen(a_task(status=accepted(courier={"reason": "WorkspaceUnusable"}))),
        "WorkspaceUnusable",
        "Platform",
    ),
    "a slow fetch": (seen(a_task(status=accepted())), "FetchDeadline", "Network"),
    "a proof": (seen(a_task(status=ready()), control=UNPROVEN), "IsolationUnproven", "Network"),
    "others": (
        seen(
            a_task(status=ready()),
            others=(a_task("other", spec={"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}, status=ready()),),
            busy={"other"},
        ),
        "QueueDeadline",
        "Platform",
    ),
    "Kueue": (
        seen(a_task(status=ready()), job=dataclasses.replace(JOB, suspended=True)),
        "QueueDeadline",
        "Platform",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_task_that_waited_too_long_has_failed_of_what_it_waited_for(case: str) -> None:
    observation, cause, kind = WAITS[case]
    # Accepted at 11:59:00.
    end = NOW + timedelta(seconds=ASSIGNMENT.wait_seconds - 60)
    before = plan(dataclasses.replace(observation, now=end - timedelta(seconds=1)))
    assert before.status.failure is None
    assert before.requeue_after == 1
    for status in (
        plan(dataclasses.replace(observation, now=end)).status,
        hub_status(dataclasses.replace(observation, now=end)),
    ):
        assert status.failure is not None
        assert (status.failure.failure_class, status.failure.reason) == (kind, cause)
        assert holds(status, "Failed").reason == cause
    assert "no GPU" not in str(hub_status(dataclasses.replace(observation, now=end)))


def test_an_update_that_is_not_sent_in_time_has_failed_of_what_kept_it() -> None:
    trained = condition("Trained")
    for courier, cause in (({"reason": "StoreUnreachable"}, "StoreUnreachable"), ({}, "UploadDeadline")):
        task = a_task(status=ready(trained, upload={"bytes": 1}, **courier))
        end = NOW + timedelta(seconds=ASSIGNMENT.upload_seconds - 60)
        assert plan(seen(task, job=JOB, now=end - timedelta(seconds=1))).status.failure is None
        failure = plan(seen(task, job=JOB, now=end)).status.failure
        assert failure is not None
        assert (failure.failure_class, failure.reason) == ("Network", cause)


def test_a_pod_in_the_place_of_another_may_wait_as_long_as_the_first_and_training_begins_with_it() -> None:
    begun = [{"stage": "Started", "time": "2026-11-24T11:00:00.000000Z"}]
    task = a_task(status={**ready(), "timeline": begun})
    pod = dataclasses.replace(a_pod(phase="Pending", conditions=[UNSCHEDULABLE]), created=NOW)
    waited = timedelta(seconds=ASSIGNMENT.wait_seconds)
    assert plan(seen(task, job=JOB, pod=pod, now=NOW + waited - timedelta(seconds=1))).status.failure is None
    failure = plan(seen(task, job=JOB, pod=pod, now=NOW + waited)).status.failure
    assert failure is not None
    assert failure.reason == "Unschedulable"
    again = plan(seen(task, job=JOB, pod=a_pod(running("prepare"), phase="Pending"))).status
    assert [each.time for each in again.timeline if each.stage == "Started"] == ["2026-11-24T11:59:30.000000Z"]
    before = RoundTaskStatus(timeline=task.status.timeline)
    assert due(before, dataclasses.replace(before, timeline=again.timeline), heard_ago=0.1) == 0


STARTED = [{"stage": "Started", "time": "2026-11-24T11:00:00.000000Z"}]
# Latest end of a pod that started at 11:00.
STOPPED = NOW - timedelta(hours=1) + timedelta(seconds=ASSIGNMENT.train_seconds)
EXPIRES_LATER = signed(expires=(NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_a_task_whose_pod_is_gone_fails_however_often_the_site_looks() -> None:
    """As each look writes the status that the next one reads."""
    task = a_task(envelope=EXPIRES_LATER, status={**ready(), "timeline": STARTED})
    now, looks = STOPPED - timedelta(minutes=20), 0
    while task.status.failure is None and looks < 1000:
        planned = plan(seen(task, job=JOB, pod=None, now=now))
        assert planned.requeue_after is not None
        task, looks = dataclasses.replace(task, status=planned.status), looks + 1
        now += timedelta(seconds=min(planned.requeue_after, 60))
    assert task.status.failure is not None
    assert task.status.failure.reason == "StartDeadline"
    assert since(task.status.conditions, "Failed") == STOPPED + timedelta(seconds=ASSIGNMENT.wait_seconds)


def test_a_pod_that_leaves_its_node_late_is_waited_for() -> None:
    """It was made long before: waitSeconds are over for it, and not for the pod that replaces it."""
    task = a_task(envelope=EXPIRES_LATER, status={**ready(), "timeline": STARTED})
    made = NOW - timedelta(hours=1, minutes=1)
    pod = dataclasses.replace(a_pod(ended("prepare", 0), running("train")), created=made, disrupted=True)
    planned = plan(seen(task, job=JOB, pod=pod, now=STOPPED - timedelta(seconds=1)))
    assert reason(planned) == "Evicted"
    assert planned.status.failure is None


def test_a_task_that_the_hub_gives_up_says_what_it_waited_for_then() -> None:
    waits = condition("Reconciling", reason="StoreUnreachable")
    task = a_task(status=accepted(waits, courier={"reason": "StoreUnreachable"}))
    status = plan(seen(task, round_task=a_round_task(task, cancel=True))).status
    assert holds(status, "Failed").reason == "Cancelled"
    assert "Until then, the task waited because of StoreUnreachable" in holds(status, "Failed").message


@pytest.mark.parametrize("name", ["train", "prepare"])
def test_where_the_log_is_stands_in_the_message_as_a_command(name: str) -> None:
    failure = plan(seen(a_task(status=ready()), job=JOB, pod=a_pod(ended(name, 1)))).status.failure
    assert failure is not None
    assert failure.message is not None
    assert failure.message.endswith(f" exit code 1: kubectl logs pod-1 -n hospital-a -c {name}")


@pytest.mark.parametrize(
    ("observation", "command"),
    [
        (training(waiting("train", "ImagePullBackOff")), "kubectl describe pod pod-1 -n hospital-a"),
        (
            seen(a_task(status=ready()), job=dataclasses.replace(JOB, failed="BackoffLimitExceeded")),
            f"kubectl describe job/{JOB.name} -n hospital-a",
        ),
        (
            seen(a_task(status=accepted(courier={"reason": "Altered"}))),
            "kubectl logs deployment/courier -n hospital-a",
        ),
    ],
    ids=["image", "job", "courier"],
)
def test_the_message_of_a_late_task_has_the_command_that_shows_the_cause(
    observation: Observation, command: str
) -> None:
    status = plan(observation).status
    assert command in {each.message.rpartition(": ")[2] for each in status.conditions}


def test_an_image_that_cannot_be_pulled_yet_is_waited_for_with_a_reason() -> None:
    assert reason(plan(training(ended("prepare", 0), waiting("train", "ImagePullBackOff")))) == "ImagePullFailed"
