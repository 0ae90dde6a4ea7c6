"""A series whose hospitals refuse what its round asks for: it does not ask for the same again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import at, collecting, failed, participant, refused
from tests.unit.plans_model.world import World, model, started
from wardround.api import conditions
from wardround.api.federatedround import Participants
from wardround.plans.model.refusal import hopeless
from wardround.plans.round.plan import plan
from wardround.reasons.registry import advise

TWENTY = tuple(f"site-{number:02}" for number in range(1, 21))


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


def hopeless_for_twenty(refusing: Sequence[str], *, asked: Sequence[str] = TWENTY, **spec: Any) -> str:
    """Why further attempts at a round of twenty hospitals would fail too."""
    tasks = [refused(name, "Denied") if name in refusing else failed(name) for name in asked]
    known = {"participants": {"names": list(TWENTY)}, "retryLimit": 0}
    everybody = {name: participant(name) for name in TWENTY}
    seen = collecting(*tasks, spec=known | spec, participants=everybody, roster=asked, now=at(60))
    status = plan(seen).status
    assert conditions.is_true(status.conditions, "Failed")
    return hopeless(replace(seen.round, status=status))


def test_all_hospitals_that_refuse_count_although_a_round_names_sixteen() -> None:
    message = hopeless_for_twenty(TWENTY[:18], quorum={"min": 3})
    assert message.startswith("site-01: The hospital has denied the task")
    assert message.endswith("Together, 18 hospitals refuse.")
    assert hopeless_for_twenty(TWENTY[:17], quorum={"min": 3}) == ""


def test_a_required_hospital_that_refuses_counts_although_sixteen_others_have_failed() -> None:
    assert hopeless_for_twenty(TWENTY[19:], quorum={"min": 3, "required": ["site-20"]})
    assert hopeless_for_twenty(TWENTY[19:], quorum={"min": 3, "required": ["site-19"]}) == ""


@pytest.mark.parametrize("wanted", [{"names": list(TWENTY)}, {"selector": {"matchLabels": {"country": "de"}}}])
def test_a_hospital_that_a_round_could_not_ask_may_meet_the_quorum_of_a_further_attempt(wanted: Any) -> None:
    assert hopeless_for_twenty(TWENTY[:1], asked=TWENTY[:10], participants=wanted, quorum={"min": 10}) == ""
    assert hopeless_for_twenty(TWENTY[:1], asked=TWENTY[:10], participants=wanted, quorum={"min": 20})


def test_the_message_of_a_series_that_stops_ends_with_a_whole_sentence() -> None:
    world = started()
    world.fail(world.created[-1], site_a="ParametersNotAllowed", site_b="ParametersNotAllowed")
    world.settle()
    status, reason, message = world.condition("Stalled")
    assert (status, reason) == ("True", "SeriesRoundFailed")
    assert message.endswith(".")
    assert "status.series.rounds" not in message, "explain shows the advice of SeriesRoundFailed"
