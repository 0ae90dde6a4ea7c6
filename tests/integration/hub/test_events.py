"""Events of rounds and participants at a real API server: told once, seen by kubectl, and in nobody's way."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.integration.api.objects import FEDERATION, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import now, until
from tests.integration.hub.rounds import until_condition
from wardround.api import conditions
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.clock import system_clock
from wardround.hub.operator import CONTROLLER
from wardround.kube.events import MOST_WAITING, Reporter
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def events(world: World, namespace: str, name: str = "") -> list[Object]:
    items = world.admin.call("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    return [each for each in items if name in ("", each["regarding"]["name"])]


async def events_of(world: World, name: str, *reasons: str) -> list[Object]:
    async def all_there() -> list[Object]:
        written = events(world, FEDERATION, name)
        return written if {each["reason"] for each in written} >= set(reasons) else []

    written: list[Object] = await until(all_there, f"Events {', '.join(reasons)} of {name}")
    return written


async def test_each_step_of_a_round_makes_one_event_about_that_round(world: World) -> None:
    created = world.admin.create(federated_round("told"))
    for hospital in world.hospitals.values():
        await hospital.report(await hospital.task("told"), {}, ("Accepted", False, "ImageNotAllowed"))
    await until_condition(world, "told", "Failed", "QuorumNotMet")
    written = await events_of(world, "told", "Dispatched", "QuorumNotMet")
    assert set(Counter(each["reason"] for each in written).values()) == {1}
    failed = next(each for each in written if each["reason"] == "QuorumNotMet")
    assert failed["regarding"] == {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "FederatedRound",
        "namespace": FEDERATION,
        "name": "told",
        "uid": created["metadata"]["uid"],
    }
    assert (failed["type"], failed["action"], failed["reportingController"]) == ("Warning", "SetFailed", CONTROLLER)
    assert "ImageNotAllowed" in failed["note"]


async def test_kubectl_describe_shows_the_events_of_a_round(world: World, kubectl: Kubectl) -> None:
    world.admin.create(federated_round("described", participants={"names": ["site-a", "site-z"]}))
    await events_of(world, "described", "ParticipantUnknown")
    shown = await asyncio.to_thread(kubectl, "describe", "federatedround", "described", "-n", FEDERATION)
    assert shown.returncode == 0, shown.stderr
    (line,) = [each for each in shown.stdout.splitlines() if "Warning" in each]
    assert "ParticipantUnknown" in line
    assert CONTROLLER in line


async def test_an_approved_participant_gets_an_event(world: World) -> None:
    async def approved() -> list[Object]:
        written = events(world, "site-a", "site-a")
        return [each for each in written if each["reason"] == "Approved"]

    assert len(await until(approved, "the Event of site-a")) == 1


async def test_a_restart_repeats_no_event(world: World) -> None:
    before = {each["metadata"]["uid"] for each in events(world, FEDERATION) + events(world, "site-a")}
    await world.restart()
    await asyncio.sleep(3)
    assert {each["metadata"]["uid"] for each in events(world, FEDERATION) + events(world, "site-a")} == before


async def hospital_reporter(world: World, name: str) -> tuple[Reporter, Object, RoundTask]:
    """A hospital's account writes the status of its own RoundTasks, and may make no Events."""
    hospital = world.hospitals["site-a"]
    world.admin.create(federated_round(name))
    task = await hospital.task(name)
    observed = await hospital.client.get("RoundTask", task.metadata.name)
    return Reporter(hospital.client, CONTROLLER, "test", system_clock), observed, task


def waiting_for(task: RoundTask, reason: str) -> RoundTaskStatus:
    waiting = conditions.progressing(task.status.conditions, reason, "said", now=now(), generation=1)
    return replace(task.status, conditions=waiting)


async def test_a_refused_event_does_not_stop_the_status(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reporter, observed, task = await hospital_reporter(world, "mute")
    working = asyncio.create_task(reporter.run())
    assert await reporter.write(observed, task.status, waiting_for(task, "Unschedulable")) is not None

    async def logged() -> bool:
        return any("Event Unschedulable" in each.getMessage() for each in caplog.records)

    await until(logged, "the line in the log")
    assert not working.done()
    working.cancel()


async def test_the_reporter_drops_events_beyond_its_limit(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reporter, observed, task = await hospital_reporter(world, "piled")  # which nobody runs
    for number in range(MOST_WAITING + 1):
        status = waiting_for(task, f"Reason{number}")
        observed = await reporter.write(observed, task.status, status) or observed
        task = replace(task, status=status)
    assert [each.getMessage() for each in caplog.records if "no room" in each.getMessage()] == [
        f"no room for the Event Reason{MOST_WAITING} of {task.metadata.name}"
    ]
