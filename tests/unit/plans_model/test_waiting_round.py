"""Whether a model is Stalled while a round of its series waits: only if the round cannot go on without people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.plans_model.world import World, model
from wardround.api.conditions import Condition
from wardround.api.federatedround import Attention, FederatedRoundStatus, Participants, Quorum, Selector
from wardround.plans.round.status import ATTENTION_LIMIT

PENDING, SCHEMA = "ParticipantNotApproved", "RoundSchemaNotFound"


def waiting(
    world: World, reason: str, *absent: str, why: str = PENDING, quorum: Quorum, selector: bool = False
) -> tuple[str, str]:
    """The condition Stalled of a model of which the newest round waits for this reason, and cannot ask `absent`."""
    live = world.rounds[world.created[-1]]
    stalled = Condition(type="Stalled", status="True", reason=reason, message="Somebody has to act.")
    attention = tuple(Attention(participant=name, reason=why, message="") for name in absent)
    names = tuple(f"site-{number}" for number in range(ATTENTION_LIMIT * 2))
    wanted = Participants(selector=Selector(match_labels={"a": "b"})) if selector else Participants(names=names)
    world.rounds[live.metadata.name] = replace(
        live,
        spec=replace(live.spec, participants=wanted, quorum=quorum),
        status=FederatedRoundStatus(conditions=(stalled,), attention=attention),
    )
    world.step()
    return world.condition("Stalled")[:2]


def started(task: str) -> World:
    world = World(model(spec={"evaluation": {"every": 1}}))
    world.settle()
    while world.tasks[world.created[-1]] != task:
        world.complete(world.created[-1])
        world.settle()
    return world


ALL = ATTENTION_LIMIT * 2


@pytest.mark.parametrize("task", ["Statistics", "Train", "Evaluate"])
def test_a_model_is_stalled_only_if_its_round_needs_people(task: str) -> None:
    world = started(task)
    assert waiting(world, PENDING, "site-1", quorum=Quorum(min=ALL - 1))[0] == "False", "it continues without site-1"
    assert "Somebody has to act." in world.condition("Reconciling")[2]
    assert waiting(world, PENDING, "site-1", quorum=Quorum(min=ALL)) == ("True", PENDING)
    assert waiting(world, PENDING, "site-1", quorum=Quorum(min=1, required=("site-2",)))[0] == "False"
    assert waiting(world, PENDING, "site-1", quorum=Quorum(min=1, required=("site-1",))) == ("True", PENDING)


def test_a_round_that_waits_for_something_else_than_single_hospitals_needs_people() -> None:
    world, few = started("Train"), Quorum(min=1)
    assert waiting(world, SCHEMA, quorum=few) == ("True", SCHEMA)
    assert waiting(world, SCHEMA, "site-1", quorum=few) == ("True", SCHEMA)
    assert waiting(world, "DatasetUnknown", "site-1", quorum=few) == ("True", "DatasetUnknown")
    assert waiting(world, PENDING, "site-1", quorum=few, selector=True) == ("True", PENDING), "its quorum is missing"


def test_where_the_round_may_not_name_all_hospitals_that_it_cannot_ask_the_model_does_not_count_on_a_quorum() -> None:
    world, few = started("Train"), Quorum(min=1)
    absent = [f"site-{number}" for number in range(ATTENTION_LIMIT)]
    assert waiting(world, PENDING, *absent[1:], quorum=few)[0] == "False"
    assert waiting(world, PENDING, *absent, quorum=few) == ("True", PENDING)
