"""What a site reads off the pod of a task, and which end of a container is whose failure."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.plans_site.plans import assert_retried, holds, hub_status, outcome, reason, sidecar, training
from tests.worlds.site import (
    ASSIGNMENT,
    BREAST,
    JOB,
    a_pod,
    a_site,
    a_task,
    change_names,
    ended,
    ready,
    running,
    seen,
    signed,
    tell_dataset_action,
    waiting,
)
from wardround.api.dataset import Limits
from wardround.plans.pod import Source, parse_job, parse_pod
from wardround.plans.sitetask.hub import mirror
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CreateJob
from wardround.wire import codec


def test_an_unschedulable_pod_says_for_what_on_both_sides_but_the_schedulers_words_stay() -> None:
    scheduler = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduler}
    resources = dataclasses.replace(ASSIGNMENT.resources, accelerators_per_node=2)
    observation = seen(
        a_task(envelope=signed(resources=resources), status=ready()),
        job=JOB,
        pod=a_pod(phase="Pending", conditions=[scheduled]),
    )
    planned = plan(observation)
    assert reason(planned) == "Unschedulable"
    assert "2 x nvidia.com/gpu" in holds(planned.status, "Reconciling").message
    assert scheduler in holds(planned.status, "Reconciling").message
    assert observation.round_task is not None
    hub = mirror(planned.status, observation.round_task, planned.assignment)
    assert holds(hub, "Reconciling").reason == "Unschedulable"
    assert holds(hub, "Reconciling").message == "No node of the site has 2 free accelerators."


def test_a_job_without_a_pod_names_the_command_that_says_why_and_the_failure_repeats_it() -> None:
    """A ResourceQuota that the pod exceeds lets the API server take the Job, and refuse its pod."""
    waits = seen(a_task(status=ready()), job=JOB, pod=None)
    command = f"kubectl describe job/{JOB.name} -n {JOB.namespace}"
    planned = plan(waits)
    assert reason(planned) == "Starting"
    assert command in holds(planned.status, "Reconciling").message
    late = plan(dataclasses.replace(waits, now=waits.now + timedelta(seconds=ASSIGNMENT.wait_seconds)))
    assert late.status.failure is not None
    assert late.status.failure.reason == "StartDeadline"
    assert command in (late.status.failure.message or "")


def test_a_pod_that_is_gone_is_not_called_one_that_has_not_come_yet() -> None:
    """A person has deleted the pod, or its node, and a ResourceQuota refuses the next one."""
    timeline = [{"stage": "Started", "time": "2026-11-24T11:59:30.000000Z"}]
    planned = plan(seen(a_task(status={**ready(), "timeline": timeline}), job=JOB, pod=None))
    message = holds(planned.status, "Reconciling").message
    assert message.startswith("The training pod of this task is gone. The Job has not made another one yet.")
    assert f"kubectl describe job/{JOB.name} -n {JOB.namespace}" in message
    first = plan(seen(a_task(status=ready()), job=JOB, pod=None))
    assert holds(first.status, "Reconciling").message.startswith(
        "The Job of this task has no pod yet, so training has not begun."
    )


@pytest.mark.parametrize(("approval", "reason"), [("Policy", "Accepted"), ("Manual", "WaitingForApproval")])
def test_hub_and_site_show_before_the_approval_that_a_round_has_local_sockets(approval: str, reason: str) -> None:
    for local in (True, False):
        resources = dataclasses.replace(ASSIGNMENT.resources, local_sockets=local)
        site = a_site(localSockets=True, approval=approval)
        observation = seen(a_task(envelope=signed(resources=resources)), site=site)
        planned = plan(observation)
        own = holds(planned.status, "Accepted")
        assert own.reason == reason
        assert ("lets the round's code open IP sockets" in own.message) is local
        assert ("kubectl wardround approve sitetask/" in own.message) is (approval == "Manual")
        assert observation.round_task is not None
        # A task that is over is mirrored without its assignment.
        for assignment in (planned.assignment, None):
            mirrored = holds(mirror(planned.status, observation.round_task, assignment), "Accepted")
            assert ("lets the round's code open IP sockets" in mirrored.message) is (local and approval == "Policy")
            assert len(mirrored.message) <= 256, "more of a condition the hub's policy takes from no site"


def test_a_suspended_job_waits_for_its_queue() -> None:
    planned = plan(seen(a_task(status=ready()), job=dataclasses.replace(JOB, suspended=True)))
    assert reason(planned) == "Queued"


def test_the_containers_times_are_the_timeline() -> None:
    planned = plan(training(ended("prepare", 0), running("isolation"), running("train")))
    stages = {stage.stage: stage.time for stage in planned.status.timeline}
    assert stages["Started"] == "2026-11-24T11:59:30.000000Z"
    assert stages["Prepared"] == "2026-11-24T11:59:40.000000Z"
    assert reason(planned) == "Training"


@pytest.mark.parametrize("words", ["[" * 4096, '{"a":' * 800, "9" * 4096, "nothing", "\\ud800"])
def test_no_last_words_of_a_training_image_keep_its_task_from_ending(words: str) -> None:
    failure = plan(training(ended("prepare", 0), ended("train", 1, words))).status.failure
    assert failure is not None
    assert (failure.reason, failure.exit_code) == ("TrainerFailed", 1)


def test_the_dataset_gets_the_report_of_prepare_once() -> None:
    pod = a_pod(ended("prepare", 0, '{"rows": 1}'), running("train"))
    assert tell_dataset_action(plan(seen(a_task(status=ready()), job=JOB, pod=pod))) is not None
    timeline = [{"stage": "Prepared", "time": "2026-11-24T11:59:40.000000Z"}]
    again = seen(a_task(status={**ready(), "timeline": timeline}), job=JOB, pod=pod)
    assert tell_dataset_action(plan(again)) is None


GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("training-*.yaml"))


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_a_job_says_with_which_limits_its_pod_compares_the_file(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    manifest["metadata"]["uid"] = "job-uid"
    job = parse_job(manifest)
    assert job.limits == Limits(min_samples=11, min_cell=11, max_left_out="0.1")
    assert job.source is not None
    assert job.source.claim == "breast-data"


def test_a_job_says_which_rows_its_pod_reads() -> None:
    dataset = {**BREAST.spec, "path": "$HOME/$$(FILE).csv"}
    observation = seen(a_task(status=ready()), datasets={"breast": dataclasses.replace(BREAST, spec=dataset)})
    [create] = [each for each in plan(observation).actions if isinstance(each, CreateJob)]
    metadata = create.job["metadata"] | {"uid": "job-uid"}
    assert BREAST.schema is not None
    assert parse_job(create.job | {"metadata": metadata}).source == Source.described(dataset, BREAST.schema)


def test_a_dataset_says_with_which_limits_a_training_pod_has_compared_its_file() -> None:
    limits = Limits(min_samples=20, min_cell=11, max_left_out="0.3")
    pod = a_pod(ended("prepare", 0, '{"rows": 1}'))
    job = dataclasses.replace(JOB, limits=limits)
    action = tell_dataset_action(plan(seen(a_task(status=ready()), job=job, pod=pod)))
    assert action is not None
    assert action.status.limits == limits


FAILURES = {
    "a column is missing": ([ended("prepare", 65, outcome("ColumnMissing"))], "Site", "ColumnMissing", 65),
    "the gate found the network open": ([ended("prepare", 75, outcome("NetworkOpen"))], "Site", "NetworkOpen", 75),
    "the gate could not ask": ([ended("prepare", 75, outcome("IsolationUnknown"))], "Platform", "IsolationUnknown", 75),
    "a reason that nobody knows": ([ended("prepare", 70, outcome("Invented"))], "Platform", "PodFailed", 70),
    "our own code broke off": ([ended("prepare", 70)], "Platform", "PodFailed", 70),
    "the training code failed": ([ended("prepare", 0), ended("train", 3)], "Code", "TrainerFailed", 3),
    "the training code says data": ([ended("prepare", 0), ended("train", 65)], "Site", "DataUnreadable", 65),
    "the training code refuses the parameters": (
        [ended("prepare", 0), ended("train", 64, outcome("DataUnreadable"))],
        "Code",
        "ParametersRefused",
        64,
    ),
    "init refuses the parameters": ([ended("prepare", 0), ended("init", 64)], "Code", "ParametersRefused", 64),
    "our own code never refuses them": ([ended("prepare", 64)], "Platform", "PodFailed", 64),
    "the training code says again": ([ended("prepare", 0), ended("train", 75)], "Platform", "PodFailed", 75),
    "init failed": ([ended("prepare", 0), ended("init", 1)], "Code", "TrainerFailed", 1),
    "out of memory": ([ended("train", 137, reason="OOMKilled")], "Platform", "OutOfMemory", 137),
    "the output is none": (
        [ended("train", 0), ended("check", 1, outcome("TensorsDiffer"))],
        "Code",
        "TensorsDiffer",
        1,
    ),
    "a class is not believed": (
        [ended("check", 1, json.dumps({"reason": "NotFinite", "class": "Site"}))],
        "Code",
        "NotFinite",
        1,
    ),
    "the image cannot be": ([waiting("train", "ErrImageNeverPull")], "Platform", "PodFailed", None),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_container_fails_the_task_with_class_reason_and_exit_code(case: str) -> None:
    containers, kind, cause, code = FAILURES[case]
    failure = plan(training(*containers)).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason, failure.exit_code) == (kind, cause, code)


@pytest.mark.parametrize(
    ("named", "reported_name"), [("epochs", "epochs"), ("patient-17", None), (17, None), (["epochs"], None)]
)
def test_training_code_names_a_refused_parameter_in_the_rounds_own_words_alone(
    named: Any, reported_name: str | None
) -> None:
    """It has seen the rows: any other word could be one of them."""
    message = json.dumps({"parameter": named, "bound": "patient 17"})
    failure = hub_status(training(ended("prepare", 0), ended("train", 64, message))).failure
    assert failure is not None
    assert (failure.reason, failure.parameter, failure.bound) == ("ParametersRefused", reported_name, None)


@pytest.mark.parametrize("code", [126, 127])
def test_a_command_that_the_image_does_not_contain_is_named_as_the_cause(code: int) -> None:
    """By the launcher's exit codes. Its log line names the command."""
    failure = plan(training(ended("prepare", 0), ended("init", code))).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason, failure.exit_code) == ("Code", "TrainerFailed", code)
    assert "does not contain the command" in (failure.message or "")
    assert "-c init" in (failure.message or "")


