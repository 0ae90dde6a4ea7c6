"""What a look at the Site does: which tasks it wakes, what it tells the hub, and when the next look comes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.worlds.site import NOW, a_record, a_site, a_task, accepted, condition
from wardround.api import participant
from wardround.plans.site.plan import CONNECTED_SECONDS, DISCONNECTED_SECONDS, plan
from wardround.plans.site.report import report
from wardround.plans.site.types import (
    Link,
    Observation,
    OpenTask,
    Plan,
    Publish,
    RenewToken,
    Resume,
    TokenLife,
    WakeTasks,
    WriteStatus,
)

SITE = a_site()
PARTICIPANT = participant.parse({"metadata": {"name": "site-a"}})
RUNNING, OVER = a_record(a_task("running")), a_record(a_task("over", status=accepted(condition("Complete"))))
NEW_TOKEN = TokenLife(NOW - timedelta(hours=1), NOW + timedelta(hours=23))
OLD_TOKEN = TokenLife(NOW - timedelta(hours=12), NOW + timedelta(hours=12))


def planned(**facts: Any) -> Plan:
    """A connected site whose hub has answered, and whose tasks are one that runs and one that is over."""
    seen = Observation(
        site=SITE,
        link=Link("Connected"),
        hub_reached=True,
        participant=PARTICIPANT,
        held=(OVER, RUNNING),
        token=NEW_TOKEN,
        now=NOW,
    )
    return plan(dataclasses.replace(seen, **facts))


def kinds(made: Plan) -> list[type]:
    return [type(each) for each in made.actions]


def test_a_look_that_changes_nothing_publishes_and_writes_the_status() -> None:
    made = planned()
    assert kinds(made) == [Publish, WriteStatus]
    assert made.actions[0] == Publish(report=report(SITE, ()))
    assert made.requeue_after == CONNECTED_SECONDS


@pytest.mark.parametrize("state", ["Connected", "HubUnreachable"])
def test_while_the_hub_does_not_answer_only_the_status_is_written_and_the_next_look_comes_soon(state: Any) -> None:
    made = planned(hub_reached=False, link=Link(state), token=OLD_TOKEN, open_tasks=None)
    assert kinds(made) == [WriteStatus]
    assert made.requeue_after == DISCONNECTED_SECONDS


def test_a_changed_site_wakes_the_tasks_that_are_under_way() -> None:
    generation = SITE.metadata.generation
    assert planned(seen_generation=generation).actions == planned(seen_generation=None).actions
    for hub_reached in (True, False):
        made = planned(seen_generation=generation - 1, hub_reached=hub_reached)
        assert made.actions[0] == WakeTasks(names=("running",))


def test_after_a_time_without_the_hub_all_tasks_are_looked_at_and_the_oldest_new_ones_first() -> None:
    open_tasks = (OpenTask("2026-11-24T12:00:02Z", "a"), OpenTask("2026-11-24T12:00:01Z", "b"))
    made = planned(open_tasks=open_tasks)
    assert kinds(made) == [Publish, Resume, WriteStatus]
    assert made.actions[1] == Resume(wake=WakeTasks(names=("b", "a", "running"), behind=("over",)))
    assert kinds(planned(open_tasks=())) == [Publish, Resume, WriteStatus]


def test_the_token_is_renewed_before_anything_else_at_the_hub() -> None:
    assert kinds(planned(token=OLD_TOKEN, open_tasks=())) == [RenewToken, Publish, Resume, WriteStatus]
    assert RenewToken not in kinds(planned(token=None))


def test_a_site_without_a_participant_publishes_nothing() -> None:
    assert kinds(planned(participant=None)) == [WriteStatus]
