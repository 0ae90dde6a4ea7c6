"""A person asks for the next series of a model by a new value of an annotation."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.plans_model.world import World, model
from wardround.api.names import BEGIN
from wardround.plans.model.request import MOST_CHARACTERS


def asked(world: World, value: str) -> None:
    metadata = replace(world.model.metadata, annotations={BEGIN: value})
    world.model = replace(world.model, metadata=metadata)


def ended(trigger: dict[str, str] | None = None) -> World:
    """A model whose first series has ended."""
    world = World(model(spec={"trigger": trigger} if trigger else None, rounds=1))
    world.run()
    assert world.series.number == 1
    return world


def begun(world: World) -> tuple[int, str | None, str | None]:
    return world.series.number, world.series.trigger, world.series.request


def test_each_new_value_begins_one_series() -> None:
    world = ended()
    asked(world, "a")
    world.run()
    assert begun(world) == (2, "Requested", "a")
    world.run()
    assert world.series.number == 2
    asked(world, "b")
    world.run()
    assert begun(world) == (3, "Requested", "b")
    asked(world, "")
    world.run()
    assert begun(world) == (3, "Requested", "b")


def test_a_request_never_begins_a_series_beside_another() -> None:
    world = World(model(rounds=1))
    world.settle()
    for value in ("a", "b"):
        asked(world, value)
        world.settle()
    assert (world.series.number, len(world.created)) == (1, 1)
    expected = "Nobody has to act: series 2, for which a person has asked, begins when series 1 has ended."
    assert world.condition("Scheduled") == ("True", "NextSeries", expected)
    world.run()
    assert begun(world) == (2, "Requested", "b")
    assert world.condition("Scheduled")[:2] == ("False", "NoTrigger")


def test_a_value_that_the_model_was_made_with_begins_only_the_first_series() -> None:
    world = World(model(rounds=1))
    asked(world, "a")
    world.run()
    assert begun(world) == (1, "Created", "a")


def test_a_suspended_model_begins_the_series_when_it_is_resumed() -> None:
    world = ended()
    world.suspend(True)
    asked(world, "a")
    world.run()
    assert world.series.number == 1
    assert world.condition("Scheduled")[2] == (
        "The FederatedModel is suspended. Once somebody sets its spec.suspend to false, series 2, for which a person "
        "has asked, begins at once."
    )
    world.suspend(False)
    world.run()
    assert begun(world) == (2, "Requested", "a")


def test_a_series_that_begins_by_its_trigger_does_what_people_have_asked_for() -> None:
    world = ended({"cron": "0 2 * * 1"})
    world.suspend(True)
    asked(world, "a")
    world.now += timedelta(days=8)
    world.settle()
    world.suspend(False)
    world.run()
    assert begun(world) == (2, "Requested", "a")


def test_a_request_needs_no_trigger_that_can_be_read() -> None:
    world = ended({"cron": "no time"})
    asked(world, "a")
    world.run()
    assert begun(world) == (2, "Requested", "a")


def test_a_long_value_begins_one_series() -> None:
    world = ended()
    asked(world, "a" * 1000)
    world.run()
    assert begun(world) == (2, "Requested", "a" * MOST_CHARACTERS)
