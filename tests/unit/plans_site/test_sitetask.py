"""What a site does about a task, from arrival to end, and what its hub is told."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.worlds.site import (
    ASSIGNMENT,
    CONTROL,
    JOB,
    NOW,
    UNPROVEN,
    a_dataset,
    a_pod,
    a_round_task,
    a_site,
    a_task,
    accepted,
    change_names,
    condition,
    ended,
    ready,
    running,
    seen,
    signed,
    told_dataset,
    waiting,
)
from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.roundtask import RoundTaskStatus
from wardround.api.sitetask import SiteTask, SiteTaskStatus
from wardround.plans.sitetask.hub import PROGRESS_SECONDS, due, left_alone, mirror, refuse_recreated
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.pod import parse_pod
from wardround.plans.sitetask.status import hampered
from wardround.plans.sitetask.types import CreateJob, DeleteJob, Observation, Plan
from wardround.wire.training import LiveRounds

CREATE = CreateJob(
    assignment=ASSIGNMENT, dataset="breast", control=CONTROL, max_samples=None, live=LiveRounds((), (), "")
)
DELETE = DeleteJob(name=JOB.name, uid=JOB.uid)
UPDATE = {"manifest": "{}", "samples": 290, "metrics": [{"name": "loss", "value": "0.1"}]}


def holds(status: SiteTaskStatus | RoundTaskStatus, kind: str) -> Condition:
    found = conditions.find(status.conditions, kind)
    assert found is not None, f"no condition {kind}"
    return found


def reason(plan: Plan) -> str:
    return holds(plan.status, "Reconciling").reason


def told(observation: Observation) -> RoundTaskStatus:
    planned = plan(observation)
    assert observation.round_task is not None
    return mirror(planned.status, observation.round_task, ASSIGNMENT)


# Arrival


def test_a_task_that_the_policy_allows_is_accepted_and_waits_for_its_input() -> None:
    planned = plan(seen())
    assert holds(planned.status, "Accepted").status == "True"
    assert reason(planned) == "Fetching"
    assert [stage.stage for stage in planned.status.timeline] == ["Accepted"]
    assert change_names(planned) == ()


@pytest.mark.parametrize(
    ("asked", "reason", "here"),
    [
        ({"dataset_name": "lung"}, "DatasetNotAllowed", '"lung"'),
        ({"parameters": {"batchSize": "1"}}, "ParametersNotAllowed", '"batchSize": "1"'),
    ],
)
def test_a_refused_task_has_failed_with_the_reason_on_both_sides(asked: Any, reason: str, here: str) -> None:
    observation = seen(a_task(envelope=signed(**asked)))
    for status in (plan(observation).status, told(observation)):
        assert holds(status, "Accepted").status == "False"
        assert holds(status, "Failed").reason == reason
        assert status.failure is not None
        assert status.failure.failure_class == "Site"
    own = plan(observation).status.failure
    assert own is not None
    assert here in str(own.message)
    assert here not in str(told(observation))


@pytest.mark.parametrize(
    ("given", "told_name", "bound"),
    [
        ({"epochs": "5", "learningrate": "0.1"}, "learningrate", None),
        ({"epochs": "5", "batchSize": "1"}, "batchSize", "minimum 16"),
        ({"epochs": "0"}, "epochs", "minimum 1, maximum 1000"),
        ({"epochs": "5", "optimizer": "adam"}, "optimizer", "one of Adam, SGD"),
        ({"epochs": "5", "a b": "1"}, None, None),
    ],
)
def test_of_refused_parameters_the_hub_hears_the_name_that_it_wrote_itself_and_its_bound(
    given: dict[str, str], told_name: str | None, bound: str | None
) -> None:
    failure = told(seen(a_task(envelope=signed(parameters=given)))).failure
    assert failure is not None
    assert (failure.reason, failure.parameter, failure.message) == ("ParametersNotAllowed", told_name, None)
    assert failure.bound == bound


def test_the_same_round_and_attempt_under_another_name_is_a_replay() -> None:
    copy = a_task("copy-of-the-task")
    assert holds(plan(seen(copy, others=(a_task(status=accepted()),))).status, "Failed").reason == "Replayed"


def test_a_failed_task_is_stalled_for_good_and_is_said_of_the_task_as_it_is_now() -> None:
    """By kstatus it would be current otherwise; and nobody believes what was said of an earlier generation."""
    task = a_task()
    failed = plan(seen(a_task(status=accepted(courier={"reason": "StoreNotPinned"})))).status
    assert (holds(failed, "Failed").status, holds(failed, "Stalled").status) == ("True", "True")
    assert holds(failed, "Reconciling").status == "False"
    later = dataclasses.replace(task.metadata, generation=task.metadata.generation + 1)
    status = plan(seen(dataclasses.replace(task, metadata=later, status=failed))).status
    assert status.observed_generation == later.generation
    assert {each.observed_generation for each in status.conditions} == {later.generation}
    assert (
        told(seen(dataclasses.replace(task, status=failed))).observed_generation
        == a_round_task(task).metadata.generation
    )


def test_a_recreated_round_task_is_a_replay() -> None:
    status = refuse_recreated(a_round_task(a_task()), NOW)
    assert holds(status, "Accepted").reason == "Replayed"
    assert holds(status, "Failed").status == "True"


def test_waiting_for_approval_is_a_state_on_both_sides_until_the_assignment_expires() -> None:
    observation = seen(site=a_site(approval="Manual"))
    planned = plan(observation)
    assert holds(told(observation), "Accepted").reason == "WaitingForApproval"
    for status in (planned.status, told(observation)):
        assert (holds(status, "Stalled").status, holds(status, "Reconciling").status) == ("True", "False")
        assert holds(status, "Stalled").reason == "WaitingForApproval"
    command = f"kubectl patch sitetask {observation.task.metadata.name} -n hospital-a --type merge"
    # A hub can put another task of this name in its place while people read: their word is for this very one.
    consent = f"""-p '{{"metadata":{{"uid":"{observation.task.metadata.uid}"}},"spec":{{"approved":true}}}}'"""
    for kind in ("Stalled", "Accepted"):
        assert command in holds(planned.status, kind).message
        assert consent in holds(planned.status, kind).message
    assert planned.again_seconds == 3600


def test_a_courier_that_waits_for_people_stalls_the_task_and_they_are_told_what_to_do() -> None:
    waiting = a_task(status=accepted(courier={"reason": "WaitingForApproval"}))
    status = plan(seen(waiting)).status
    assert holds(status, "Stalled").status == "True"
    assert f"kubectl patch sitetask {waiting.metadata.name}" in holds(status, "Stalled").message


def test_once_it_is_approved_nothing_stalls() -> None:
    manual = a_site(approval="Manual")
    waits = dataclasses.replace(a_task(spec={"approved": True}), status=plan(seen(site=manual)).status)
    approved = plan(seen(waits, site=manual)).status
    assert (holds(approved, "Stalled").status, holds(approved, "Reconciling").status) == ("False", "True")


def test_a_policy_that_changes_later_does_not_touch_what_was_accepted() -> None:
    assert reason(plan(seen(a_task(status=accepted()), site=a_site(approval="Deny")))) == "Fetching"


# Places


def test_with_its_input_there_the_job_is_made() -> None:
    planned = plan(seen(a_task(status=ready())))
    assert change_names(planned) == ("CreateJob",)
    assert holds(planned.status, "InputReady").status == "True"


def test_no_job_is_made_while_a_closed_network_would_prove_nothing() -> None:
    planned = plan(seen(a_task(status=ready()), control=UNPROVEN))
    assert change_names(planned) == ()
    assert reason(planned) == "IsolationUnproven"
    assert planned.again_seconds == 10


def test_a_task_waits_behind_the_one_that_trains_and_says_so() -> None:
    other = a_task("other", spec={"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}, status=ready())
    planned = plan(seen(a_task(status=ready()), others=(other,), busy={"other"}))
    assert change_names(planned) == ()
    assert reason(planned) == "Queued"
    assert "behind other" in holds(planned.status, "Reconciling").message


def test_the_oldest_task_goes_first() -> None:
    spec = {"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}
    older = a_task("older", spec=spec, status=ready(), created="2026-11-24T11:00:00Z")
    younger = a_task("younger", spec=spec, status=ready(), created="2026-11-24T11:59:59Z")
    assert reason(plan(seen(a_task(status=ready()), others=(older,)))) == "Queued"
    assert change_names(plan(seen(a_task(status=ready()), others=(younger,)))) == ("CreateJob",)


@pytest.mark.parametrize("last", ["Trained", "Complete", "Failed"])
def test_a_task_that_has_trained_holds_no_place_any_more(last: str) -> None:
    spec = {"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}
    other = a_task("other", spec=spec, status=ready(condition(last)))
    assert change_names(plan(seen(a_task(status=ready()), others=(other,), busy={"other"}))) == ("CreateJob",)


def test_a_dataset_that_was_deleted_meanwhile_fails_the_task() -> None:
    planned = plan(seen(a_task(status=ready()), datasets={}))
    assert holds(planned.status, "Failed").reason == "DatasetNotFound"


def test_a_dataset_that_no_container_can_be_told_of_fails_the_task_before_there_is_a_job() -> None:
    planned = plan(
        seen(a_task(status=ready()), datasets={"breast": a_dataset({"path": "nul\0.csv"}), "lung": a_dataset({})})
    )
    assert change_names(planned) == ()
    assert holds(planned.status, "Failed").reason == "DataUnreadable"
    assert "Dataset breast: spec has" in holds(planned.status, "Failed").message


def not_admitted(name: str = "train-1-1a2b3c4d-a1", **task: Any) -> SiteTask:
    made = a_task(name, status=ready(), **task)
    return dataclasses.replace(made, status=hampered(made, CREATE, "post Job: 403 no quota", NOW, refused=True))


def test_a_job_that_is_not_admitted_waits_and_says_why_at_the_site_only() -> None:
    waiting = not_admitted()
    planned = plan(seen(waiting))
    assert change_names(planned) == ("CreateJob",)
    assert reason(planned) == "JobNotAdmitted"
    assert "403 no quota" in holds(planned.status, "Reconciling").message
    assert "quota" not in json.dumps(dataclasses.asdict(mirror(planned.status, a_round_task(waiting), ASSIGNMENT)))
    assert reason(plan(seen(waiting, job=JOB))) == "Starting"


def test_a_job_that_is_not_admitted_in_time_is_the_cause_of_the_failure() -> None:
    late = plan(seen(not_admitted(), now=NOW + timedelta(seconds=900))).status
    assert late.failure is not None
    assert (late.failure.failure_class, late.failure.reason) == ("Platform", "JobNotAdmitted")
    assert "403 no quota" in (late.failure.message or "")


def test_a_job_that_is_not_admitted_keeps_no_other_task_waiting_and_its_reason_while_others_train() -> None:
    first = not_admitted("first", created="2026-11-24T11:00:00Z")
    second = a_task("second", status=ready())
    assert change_names(plan(seen(second, others=(first,)))) == ("CreateJob",)
    behind = plan(seen(first, others=(second,), busy={"second"}))
    assert (reason(behind), change_names(behind)) == ("JobNotAdmitted", ())


# The pod


def training(*containers: dict[str, Any], **status: Any) -> Observation:
    return seen(a_task(status=ready()), job=JOB, pod=a_pod(*containers, **status))


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


@pytest.mark.parametrize(("approval", "reason"), [("Policy", "Accepted"), ("Manual", "WaitingForApproval")])
def test_that_a_round_has_local_sockets_is_said_before_it_is_approved_and_on_both_sides(
    approval: str, reason: str
) -> None:
    for local in (True, False):
        resources = dataclasses.replace(ASSIGNMENT.resources, local_sockets=local)
        of = a_site(localSockets=True, approval=approval)
        observation = seen(a_task(envelope=signed(resources=resources)), site=of)
        planned = plan(observation)
        here = holds(planned.status, "Accepted")
        assert here.reason == reason
        assert ("is allowed to open IP sockets" in here.message) is local
        assert ("kubectl patch sitetask" in here.message) is (approval == "Manual")
        assert observation.round_task is not None
        # A task that is over is mirrored without its assignment.
        for assignment in (planned.assignment, None):
            there = holds(mirror(planned.status, observation.round_task, assignment), "Accepted")
            assert ("is allowed to open IP sockets" in there.message) is (local and approval == "Policy")
            assert len(there.message) <= 256, "more of a condition the hub's policy takes from no site"


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


def test_what_prepare_said_is_handed_to_the_dataset_once() -> None:
    pod = a_pod(ended("prepare", 0, '{"rows": 1}'), running("train"))
    assert told_dataset(plan(seen(a_task(status=ready()), job=JOB, pod=pod))) is not None
    timeline = [{"stage": "Prepared", "time": "2026-11-24T11:59:40.000000Z"}]
    again = seen(a_task(status={**ready(), "timeline": timeline}), job=JOB, pod=pod)
    assert told_dataset(plan(again)) is None


def said(reason: str, message: str = "mean_radius of patient 17") -> str:
    return json.dumps({"reason": reason, "class": "Site", "message": message})


FAILURES = {
    "a column is missing": ([ended("prepare", 65, said("ColumnMissing"))], "Site", "ColumnMissing", 65),
    "the gate found the network open": ([ended("prepare", 75, said("NetworkOpen"))], "Site", "NetworkOpen", 75),
    "the gate could not ask": ([ended("prepare", 75, said("IsolationUnknown"))], "Platform", "IsolationUnknown", 75),
    "a reason that nobody knows": ([ended("prepare", 70, said("Invented"))], "Platform", "PodFailed", 70),
    "our own code broke off": ([ended("prepare", 70)], "Platform", "PodFailed", 70),
    "the training code failed": ([ended("prepare", 0), ended("train", 3)], "Code", "TrainerFailed", 3),
    "the training code says data": ([ended("prepare", 0), ended("train", 65)], "Site", "DataUnreadable", 65),
    "the training code refuses the parameters": (
        [ended("prepare", 0), ended("train", 64, said("DataUnreadable"))],
        "Code",
        "ParametersRefused",
        64,
    ),
    "init refuses the parameters": ([ended("prepare", 0), ended("init", 64)], "Code", "ParametersRefused", 64),
    "our own code never refuses them": ([ended("prepare", 64)], "Platform", "PodFailed", 64),
    "the training code says again": ([ended("prepare", 0), ended("train", 75)], "Platform", "PodFailed", 75),
    "init failed": ([ended("prepare", 0), ended("init", 1)], "Code", "TrainerFailed", 1),
    "out of memory": ([ended("train", 137, reason="OOMKilled")], "Platform", "OutOfMemory", 137),
    "the output is none": ([ended("train", 0), ended("check", 1, said("TensorsDiffer"))], "Code", "TensorsDiffer", 1),
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
    containers, kind, why, code = FAILURES[case]
    failure = plan(training(*containers)).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason, failure.exit_code) == (kind, why, code)


@pytest.mark.parametrize(
    ("named", "told_name"), [("epochs", "epochs"), ("patient-17", None), (17, None), (["epochs"], None)]
)
def test_training_code_names_a_refused_parameter_in_the_rounds_own_words_alone(
    named: Any, told_name: str | None
) -> None:
    """It has seen the rows: any other word could be one of them."""
    message = json.dumps({"parameter": named, "bound": "patient 17"})
    failure = told(training(ended("prepare", 0), ended("train", 64, message))).failure
    assert failure is not None
    assert (failure.reason, failure.parameter, failure.bound) == ("ParametersRefused", told_name, None)


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
    assert "Container init could not be started" in (failure.message or "")
    assert "kubectl logs" not in (failure.message or "")


@pytest.mark.parametrize("case", FAILURES)
def test_no_text_of_a_container_leaves_the_site(case: str) -> None:
    status = told(training(*FAILURES[case][0]))
    assert "patient 17" not in json.dumps(dataclasses.asdict(status))
    assert status.failure is not None
    assert status.failure.message is None
    assert all(not each.message for each in status.conditions)


def test_the_training_codes_own_words_are_not_read_at_all() -> None:
    failure = plan(training(ended("prepare", 0), ended("train", 1, said("ColumnMissing")))).status.failure
    assert failure is not None
    assert failure.reason == "TrainerFailed"
    assert "patient 17" not in (failure.message or "")


def test_in_a_statistics_round_train_is_our_own_code() -> None:
    task = a_task(envelope=signed(task="Statistics", initial=False, image="", image_digest=""), status=ready())
    pod = a_pod(ended("prepare", 0), ended("train", 65, said("DataUnreadable")))
    failure = plan(seen(task, job=JOB, pod=pod)).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Site", "DataUnreadable")


@pytest.mark.parametrize("place", ["state", "lastState"])
def test_a_network_that_opens_during_training_ends_task_and_job(place: str) -> None:
    sidecar = {"name": "isolation", place: ended("isolation", 75, said("NetworkOpen"))["state"]}
    observation = training(ended("prepare", 0), sidecar, running("train"))
    planned = plan(observation)
    assert holds(planned.status, "Failed").reason == "NetworkOpen"
    after = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=planned.status))
    assert change_names(plan(after)) == ("DeleteJob",)


def sidecar(place: str, code: int, message: str = "", second: int = 40, why: str = "Error") -> dict[str, Any]:
    """That ended in that second; containers beside it that have ended did so in second 40."""
    state = ended("isolation", code, message, why)["state"]
    state["terminated"]["finishedAt"] = f"2026-11-24T11:59:{second}Z"
    return {"name": "isolation", place: state}


LEFT_ALONE = {
    "it says that it cannot ask": sidecar("state", 75, said("IsolationUnknown")),
    "it was killed": sidecar("state", 137),
    "it needed too much memory": sidecar("lastState", 137, why="OOMKilled"),
    "a fault of its own": sidecar("state", 70, said("PodFailed")),
    "somebody ended it in good order": sidecar("lastState", 0),
    "it never started": {**waiting("isolation", "CrashLoopBackOff"), **sidecar("lastState", 128, why="StartError")},
}


def is_ended_and_tried_again(observation: Observation, reason: str) -> None:
    planned = plan(observation)
    failure = planned.status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Platform", reason)
    after = dataclasses.replace(observation, task=dataclasses.replace(observation.task, status=planned.status))
    assert change_names(plan(after)) == ("DeleteJob",)


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_training_without_its_watch_is_ended_and_tried_again(case: str) -> None:
    is_ended_and_tried_again(training(ended("prepare", 0), LEFT_ALONE[case], running("train")), "IsolationUnknown")


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
    ("failed", "why"), [("DeadlineExceeded", "DeadlineExceeded"), ("BackoffLimitExceeded", "PodFailed")]
)
def test_a_failed_job_without_a_pod_that_says_why(failed: str, why: str) -> None:
    """The round's deadline is the pod's. One on the Job is somebody else's."""
    status = plan(seen(a_task(status=ready()), job=dataclasses.replace(JOB, failed=failed))).status
    assert status.failure is not None
    assert (status.failure.failure_class, status.failure.reason) == ("Platform", why)
    assert f"kubectl describe job/{JOB.name} -n {JOB.namespace}" in holds(status, "Failed").message


