"""How long a finished task stays at the site, and whose checkpoints are kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from tests.worlds.site import (
    ASSIGNMENT,
    HUB_DER,
    NOW,
    a_record,
    a_reference,
    a_round_task,
    a_site,
    a_task,
    accepted,
    change_names,
    condition,
    seen,
    signed,
)
from wardround.api import roundtask
from wardround.api.names import task_name
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask
from wardround.plans.assignment import AHEAD, REMEMBERED
from wardround.plans.sitetask.memory import KEPT, MOST, dispensable, live_rounds, live_states, surplus
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.state import is_accepted
from wardround.sealing.assignments import sign_assignment
from wardround.sealing.keys import dump_verification_key, generate_signing_key, hub_fingerprint
from wardround.wire.canonical import encode

PIN = hub_fingerprint(HUB_DER)
EXPIRED = (NOW - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_task_of(round_uid: str, *, expires: str | None = None, state: str = "", **status: Any) -> SiteTask:
    envelope = signed(round_uid=round_uid, state_round=state, **({"expires": expires} if expires else {}))
    ref = {"namespace": "breast-cancer", "name": "train-1", "uid": round_uid}
    return a_task(f"of-{round_uid}", envelope=envelope, spec={"roundRef": ref}, status=status)


def ended(kind: str) -> dict[str, Any]:
    return accepted(condition(kind))


def live(*others: SiteTask) -> Sequence[str]:
    return list(live_rounds(a_record(a_task_of("mine")), [a_record(each) for each in others], PIN, NOW))


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
    own, running, sent = (f"{number}b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77" for number in range(3))
    others = (
        a_task_of("running", state=running, **accepted()),
        a_task_of("sent", state=sent, **ended("Complete")),
        a_task_of("first", **accepted()),
        a_task("forged", envelope="{}", spec={"roundRef": {"namespace": "n", "name": "n", "uid": "forged"}}),
    )
    task, records = a_record(a_task_of("mine", state=own)), [a_record(each) for each in others]
    rounds = live_rounds(task, records, PIN, NOW)
    assert live_states(task, records, PIN, rounds) == (own, running)
    assert live_states(a_record(a_task_of("first")), (), PIN, ["first"]) == ()


def test_the_states_of_references_are_kept_as_long_as_their_round_is_live() -> None:
    state, own = "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21", "7e1f0a3b-2c4d-4e5f-8a9b-0c1d2e3f4a5b"
    references = (a_reference(1, state_round=state), a_reference(2))
    envelope = signed(round_uid="mine", task="Evaluate", initial=False, state_round=own, references=references)
    ref = {"namespace": "breast-cancer", "name": "train-1", "uid": "mine"}
    record = a_record(a_task("of-mine", envelope=envelope, spec={"roundRef": ref}))
    assert live_states(record, (), PIN, ["mine"]) == (state, own)
    assert live_states(record, (), PIN, ["another"]) == ()


def finished(number: int) -> SiteTask:
    created = (NOW - timedelta(days=1) + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return a_task(f"task-{number:03}", created=created, status=ended("Complete"))


def test_all_but_the_newest_finished_tasks_are_surplus_and_what_runs_never_is() -> None:
    tasks = [a_record(finished(number)) for number in range(KEPT + 2)]
    running = a_record(a_task("running", created="2020-01-01T00:00:00Z", status=accepted()))
    assert [each.name for each in surplus([running, *tasks])] == ["task-001", "task-000"]


def at_hub(task: SiteTask, kind: str) -> roundtask.RoundTask:
    there = a_round_task(task)
    known = roundtask.parse({"metadata": {"name": "x"}, "spec": {**SPEC}, "status": {"conditions": [condition(kind)]}})
    return roundtask.RoundTask(metadata=there.metadata, spec=there.spec, status=known.status)


SPEC = {"roundRef": {"namespace": "n", "name": "n", "uid": "u"}, "attempt": 1, "assignment": "", "hubKey": ""}


def issued(number: int) -> str:
    return (NOW + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def an_old_task() -> SiteTask:
    return a_task(envelope=signed(issued=issued(0)), status=ended("Complete"), created="2020-01-01T00:00:00Z")


@cache
def newer(number: int, count: int = REMEMBERED) -> tuple[SiteTask, ...]:
    """So many that were accepted, issued `number` seconds after the old one and later."""
    made = (signed(issued=issued(number + each), round_uid=f"later-{each}") for each in range(count))
    return tuple(a_task(f"later-{each}", envelope=text, status=ended("Complete")) for each, text in enumerate(made))


def test_an_old_finished_task_goes_with_its_job_once_the_site_would_not_take_it_again() -> None:
    task = an_old_task()
    there = at_hub(task, "Complete")
    for round_task in (there, None):
        assert change_names(plan(seen(task, round_task=round_task, others=newer(1)))) == ("DeleteTask",)
    assert change_names(plan(seen(task, round_task=there, others=newer(1)[1:]))) == ()
    others = tuple(replace(each, status=a_task(status=accepted()).status) for each in newer(1)[KEPT - 1 :])
    assert change_names(plan(seen(task, round_task=there, others=(*newer(1)[: KEPT - 1], *others)))) == (), (
        "kept for its logs"
    )


def test_a_task_that_the_site_would_take_again_is_remembered_whatever_the_time() -> None:
    task = an_old_task()
    refused = tuple(a_task(f"x-{n}", status={"conditions": [condition("Failed")]}) for n in range(KEPT))
    for others in (newer(1)[1:], (*newer(1)[1:], *newer(-1, 1)), newer(1 - REMEMBERED), (*newer(1)[1:], *refused)):
        for now in (NOW, NOW + timedelta(days=999)):
            made = plan(seen(task, round_task=at_hub(task, "Complete"), others=others, now=now))
            assert "DeleteTask" not in change_names(made)
            assert "DeleteTask" not in change_names(plan(seen(task, round_task=None, others=others, now=now)))


def test_a_task_that_was_never_accepted_needs_no_memory() -> None:
    refused = a_task(envelope=signed(), status={"conditions": [condition("Failed")]})
    assert change_names(plan(seen(refused, round_task=None))) == ("DeleteTask",)


def test_a_site_takes_hundreds_of_tasks_in_two_hours_and_none_of_them_twice() -> None:
    """With the rules alone, which are all that a restarted operator has; then each old assignment comes once more."""
    held: dict[str, SiteTask] = {}
    forgotten: list[SiteTask] = []
    for number in range(REMEMBERED + 200):
        now = NOW + timedelta(seconds=22 * number)
        envelope = signed(round_uid=f"round-{number}", issued=issued(22 * number), expires=issued(22 * number + 36000))
        ref = {"namespace": "breast-cancer", "name": "train-1", "uid": f"round-{number}"}
        name = task_name("train-1", f"round-{number}", 1)
        task = a_task(name, envelope=envelope, spec={"roundRef": ref}, created=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert len(held) < MOST
        status = plan(seen(task, others=tuple(held.values()), now=now)).status
        assert is_accepted(replace(task, status=status)), number
        held[name] = replace(task, status=a_task(status=ended("Complete")).status)
        for each in dispensable(map(a_record, held.values())):
            others = tuple(other for key, other in held.items() if key != each)
            assert change_names(plan(seen(held[each], round_task=at_hub(held[each], "Complete"), others=others))) == (
                "DeleteTask",
            )
            forgotten.append(held.pop(each))
    assert len(held) == REMEMBERED
    assert len(forgotten) == 200
    for task in forgotten[::10]:
        again = replace(task, status=a_task().status)
        for now in (NOW - timedelta(days=1), NOW + timedelta(hours=2)):
            made = plan(seen(again, others=tuple(held.values()), now=now))
            assert made.status.failure is not None
            assert made.status.failure.reason == "AssignmentTooOld"


def pinned(fingerprint: str) -> Site:
    there = a_site()
    return replace(there, spec=replace(there.spec, hub=replace(there.spec.hub, fingerprint=fingerprint)))


def of_another_hub(number: int) -> SiteTask:
    """Accepted while that hub was pinned, whose tasks were issued later than the old one."""
    envelope = sign_assignment(replace(ASSIGNMENT, issued=issued(number), round_uid=f"other-{number}"), OTHER_HUB)
    ref = {"namespace": "breast-cancer", "name": "train-1", "uid": f"other-{number}"}
    spec = {"hubKey": encode(OTHER_DER), "roundRef": ref}
    return a_task(f"other-{number:03}", envelope=envelope, spec=spec, status=ended("Complete"))


OTHER_HUB = generate_signing_key()
OTHER_DER = dump_verification_key(OTHER_HUB.public_key())


def test_a_wrong_pin_lets_the_site_forget_nothing() -> None:
    """The administrator corrects it, and the old assignment comes again."""
    task, mistaken = an_old_task(), pinned("sha256:" + "0" * 64)
    for round_task in (at_hub(task, "Complete"), None):
        made = plan(seen(task, site=mistaken, round_task=round_task, others=newer(1)[1:]))
        assert "DeleteTask" not in change_names(made)
    assert dispensable(map(a_record, (task, *newer(1)[1:]))) == ()


def test_a_wrong_pin_ends_what_runs_and_the_site_remembers_that_it_was_accepted() -> None:
    task = a_task(status=accepted())
    made = plan(seen(task, site=pinned("sha256:" + "0" * 64)))
    assert made.status.failure is not None
    assert made.status.failure.reason == "HubNotPinned"
    assert is_accepted(replace(task, status=made.status))


def test_a_task_of_an_earlier_hub_goes_after_enough_newer_tasks_and_is_not_accepted_again() -> None:
    task, there = an_old_task(), pinned(hub_fingerprint(OTHER_DER))
    others = tuple(of_another_hub(number) for number in range(1, REMEMBERED + 1))
    assert change_names(plan(seen(task, site=there, round_task=None, others=others[1:]))) == ()
    assert change_names(plan(seen(task, site=there, round_task=None, others=others))) == ("DeleteTask",)
    again = plan(seen(replace(task, status=a_task().status), others=others))  # under its own hub's pin
    assert again.status.failure is not None
    assert again.status.failure.reason == "AssignmentTooOld"


SKEW = int(AHEAD.total_seconds())
# Seconds from the site's clock at which the hub says that it issued the task of this number.
HUBS: dict[str, Callable[[int, random.Random], int]] = {
    "all at one time ahead": lambda number, dice: SKEW - 1 - number,
    "backwards": lambda number, dice: -30 * number,
    "at few times": lambda number, dice: dice.choice((-SKEW, 0, SKEW - 60)) - number,
    "at any time": lambda number, dice: dice.randrange(-3 * SKEW, SKEW),
}


@pytest.mark.parametrize("refuses", [False, True], ids=["", "half are refused"])
@pytest.mark.parametrize("hub", HUBS)
def test_tasks_that_have_ended_leave_room_and_none_is_taken_twice_whatever_times_the_hub_signs(
    hub: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a site of a sixteenth of the size: one task a second, over as soon as it is there; then each comes again."""
    for name, value in (("assignment.REMEMBERED", REMEMBERED), ("sitetask.memory.KEPT", KEPT)):
        monkeypatch.setattr(f"wardround.plans.{name}", value // 16)
    dice = random.Random(hub)
    held: dict[str, SiteTask] = {}
    taken: list[SiteTask] = []
    for number in range(60):
        now = NOW + timedelta(seconds=number)
        uid = f"round-{dice.randrange(10**6)}"
        refused = refuses and number > 20 and number % 2 == 0
        envelope = signed(
            round_uid=uid,
            issued=issued(number + HUBS[hub](number, dice)),
            dataset_name="of-others" if refused else "breast",
        )
        ref = {"namespace": "breast-cancer", "name": "train-1", "uid": uid}
        created = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        task = a_task(task_name("train-1", uid, 1), envelope=envelope, spec={"roundRef": ref}, created=created)
        status = plan(seen(task, others=tuple(held.values()), now=now)).status
        done = is_accepted(replace(task, status=status))
        if done:
            taken.append(task)
        over = ended("Complete") if done else {"conditions": [condition("Failed")]}
        held[task.metadata.name] = replace(task, status=a_task(status=over).status)
        for each in dispensable(map(a_record, held.values())):
            del held[each]
        assert len(held) < MOST // 16, "the site is full of tasks that have ended"
    assert len(taken) >= REMEMBERED // 16
    for task in taken:
        made = plan(seen(task, others=tuple(held.values()), now=NOW + timedelta(minutes=30)))
        assert made.status.failure is not None
        assert made.status.failure.reason in ("Replayed", "AssignmentTooOld")


def test_a_task_of_whose_end_the_hub_has_not_heard_is_kept_until_it_has() -> None:
    task = an_old_task()
    assert change_names(plan(seen(task, others=newer(1)))) == ()
    assert change_names(plan(seen(task, round_task=None, hub_reached=False, others=newer(1)))) == ()
