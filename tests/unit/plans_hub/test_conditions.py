"""No observation whatever leads to conditions that contradict each other, or takes a final one back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    accepted,
    at,
    dispatched,
    failed,
    federated_round,
    observation,
    over,
    participant,
    refused,
    sent,
    task,
)
from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.roundtask import RoundTask
from wardround.plans.round import plan
from wardround.plans.round_types import Aggregation, Answer

PARTS: tuple[Callable[[str], RoundTask], ...] = (task, accepted, sent, failed, lambda name: refused(name, "Denied"))
TIMES = (0, 650, 100_000)


def check(found: Conditions) -> None:
    """Refuses contradictions: what kstatus, Argo CD and `kubectl wait` would read two ways."""
    true = {each.type for each in found if each.status == "True"}
    assert len({each.type for each in found}) == len(found)
    assert {"Complete", "Failed", "Reconciling", "Stalled"} <= {each.type for each in found}
    assert len(true & {"Complete", "Failed", "Reconciling", "Stalled"}) == 1
    assert all(each.reason and each.last_transition_time for each in found)


def observations() -> list[Any]:
    rounds = [
        federated_round(),
        federated_round(suspend=True),
        federated_round(quorum={"min": 3, "required": ["site-a"]}),
    ]
    seen = []
    for of, parts, seconds in itertools.product(rounds, itertools.product(PARTS, repeat=3), TIMES):
        tasks = tuple(make(name) for make, name in zip(parts, NAMES, strict=True))
        seen.append(observation(dispatched(of), tasks=tasks, now=at(seconds)))
    for of, known, seconds in itertools.product(rounds, range(4), TIMES):
        participants = {name: participant(name) for name in NAMES[:known]}
        seen.append(observation(of, participants=participants, now=at(seconds)))
    for answer, number in itertools.product((None, Answer(reason="NothingToAggregate")), (1, 2, 3)):
        job = Aggregation(number=number, over=True, answer=answer)
        seen.append(observation(dispatched(federated_round()), tasks=tuple(map(sent, NAMES)), aggregation=job))
    return seen


def test_conditions_never_contradict_each_other() -> None:
    for seen in observations():
        check(plan(seen).status.conditions)


def test_the_conditions_of_the_next_plan_follow_without_contradiction() -> None:
    for seen in observations():
        first = plan(seen)
        later = plan(replace(seen, round=replace(seen.round, status=first.status), now=seen.now + (at(700) - at(0))))
        check(later.status.conditions)
        for kind in ("Complete", "Failed"):
            if conditions.is_true(first.status.conditions, kind):
                assert later.status == first.status


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_what_is_over_stays_as_it_was(kind: str) -> None:
    for seen in observations():
        ended = over(seen.round, kind)
        assert plan(replace(seen, round=ended)).status == ended.status
