"""How long a finished task stays at the site, and whose checkpoints are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests.unit.plans_site.world import HUB_DER, NOW, a_round_task, a_task, accepted, condition, seen, signed
from wardround.api import roundtask
from wardround.api.sitetask import SiteTask
from wardround.plans.sitetask import plan
from wardround.plans.sitetask_memory import KEPT, live_rounds, live_states, surplus
from wardround.sealing.keys import hub_fingerprint

PIN = hub_fingerprint(HUB_DER)
EXPIRED = (NOW - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_task_of(round_uid: str, *, expires: str | None = None, state: str = "", **status: Any) -> SiteTask:
    envelope = signed(round_uid=round_uid, state_round=state, **({"expires": expires} if expires else {}))
    ref = {"namespace": "breast-cancer", "name": "train-1", "uid": round_uid}
    return a_task(f"of-{round_uid}", envelope=envelope, spec={"roundRef": ref}, status=status)


def ended(kind: str) -> dict[str, Any]:
    return accepted(condition(kind))


def live(*others: SiteTask) -> Sequence[str]:
    return live_rounds(a_task_of("mine"), others, PIN, NOW)


def test_the_checkpoints_of_a_round_are_kept_until_no_attempt_can_follow() -> None:
    assert live() == ["mine"]
    assert live(a_task_of("running", **accepted())) == ["mine", "running"]
    assert live(a_task_of("failed", **ended("Failed"))) == ["failed", "mine"]
    assert live(a_task_of("failed", expires=EXPIRED, **ended("Failed"))) == ["mine"]
    assert live(a_task_of("sent", **ended("Complete"))) == ["mine"]


def test_a_round_that_has_been_sent_is_over_though_its_first_attempt_failed() -> None:
    assert live(a_task_of("sent", **ended("Failed")), a_task_of("sent", **ended("Complete"))) == ["mine"]


def test_a_task_that_the_pinned_hub_did_not_sign_keeps_nothing() -> None:
    forged = a_task("forged", envelope="{}", spec={"roundRef": {"namespace": "n", "name": "n", "uid": "forged"}})
    refused = a_task("forged", envelope="{}", status={"conditions": [condition("Failed")]})
    assert live(refused) == ["mine"]
    assert live(forged) == ["forged", "mine"], "what nobody has looked at yet"


def test_the_states_that_live_rounds_go_on_from_are_kept_and_no_others() -> None:
    mine, running, sent = (f"{number}b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77" for number in range(3))
    others = (
        a_task_of("running", state=running, **accepted()),
        a_task_of("sent", state=sent, **ended("Complete")),
        a_task_of("first", **accepted()),
        a_task("forged", envelope="{}", spec={"roundRef": {"namespace": "n", "name": "n", "uid": "forged"}}),
    )
    task = a_task_of("mine", state=mine)
    rounds = live_rounds(task, others, PIN, NOW)
    assert live_states(task, others, PIN, rounds) == [mine, running]
    assert live_states(a_task_of("first"), (), PIN, ["first"]) == []


def finished(number: int) -> SiteTask:
    created = (NOW - timedelta(days=1) + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return a_task(f"task-{number:03}", created=created, status=ended("Complete"))


def test_all_but_the_newest_finished_tasks_are_surplus_and_what_runs_never_is() -> None:
    tasks = [finished(number) for number in range(KEPT + 2)]
    running = a_task("running", created="2020-01-01T00:00:00Z", status=accepted())
    assert surplus([running, *tasks]) == ["task-001", "task-000"]


def told(task: SiteTask, kind: str) -> roundtask.RoundTask:
    there = a_round_task(task)
    known = roundtask.parse({"metadata": {"name": "x"}, "spec": {**SPEC}, "status": {"conditions": [condition(kind)]}})
    return roundtask.RoundTask(metadata=there.metadata, spec=there.spec, status=known.status)


SPEC = {"roundRef": {"namespace": "n", "name": "n", "uid": "u"}, "attempt": 1, "assignment": "", "hubKey": ""}


def an_old_task(expires: str) -> SiteTask:
    return a_task(envelope=signed(expires=expires), status=ended("Complete"), created="2020-01-01T00:00:00Z")


def test_an_old_finished_task_goes_with_its_job_once_enough_newer_ones_are_there() -> None:
    task = an_old_task(EXPIRED)
    many = tuple(finished(number) for number in range(KEPT))
    there = told(task, "Complete")
    assert plan(seen(task, round_task=there, others=many)).actions == ("DeleteTask",)
    assert plan(seen(task, round_task=there, others=many[1:])).actions == ()


def test_a_task_whose_assignment_could_still_be_replayed_is_remembered_whatever_the_number() -> None:
    task = an_old_task((NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    many = tuple(finished(number) for number in range(KEPT))
    made = plan(seen(task, round_task=told(task, "Complete"), others=many))
    assert (made.actions, made.again_seconds) == ((), 3600)


def test_a_task_of_whose_end_the_hub_has_not_heard_is_kept_until_it_has() -> None:
    task = an_old_task(EXPIRED)
    many = tuple(finished(number) for number in range(KEPT))
    assert plan(seen(task, others=many)).actions == ()
    assert plan(seen(task, round_task=None, hub_reached=False, others=many)).actions == ()
