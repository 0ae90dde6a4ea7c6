"""Which version counts when people decide: by spec.current, or because promotion is manual."""

from dataclasses import replace
from datetime import datetime

from tests.unit.plans_model.world import trained
from wardround.plans.model import plan as model_plan


def test_with_manual_promotion_each_version_waits_for_a_person() -> None:
    world = trained("Accepted", gate={"promote": "Manual"})
    assert world.model.status.current is None
    assert world.condition("Ready")[:2] == ("False", "PeopleDecide")
    assert world.condition("VersionWaits")[2].startswith("Version 2 is Accepted.")
    world.pin(1)
    world.run()
    assert (world.current, world.condition("Ready")[:2]) == (1, ("True", "VersionCurrent"))


def test_a_pinned_version_stays_whatever_the_gate_says_and_then_the_gate_decides_again() -> None:
    world = trained("Accepted")
    world.pin(1)
    world.run()
    assert world.current == 1
    world.run_next()
    assert (world.current, world.verdict(3)[0]) == (1, "Accepted")
    assert world.condition("VersionWaits")[0] == "True"
    world.pin(None)
    world.run()
    assert world.current == 1
    world.run_next()
    assert world.current == 4


def test_after_people_go_back_to_an_earlier_version_the_later_one_does_not_wait_for_them() -> None:
    """They have decided about version 2, which was the current one. Without the pin, version 1 stays."""
    world = trained("Accepted")
    assert world.current == 2
    for pinned in (1, None):
        world.pin(pinned)
        world.run()
        assert world.current == 1
        assert world.model.status.candidate == "heart-v2-0123abcd"
        assert "VersionWaits" not in {each.type for each in world.model.status.conditions}


def test_a_pinned_version_that_somebody_has_deleted_is_gone() -> None:
    world = trained("Accepted")
    world.pin(1)
    world.run()
    del world.versions["heart-v1-0123abcd"]
    world.run()
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "VersionGone")
    assert message.startswith("spec.current names version 1, which does not exist.")
    assert world.condition("Stalled") == ("True", "VersionGone", message)


def test_a_pinned_version_that_does_not_exist_yet_is_pinned_early() -> None:
    world = trained("Accepted")
    world.pin(7)
    world.run()
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "VersionPinnedEarly")
    assert message.startswith("spec.current names version 7, which does not exist yet.")
    assert "Remove spec.current. When the version exists, compare" in message
    assert "`kubectl wardround results federatedmodel/heart -n federation`" in message
    assert world.condition("Stalled") == ("True", "VersionPinnedEarly", message)
    world.run_next()
    assert world.series.number == 3
    world.pin(3)
    world.run()
    assert (world.current, world.condition("Stalled")[0]) == (3, "False")


def test_the_pinned_version_of_a_series_whose_result_is_gone_is_gone_too() -> None:
    """The version will never exist, so the model says nothing of the time when it does."""
    world = trained("Accepted")
    world.pin(3)
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    while world.series.stage != "Comparing":
        assert world.condition("Ready")[1] == "VersionPinnedEarly"
        world.complete(world.created[-1])
        world.step()
    del world.rounds[model_plan.best_name(world.series)]
    world.settle()
    assert world.condition("Stalled")[:2] == ("True", "ResultGone")
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "VersionGone")
    assert message.startswith("spec.current names version 3, which does not exist. ")


def test_a_version_that_was_pinned_before_it_existed_does_not_become_the_current_one() -> None:
    world = trained("Accepted", gate={"promote": "Manual"})
    world.pin(3)
    world.run()
    world.run_next()
    assert world.series.number == 3
    assert world.model.status.current is None
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "VersionPinnedEarly")
    assert message.startswith("Version 3 does not become the current one: spec.current named it before it existed")
    assert world.condition("Stalled") == ("True", "VersionPinnedEarly", message)
    world.pin(None)
    world.run()
    assert world.model.status.current is None
    world.pin(3)
    world.run()
    assert (world.current, world.condition("Stalled")[0]) == (3, "False")


def test_a_ready_version_can_be_pinned_before_the_status_lists_it() -> None:
    world = trained("Accepted", gate={"promote": "Manual"})
    listed = world.model.status.versions
    world.model = replace(world.model, status=replace(world.model.status, versions=listed[:1]))
    world.pin(2)
    world.step()
    assert world.model.status.pinned_early is None


def test_a_pinned_version_is_not_deleted() -> None:
    world = trained("Undecided", history={"versions": 1})
    world.pin(2)
    world.run()
    for _ in range(4):
        world.run_next()
    assert world.current == 2
    assert "heart-v2-0123abcd" in world.versions
