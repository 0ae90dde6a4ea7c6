"""What a site decides about a task from its arrival to its Job."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.cli.explained import item
from tests.unit.plans_site.plans import CREATE, holds, hub_status, reason
from tests.worlds.site import (
    ASSIGNMENT,
    JOB,
    NOW,
    UNPROVEN,
    a_dataset,
    a_round_task,
    a_site,
    a_task,
    accepted,
    change_names,
    condition,
    ready,
    seen,
    signed,
)
from wardround.api.federatedround import Quorum
from wardround.api.sitetask import SiteTask
from wardround.api.task import Failure
from wardround.cli import explain
from wardround.plans.sitetask.hub import mirror, refuse_recreated
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.status import hampered
from wardround.plans.sitetask.types import Observation


def test_a_task_that_the_policy_allows_is_accepted_and_waits_for_its_input() -> None:
    planned = plan(seen())
    assert holds(planned.status, "Accepted").status == "True"
    assert reason(planned) == "Fetching"
    assert [stage.stage for stage in planned.status.timeline] == ["Accepted"]
    assert change_names(planned) == ()


@pytest.mark.parametrize(
    ("change", "reason", "here"),
    [
        ({"dataset_name": "lung"}, "DatasetNotAllowed", '"lung"'),
        ({"parameters": {"batchSize": "1"}}, "ParametersNotAllowed", '"batchSize": "1"'),
    ],
)
def test_a_refused_task_has_failed_with_the_reason_on_both_sides(change: Any, reason: str, here: str) -> None:
    observation = seen(a_task(envelope=signed(**change)))
    for status in (plan(observation).status, hub_status(observation)):
        assert holds(status, "Accepted").status == "False"
        assert holds(status, "Failed").reason == reason
        assert status.failure is not None
        assert status.failure.failure_class == "Site"
    own = plan(observation).status.failure
    assert own is not None
    assert here in str(own.message)
    assert here not in str(hub_status(observation))


@pytest.mark.parametrize(
    ("parameters", "name", "bound"),
    [
        ({"epochs": "5", "learningrate": "0.1"}, "learningrate", "the name learningRate"),
        ({"epochs": "5", "dropout": "0.1"}, "dropout", None),
        ({"epochs": "5", "batchSize": "1"}, "batchSize", "minimum 16"),
        ({"epochs": "0"}, "epochs", "minimum 1, maximum 1000"),
        ({"epochs": "5", "optimizer": "adam"}, "optimizer", "one of Adam, SGD"),
        ({"epochs": "5", "a b": "1"}, None, None),
    ],
)
def test_the_hub_hears_only_name_and_bound_of_a_refused_parameter(
    parameters: dict[str, str], name: str | None, bound: str | None
) -> None:
    failure = hub_status(seen(a_task(envelope=signed(parameters=parameters)))).failure
    assert failure is not None
    assert (failure.reason, failure.parameter, failure.message) == ("ParametersNotAllowed", name, None)
    assert failure.bound == bound


def test_a_missing_parameter_is_named_only_at_the_hospital() -> None:
    demanding = a_site(parameters=[{"name": "batchSize", "minimum": "16", "required": True}])
    refusing = seen(a_task(envelope=signed(parameters={})), site=demanding)
    failure, there = hub_status(refusing).failure, plan(refusing).status.failure
    assert failure is not None
    assert there is not None
    assert (failure.reason, failure.parameter, failure.bound) == ("ParametersNotAllowed", None, None)
    assert '"batchSize", which a Train round must set' in str(there.message)


def test_the_same_round_and_attempt_under_another_name_is_a_replay() -> None:
    copy = a_task("copy-of-the-task")
    assert holds(plan(seen(copy, others=(a_task(status=accepted()),))).status, "Failed").reason == "Replayed"


def test_a_failed_task_stays_stalled_and_its_conditions_get_the_present_generation() -> None:
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
        hub_status(seen(dataclasses.replace(task, status=failed))).observed_generation
        == a_round_task(task).metadata.generation
    )


def test_a_recreated_round_task_is_a_replay() -> None:
    status = refuse_recreated(a_round_task(a_task()), NOW)
    assert holds(status, "Accepted").reason == "Replayed"
    assert holds(status, "Failed").status == "True"


def test_waiting_for_approval_is_a_state_on_both_sides_until_the_assignment_expires() -> None:
    observation = seen(site=a_site(approval="Manual"))
    planned = plan(observation)
    assert holds(hub_status(observation), "Accepted").reason == "WaitingForApproval"
    for status in (planned.status, hub_status(observation)):
        assert (holds(status, "Stalled").status, holds(status, "Reconciling").status) == ("True", "False")
        assert holds(status, "Stalled").reason == "WaitingForApproval"
    command = f"kubectl wardround approve sitetask/{observation.task.metadata.name} -n hospital-a"
    # A hub can put another task of this name in its place while people read: their word is for this very one.
    consent = f"--uid {observation.task.metadata.uid}"
    for kind in ("Stalled", "Accepted"):
        assert command in holds(planned.status, kind).message
        assert consent in holds(planned.status, kind).message
    assert planned.requeue_after == 3600


def test_a_courier_that_waits_for_people_stalls_the_task_and_the_message_has_an_action() -> None:
    waiting = a_task(status=accepted(courier={"reason": "WaitingForApproval"}))
    status = plan(seen(waiting)).status
    assert holds(status, "Stalled").status == "True"
    assert f"kubectl wardround approve sitetask/{waiting.metadata.name}" in holds(status, "Stalled").message


def test_once_it_is_approved_nothing_stalls() -> None:
    manual = a_site(approval="Manual")
    waits = dataclasses.replace(a_task(spec={"approved": True}), status=plan(seen(site=manual)).status)
    approved = plan(seen(waits, site=manual)).status
    assert (holds(approved, "Stalled").status, holds(approved, "Reconciling").status) == ("False", "True")


def test_a_policy_that_changes_later_does_not_touch_what_was_accepted() -> None:
    assert reason(plan(seen(a_task(status=accepted()), site=a_site(approval="Deny")))) == "Fetching"


def test_with_its_input_there_the_job_is_made() -> None:
    planned = plan(seen(a_task(status=ready())))
    assert change_names(planned) == ("CreateJob",)
    assert holds(planned.status, "InputReady").status == "True"


def test_no_job_is_made_while_a_closed_network_would_prove_nothing() -> None:
    planned = plan(seen(a_task(status=ready()), control=UNPROVEN))
    assert change_names(planned) == ()
    assert reason(planned) == "IsolationUnproven"
    assert planned.requeue_after == 10


def test_a_task_waits_behind_the_one_that_trains_and_says_so() -> None:
    other = a_task("other", spec={"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}, status=ready())
    planned = plan(seen(a_task(status=ready()), others=(other,), busy={"other"}))
    assert change_names(planned) == ()
    assert reason(planned) == "Queued"
    assert "waits for other:" in holds(planned.status, "Reconciling").message


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


def test_a_dataset_with_an_unusable_path_fails_the_task_before_there_is_a_job() -> None:
    planned = plan(seen(a_task(status=ready()), datasets={"breast": a_dataset(path="nul\0.csv"), "lung": a_dataset()}))
    assert change_names(planned) == ()
    assert holds(planned.status, "Failed").reason == "DataUnreadable"
    assert "Dataset breast: spec has" in holds(planned.status, "Failed").message


def test_a_dataset_without_its_schema_fails_the_task_before_there_is_a_job() -> None:
    planned = plan(seen(a_task(status=ready()), datasets={"breast": a_dataset(None)}))
    assert change_names(planned) == ()
    assert holds(planned.status, "Failed").reason == "DataUnreadable"
    assert "There is no DataSchema breast-v1 in this namespace" in holds(planned.status, "Failed").message


def not_admitted(name: str = "train-1-a8e051da-a1", **task: Any) -> SiteTask:
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


def test_the_hospital_reads_a_refused_parameter_and_what_to_do_once() -> None:
    refusing = seen(a_task(envelope=signed(parameters={"epochs": "0"})))
    message = str(refused_here(refusing).message)
    meta = refusing.task.metadata
    assert f"kubectl describe sitetask {meta.name} -n {meta.namespace}`" in message
    failure = {"class": "Site", "reason": "ParametersNotAllowed", "message": message, "parameter": "epochs"}
    task = item("SiteTask", meta.name, meta.namespace, {"failure": failure})
    shown = explain.text(explain.explain_task(task, None, NOW))
    assert shown.count("The round gives it the value") == 1
    assert shown.count("kubectl describe sitetask") == 1


def test_the_hospital_alone_reads_both_numbers_of_a_quorum_that_is_too_small() -> None:
    refusing = seen(a_task(envelope=signed(quorum=Quorum(min=1))))
    numbers = "The smallest number of updates for the round's result is 1, and policy.minQuorum of this hospital's Site"
    assert numbers in str(refused_here(refusing).message)
    assert "minQuorum" not in str(hub_status(refusing))


def refused_here(observation: Observation) -> Failure:
    failure = plan(observation).status.failure
    assert failure is not None
    return failure