# Time


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
    ("observation", "why"),
    [
        (out_of_time(ended("prepare", 0), ended("train", 137), taken="11:40:00"), "StartDeadline"),
        (out_of_time(waiting("prepare", "PodInitializing")), "StartDeadline"),
        (out_of_time(waiting("prepare", "ImagePullBackOff")), "ImagePullFailed"),
        (out_of_time(ended("prepare", 0), ended("train", 137), seconds=60), "DeadlineExceeded"),
        (out_of_time(ended("prepare", 0), ended("train", 137), seconds=None), "DeadlineExceeded"),
    ],
    ids=["a slow start", "no start", "no image", "somebody else's deadline", "nobody's deadline"],
)
def test_time_that_training_did_not_have_is_not_the_trainings_fault(observation: Observation, why: str) -> None:
    failure = plan(observation).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("Platform", why)


def test_a_network_that_opened_is_said_even_when_time_is_over() -> None:
    observation = out_of_time(ended("prepare", 75, said("NetworkOpen")), ended("isolation", 75, said("NetworkOpen")))
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
    assert planned.again_seconds == 60


@pytest.mark.parametrize(
    "observation",
    [
        on_a_dead_node(deleted="by the cluster", now=timedelta(seconds=121)),
        on_a_dead_node(now=timedelta(seconds=1900)),
    ],
    ids=["that does not remove the pod", "that does not stop the pod in time"],
)
def test_a_dead_node_is_nobodys_deadline_and_may_be_tried_again(observation: Observation) -> None:
    is_ended_and_tried_again(observation, "NodeLost")


