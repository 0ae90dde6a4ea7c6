"""What a round does when the API server does not take a RoundTask, and when rounds wait for each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    accepted,
    condition,
    dispatched,
    failed,
    federated_round,
    observation,
    participant,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, of_type
from wardround.api import conditions
from wardround.api.federatedround import Attention, FederatedRoundStatus
from wardround.hub.observe import chain
from wardround.plans.round import plan
from wardround.plans.round_parts import REFUSED
from wardround.plans.round_status import refused
from wardround.plans.round_types import Dispatch, Observation, Plan, Refusal

REFUSAL = Refusal(participant="site-b", said="422 spec.assignment: Too long")


def after(first: Observation, *refusals: Refusal, **changes: Any) -> Plan:
    """The plan that follows on one whose Dispatches were refused so."""
    status = refused(plan(first).status, refusals)
    return plan(replace(first, round=replace(first.round, status=status), **changes))


def test_whose_task_is_not_taken_is_left_out_and_the_round_says_why_for_good() -> None:
    made = after(observation(), REFUSAL, tasks=(accepted("site-a"), accepted("site-c")))
    assert of_type(made, Dispatch) == []
    (entry,) = made.status.attention
    assert (entry.participant, entry.reason) == ("site-b", "TaskRefused")
    assert "422 spec.assignment: Too long" in entry.message
    assert conditions.is_true(made.status.conditions, "Reconciling")


def test_when_no_quorum_is_left_the_round_fails_at_once() -> None:
    refusals = [replace(REFUSAL, participant=name) for name in ("site-a", "site-b", "site-c")]
    made = after(observation(), *refusals)
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert set(attention_of(made).values()) == {"TaskRefused"}
    found = conditions.find(made.status.conditions, "Failed")
    assert found is not None
    assert "TaskRefused" in found.message


def test_further_attempts_that_are_not_taken_are_not_made_again_however_many_they_are() -> None:
    """More than status.attention has room for: each is remembered by the attempt before it."""
    names = [f"site-{number:02}" for number in range(20)]
    known = {name: participant(name) for name in names}
    of = dispatched(federated_round(participants={"names": names}))
    first = observation(of, participants=known, tasks=tuple(map(failed, names)), leftovers=True)
    asked = of_type(plan(first), Dispatch)
    assert [(each.participant, each.attempt) for each in asked] == [(name, 2) for name in names]
    assert [each.after for each in asked] == list(first.tasks)
    told = {REFUSED: "403 exceeded quota"}
    remembered = tuple(replace(each, metadata=replace(each.metadata, annotations=told)) for each in first.tasks)
    made = plan(replace(first, tasks=(*remembered[:-2], accepted("site-18"), accepted("site-19"))))
    assert of_type(made, Dispatch) == []
    assert set(attention_of(made).values()) == {"TaskRefused"}
    assert "It says: 403 exceeded quota" in made.status.attention[0].message
    assert of_type(plan(replace(first, tasks=remembered)), Dispatch) == []


def test_an_attempt_that_goes_on_is_not_lost_to_a_refusal_of_before() -> None:
    made = plan(observation(dispatched(federated_round()), tasks=(accepted("site-a", annotations={REFUSED: "403"}),)))
    assert attention_of(made) == {}


def test_a_refusal_says_no_more_than_a_status_can_hold() -> None:
    (entry,) = refused(FederatedRoundStatus(), (replace(REFUSAL, said="x" * 5000),)).attention
    assert len(entry.message) == conditions.MESSAGE_LIMIT


def test_who_was_left_out_when_the_others_were_asked_stays_named() -> None:
    participants = {name: participant(name, suspend=name == "site-b") for name in ("site-a", "site-b", "site-c")}
    first = observation(participants=participants)
    made = after(first, tasks=(accepted("site-a"), accepted("site-c")))
    assert attention_of(made) == {"site-b": "ParticipantSuspended"}


def test_before_anybody_was_asked_attention_is_only_what_holds_now() -> None:
    stale = (Attention(participant="site-b", reason="ParticipantNotApproved"),)
    waiting = federated_round()
    waiting = replace(waiting, status=replace(waiting.status, attention=stale))
    assert attention_of(plan(observation(waiting))) == {}


@pytest.mark.parametrize(
    ("bases", "found"),
    [
        ({"a": "a"}, ("a",)),
        ({"a": "b", "b": "a"}, ("b", "a")),
        ({"a": "b", "b": "c", "c": "b"}, ("b", "c")),
        ({"a": "b", "b": None}, ("b",)),
        ({"a": "b"}, ("b",)),
        ({"a": None}, ()),
    ],
)
def test_a_chain_of_bases_ends_where_it_comes_back(bases: dict[str, str | None], found: tuple[str, ...]) -> None:
    assert chain(bases, "a") == found


def test_a_round_that_waits_for_itself_fails_and_names_the_circle() -> None:
    of = federated_round(initial=None, base={"roundName": "train-0"})
    base = federated_round("train-0", "other", initial=None, base={"roundName": "train-1"})
    made = plan(observation(of, base=base, waits_for=("train-0", "train-1")))
    assert condition_of(made, "Failed") == ("True", "BaseCycle")
    found = conditions.find(made.status.conditions, "Failed")
    assert found is not None
    assert found.message.startswith("train-1 waits for train-0 waits for train-1.")


def test_a_round_that_only_leads_to_a_circle_waits_for_its_end() -> None:
    of = federated_round(initial=None, base={"roundName": "train-0"})
    base = federated_round("train-0", "other", initial=None, base={"roundName": "train-x"})
    made = plan(observation(of, base=base, waits_for=("train-0", "train-x")))
    assert condition_of(made, "Failed")[0] == "False"
    broken = replace(base, status=FederatedRoundStatus(conditions=(condition("Failed", True, "BaseCycle"),)))
    assert condition_of(plan(observation(of, base=broken)), "Failed") == ("True", "BaseFailed")
