"""When a model's current version is delivered, and what the model says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.plans_model.world import UID, World, model
from wardround.api.federatedmodel import Deliver
from wardround.api.federatedround import Deadlines

WEEKLY = {"trigger": {"cron": "0 2 * * 1", "timeZone": "Europe/Berlin"}}
DELIVER = {"deliver": {"to": "Participants"}}
SECOND = "heart-d2-0123abcd"


def trained(**spec: Any) -> World:
    world = World(model(rounds=1, spec={**WEEKLY, **DELIVER, **spec}), ["0.5", "0.4"])
    world.run()
    return world


def delivering() -> World:
    """A model whose delivery is under way."""
    world = World(model(rounds=1, spec=DELIVER))
    while True:
        world.settle()
        [first, *_] = [each for each in world.rounds.values() if not each.status.conditions]
        if first.spec.task == "Deliver":
            return world
        world.complete(first.metadata.name)


def deliveries(world: World) -> list[str]:
    return [name for name in world.created if world.tasks[name] == "Deliver"]


def delivered(world: World) -> tuple[str, str]:
    return world.condition("Delivered")[:2]


def test_a_version_is_delivered_once_it_is_the_current_one() -> None:
    world = trained()
    assert deliveries(world) == ["heart-d1-0123abcd"]
    spec = world.rounds["heart-d1-0123abcd"].spec
    assert spec.base is not None
    assert spec.base.round_name == world.versions["heart-v1-0123abcd"].spec.round_name
    assert spec.delivery is not None
    assert (spec.delivery.model_name, spec.delivery.model_uid, spec.delivery.version) == ("heart", UID, 1)
    assert (spec.delivery.versions, spec.quorum.min, spec.release, spec.image) == (5, 1, "Participants", None)
    assert spec.participants == world.model.spec.round.participants
    assert spec.deadlines == Deadlines()
    assert delivered(world) == ("True", "DeliveryComplete")


def test_a_model_that_asks_for_no_delivery_has_none_and_no_condition_about_one() -> None:
    world = World(model(rounds=1))
    world.run()
    assert (deliveries(world), world.model.status.delivery) == ([], None)
    assert "Delivered" not in {each.type for each in world.model.status.conditions}


def test_the_status_names_a_delivery_before_its_round_exists() -> None:
    world = World(model(rounds=1, spec=DELIVER))
    while world.model.status.delivery is None:
        world.step()
        for each in list(world.rounds.values()):
            if not each.status.conditions:
                world.complete(each.metadata.name)
    assert deliveries(world) == []
    assert delivered(world) == ("False", "Delivering")


def test_each_new_current_version_is_delivered_and_an_older_round_is_deleted() -> None:
    world = trained()
    world.run_next()
    world.run()
    assert deliveries(world) == ["heart-d1-0123abcd", "heart-d2-0123abcd"]
    assert "heart-d1-0123abcd" not in world.rounds
    assert "heart-d2-0123abcd" in world.rounds


def test_a_version_that_the_gate_refuses_is_not_delivered() -> None:
    world = World(model(rounds=1, spec={**WEEKLY, **DELIVER}), ["0.5", "0.4"], outcomes=["Worse"])
    world.run()
    world.run_next()
    assert deliveries(world) == ["heart-d1-0123abcd"]


def test_a_version_that_people_choose_is_delivered() -> None:
    world = trained()
    world.run_next()
    world.pin(1)
    world.run()
    spec = world.rounds["heart-d3-0123abcd"].spec
    assert spec.delivery is not None
    assert spec.delivery.version == 1


def running_of_second_version() -> World:
    """A model whose third series trains while the delivery of version 2 is under way."""
    world = trained()
    world.now = max(world.now, datetime.fromisoformat(world.next_start))
    while SECOND not in world.rounds:
        world.settle()
        for each in list(world.rounds.values()):
            if not each.status.conditions and each.metadata.name != SECOND:
                world.complete(each.metadata.name)
    world.settle()
    world.now = max(world.now, datetime.fromisoformat(world.next_start))
    world.settle()
    assert (world.series.number, world.series.stage) == (3, "Training")
    assert (world.current, world.rounds[SECOND].status.conditions) == (2, ())
    return world


def versions_under_way(world: World) -> list[int]:
    """The versions that hospitals may still get."""
    under_way = [each.spec.delivery for each in world.rounds.values() if not each.status.conditions]
    return [each.version for each in under_way if each is not None]


@pytest.mark.parametrize("suspended", [False, True])
def test_a_delivery_that_runs_ends_when_people_go_back_to_an_older_version(suspended: bool) -> None:
    """Else a hospital could get the newer version after the older one."""
    world = running_of_second_version()
    world.suspend(suspended)
    world.settle()
    world.pin(1)
    world.step()
    assert versions_under_way(world) == []
    world.settle()
    assert versions_under_way(world) == ([] if suspended else [1])
    world.suspend(False)
    world.settle()
    assert versions_under_way(world) == [1]


def test_an_operator_that_stops_between_two_deliveries_leaves_none_of_the_newer_version() -> None:
    seen = set()
    for writes in range(5):
        world = running_of_second_version()
        world.pin(1)
        world.step(writes=writes)
        seen.add((SECOND in world.rounds, world.model.status.current))
        world.settle()
        assert versions_under_way(world) == [1], writes
    # The deletion comes before the write of the status: the operator has also stopped between the two.
    assert {"heart-v2-0123abcd"} == {current for lives, current in seen if lives}
    assert {"heart-v1-0123abcd", "heart-v2-0123abcd"} == {current for lives, current in seen if not lives}


def test_a_delivery_that_is_named_and_not_made_is_not_made_after_people_go_back() -> None:
    world = running_of_second_version()
    del world.rounds[SECOND]
    world.pin(1)
    world.settle()
    assert versions_under_way(world) == [1]


def test_a_delivery_ends_when_people_go_back_although_they_want_no_other_one() -> None:
    world = running_of_second_version()
    world.edit(deliver=Deliver(recipients="Nobody"))
    world.settle()
    assert versions_under_way(world) == [2]
    world.pin(1)
    world.settle()
    assert versions_under_way(world) == []
    assert delivered(world) == ("False", "DeliveryOff")


def test_another_persons_round_under_the_name_of_a_delivery_stays() -> None:
    world = running_of_second_version()
    live = world.rounds[SECOND]
    world.rounds[SECOND] = replace(live, metadata=replace(live.metadata, owner_references=()))
    world.pin(1)
    world.settle()
    assert SECOND in world.rounds


def test_with_manual_promotion_no_hospital_gets_a_version_before_people_choose_it() -> None:
    """Not even the first one, which no gate has compared, and not one that the gate accepts."""
    world = trained(gate={"promote": "Manual"})
    assert (len(world.versions), deliveries(world)) == (1, [])
    world.run_next()
    assert (len(world.versions), deliveries(world)) == (2, [])
    world.pin(2)
    world.run()
    [name] = deliveries(world)
    spec = world.rounds[name].spec
    assert spec.delivery is not None
    assert spec.delivery.version == 2


def test_a_round_that_people_delete_is_made_again() -> None:
    world = trained()
    del world.rounds["heart-d1-0123abcd"]
    world.run()
    assert deliveries(world) == ["heart-d1-0123abcd", "heart-d1-0123abcd"]


def test_a_delivery_that_fails_says_so_and_is_not_repeated() -> None:
    world = delivering()
    world.fail("heart-d1-0123abcd")
    world.settle()
    status, reason, message = world.condition("Delivered")
    assert (status, reason) == ("False", "DeliveryFailed")
    assert "kubectl wardround explain federatedround/heart-d1-0123abcd -n federation" in message
    assert deliveries(world) == ["heart-d1-0123abcd"]


@pytest.mark.parametrize("failed", [False, True])
def test_a_version_whose_round_is_gone_is_not_delivered_again(failed: bool) -> None:
    """Each Deliver round would fail at once. No advice asks for another one."""
    world = delivering()
    del world.rounds[world.versions["heart-v1-0123abcd"].spec.round_name]
    if failed:
        world.fail("heart-d1-0123abcd", "BaseGone")
    else:
        del world.rounds["heart-d1-0123abcd"]
    world.settle()
    status, reason, message = world.condition("Delivered")
    assert (status, reason) == ("False", "VersionRoundGone")
    assert message.startswith("No round delivers ModelVersion heart-v1-0123abcd. ")
    assert "makes another one" not in message
    world.rounds.pop("heart-d1-0123abcd", None)
    world.settle()
    assert deliveries(world) == ["heart-d1-0123abcd"]


def test_a_version_that_every_hospital_has_stays_delivered_without_its_round() -> None:
    world = trained()
    del world.rounds[world.versions["heart-v1-0123abcd"].spec.round_name]
    world.settle()
    assert delivered(world) == ("True", "DeliveryComplete")
    assert world.condition("Ready")[:2] == ("False", "VersionRoundGone")


def test_a_suspended_model_pauses_its_delivery() -> None:
    world = delivering()
    for value in (True, False):
        world.suspend(value)
        world.settle()
        assert world.rounds["heart-d1-0123abcd"].spec.suspend is value
        message = world.condition("Delivered")[2]
        resumed = "Once somebody sets its spec.suspend to false, round heart-d1-0123abcd delivers the version."
        assert (resumed in message) == value
        assert ("waits or runs" in message) != value


@pytest.mark.parametrize("made", [False, True])
def test_a_suspended_model_names_no_round_that_nobody_makes(made: bool) -> None:
    """People go back to version 1. Without a resumption, the status names no round of that version."""
    world = running_of_second_version()
    if not made:
        del world.rounds[SECOND]
    world.suspend(True)
    world.settle()
    world.pin(1)
    world.settle()
    assert world.condition("Delivered") == (
        "False",
        "Delivering",
        "The FederatedModel is suspended. Once somebody sets its spec.suspend to false, the hub operator makes a round "
        "that delivers version 1.",
    )
    world.suspend(False)
    world.settle()
    assert versions_under_way(world) == [1]


def test_a_delivery_of_an_earlier_version_says_nothing_of_the_current_one() -> None:
    world = trained()
    world.run_next()
    world.run()
    world.suspend(True)
    world.pin(1)
    world.settle()
    assert delivered(world) == ("False", "Delivering")
    world.edit(deliver=Deliver(recipients="Nobody"))
    world.settle()
    assert delivered(world) == ("False", "DeliveryOff")


def test_a_version_that_somebody_deletes_before_its_delivery_is_no_delivery_under_way() -> None:
    world = delivering()
    del world.rounds["heart-d1-0123abcd"]
    del world.versions["heart-v1-0123abcd"]
    world.settle()
    status, reason, message = world.condition("Delivered")
    assert (status, reason) == ("False", "VersionGone")
    assert message.startswith("No round delivers ModelVersion heart-v1-0123abcd. ")
    assert "heart-d1" not in message
    assert "federatedmodel/heart -n federation" in message
    assert "MODEL_NAME" not in message


def test_a_delivery_that_runs_ends_when_somebody_deletes_its_version() -> None:
    """People delete a bad version so that no hospital gets it."""
    world = delivering()
    del world.versions["heart-v1-0123abcd"]
    world.settle()
    assert versions_under_way(world) == []
    status, reason, message = world.condition("Delivered")
    assert (status, reason) == ("False", "VersionGone")
    assert message.startswith("No round delivers ModelVersion heart-v1-0123abcd. ")


def test_a_wish_that_comes_later_delivers_the_current_version() -> None:
    world = World(model(rounds=1))
    world.run()
    world.edit(deliver=Deliver(recipients="Participants"))
    world.now += timedelta(days=1)
    world.run()
    assert delivered(world) == ("True", "DeliveryComplete")
    world.edit(deliver=Deliver(recipients="Nobody"))
    world.run()
    assert delivered(world) == ("True", "DeliveryComplete")