def test_a_live_node_may_train_as_long_as_it_likes_until_it_says_otherwise() -> None:
    planned = plan(on_a_dead_node(now=timedelta(seconds=1800)))
    assert reason(planned) == "Training"
    assert planned.again_seconds == 30


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
    observation, why, kind = WAITS[case]
    # Accepted at 11:59:00.
    end = NOW + timedelta(seconds=ASSIGNMENT.wait_seconds - 60)
    before = plan(dataclasses.replace(observation, now=end - timedelta(seconds=1)))
    assert before.status.failure is None
    assert before.again_seconds == 1
    for status in (
        plan(dataclasses.replace(observation, now=end)).status,
        told(dataclasses.replace(observation, now=end)),
    ):
        assert status.failure is not None
        assert (status.failure.failure_class, status.failure.reason) == (kind, why)
        assert holds(status, "Failed").reason == why
    assert "no GPU" not in str(told(dataclasses.replace(observation, now=end)))


def test_an_update_that_is_not_sent_in_time_has_failed_of_what_kept_it() -> None:
    trained = condition("Trained")
    for courier, why in (({"reason": "StoreUnreachable"}, "StoreUnreachable"), ({}, "UploadDeadline")):
        task = a_task(status=ready(trained, upload={"bytes": 1}, **courier))
        end = NOW + timedelta(seconds=ASSIGNMENT.upload_seconds - 60)
        assert plan(seen(task, job=JOB, now=end - timedelta(seconds=1))).status.failure is None
        failure = plan(seen(task, job=JOB, now=end)).status.failure
        assert failure is not None
        assert (failure.failure_class, failure.reason) == ("Network", why)


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


