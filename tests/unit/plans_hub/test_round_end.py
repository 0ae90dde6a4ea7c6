"""How a round ends: interrupted actions, final conditions, and what is tidied up afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.plans_hub.builders import (
    FEDERATION,
    NAMES,
    NOW,
    accepted,
    aggregating,
    at,
    collecting,
    combined,
    federated_round,
    keys,
    observation,
    over,
    participant,
    sent,
)
from tests.unit.plans_hub.reading import condition_of
from wardround.api import conditions
from wardround.api.federatedround import FederatedRoundStatus
from wardround.api.times import to_seconds
from wardround.plans.round.plan import plan
from wardround.plans.round.status import interrupted
from wardround.plans.round.types import (
    CleanUp,
    Interruption,
)

INTERRUPTION = Interruption(doing="start aggregation 1", cause="Forbidden")


def test_an_action_that_raises_leaves_a_status_that_names_it() -> None:
    seen = collecting(*map(sent, NAMES), now=at(110))
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    reconciling = conditions.find(left.conditions, "Reconciling")
    assert reconciling is not None
    assert (reconciling.status, reconciling.reason) == ("True", "ActionFailed")
    assert "could not start aggregation 1: Forbidden. Nobody has to act yet" in reconciling.message
    assert left.participants is not None
    assert left.participants.sent == 3
    # It has not been collected: that stage comes when the Job is made.
    assert left.timeline == seen.round.status.timeline
    again = replace(seen, round=replace(seen.round, status=left), now=at(111))
    assert interrupted(again, plan(again).status, INTERRUPTION) == left
    assert condition_of(plan(again), "Reconciling") == ("True", "Aggregating")


def test_a_result_that_could_not_be_kept_does_not_make_a_round_complete() -> None:
    seen = aggregating(answer=combined(*NAMES))
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    assert not conditions.is_true(left.conditions, "Complete")
    assert left.result is None


def clean_up(status: FederatedRoundStatus) -> tuple[str, str] | None:
    known = conditions.find(status.conditions, "CleanedUp")
    return (known.status, known.reason) if known else None


def test_a_round_that_is_over_says_that_it_is_not_tidied_up_until_it_is() -> None:
    ended = over(federated_round(), "Complete")
    seen = observation(ended, leftovers=True)
    left = interrupted(seen, plan(seen).status, INTERRUPTION)
    assert conditions.is_true(left.conditions, "Complete")
    assert clean_up(left) == ("False", "ActionFailed")
    untidy = replace(seen, round=replace(ended, status=left))
    waiting = replace(untidy, puts_until=at(3000), now=at(110))
    assert clean_up(plan(waiting).status) == ("False", "GrantsValid")
    assert clean_up(plan(replace(waiting, cleaned_up=True)).status) == ("False", "GrantsValid")
    assert clean_up(plan(untidy).status) == ("True", "CleanedUp")


def test_a_round_that_is_over_is_marked_once_nothing_is_left() -> None:
    ended = over(federated_round(), "Complete")
    seen = observation(ended, leftovers=True, puts_until=at(3000), now=at(110))
    assert plan(seen).status == ended.status
    marked = plan(replace(seen, now=at(3000))).status
    assert clean_up(marked) == ("True", "CleanedUp")
    assert plan(observation(ended)).status.conditions[-1].type == "CleanedUp", "it has asked nobody"
    again = plan(observation(replace(ended, status=marked), now=at(4000)))
    assert (again.actions, again.status, again.requeue_after) == ((), marked, None)


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_final_condition_is_never_taken_back(kind: str) -> None:
    ended = over(federated_round(), kind)
    seen = observation(ended, tasks=tuple(map(sent, NAMES)), leftovers=True, now=at(99999))
    made = plan(seen)
    assert made.status.conditions[:-1] == ended.status.conditions
    assert made.actions == (CleanUp(until=None),)
    assert plan(replace(seen, leftovers=False)).actions == ()


def test_updates_are_deleted_again_when_no_site_can_put_any_more() -> None:
    """A presigned PUT cannot be taken back: what was deleted could come again by it."""
    notes = {"wardround.io/grants-bytes": "1000", "wardround.io/grants-expire": to_seconds(at(3000))}
    tasks = (sent("site-a", annotations=notes), sent("site-b"), sent("site-c"))
    first = observation(over(federated_round(), "Complete"), tasks=tasks, leftovers=True, now=at(110))
    assert plan(first).actions == (CleanUp(until=at(3000)),)
    cleaned = replace(first, cleaned_up=True)
    assert (plan(cleaned).actions, plan(cleaned).requeue_after) == ((), 2890)
    assert plan(replace(cleaned, now=at(3000))).actions == (CleanUp(until=None),)
    # After the first clean-up, the hub operator reads no tasks. It has noted the time.
    noted = replace(cleaned, tasks=(), puts_until=at(3000))
    assert (plan(noted).actions, plan(noted).requeue_after) == ((), 2890)
    assert plan(replace(noted, now=at(3000))).actions == (CleanUp(until=None),)


def test_attention_has_one_entry_a_participant_and_at_most_sixteen() -> None:
    names = [f"site-{number:02}" for number in range(20)]
    made = plan(observation(federated_round(participants={"names": names})))
    assert len(made.status.attention) == 16
    assert {each.reason for each in made.status.attention} == {"ParticipantUnknown"}


def test_a_plan_for_its_own_status_changes_nothing_more() -> None:
    seen = collecting(sent("site-a"), accepted("site-b"), accepted("site-c"), now=at(110))
    first = plan(seen)
    again = plan(replace(seen, round=replace(seen.round, status=first.status), now=at(111)))
    assert again.status == first.status


def test_advice_names_the_federation() -> None:
    participants = {name: participant(name, allowed_federations=()) for name in NAMES}
    (first, *_) = plan(observation(participants=participants)).status.attention
    assert FEDERATION in first.message
    assert keys("site-a").signing not in first.message
    assert NOW.isoformat() not in first.message
