"""What the hub operator asks its API server for a round, and what it does when its memory of hospitals is old."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.client import Client
from tests.simulation.hub import BY_LABEL, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.plans_hub.builders import condition
from wardround.hub import rounds
from wardround.ports import Object
from wardround.sealing import assignments
from wardround.sealing.keys import VerificationKey
from wardround.wire import codec
from wardround.wire.assignment import Assignment

IN_THE_ROUND = ["site-a", "site-b"]
ACCEPTED = codec.dump(condition("Accepted", True, "Accepted"))


def asked_with(bystanders: int) -> tuple[Counter[str], Counter[str]]:
    """Requests and objects by kind, from a new round until a hospital's answer has been looked at."""

    async def main(loop: VirtualLoop) -> tuple[Counter[str], Counter[str]]:
        hub = LoneHub(loop)
        for name in (*IN_THE_ROUND, *(f"other-{number}" for number in range(bystanders))):
            hub.enrol(name)
        async with hub.running():
            hub.server.reads.clear()
            hub.apply_round("train-1", IN_THE_ROUND)
            await hub.settle()
            reads = list(hub.server.reads)
            hub.report(hub.tasks("train-1")["site-a"], ACCEPTED)
            hub.server.reads[:] = reads  # without what this test has read
            await hub.settle()
            assert hub.round("train-1")["status"]["participants"]["accepted"] == 1
            requests, objects = Counter[str](), Counter[str]()
            for read in hub.server.reads:
                requests[read.kind] += 1
                objects[read.kind] += read.objects
            return requests, objects

    return play(main)


def test_a_round_asks_no_more_where_there_are_more_hospitals_that_are_not_in_it() -> None:
    few, many = asked_with(3), asked_with(30)
    assert few == many
    assert few[0]["Participant"] == len(IN_THE_ROUND), "each hospital is confirmed once, when it is asked"


def test_the_hub_looks_once_at_a_round_for_one_answer_of_a_hospital() -> None:
    """The event of the hub's own status write is no news for it."""
    assert play(looks_for_one_answer) == 1


def test_the_hub_looks_again_after_its_own_status_write_if_more_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "requeue_after_write", lambda *_: 0.0)
    assert play(looks_for_one_answer) == 2


async def looks_for_one_answer(loop: VirtualLoop) -> int:
    """How often the hub looks at a round when a hospital has accepted its task."""
    hub = LoneHub(loop)
    for name in IN_THE_ROUND:
        hub.enrol(name)
    async with hub.running():
        hub.apply_round("train-1", IN_THE_ROUND)
        await hub.settle()
        task = hub.tasks("train-1")["site-a"]
        hub.server.reads.clear()
        hub.report(task, ACCEPTED)
        await hub.settle()
        looks = sum(each.kind == "FederatedRound" for each in hub.server.reads)
        assert hub.round("train-1")["status"]["participants"]["accepted"] == 1
        return looks


REFUSED = codec.dump(condition("Accepted", False, "ImageNotAllowed"))


def ended_beside(bystanders: int) -> Counter[str]:
    """Requests by kind for the end of a round, and of a round that starts from it."""

    async def main(loop: VirtualLoop) -> Counter[str]:
        hub = LoneHub(loop)
        for name in IN_THE_ROUND:
            hub.enrol(name)
        async with hub.running():
            for number in range(bystanders):
                hub.apply_round(f"other-{number}", IN_THE_ROUND)
            hub.apply_round("train-1", IN_THE_ROUND)
            hub.apply_round("train-2", IN_THE_ROUND, initial=None, base={"roundName": "train-1"})
            await hub.settle()
            tasks = hub.tasks("train-1")
            hub.server.reads.clear()
            for name in IN_THE_ROUND:
                hub.report(tasks[name], REFUSED)
                await hub.settle()
            requests = Counter(read.kind for read in hub.server.reads)
            for name in ("train-1", "train-2"):
                assert is_true(hub.round(name), "Failed"), f"{name}: it waits for the other one, and hears of its end"
            return requests

    return play(main)


def test_the_end_of_a_round_makes_the_hub_look_at_no_round_that_does_not_need_it() -> None:
    assert ended_beside(1) == ended_beside(12)


class Deaf(Client):
    """Is told nothing of Participants after the first list, as behind a line that drops what is sent."""

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        listed = False
        async for event, item in super().watch(kind, namespace, everywhere=everywhere, labels=labels, fields=fields):
            if kind != "Participant" or not listed:
                yield event, item
            listed = listed or event == "LISTED"


@pytest.mark.parametrize("participants", [{"names": ["site-a", "site-b", "site-c"]}, BY_LABEL])
def test_a_suspended_or_deleted_hospital_is_not_asked_before_a_watch_shows_the_change(
    participants: Object,
) -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop, Deaf)
        for name in ("site-a", "site-b", "site-c"):
            hub.enrol(name)
        async with hub.running():
            hub.server.change(Place("Participant", "site-b", "site-b"), {"spec": {"suspend": True}})
            hub.server.remove(Place("Participant", "site-c", "site-c"))
            hub.apply_round("train-1", [], participants=participants, deadlines={"admissionSeconds": 10})
            await hub.settle()
            assert list(hub.tasks("train-1")) == ["site-a"]

    play(main)


def test_a_suspended_hospital_gets_no_further_attempt_before_a_watch_shows_the_suspension() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop, Deaf)
        for name in IN_THE_ROUND:
            hub.enrol(name)
        async with hub.running():
            hub.apply_round("train-1", IN_THE_ROUND)
            await hub.settle()
            tasks = hub.tasks("train-1")
            assert list(tasks) == IN_THE_ROUND
            hub.server.change(Place("Participant", "site-b", "site-b"), {"spec": {"suspend": True}})
            task = tasks["site-b"]["metadata"]
            failed = {
                "failure": {"class": "Platform", "reason": "Evicted"},
                "conditions": [codec.dump(condition("Failed", True, "Evicted"))],
            }
            hub.server.change(Place("RoundTask", "site-b", task["name"]), {"status": failed}, subresource="status")
            await hub.settle()
            assert len(hub.server.select("RoundTask", "site-b")) == 1
            [attention] = hub.round("train-1")["status"]["attention"]
            assert (attention["participant"], attention["reason"]) == ("site-b", "ParticipantSuspended")

    play(main)


def test_a_round_does_not_fail_for_hospitals_that_no_watch_has_shown_yet() -> None:
    """They were approved a moment ago, and the time in which the round waits for them is over."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop, Deaf)
        for name in IN_THE_ROUND:
            hub.enrol(name, suspend=True)
        async with hub.running():
            hub.apply_round("train-1", IN_THE_ROUND, deadlines={"admissionSeconds": 60})
            await hub.settle()
            assert not hub.tasks("train-1")
            for name in IN_THE_ROUND:
                hub.server.change(Place("Participant", name, name), {"spec": {"suspend": False}})
            await hub.settle()
            await hub.settle()
            assert list(hub.tasks("train-1")) == IN_THE_ROUND

    play(main)


def test_a_signed_assignment_is_opened_once_for_all_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[str]()

    def counted(text: str, key: VerificationKey) -> Assignment:
        opened.append(text)
        return original(text, key)

    original = assignments._open_assignment
    monkeypatch.setattr(assignments, "_open_assignment", counted)
    asked_with(0)
    assert len(opened) == len(set(opened)) > 0
