"""What the next series does after somebody has deleted the current version."""

from __future__ import annotations

import pytest

from tests.unit.plans_model.test_further_series import pushed_version
from tests.unit.plans_model.test_lost_bases import begin, version, wait
from tests.unit.plans_model.world import World, model, tasks, trained
from wardround.api.conditions import MESSAGE_LIMIT

CAUSE = "ModelVersion heart-v2-0123abcd was the current one, and somebody deleted it. "
CHOICE = "No further series begins until spec.current.version names one of these versions: 1."


def without_current(world: World) -> World:
    """Somebody deletes the current version."""
    assert world.model.status.current is not None
    del world.versions[world.model.status.current]
    world.run()
    return world


@pytest.mark.parametrize("asks", [False, True])
def test_no_series_begins_from_new_weights_by_itself_while_the_model_has_other_versions(asks: bool) -> None:
    world = without_current(trained("Accepted"))
    if asks:
        begin(world, "now")
    wait(world)
    assert (world.series.number, world.series.stage) == (2, "Ended")
    status, reason, message = world.condition("Stalled")
    assert (status, reason) == ("True", "VersionGone")
    assert message.startswith(f"{CAUSE}{CHOICE} The round's author: Set spec.current.version to a version")
    assert "(ModelVersionBackwards)" in message
    assert len(message) < MESSAGE_LIMIT
    assert world.condition("Ready") == ("False", "VersionGone", message)
    assert world.condition("Scheduled") == ("False", "VersionGone", f"Series 3 does not begin. {message}")
    world.pin(1)
    world.settle()
    assert (world.series.number, tasks(world)) == (3, [("Train", 1)])
    assert world.bases[world.created[-1]] == world.versions[version(1)].spec.round_name
    assert world.condition("Ready")[0] == "True"


def test_a_person_who_wants_new_weights_says_so() -> None:
    world = without_current(trained("Accepted"))
    world.change(start="Scratch")
    world.settle()
    assert f"{CAUSE}The next series starts from new weights." in world.condition("Ready")[2]
    wait(world)
    assert (world.series.number, tasks(world)) == (3, [("Statistics", 0)])


def test_a_pinned_version_that_is_deleted_says_which_others_exist() -> None:
    world = trained("Accepted")
    world.pin(2)
    world.run()
    message = without_current(world).condition("Stalled")[2]
    assert message.startswith(f"spec.current names version 2, which does not exist. {CHOICE}")
    wait(world)
    assert world.series.number == 2
    world.pin(None)
    world.settle()
    assert world.condition("Stalled")[2].startswith(f"{CAUSE}{CHOICE}")
    world.pin(1)
    world.settle()
    assert world.series.number == 3


def test_a_model_whose_only_version_is_deleted_says_what_the_next_series_starts_from() -> None:
    world = without_current(trained())
    assert "somebody deleted it. The next series starts from new weights." in world.condition("Ready")[2]
    wait(world)
    assert (world.series.number, tasks(world)) == (2, [("Statistics", 0)])


def test_a_model_that_starts_from_a_pushed_version_names_it() -> None:
    world = World(model(rounds=1, spec={"initial": {"pushed": "pretrained"}}))
    world.versions["pretrained"] = pushed_version("pretrained")
    world.run()
    assert (
        "The next series starts from the pushed ModelVersion pretrained."
        in without_current(world).condition("Ready")[2]
    )


@pytest.mark.parametrize(("start", "says"), [("Current", True), ("Scratch", False)])
def test_a_model_none_of_whose_versions_was_ever_current_says_what_each_series_starts_from(
    start: str, says: bool
) -> None:
    world = trained(gate={"promote": "Manual"}, series={"rounds": 1, "from": start})
    message = world.condition("Ready")[2]
    assert world.condition("Ready")[:2] == ("False", "PeopleDecide")
    assert world.condition("VersionWaits")[2] == message
    assert "set spec.current.version to 1." in message
    assert message.endswith("Until then, no version is current, and each series starts from new weights.") == says
    world.run_next()
    assert tasks(world)[0] == ("Statistics", 0)
    world.pin(1)
    world.run()
    assert "Until then" not in world.condition("VersionWaits")[2]
