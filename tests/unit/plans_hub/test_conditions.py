"""No observation whatever leads to conditions that contradict each other, or takes a final one back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
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
from wardround.api.conditions import NEVER, Conditions
from wardround.api.federatedround import FederatedRoundStatus
from wardround.api.roundtask import RoundTask
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregation
from wardround.wire.aggregation import AggregationFailure

PARTS: tuple[Callable[[str], RoundTask], ...] = (task, accepted, sent, failed, lambda name: refused(name, "Denied"))
TIMES = (0, 650, 100_000)
CRDS = Path(__file__).parents[3] / "crds"


def check(conditions_: Conditions) -> None:
    """Refuses contradictions: what kstatus, Argo CD and `kubectl wait` would read two ways."""
    true = {each.type for each in conditions_ if each.status == "True"}
    assert len({each.type for each in conditions_}) == len(conditions_)
    assert {"Complete", "Failed", "Reconciling", "Stalled"} <= {each.type for each in conditions_}
    # What has failed is stalled for good; what is suspended waits for nothing.
    alone = true & {"Complete", "Failed", "Reconciling", "Stalled"}
    settled = len(alone) == 1 and "Failed" not in alone
    assert settled or alone == {"Failed", "Stalled"} or true == {"Suspended"}
    assert all(each.reason and each.last_transition_time for each in conditions_)


def cleaned_up(before: FederatedRoundStatus, after: FederatedRoundStatus) -> FederatedRoundStatus:
    """The status before with the one condition that follows the end, as it is after."""
    added = conditions.find_true(after.conditions, "CleanedUp")
    assert added
    return replace(before, conditions=(*before.conditions, added))


def observations() -> list[Any]:
    rounds = [
        federated_round(),
        federated_round(suspend=True),
        federated_round(quorum={"min": 3, "required": ["site-a"]}),
    ]
    seen = []
    for current, parts, seconds in itertools.product(rounds, itertools.product(PARTS, repeat=3), TIMES):
        tasks = tuple(make(name) for make, name in zip(parts, NAMES, strict=True))
        seen.append(observation(dispatched(current), tasks=tasks, now=at(seconds)))
    for current, known, seconds in itertools.product(rounds, range(4), TIMES):
        participants = {name: participant(name) for name in NAMES[:known]}
        seen.append(observation(current, participants=participants, now=at(seconds)))
    for answer, number in itertools.product((None, AggregationFailure(reason="NothingToAggregate")), (1, 2, 3)):
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
                assert later.status == cleaned_up(first.status, later.status)


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_round_that_is_over_keeps_its_status(kind: str) -> None:
    for seen in observations():
        ended = over(seen.round, kind)
        made = plan(replace(seen, round=ended)).status
        assert made == cleaned_up(ended.status, made)


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_the_conditions_of_a_round_that_is_over_get_the_present_generation(kind: str) -> None:
    """`suspend` may still change. `kubectl wait` and kstatus believe nothing that was said of an earlier generation."""
    ended = over(federated_round(), kind)
    changed = replace(ended, metadata=replace(ended.metadata, generation=2), spec=replace(ended.spec, suspend=True))
    made = plan(observation(changed)).status
    assert made.observed_generation == 2
    assert {each.observed_generation for each in made.conditions} == {2}
    before = replace(
        ended.status, observed_generation=2, conditions=conditions.with_generation(ended.status.conditions, 2)
    )
    assert made == cleaned_up(before, made)


def test_the_first_look_is_when_what_the_crd_says_by_default_began() -> None:
    """A CRD has no clock: its default says Reconciling since 1970."""
    default = (conditions.Condition(type="Reconciling", status="True", reason="Pending", last_transition_time=NEVER),)
    started = conditions.progressing(default, "Fetching", "", now=at(7), generation=1)
    assert conditions.since(started, "Reconciling") == at(7)
    later = conditions.progressing(started, "Training", "", now=at(9), generation=1)
    assert conditions.since(later, "Reconciling") == at(7)


def test_the_crds_defaults_hold_the_time_that_is_none() -> None:
    lines = {line.strip() for path in CRDS.glob("*.yaml") for line in path.read_text().splitlines() if "1970" in line}
    assert lines == {f'lastTransitionTime: "{NEVER}"'}


def test_a_long_message_ends_with_a_whole_sentence_outside_of_commands() -> None:
    text = "The first. " + "x" * 900 + " ends here. Run `kubectl explain a. b` now. " + "y" * 500
    assert conditions.shortened(text).endswith("ends here. Run `kubectl explain a. b` now.")
    within = "The first. " + "x" * 980 + " ends here. Run `kubectl explain a. " + "y" * 500 + "`."
    assert conditions.shortened(within).endswith(" ends here.")
    quoted = "The API server says: " + "z" * 5000
    assert conditions.shortened(quoted) == quoted[: conditions.MESSAGE_LIMIT]


def test_an_advice_that_does_not_fit_is_left_out() -> None:
    assert conditions.fitting("A cause.", "An advice.") == "A cause. An advice."
    assert conditions.fitting("A cause.", "An advice. " * 100) == "A cause."