def test_a_task_that_the_hub_gives_up_says_what_it_waited_for_then() -> None:
    waits = condition("Reconciling", reason="StoreUnreachable")
    task = a_task(status=accepted(waits, courier={"reason": "StoreUnreachable"}))
    status = plan(seen(task, round_task=a_round_task(task, cancel=True))).status
    assert holds(status, "Failed").reason == "Cancelled"
    assert "Until then it waited for StoreUnreachable" in holds(status, "Failed").message


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
def test_what_to_look_at_stands_in_the_message_as_a_command(observation: Observation, command: str) -> None:
    status = plan(observation).status
    assert command in {each.message.rpartition(": ")[2] for each in status.conditions}


def test_an_image_that_cannot_be_pulled_yet_is_waited_for_with_a_reason() -> None:
    assert reason(plan(training(ended("prepare", 0), waiting("train", "ImagePullBackOff")))) == "ImagePullFailed"


# Sending


def test_a_checked_update_is_trained_and_being_sent() -> None:
    planned = plan(training(ended("prepare", 0), ended("train", 0), ended("check", 0)))
    assert holds(planned.status, "Trained").status == "True"
    assert reason(planned) == "Sending"


def test_the_hub_is_told_how_many_bytes_to_grant() -> None:
    observation = seen(a_task(status=ready(upload={"bytes": 123456})), job=JOB)
    status = told(observation)
    assert status.upload is not None
    assert status.upload.bytes == 123456
    assert due(RoundTaskStatus(), status, heard_ago=0.1) == 0


