"""What a round does when the API server does not take a RoundTask, and when rounds wait for each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    accepted,
    at,
    condition,
    dispatched,
    failed,
    federated_round,
    observation,
    participant,
    sent,
    stages,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, of_type
from wardround.api import conditions
from wardround.api.federatedround import Attention, FederatedRoundStatus
from wardround.api.names import REFUSED
from wardround.api.timeline import reached
from wardround.hub.observe import chain
from wardround.plans.round.plan import plan
from wardround.plans.round.stages import SITE_NOTICES_A_DEAD_NODE
from wardround.plans.round.status import refused
from wardround.plans.round.types import Aggregate, Dispatch, Observation, Plan, Refusal
from wardround.plans.sitetask.failure import KUBELET_STOPS_WITHIN

WINDOW = 1200  # admissionSeconds and queueSeconds
REFUSAL = Refusal(participant="site-b", message="422 spec.assignment: Too long")


def after(first: Observation, *refusals: Refusal, **changes: Any) -> Plan:
    """The plan that follows on one whose Dispatches were refused so."""
    made = plan(first)
    status = refused(first, made.status, len(of_type(made, Dispatch)), refusals)
    return plan(replace(first, round=replace(first.round, status=status), **changes))


def asked_again(made: Plan) -> list[tuple[str, int]]:
    return [(each.participant, each.attempt) for each in of_type(made, Dispatch)]


OTHERS: dict[str, Any] = {"tasks": (accepted("site-a"), accepted("site-c")), "roster": ("site-a", "site-b", "site-c")}
ALL = tuple(replace(REFUSAL, participant=name) for name in ("site-a", "site-b", "site-c"))


def test_a_hospital_whose_task_is_not_taken_is_named_and_asked_again_while_the_others_go_on() -> None:
    made = after(observation(), REFUSAL, **OTHERS)
    assert asked_again(made) == [("site-b", 1)]
    assert of_type(made, Dispatch)[0].roster == ("site-a", "site-b", "site-c")
    (entry,) = made.status.attention
    assert (entry.participant, entry.reason) == ("site-b", "TaskRefused")
    assert "422 spec.assignment: Too long" in entry.message
    assert conditions.is_true(made.status.conditions, "Reconciling")


def test_a_hospital_whose_task_is_not_taken_in_time_is_left_out_and_the_round_says_why_for_good() -> None:
    train = tuple(accepted(name, timeline=stages("Started")) for name in ("site-a", "site-c"))
    late = {**OTHERS, "tasks": train, "now": at(WINDOW)}
    assert asked_again(after(observation(), REFUSAL, **{**late, "now": at(WINDOW - 1)})) == [("site-b", 1)]
    made = after(observation(), REFUSAL, **late)
    assert asked_again(made) == []
    assert attention_of(made)["site-b"] == "TaskRefused"
    made = after(observation(federated_round(quorum={"min": 3})), REFUSAL, **late)
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")


def test_a_hospital_that_is_asked_at_last_takes_part_as_all_others() -> None:
    tasks = (*OTHERS["tasks"], accepted("site-b"))
    made = after(observation(), REFUSAL, **{**OTHERS, "tasks": tasks})
    assert asked_again(made) == []
    assert attention_of(made) == {}
    assert made.status.participants is not None
    assert made.status.participants.selected == 3


def test_a_round_waits_for_whom_it_could_not_ask_as_for_others_that_have_not_sent() -> None:
    done: dict[str, Any] = {**OTHERS, "tasks": (sent("site-a"), sent("site-c"))}
    made = after(observation(), REFUSAL, **done, now=at(110))
    assert (of_type(made, Aggregate), asked_again(made)) == ([], [("site-b", 1)])
    made = after(observation(), REFUSAL, **done, now=at(161))
    assert len(of_type(made, Aggregate)) == 1, "the quorum's graceSeconds are over"


def test_a_hospital_that_is_suspended_meanwhile_is_not_asked_again() -> None:
    known = {name: participant(name, suspend=name == "site-b") for name in ("site-a", "site-b", "site-c")}
    assert asked_again(after(observation(), REFUSAL, **OTHERS, participants=known)) == []


def test_a_round_that_could_ask_nobody_says_why_and_asks_again() -> None:
    first = observation()
    made = plan(first)
    status = refused(first, made.status, len(of_type(made, Dispatch)), ALL)
    stalled = conditions.find(status.conditions, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", "TaskRefused")
    assert "The hub operator tries again until 2026-11-24T16:20:00Z" in stalled.message
    assert "422 spec.assignment: Too long" in stalled.message
    assert reached(status.timeline, "Dispatched") is None
    assert asked_again(after(first, *ALL)) == [("site-a", 1), ("site-b", 1), ("site-c", 1)]


def test_when_nobody_could_be_asked_in_time_the_round_fails_and_says_why() -> None:
    first = observation()
    begun = replace(first.round, status=refused(first, plan(first).status, 3, ALL))
    late = replace(first, round=begun, now=at(WINDOW))
    made = after(late, *ALL)
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert set(attention_of(made).values()) == {"TaskRefused"}
    failed = conditions.find(made.status.conditions, "Failed")
    assert failed is not None
    assert "TaskRefused" in failed.message


def test_nothing_is_news_when_the_same_is_said_again() -> None:
    """Else each status would bring the next look at once, and the next request."""
    first = observation()
    once = refused(first, plan(first).status, 3, ALL)
    again = replace(first, round=replace(first.round, status=once), now=at(10))
    assert refused(again, plan(again).status, 3, ALL) == once


def test_further_attempts_that_are_not_taken_are_made_again_for_a_time_however_many_they_are() -> None:
    """More than status.attention has room for: each is remembered by the attempt before it."""
    names = [f"site-{number:02}" for number in range(20)]
    known = {name: participant(name) for name in names}
    current = dispatched(federated_round(participants={"names": names}))
    first = observation(current, participants=known, tasks=tuple(map(failed, names)), leftovers=True)
    dispatches = of_type(plan(first), Dispatch)
    assert [(each.participant, each.attempt) for each in dispatches] == [(name, 2) for name in names]
    assert [each.after for each in dispatches] == list(first.tasks)
    noted = {REFUSED: "2026-11-24T16:00:05Z 403 exceeded quota"}
    remembered = tuple(replace(each, metadata=replace(each.metadata, annotations=noted)) for each in first.tasks)
    some = replace(first, tasks=(*remembered[:-2], accepted("site-18"), accepted("site-19")))
    made = plan(some)
    assert asked_again(made) == [(name, 2) for name in names[:-2]]
    assert set(attention_of(made).values()) == {"TaskRefused"}
    assert "The API server says: 403 exceeded quota" in made.status.attention[0].message
    late = plan(replace(some, now=at(WINDOW + 5)))
    assert asked_again(late) == []
    assert set(attention_of(late).values()) == {"TaskRefused"}


def test_an_attempt_that_goes_on_is_not_lost_to_a_refusal_of_before() -> None:
    made = plan(
        observation(
            dispatched(federated_round()),
            tasks=(accepted("site-a", annotations={REFUSED: "2026-11-24T16:00:05Z 403"}),),
        )
    )
    assert attention_of(made) == {}


def test_a_refusal_says_no_more_than_a_status_can_hold() -> None:
    (entry,) = refused(observation(), FederatedRoundStatus(), 3, (replace(REFUSAL, message="x" * 5000),)).attention
    assert len(entry.message) == conditions.MESSAGE_LIMIT


def test_a_hospital_that_was_left_out_when_the_others_were_asked_stays_named() -> None:
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
    ("bases", "cycle"),
    [
        ({"a": "a"}, ("a",)),
        ({"a": "b", "b": "a"}, ("b", "a")),
        ({"a": "b", "b": "c", "c": "b"}, ("b", "c")),
        ({"a": "b", "b": None}, ("b",)),
        ({"a": "b"}, ("b",)),
        ({"a": None}, ()),
    ],
)
def test_a_chain_of_bases_ends_where_it_comes_back(bases: dict[str, str | None], cycle: tuple[str, ...]) -> None:
    assert chain(bases, "a") == cycle


def test_a_round_that_waits_for_itself_fails_and_names_the_circle() -> None:
    current = federated_round(initial=None, base={"roundName": "train-0"})
    base = federated_round("train-0", "other", initial=None, base={"roundName": "train-1"})
    made = plan(observation(current, base=base, waits_for=("train-0", "train-1")))
    assert condition_of(made, "Failed") == ("True", "BaseCycle")
    failed = conditions.find(made.status.conditions, "Failed")
    assert failed is not None
    assert failed.message.startswith("train-1 waits for train-0 waits for train-1.")


def test_a_round_that_only_leads_to_a_circle_waits_for_its_end() -> None:
    current = federated_round(initial=None, base={"roundName": "train-0"})
    base = federated_round("train-0", "other", initial=None, base={"roundName": "train-x"})
    made = plan(observation(current, base=base, waits_for=("train-0", "train-x")))
    assert condition_of(made, "Failed")[0] == "False"
    broken = replace(base, status=FederatedRoundStatus(conditions=(condition("Failed", True, "BaseCycle"),)))
    assert condition_of(plan(observation(current, base=broken)), "Failed") == ("True", "BaseFailed")


def test_the_hub_gives_a_site_longer_than_the_site_takes_to_notice_a_dead_node() -> None:
    """Else the hub ends the task for another reason, which is not tried again."""
    assert SITE_NOTICES_A_DEAD_NODE > KUBELET_STOPS_WITHIN