def test_a_container_that_never_started_is_not_looked_for_in_a_log() -> None:
    failure = plan(training(ended("prepare", 0), ended("init", 128, reason="StartError"))).status.failure
    assert failure is not None
    assert (failure.reason, failure.exit_code) == ("TrainerFailed", 128)
    assert "could not start container init" in (failure.message or "")
    assert "kubectl logs" not in (failure.message or "")


@pytest.mark.parametrize("case", FAILURES)
def test_no_text_of_a_container_leaves_the_site(case: str) -> None:
    status = hub_status(training(*FAILURES[case][0]))
    assert "patient 17" not in json.dumps(dataclasses.asdict(status))
    assert status.failure is not None
    assert status.failure.message is None
    assert all(not each.message for each in status.conditions)


def test_the_training_codes_own_words_are_not_read_at_all() -> None:
    failure = plan(training(ended("prepare", 0), ended("train", 1, outcome("ColumnMissing")))).status.failure
    assert failure is not None
    assert failure.reason == "TrainerFailed"
    assert "patient 17" not in (failure.message or "")


def test_in_a_statistics_round_train_is_our_own_code() -> None:
    task = a_task(envelope=signed(task="Statistics", initial=False, image="", image_digest=""), status=ready())
    pod = a_pod(ended("prepare", 0), ended("train", 65, outcome("DataUnreadable")))
    failure = plan(seen(task, job=JOB, pod=pod)).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Site", "DataUnreadable")


