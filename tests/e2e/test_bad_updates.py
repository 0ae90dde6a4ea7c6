"""A wrong update is left out and named, and the quorum decides about the round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conditions import condition, is_true
from tests.e2e.clusters import eventually
from tests.e2e.federation import ROUND_SECONDS, Federation, Finished
from tests.e2e.played import SAMPLES, Lie, Played, SealedUpdate, enrolled
from tests.e2e.troubles import change_a_byte, nothing_restarts
from wardround.sealing.keys import generate_signing_key

Object = dict[str, Any]
# Two real hospitals. The update of one is changed in the store.
SOUND, TOUCHED = "site-b", "site-a"
# The other hospitals are played. They are named by their lie; each has its lie and the reason in the round.
LIES = {
    "another-attempt": (Lie(assignment={"attempt": 2}), "WrongAttempt"),
    "another-participant": (Lie(assignment={"participant": SOUND}), "WrongParticipant"),
    "one-byte": (Lie(changed_on_the_way=True), "Altered"),
    "never-stored": (Lie(stored=False), "Missing"),
    "not-finite": (Lie(deviation=float("nan")), "NotFinite"),
    "unpinned-key": (Lie(signed_by=generate_signing_key()), "SignatureInvalid"),
}
# Updates that are sealed and signed correctly, but by another hospital or for an earlier round.
REPLAYS = {"copied": "SignatureInvalid", "another-round": "WrongRound"}
HONEST = "honest"
STRICT = (HONEST, "one-byte", "another-round")
# The last of these tells no lie here. It sends its update when the hub has left out that of the second.
REFILLED = (HONEST, "one-byte", "not-finite")


@dataclass(frozen=True)
class Combined:
    """`lenient`: a round of all hospitals. `strict`: a round that requires the changed update. `refilled`: a round
    whose quorum the changed update seems to fill."""

    lenient: Finished
    strict: Finished
    refilled: Finished
    names: Mapping[str, str]

    def left_out(self, hospital: str) -> str:
        """The reason. Fails the test if the message does not name the hospital."""
        name = self.names.get(hospital, hospital)
        attention = self.lenient.attention(name)
        assert name in attention["message"]
        return str(attention["reason"])


@pytest.fixture(scope="module", autouse=True)
def steady(federation: Federation) -> Iterator[None]:
    with nothing_restarts(federation):
        yield


@pytest.fixture(scope="module")
def combined(federation: Federation) -> Iterator[Combined]:
    names = {hospital: federation.name(hospital) for hospital in (HONEST, *LIES, *REPLAYS)}
    with enrolled(federation, *names.values()) as hospitals:
        played = {hospital: hospitals[name] for hospital, name in names.items()}
        strict = federation.manifest(
            "strict", "Statistics", participants={"names": [names[hospital] for hospital in STRICT]}
        )
        everyone = {"names": [SOUND, TOUCHED, *names.values()]}
        # The valid updates are enough for the quorum, but the long grace makes the round wait for all.
        patient = {"min": 2, "graceSeconds": 600}
        lenient = federation.manifest("lenient", "Statistics", participants=everyone, quorum=patient)
        hasty = {"min": 2, "graceSeconds": 0}
        three = {"names": [names[hospital] for hospital in REFILLED]}
        refilled = federation.manifest("refilled", "Statistics", participants=three, quorum=hasty)
        federation.apply(strict, lenient, refilled)

        tasks = _tasks(federation, strict, played, STRICT)
        earlier = {
            hospital: played[hospital].seal(tasks[hospital], LIES[hospital][0] if hospital in LIES else Lie())
            for hospital in STRICT
        }
        _send(federation, played, tasks, earlier)

        tasks = _tasks(federation, lenient, played, names)
        honest = played[HONEST].seal(tasks[HONEST])
        bad = {hospital: played[hospital].seal(tasks[hospital], lie) for hospital, (lie, _) in LIES.items()}
        bad |= {"copied": honest, "another-round": earlier["another-round"]}
        _send(federation, played, tasks, bad)
        _change_what_was_sent(federation, lenient["metadata"]["name"])
        # The last update, which closes the round.
        _send(federation, played, tasks, {HONEST: honest})
        _refill(federation, played, refilled)
        yield Combined(
            federation.completed(lenient["metadata"]["name"]),
            federation.finished(strict["metadata"]["name"]),
            federation.completed(refilled["metadata"]["name"]),
            names,
        )


@pytest.mark.parametrize(
    ("hospital", "reason"), [*((hospital, reason) for hospital, (_, reason) in LIES.items()), *REPLAYS.items()]
)
def test_a_wrong_update_is_left_out_and_named(combined: Combined, hospital: str, reason: str) -> None:
    assert combined.left_out(hospital) == reason


def test_an_update_changed_in_the_store_is_left_out_and_named(federation: Federation, combined: Combined) -> None:
    """The hospital made no mistake, so its task is complete on both sides."""
    assert combined.left_out(TOUCHED) == "Altered"
    task = combined.lenient.task(TOUCHED)
    for side in (task, federation.site_task(TOUCHED, task["metadata"]["name"])):
        assert is_true(side, "Complete")


def test_the_result_combines_only_valid_updates(combined: Combined) -> None:
    counted = int(combined.lenient.task(SOUND)["status"]["update"]["samples"])
    assert combined.lenient.round["status"]["participants"]["aggregated"] == 2
    assert combined.lenient.result["samples"] == counted + SAMPLES


def test_a_round_that_requires_a_left_out_update_fails_and_keeps_nothing(combined: Combined) -> None:
    failed = combined.strict.failed
    assert failed.reason == "QuorumNotMet"
    left_out = failed.message.partition("Left out: ")[2]
    assert f"{combined.names['one-byte']} (Altered)" in left_out
    assert combined.strict.attention(combined.names["one-byte"])["reason"] == "Altered"
    assert "result" not in combined.strict.round["status"]


def test_an_update_that_is_left_out_ends_no_round_that_another_hospital_can_fill(combined: Combined) -> None:
    assert combined.refilled.round["status"]["participants"]["aggregated"] == 2
    assert combined.refilled.attention(combined.names["one-byte"])["reason"] == "Altered"
    assert combined.refilled.result["samples"] == 2 * SAMPLES


def _refill(federation: Federation, played: Mapping[str, Played], made: Object) -> None:
    """Fills a quorum once more, after the hub has told that an update of it does not count."""
    first, changed, last = REFILLED
    tasks = _tasks(federation, made, played, REFILLED)
    updates = {first: played[first].seal(tasks[first]), changed: played[changed].seal(tasks[changed], LIES[changed][0])}
    _send(federation, played, tasks, updates)

    def collects_again() -> bool:
        name = made["metadata"]["name"]
        shown = federation.kubectl("hub").get("federatedround", name, "-n", federation.namespace)
        reconciling = condition(shown, "Reconciling")
        return reconciling is not None and reconciling.reason == "CollectingAgain"

    eventually("the round collects again", collects_again)
    _send(federation, played, tasks, {last: played[last].seal(tasks[last])})


def _tasks(
    federation: Federation, made: Object, played: Mapping[str, Played], asked: Iterable[str]
) -> dict[str, Object]:
    """The round's tasks of played hospitals."""
    tasks: dict[str, Object] = {}

    def dispatched() -> bool:
        there = {task["metadata"]["namespace"]: task for task in federation.tasks_of(made["metadata"]["name"])}
        tasks.update({hospital: there[played[hospital].name] for hospital in asked if played[hospital].name in there})
        return tasks.keys() == set(asked)

    eventually("all are asked", dispatched)
    return tasks


def _send(
    federation: Federation,
    played: Mapping[str, Played],
    tasks: Mapping[str, Object],
    updates: Mapping[str, SealedUpdate],
) -> None:
    def send(hospital: str) -> None:
        stored = hospital not in LIES or LIES[hospital][0].stored
        played[hospital].send(federation, tasks[hospital], updates[hospital], stored=stored)

    with ThreadPoolExecutor(len(updates)) as pool:
        list(pool.map(send, updates))


def _change_what_was_sent(federation: Federation, name: str) -> None:
    def sent() -> bool:
        tasks = federation.tasks_of(name)
        return any(task["metadata"]["namespace"] == TOUCHED and is_true(task, "Sent") for task in tasks)

    eventually(f"{TOUCHED} has sent", sent, ROUND_SECONDS)
    change_a_byte(federation, name, TOUCHED)
