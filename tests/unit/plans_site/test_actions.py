"""What a plan of the site does, in which order, and what each action carries."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.players.hospital import OURS
from tests.unit.plans_site.plans import REPLAYED
from tests.worlds.site import (
    ASSIGNMENT,
    BREAST,
    CONTROL,
    HOSPITAL,
    HUB,
    JOB,
    NOW,
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
    tell_dataset_action,
    tell_hub_action,
)
from wardround.api import conditions
from wardround.api.roundtask import RoundTask
from wardround.manifests.training import build
from wardround.plans.sitetask import arrival
from wardround.plans.sitetask.arrival import FULL_SECONDS, Arrival
from wardround.plans.sitetask.hub import PROGRESS_SECONDS
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.memory import MOST
from wardround.plans.sitetask.plan import interrupted, plan
from wardround.plans.sitetask.types import (
    Action,
    CreateJob,
    DeleteJob,
    DeleteTask,
    LeaveAlone,
    Mirror,
    Observation,
    RefuseReplay,
    TakeTask,
    WakeTasks,
    WriteStatus,
)
from wardround.sealing.keys import generate_signing_key
from wardround.sealing.manifests import sign_model
from wardround.wire.training import LiveRounds

ELSEWHERE = {"roundRef": {"namespace": "x", "name": "y", "uid": "z"}}


def kinds(actions: tuple[Action, ...]) -> list[str]:
    return [type(each).__name__ for each in actions]


def only(observation: Observation, kind: type[Any]) -> Any:
    """The one action of this kind."""
    (action,) = [each for each in plan(observation).actions if isinstance(each, kind)]
    return action


def cancelled(task: Any) -> RoundTask:
    return a_round_task(task, cancel=True, grants="bmV3")


STATE = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
READ = ended("prepare", 0, '{"rows": 290}')
HEARD = {**ended("isolation", 0, '{"linkLocal": {"heard": "Silent", "answers": []}}'), "name": "isolation"}
OVER = a_task(status=ready(condition("Failed", reason="Cancelled")))

ORDER: dict[str, tuple[Observation, list[str]]] = {
    "a task arrives": (seen(), ["WriteStatus", "TellHub"]),
    "its Job is made after its status is written": (
        seen(a_task(status=ready())),
        ["WriteStatus", "CreateJob", "TellHub"],
    ),
    "grants come before the Job": (
        seen(a_task(status=ready()), round_task=a_round_task(a_task(), grants="bmV3")),
        ["WriteStatus", "Mirror", "CreateJob", "TellHub"],
    ),
    "what the pod said of the Dataset comes before the status, and what it said of the Site last": (
        seen(a_task(status=ready()), job=JOB, pod=a_pod(READ, running("train"), HEARD)),
        ["TellDataset", "WriteStatus", "TellHub", "TellSite"],
    ),
    "a cancelled task says so before it is tidied up": (
        seen(a_task(status=ready()), job=JOB, round_task=cancelled(a_task())),
        ["WriteStatus", "Mirror", "TellHub"],
    ),
    "then its Job goes": (seen(OVER, job=JOB), ["WriteStatus", "DeleteJob", "TellHub"]),
    "a replay ends the task whose name it has, and is refused then": (
        seen(a_task(status=ready()), round_task=REPLAYED),
        ["WriteStatus", "RefuseReplay"],
    ),
    "a task that the hub has deleted tells nobody": (
        seen(a_task(status={"conditions": [condition("Failed")]}), round_task=None),
        ["WriteStatus", "DeleteTask"],
    ),
    "without the hub the site goes on": (
        seen(a_task(status=ready()), round_task=None, hub_reached=False),
        ["WriteStatus", "CreateJob"],
    ),
}


@pytest.mark.parametrize("case", ORDER)
def test_a_plan_says_in_which_order_things_are_written(case: str) -> None:
    observation, wanted = ORDER[case]
    assert kinds(plan(observation).actions) == wanted


def test_the_job_is_made_from_what_the_plan_has_seen() -> None:
    task = a_task(envelope=signed(state_round=STATE), status=ready())
    going = a_task("going", spec=ELSEWHERE, status=accepted())
    create = only(seen(task, others=(going,), max_samples=500), CreateJob)
    assert create.job == build(
        training_job(
            a_site(),
            task,
            dataclasses.replace(ASSIGNMENT, state_round=STATE),
            BREAST,
            control=CONTROL,
            max_samples=500,
            live=LiveRounds(("round-uid", "z"), (STATE,), "2026-11-24T12:00:00Z"),
            operator_image=OURS,
        )
    )


def test_no_job_starts_from_a_model_that_the_hub_did_not_sign() -> None:
    model = HUB.seal_model(b"weights", "base-uid").model
    forged = dataclasses.replace(model, text=sign_model(model.manifest, generate_signing_key()))
    for each, changes in ((model, ("CreateJob",)), (forged, ())):
        base = HUB.base(each, HOSPITAL.recipient, "round-uid")
        planned = plan(seen(a_task(envelope=signed(base=base, initial=False), status=ready())))
        assert change_names(planned) == changes
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "SignatureInvalid"


def test_each_action_names_the_object_that_it_deletes_or_mirrors() -> None:
    assert only(seen(OVER, job=JOB), DeleteJob) == DeleteJob(name=JOB.name, uid=JOB.uid)
    task = a_task(status={"conditions": [condition("Failed")]})
    assert only(seen(task, round_task=None), DeleteTask) == DeleteTask(name=task.metadata.name, uid=task.metadata.uid)
    assert only(seen(round_task=cancelled(a_task())), Mirror) == Mirror(grants="bmV3", cancel=True)


def test_a_recreated_round_task_is_refused_once() -> None:
    observation = seen(a_task(status=accepted()), round_task=REPLAYED)
    refused = only(observation, RefuseReplay).status
    assert conditions.is_true(refused.conditions, "Failed")
    again = dataclasses.replace(observation, round_task=dataclasses.replace(REPLAYED, status=refused))
    assert "RefuseReplay" not in kinds(plan(again).actions)


def test_a_datasets_status_is_written_only_if_prepare_said_something_new() -> None:
    observation = seen(a_task(status=ready()), job=JOB, pod=a_pod(READ, running("train")))
    action = tell_dataset_action(plan(observation))
    assert action is not None
    assert (action.name, action.status.rows) == ("breast", 290)
    known = dataclasses.replace(observation, datasets={"breast": dataclasses.replace(BREAST, status=action.status)})
    assert tell_dataset_action(plan(known)) is None
    assert tell_dataset_action(plan(dataclasses.replace(observation, datasets={}))) is None


def test_a_dataset_that_people_changed_hears_nothing_of_a_pod_that_read_the_former_one() -> None:
    """The pod counted the rows of another file. Without a reading of its own, the new Dataset would be Ready."""
    observation = seen(a_task(status=ready()), job=JOB, pod=a_pod(READ, running("train")))
    assert BREAST.schema is not None
    other_schema = {**BREAST.schema, "fields": [*BREAST.schema["fields"], {"name": "age", "type": "number"}]}
    for changed in (
        dataclasses.replace(BREAST, spec={**BREAST.spec, "path": "other.csv"}, generation=2),
        dataclasses.replace(BREAST, spec={**BREAST.spec, "claimName": "other"}, generation=2),
        dataclasses.replace(BREAST, schema=other_schema),
        dataclasses.replace(BREAST, schema=None),
    ):
        assert tell_dataset_action(plan(dataclasses.replace(observation, datasets={"breast": changed}))) is None


WAITS = a_task("waits", spec=ELSEWHERE, status=ready())
DONE = a_task("done", spec=ELSEWHERE, status=accepted(condition("Complete")))
GIVES_UP: dict[str, tuple[Observation, tuple[str, ...]]] = {
    "it has trained": (
        seen(a_task(status=ready()), others=(WAITS, DONE), job=JOB, pod=a_pod(ended("check", 0))),
        ("waits",),
    ),
    "it has failed": (
        seen(a_task(status=ready()), others=(WAITS, DONE), job=JOB, pod=a_pod(ended("train", 1))),
        ("waits",),
    ),
    "it trains": (seen(a_task(status=ready()), others=(WAITS, DONE), job=JOB, pod=a_pod(running("train"))), ()),
    "it had given its place up before": (
        seen(a_task(status=ready(condition("Trained"), upload={"bytes": 1})), others=(WAITS, DONE)),
        (),
    ),
}


@pytest.mark.parametrize("case", GIVES_UP)
def test_a_task_that_gives_up_its_place_wakes_those_that_wait(case: str) -> None:
    observation, names = GIVES_UP[case]
    woken = [each.names for each in plan(observation).actions if isinstance(each, WakeTasks)]
    assert woken == ([names] if names else [])


def test_a_job_that_the_api_server_refuses_gives_up_its_place_and_the_hub_hears_of_it() -> None:
    observation = seen(a_task(status=ready()), others=(WAITS,))
    planned = plan(observation)
    create = only(observation, CreateJob)
    assert kinds(interrupted(observation, planned, create, "403 no quota", refused=True)) == [
        "WriteStatus",
        "WakeTasks",
        "TellHub",
    ]
    later = interrupted(observation, planned, create, "503 not now")
    assert kinds(later) == ["WriteStatus", "TellHub"]
    assert isinstance(later[0], WriteStatus)
    reconciling = conditions.find(later[0].status.conditions, "Reconciling")
    assert reconciling is not None
    assert (reconciling.reason, "503 not now" in reconciling.message) == ("StepFailed", True)


def test_the_hub_hears_of_progress_once_in_a_while_and_of_the_end_for_the_last_time() -> None:
    task = a_task(status=ready())
    first = seen(task, job=JOB, pod=a_pod(running("prepare")))
    action = tell_hub_action(plan(first))
    assert action is not None
    assert not action.last
    there = dataclasses.replace(a_round_task(task), status=action.status)
    moved = seen(task, round_task=there, job=JOB, pod=a_pod(ended("prepare", 0), ended("train", 0), ended("check", 0)))
    soon = plan(dataclasses.replace(moved, hub_heard=NOW - timedelta(seconds=1)))
    assert (tell_hub_action(soon), soon.requeue_after) == (None, PROGRESS_SECONDS - 1)
    assert tell_hub_action(plan(moved)) is not None, "a new process tells at once"
    end = tell_hub_action(plan(dataclasses.replace(moved, pod=a_pod(ended("train", 1)), hub_heard=NOW)))
    assert end is not None
    assert end.last


# A RoundTask that has no SiteTask yet


NEW = a_task()


def arriving(held: int = 0, *, kind: str = "", **spec: Any) -> Arrival:
    task = a_round_task(NEW, **spec)
    if kind:
        ends = a_task(status={"conditions": [condition(kind)]}).status.conditions
        task = dataclasses.replace(task, status=dataclasses.replace(task.status, conditions=ends))
    return Arrival(round_task=task, held=held, now=NOW)


def test_a_new_task_is_taken_as_the_hub_asks() -> None:
    (take,) = arrival.plan(arriving(MOST - 1, grants="bmV3")).actions
    assert isinstance(take, TakeTask)
    assert take.name == NEW.metadata.name
    assert take.spec == dataclasses.replace(NEW.spec, grants="bmV3")
    assert take.labels["wardround.io/participant"] == a_site().spec.hub.participant_namespace


@pytest.mark.parametrize("seen", [arriving(cancel=True), arriving(kind="Failed"), arriving(MOST, kind="Complete")])
def test_the_site_begins_no_task_that_has_ended_at_the_hub(seen: Arrival) -> None:
    assert arrival.plan(seen) == arrival.ArrivalPlan()


def test_a_full_site_says_so_once_and_looks_again() -> None:
    planned = arrival.plan(arriving(MOST))
    (alone,) = planned.actions
    assert isinstance(alone, LeaveAlone)
    assert planned.requeue_after == FULL_SECONDS
    accepted_at_hub = conditions.find(alone.status.conditions, "Accepted")
    assert accepted_at_hub is not None
    assert (accepted_at_hub.status, accepted_at_hub.reason) == ("Unknown", "TooManyTasks")
    refused = dataclasses.replace(arriving(MOST).round_task, status=alone.status)
    again = arrival.plan(Arrival(round_task=refused, held=MOST, now=NOW + timedelta(minutes=1)))
    assert (again.actions, again.requeue_after) == ((), FULL_SECONDS)


def test_a_task_that_the_api_server_does_not_admit_says_so_at_the_hub_in_our_words_alone() -> None:
    (alone,) = arrival.not_admitted(arriving(), "422 a policy's words")
    assert alone.words == "422 a policy's words"
    assert "policy's words" not in str(alone.status)
    reconciling = conditions.find(alone.status.conditions, "Reconciling")
    assert reconciling is not None
    assert reconciling.reason == "SiteTaskNotAdmitted"