@pytest.mark.parametrize("place", ["state", "lastState"])
def test_a_network_that_opens_during_training_ends_task_and_job(place: str) -> None:
    sidecar = {"name": "isolation", place: ended("isolation", 75, outcome("NetworkOpen"))["state"]}
    observation = training(ended("prepare", 0), sidecar, running("train"))
    planned = plan(observation)
    assert holds(planned.status, "Failed").reason == "NetworkOpen"
    after = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=planned.status))
    assert change_names(plan(after)) == ("DeleteJob",)


LEFT_ALONE = {
    "it says that it cannot ask": sidecar("state", 75, outcome("IsolationUnknown")),
    "it was killed": sidecar("state", 137),
    "it needed too much memory": sidecar("lastState", 137, cause="OOMKilled"),
    "a fault of its own": sidecar("state", 70, outcome("PodFailed")),
    "somebody ended it in good order": sidecar("lastState", 0),
    "it never started": {**waiting("isolation", "CrashLoopBackOff"), **sidecar("lastState", 128, cause="StartError")},
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_training_without_its_watch_is_ended_and_tried_again(case: str) -> None:
    assert_retried(training(ended("prepare", 0), LEFT_ALONE[case], running("train")), "IsolationUnknown")


def test_a_watch_that_was_gone_counts_also_when_training_has_ended_well_or_not() -> None:
    for code in (0, 1):
        observation = training(ended("prepare", 0), sidecar("state", 137, second=39), ended("train", code))
        assert holds(plan(observation).status, "Failed").reason == "IsolationUnknown"
    done = training(ended("prepare", 0), sidecar("state", 137, second=39), ended("train", 0), ended("check", 0))
    assert holds(plan(done).status, "Failed").reason == "IsolationUnknown"


@pytest.mark.parametrize("code", [0, 137], ids=["by SIGTERM", "killed when it took too long"])
def test_the_sidecar_that_ends_with_its_pod_is_no_failure(code: int) -> None:
    planned = plan(training(ended("prepare", 0), sidecar("state", code), ended("train", 0), ended("check", 0)))
    assert reason(planned) == "Sending"


def test_the_sidecar_of_a_pod_that_somebody_has_ended_says_nothing() -> None:
    disrupted = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    ends = (sidecar("state", 137), running("train"))
    assert plan(training(ended("prepare", 0), *ends, conditions=disrupted)).status.failure is None
    pod = {"metadata": {"name": "pod-1", "namespace": "hospital-a", "deletionTimestamp": "2026-11-24T12:00:00Z"}}
    deleted = parse_pod({**pod, "status": {"initContainerStatuses": list(ends)}})
    assert plan(seen(a_task(status=ready()), job=JOB, pod=deleted)).status.failure is None


def test_an_evicted_pod_is_waited_for_since_its_job_replaces_it() -> None:
    disrupted = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    observation = training(ended("prepare", 0), ended("train", 137), phase="Failed", conditions=disrupted)
    assert holds(plan(observation).status, "Reconciling").status == "True"
    assert plan(observation).status.failure is None


@pytest.mark.parametrize(
    ("failed", "cause"), [("DeadlineExceeded", "DeadlineExceeded"), ("BackoffLimitExceeded", "PodFailed")]
)
def test_a_failed_job_without_a_pod_that_says_why(failed: str, cause: str) -> None:
    """The round's deadline is the pod's. One on the Job is somebody else's."""
    status = plan(seen(a_task(status=ready()), job=dataclasses.replace(JOB, failed=failed))).status
    assert status.failure is not None
    assert (status.failure.failure_class, status.failure.reason) == ("Platform", cause)
    assert f"kubectl describe job/{JOB.name} -n {JOB.namespace}" in holds(status, "Failed").message


OWN = {"name": "auc", "value": "0.91", "low": "0.84", "high": "0.97", "better": "Higher", "people": 60, "rows": "Test"}


def test_a_hospitals_own_numbers_stay_on_its_sitetask_and_the_hub_hears_none() -> None:
    checked = ended("check", 0, json.dumps({"metrics": [OWN]}))
    observation = training(ended("prepare", 0), ended("train", 0), checked)
    planned = plan(observation)
    assert codec.dump(planned.status)["metrics"] == [OWN]
    assert "0.91" not in json.dumps(codec.dump(hub_status(observation)))
    # The numbers stay when the pod has gone.
    sent = a_task(status=codec.dump(planned.status) | {"courier": {"input": "Ready", "update": {"manifest": "x"}}})
    after = plan(seen(sent, job=JOB))
    assert holds(after.status, "Complete").status == "True"
    assert codec.dump(after.status)["metrics"] == [OWN]


@pytest.mark.parametrize(
    "container",
    [ended("check", 1, json.dumps({"metrics": [OWN]})), ended("train", 0, json.dumps({"metrics": [OWN]}))],
)
def test_only_the_check_that_succeeds_says_a_hospitals_own_numbers(container: dict[str, Any]) -> None:
    """Researchers' code can write any termination message."""
    assert plan(training(ended("prepare", 0), container)).status.metrics == ()
