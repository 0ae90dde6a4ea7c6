"""A hospital that joins after a version was delivered gets it by a delivery of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.plans_model.test_delivery import DELIVER, delivered, deliveries
from tests.unit.plans_model.world import World, model
from wardround.api.federatedmodel import Deliver
from wardround.api.federatedround import Participants

FIRST, SECOND = "heart-d1-0123abcd", "heart-d2-0123abcd"


def trained() -> World:
    """A model whose version the two hospitals of its spec have got."""
    world = World(model(rounds=1, spec=DELIVER))
    world.run()
    assert deliveries(world) == [FIRST]
    return world


def join(world: World, *names: str) -> None:
    """The author adds hospitals, which the hub may ask."""
    known = world.model.spec.round.participants.names or ()
    world.ready |= {*names}
    world.edit(round=replace(world.model.spec.round, participants=Participants(names=(*known, *names))))


def recipients(world: World, name: str) -> tuple[str, ...]:
    return world.rounds[name].spec.participants.names or ()


def test_a_new_hospital_gets_the_current_version_and_the_others_are_not_asked_again() -> None:
    world = trained()
    join(world, "site-d")
    world.run()
    assert deliveries(world) == [FIRST, SECOND]
    assert recipients(world, SECOND) == ("site-d",)
    assert world.rounds[SECOND].spec.base is not None
    assert delivered(world) == ("True", "DeliveryComplete")
    delivery = world.model.status.delivery
    assert delivery is not None
    assert delivery.asked == ("site-a", "site-b", "site-d")
    world.run()
    assert deliveries(world) == [FIRST, SECOND], "nobody is asked twice"


def test_a_hospital_that_the_hub_may_not_ask_yet_gets_the_version_when_it_may() -> None:
    world = trained()
    join(world, "site-d")
    world.ready.discard("site-d")
    world.run()
    assert deliveries(world) == [FIRST]
    assert world.step().requeue_after == 3600, "no event of a hospital wakes a model, so it looks again by itself"
    world.ready.add("site-d")
    world.run()
    assert recipients(world, SECOND) == ("site-d",)


def test_hospitals_that_join_at_the_same_time_share_a_delivery_and_later_ones_get_another() -> None:
    world = trained()
    join(world, "site-e", "site-d")
    world.run()
    join(world, "site-f")
    world.run()
    assert recipients(world, "heart-d3-0123abcd") == ("site-f",)
    assert deliveries(world) == [FIRST, SECOND, "heart-d3-0123abcd"]
    assert FIRST not in world.rounds
    assert SECOND not in world.rounds


def test_while_a_delivery_runs_no_other_begins() -> None:
    world = trained()
    join(world, "site-d")
    world.settle()
    join(world, "site-e")
    world.settle()
    assert deliveries(world) == [FIRST, SECOND]
    assert delivered(world) == ("True", "DeliveryComplete"), "the other hospitals have the version"
    assert (
        "Hospitals that joined later do not have the version yet: site-d. They get a Deliver round of their own. The "
        "delivery of the version is under way: round heart-d2-0123abcd waits"
    ) in world.condition("Delivered")[2]
    world.run()
    assert recipients(world, "heart-d3-0123abcd") == ("site-e",)


def test_a_new_hospital_that_takes_no_model_is_named_and_not_asked_again() -> None:
    world = trained()
    join(world, "site-d")
    world.settle()
    world.fail(SECOND)
    world.run()
    status, reason, message = world.condition("Delivered")
    assert (status, reason) == ("True", "DeliveryComplete")
    assert "The delivery of the version has failed: round heart-d2-0123abcd has failed (QuorumNotMet)." in message
    assert deliveries(world) == [FIRST, SECOND]


@pytest.mark.parametrize("change", [{"deliver": Deliver(recipients="Nobody")}, {"suspend": True}])
def test_a_model_that_delivers_nothing_asks_no_new_hospital(change: dict[str, object]) -> None:
    world = trained()
    world.edit(**change)
    join(world, "site-d")
    world.run()
    assert deliveries(world) == [FIRST]


def test_a_round_that_people_delete_goes_to_all_hospitals_again() -> None:
    world = trained()
    join(world, "site-d")
    world.run()
    del world.rounds[SECOND]
    world.run()
    assert deliveries(world) == [FIRST, SECOND, SECOND]
    assert recipients(world, SECOND) == ("site-a", "site-b", "site-d")


def test_a_new_version_goes_to_all_hospitals() -> None:
    world = World(model(rounds=1, spec={**DELIVER, "trigger": {"cron": "0 2 * * 1"}}), ["0.5", "0.4"])
    world.run()
    join(world, "site-d")
    world.run()
    world.run_next()
    assert recipients(world, "heart-d3-0123abcd") == ("site-a", "site-b", "site-d")


def test_hospitals_beyond_the_most_that_a_round_can_name_are_not_listed() -> None:
    world = trained()
    join(world, *(f"site-{number:03}" for number in range(600)))
    world.run()
    delivery = world.model.status.delivery
    assert delivery is not None
    assert len(delivery.asked) == 512
    assert len(recipients(world, SECOND)) == 510
    assert deliveries(world) == [FIRST, SECOND]