def test_a_sent_update_completes_the_task_on_both_sides() -> None:
    observation = seen(a_task(status=ready(upload={"bytes": 1}, update=UPDATE)), job=JOB)
    planned = plan(observation)
    assert holds(planned.status, "Complete").status == "True"
    assert told(observation).update is not None
    assert [stage.stage for stage in planned.status.timeline][-2:] == ["Sealed", "Sent"]


def test_an_update_of_a_pod_whose_network_opened_is_not_complete() -> None:
    sidecar = {"name": "isolation", **{"state": ended("isolation", 75, said("NetworkOpen"))["state"]}}
    observation = seen(
        a_task(status=ready(upload={"bytes": 1}, update=UPDATE)), job=JOB, pod=a_pod(ended("check", 0), sidecar)
    )
    assert holds(plan(observation).status, "Failed").reason == "NetworkOpen"


@pytest.mark.parametrize("why", ["StoreUnreachable", "StoreTooSlow", "StoreUntrusted", "StoreRefused"])
def test_a_store_that_fails_is_waited_for(why: str) -> None:
    planned = plan(seen(a_task(status=accepted(courier={"reason": why}))))
    assert reason(planned) == why
    assert holds(planned.status, "Reconciling").status == "True"


@pytest.mark.parametrize(
    ("why", "kind"),
    [("Altered", "Network"), ("HubNotPinned", "Site"), ("StoreNotPinned", "Site"), ("OutputLink", "Code")],
)
def test_what_the_courier_gives_up_on_fails_the_task(why: str, kind: str) -> None:
    failure = plan(seen(a_task(status=accepted(courier={"reason": why})))).status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == (kind, why)


