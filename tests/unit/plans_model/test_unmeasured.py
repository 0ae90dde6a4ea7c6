"""A version that no round has measured says why it has no numbers."""

import pytest

from tests.unit.plans_model.world import World, model, started
from wardround.api import conditions
from wardround.api.federatedmodel import Summary


@pytest.mark.parametrize(
    ("cause", "reason", "tries"), [("QuorumNotMet", "VersionNotMeasured", 3), ("NumbersWithheld", "NumbersWithheld", 1)]
)
def test_a_version_whose_model_nobody_could_measure_says_why_it_has_no_numbers(
    cause: str, reason: str, tries: int
) -> None:
    """The gate accepts it, because it is the first one."""
    world = started(rounds=1)
    for _ in range(2):
        world.complete(world.created[-1])
        world.settle()
    for _ in range(tries):
        world.fail(world.created[-1], cause)
        world.settle()
    [version] = world.versions.values()
    assert (version.spec.round_name, version.status.metrics) == ("heart-s1-r1-0123abcd", ())
    ready = conditions.find_true(version.status.conditions, "Ready")
    assert ready is not None
    again = f"-t{tries}" if tries > 1 else ""
    last = f"heart-s1-e1{again}-0123abcd"
    assert (ready.reason, ready.message) == (
        reason,
        f"The version has no metrics, because no round has measured its model. Round {last}, the last one of the "
        f"series, has failed ({cause}). To see more: `kubectl wardround explain federatedround/{last} -n federation`.",
    )
    assert world.condition("Ready") == ("True", reason, ready.message)
    assert world.model.status.summary == Summary(loss=reason)


def test_a_version_that_is_measured_at_one_hospital_alone_says_why_it_has_no_numbers() -> None:
    world = World(model(rounds=1), losses=[None])
    world.run()
    assert world.condition("Ready")[1] == "VersionNotMeasured"
    assert "is Complete, but no number covers enough people or hospitals." in world.condition("Ready")[2]
    assert world.model.status.summary == Summary(loss="VersionNotMeasured")


def test_a_version_that_is_measured_says_nothing_of_a_lack() -> None:
    world = started(rounds=1)
    world.run()
    [version] = world.versions.values()
    ready = conditions.find_true(version.status.conditions, "Ready")
    assert ready is not None
    assert (ready.reason, world.condition("Ready")) == ("VersionReady", ("True", "VersionCurrent", ""))
