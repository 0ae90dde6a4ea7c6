"""How long a result stays once its round is gone, and who may start from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.plans_hub.builders import federated_round, over
from wardround.plans.result import Follower, Forget, Keep, Observation, is_follower, may_start, plan

GONE = Observation(round_uid="made-by", round_exists=False, kept_for=None)
WAITING = Follower(uid="waiting")
STARTED = Follower(uid="started", started_from="made-by")
ELSEWHERE = Follower(uid="elsewhere", started_from="another")


@pytest.mark.parametrize(
    ("kept_for", "followers", "expected"),
    [
        (None, (), Forget()),
        (None, (WAITING,), Keep(frozenset({"waiting"}))),
        (None, (STARTED, WAITING), Keep(frozenset({"started", "waiting"}))),
        # One that has started from another result of the name does not need this one.
        (None, (ELSEWHERE,), Forget()),
        (frozenset({"waiting", "started"}), (STARTED, WAITING), Keep()),
        (frozenset({"waiting", "started"}), (STARTED,), Keep(frozenset({"started"}))),
        (frozenset({"started"}), (STARTED, WAITING), Keep()),
        # A round that was applied after its base was deleted keeps nothing.
        (frozenset({"started"}), (WAITING,), Forget()),
        (frozenset(), (WAITING,), Forget()),
        # What has started needs its base, whatever was noted.
        (frozenset(), (STARTED,), Keep(frozenset({"started"}))),
    ],
)
def test_a_result_stays_as_long_as_a_round_that_was_there_needs_it(
    kept_for: frozenset[str] | None, followers: tuple[Follower, ...], expected: Keep | Forget
) -> None:
    assert plan(replace(GONE, kept_for=kept_for, followers=followers)) == expected


@pytest.mark.parametrize("kept_for", [None, frozenset(), frozenset({"waiting"})])
@pytest.mark.parametrize("followers", [(), (WAITING, STARTED, ELSEWHERE)])
def test_a_result_whose_round_is_there_stays_and_nothing_is_noted(
    kept_for: frozenset[str] | None, followers: tuple[Follower, ...]
) -> None:
    assert plan(replace(GONE, round_exists=True, kept_for=kept_for, followers=followers)) == Keep()


def test_the_rounds_that_may_start_from_a_result_are_settled_when_its_round_is_seen_to_be_gone() -> None:
    assert may_start(None, "any")
    assert may_start(frozenset({"early"}), "early")
    assert not may_start(frozenset({"early"}), "late")


def test_a_follower_names_the_base_or_its_statistics_and_is_not_over() -> None:
    further = federated_round(initial=None, base={"roundName": "train-0"})
    standardised = federated_round(initial={"statisticsRoundName": "train-0"})
    assert is_follower(further, "train-0")
    assert is_follower(standardised, "train-0")
    assert not is_follower(further, "train-1")
    compares = federated_round(
        task="Evaluate", initial=None, base={"roundName": "train-1"}, references=["train-0", "train-2"]
    )
    assert [name for name in ("train-0", "train-1", "train-2", "train-3") if is_follower(compares, name)] == [
        "train-0",
        "train-1",
        "train-2",
    ]
    assert not is_follower(over(compares, "Complete"), "train-0")
    assert not is_follower(federated_round(), "train-0")
    assert not is_follower(over(further, "Complete"), "train-0")
    assert not is_follower(over(further, "Failed"), "train-0")