# The end


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
    quiet = told(seen())
    later = dataclasses.replace(quiet, timeline=told(training(running("prepare"))).timeline)
    without_start = dataclasses.replace(later, timeline=later.timeline[:1])
    assert due(dataclasses.replace(quiet, timeline=()), without_start, heard_ago=3600) is None
    assert due(quiet, later, heard_ago=0.1) == 0


@pytest.mark.parametrize(("heard_ago", "wait"), [(1.0, PROGRESS_SECONDS - 1), (60.0, 0), (-3600.0, PROGRESS_SECONDS)])
def test_progress_that_the_hub_does_not_act_on_is_told_once_in_a_while(heard_ago: float, wait: float) -> None:
    preparing, working = told(training(running("prepare"))), told(training(ended("prepare", 0), running("train")))
    checked = told(training(ended("prepare", 0), ended("train", 0), ended("check", 0)))
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
def test_what_the_hub_acts_on_is_told_at_once(status: dict[str, Any]) -> None:
    acceptance = told(seen(a_task()))
    assert due(RoundTaskStatus(), acceptance, heard_ago=0.1) == 0
    assert due(acceptance, told(seen(a_task(status=status), job=JOB)), heard_ago=0.1) == 0


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


def test_what_is_final_stays_so_while_what_is_left_to_do_fails() -> None:
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
