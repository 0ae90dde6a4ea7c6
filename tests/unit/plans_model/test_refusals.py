"""A series whose hospitals refuse what its round asks for: it does not ask for the same again."""

from dataclasses import replace

import pytest

from tests.unit.plans_model.world import World, model, started
from wardround.api.federatedround import Participants
from wardround.reasons.registry import advise


@pytest.mark.parametrize("reason", ["ParametersNotAllowed", "ParametersRefused", "Denied"])
def test_a_series_does_not_ask_again_for_what_its_hospitals_refuse(reason: str) -> None:
    """Each further attempt would ask people at the hospitals once more, for nothing."""
    world = started()
    world.fail(world.created[-1], site_b=reason)
    world.settle()
    assert len(world.created) == 1
    assert world.condition("Stalled")[:2] == ("True", "SeriesRoundFailed")
    message = world.condition("Stalled")[2]
    assert f"has failed (QuorumNotMet). Each further attempt would fail too. {advise(reason, 'site-b')}" in message
    world.change(parameters={"epochs": "1"})
    world.settle()
    assert len(world.created) == 2, "people have changed what it asks for"
    world.fail(world.created[-1], site_b=reason)
    world.settle()
    assert len(world.created) == 2


def test_a_series_asks_again_if_the_quorum_can_be_met_without_the_hospital_that_refuses() -> None:
    template = replace(model().spec.round, participants=Participants(names=("site-a", "site-b", "site-c")))
    world = World(replace(model(), spec=replace(model().spec, round=template)))
    world.settle()
    world.fail(world.created[-1], site_a="Denied", site_b="Evicted")
    world.settle()
    assert len(world.created) == 2
    world.fail(world.created[-1], site_a="Denied", site_b="ImageNotAllowed")
    world.settle()
    assert len(world.created) == 2
    assert "These hospitals refuse too: site-b (ImageNotAllowed)." in world.condition("Stalled")[2]


def test_a_series_whose_quorum_is_impossible_waits_for_its_author_at_once() -> None:
    world = started()
    world.fail(world.created[-1], "QuorumImpossible")
    world.settle()
    assert len(world.created) == 1
    assert world.condition("Stalled")[:2] == ("True", "SeriesRoundFailed")


def test_a_series_that_may_be_skipped_ends_at_once_when_its_hospitals_refuse() -> None:
    world = started(onFailure={"retries": 2, "then": "Skip"})
    world.fail(world.created[-1], site_a="Denied")
    world.settle()
    assert len(world.created) == 1
    assert world.series.skipped
