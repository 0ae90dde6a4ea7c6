"""What a series does when somebody deletes or replaces the round or the version from which it starts."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.plans_model.test_further_series import pushed_version
from tests.unit.plans_model.world import World, model, tasks, trained
from wardround.api.conditions import MESSAGE_LIMIT
from wardround.api.names import BEGIN
from wardround.plans.model import series as rounds

BEGINS = "kubectl wardround begin federatedmodel/heart -n federation"


def version(number: int) -> str:
    return f"heart-v{number}-0123abcd"


def lose(world: World, number: int) -> str:
    """Somebody deletes the round that made this version. Returns its name."""
    name = world.versions[version(number)].spec.round_name
    del world.rounds[name]
    return name


def replace_round(world: World, number: int) -> str:
    """Somebody applies a round of her own under the name of the round that made this version."""
    name = world.versions[version(number)].spec.round_name
    live = world.rounds[name]
    world.rounds[name] = replace(live, metadata=replace(live.metadata, uid="of somebody", owner_references=()))
    return name


def wait(world: World, days: int = 30) -> None:
    world.now += timedelta(days=days)
    world.settle()


def begin(world: World, request: str) -> None:
    """A person asks for another series."""
    meta = world.model.metadata
    annotated = {**meta.annotations, BEGIN: request}
    world.model = replace(world.model, metadata=replace(meta, annotations=annotated))
    world.settle()


def base_of_series(world: World) -> str | None:
    base = world.rounds[world.series.rounds[0].name].spec.base
    return base.name if base else None


def lost(reason: str = "BaseGone", **on_failure: Any) -> World:
    """A model whose second series had to start from the round of version 1, which somebody has deleted."""
    world = trained(series={"rounds": 2, "onFailure": on_failure})
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    lose(world, 1)
    world.fail(world.created[-1], reason)
    world.settle()
    return world


@pytest.mark.parametrize("reason", ["BaseGone", "BaseReplaced", "BaseNotFound", "BaseUnusable"])
@pytest.mark.parametrize("on_failure", [{}, {"retries": 4}, {"retries": 0, "then": "Skip"}])
def test_a_series_whose_base_is_gone_ends_at_once_whatever_the_spec_says(reason: str, on_failure: Any) -> None:
    world = lost(reason, **on_failure)
    assert (world.series.number, world.series.stage, world.series.skipped) == (2, "Ended", True)
    assert [each.name for each in world.series.rounds] == ["heart-s2-r1-0123abcd"], "no attempt can succeed"
    status, shown, message = world.condition("Stalled")
    assert (status, shown) == ("True", "VersionRoundGone")
    gone = world.versions[version(1)].spec.round_name
    assert message.startswith(
        f"Series 2 has ended without a version: its round heart-s2-r1-0123abcd has failed ({reason}), because round "
        f"{gone} is gone. Somebody deleted or replaced round {gone}, which made version 1, the current one."
    )
    assert "The round's author: If it is the current version, set spec.current.version to another version." in message
    assert BEGINS in message
    assert len(message) < MESSAGE_LIMIT


def test_a_series_that_was_held_before_ends_too() -> None:
    """Its last attempt failed under an earlier hub operator, whatever the author has changed since."""
    world = trained(series={"rounds": 2, "onFailure": {"retries": 0}})
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    lose(world, 1)
    world.change(parameters={"epochs": "9"})
    world.fail(world.created[-1], "BaseNotFound")
    world.settle()
    assert (world.series.stage, world.condition("Stalled")[1]) == ("Ended", "VersionRoundGone")


def test_the_trigger_begins_no_series_that_is_bound_to_fail_and_says_why() -> None:
    world = trained("Accepted")
    gone = lose(world, 2)
    wait(world)
    assert world.series.number == 2
    assert world.condition("Stalled")[:2] == ("True", "VersionRoundGone")
    status, reason, message = world.condition("Scheduled")
    assert (status, reason) == ("False", "VersionRoundGone")
    assert message.startswith(f"Series 3 does not begin. Somebody deleted or replaced round {gone}, which made version")
    assert "The hub has the models of these versions: 1." in message
    assert len(message) < MESSAGE_LIMIT


def test_a_series_for_which_a_person_asks_begins_once_there_is_something_to_start_from() -> None:
    world = trained("Accepted")
    lose(world, 2)
    begin(world, "now")
    assert (world.series.number, world.condition("Scheduled")[1]) == (2, "VersionRoundGone")
    world.pin(1)
    world.settle()
    assert (world.series.number, world.series.trigger) == (3, "Requested")
    assert base_of_series(world) == world.versions[version(1)].spec.round_name


@pytest.mark.parametrize("lose_it", [lose, replace_round])
def test_a_current_version_without_its_round_is_not_ready(lose_it: Any) -> None:
    world = World(model(rounds=1))
    world.run()
    assert world.condition("Ready")[0] == "True"
    gone = lose_it(world, 1)
    world.settle()
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "VersionRoundGone")
    assert f"round {gone}, which made version 1, the current one" in message
    assert world.condition("Stalled") == ("True", "VersionRoundGone", message)
    [ready] = world.versions[version(1)].status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", "VersionRoundGone")
    assert f"round {gone}, which made this version." in ready.message
    assert not world.step().actions, "said once"


def test_a_series_that_runs_goes_on_and_at_its_end_the_current_version_has_lost_its_round() -> None:
    """Its rounds keep the result that they have. Then nothing is left to compare with, so people decide."""
    world = trained()
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    lose(world, 1)
    world.settle()
    assert world.condition("Reconciling")[:2] == ("True", "SeriesTraining")
    assert world.condition("Scheduled")[:2] == ("True", "NextSeries")
    world.run()
    assert world.condition("Ready")[:2] == ("False", "VersionRoundGone")
    verdict = world.versions["heart-v2-0123abcd"].status.verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("Undecided", "ReferencesGone")


def test_a_further_series_still_says_that_the_current_version_has_lost_its_round() -> None:
    world = trained()
    lose(world, 1)
    wait(world)
    world.change(start="Scratch")
    world.settle()
    assert world.condition("Reconciling")[:2] == ("True", "SeriesStatistics")
    assert world.condition("Ready")[:2] == ("False", "VersionRoundGone")


def test_the_next_series_starts_from_the_version_that_the_author_pins() -> None:
    world = trained("Accepted")
    lose(world, 2)
    wait(world)
    world.pin(1)
    world.settle()
    assert world.series.number == 3
    assert base_of_series(world) == world.versions[version(1)].spec.round_name
    assert world.condition("Ready")[:2] == ("True", "VersionCurrent")
    assert world.condition("Scheduled")[:2] == ("True", "NextSeries")


def test_a_series_from_scratch_begins_without_the_lost_model_and_people_decide_about_its_version() -> None:
    """Nobody can compare it with the current version, and the best other one may be worse than that."""
    world = lost()
    world.change(start="Scratch")
    world.run_next()
    assert tasks(world)[0] == ("Statistics", 0)
    assert not any(each.references for each in world.series.rounds)
    assert world.verdict(3)[:2] == ("Undecided", "ReferencesGone")
    assert (world.current, world.condition("Ready")[:2]) == (1, ("False", "VersionRoundGone"))
    world.pin(3)
    world.run()
    assert world.condition("Ready")[:2] == ("True", "VersionCurrent")
    assert world.condition("Stalled")[0] == "False"


def test_the_gate_compares_with_the_current_version_alone_if_the_best_one_has_lost_its_round() -> None:
    world = trained("Accepted", "Accepted", losses=["0.5", "0.3", "0.5", "0.4", "0.5", "0.35", "0.5", "0.33"])
    assert world.current == 3
    lose(world, 1)
    world.run_next()
    [compared] = [each.references for each in world.series.rounds if each.references]
    assert compared == (world.versions[version(3)].spec.round_name,)


def test_a_comparison_whose_reference_is_gone_is_not_repeated() -> None:
    world = trained()
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    while not world.rounds[world.created[-1]].spec.references:
        world.complete(world.created[-1])
        world.settle()
    lose(world, 1)
    world.fail(world.created[-1], "ReferenceGone")
    world.run()
    assert sum(bool(each.references) for each in world.series.rounds) == 1
    outcome, reason, message = world.verdict(2)
    assert (outcome, reason) == ("Undecided", "ComparisonFailed")
    assert "(ReferenceGone)" in message


@pytest.mark.parametrize("triggered", [True, False])
def test_a_series_that_loses_its_own_round_ends_and_the_next_one_starts_from_the_current_version(
    triggered: bool,
) -> None:
    world = trained()
    if not triggered:
        world.edit(trigger=None)
    begin(world, "now")
    world.complete(world.created[-1])
    world.settle()
    del world.rounds["heart-s2-r1-0123abcd"]
    world.fail("heart-s2-r2-0123abcd", "BaseGone")
    world.settle()
    assert (world.series.stage, world.series.skipped, world.model.status.versions) == ("Ended", True, (version(1),))
    assert world.condition("Ready")[:2] == ("True", "VersionCurrent")
    if triggered:
        assert world.condition("Reconciling")[:2] == ("False", "SeriesBaseGone")
        assert world.condition("Stalled")[0] == "False"
        wait(world)
    else:
        status, reason, message = world.condition("Stalled")
        assert (status, reason) == ("True", "SeriesBaseGone")
        assert message.startswith(
            "Series 2 has ended without a version: its round heart-s2-r2-0123abcd has failed (BaseGone), because round "
            "heart-s2-r1-0123abcd is gone. The round's author: "
        )
        assert BEGINS in message
        begin(world, "again")
    assert world.series.number == 3
    assert base_of_series(world) == world.versions[version(1)].spec.round_name


def test_a_series_whose_statistics_are_gone_ends() -> None:
    world = World(model())
    world.settle()
    world.complete(world.created[-1])
    world.settle()
    del world.rounds[world.created[0]]
    world.fail(world.created[-1], "BaseGone")
    world.settle()
    assert world.series.stage == "Ended"
    assert world.condition("Stalled")[:2] == ("True", "SeriesBaseGone")
    begin(world, "again")
    assert (world.series.number, tasks(world)) == (2, [("Statistics", 0)])


def test_an_evaluation_whose_model_is_gone_is_not_repeated() -> None:
    world = World(model(rounds=1))
    world.settle()
    while world.tasks[world.created[-1]] != "Evaluate":
        world.complete(world.created[-1])
        world.settle()
    del world.rounds["heart-s1-r1-0123abcd"]
    world.fail(world.created[-1], "BaseGone")
    world.settle()
    assert tasks(world) == [("Statistics", 0), ("Train", 1), ("Evaluate", 1)]
    status, reason, message = world.condition("Stalled")
    assert (status, reason) == ("True", "ResultGone")
    assert BEGINS in message


def test_a_series_from_a_pushed_version_that_is_gone_does_not_begin_until_it_is_pushed_again() -> None:
    world = World(model(rounds=1, spec={"initial": {"pushed": "pretrained"}, "trigger": {"cron": "0 2 * * 1"}}))
    world.versions["pretrained"] = pushed_version("pretrained")
    world.run()
    del world.versions["pretrained"]
    world.settle()
    assert world.condition("Stalled")[0] == "False", "the next series starts from version 1"
    world.change(start="Scratch")
    wait(world)
    assert world.series.number == 1
    status, reason, message = world.condition("Stalled")
    assert (status, reason) == ("True", "SeriesBaseGone")
    assert message.startswith("The next series starts from the pushed ModelVersion pretrained (initial.pushed), which")
    assert world.condition("Scheduled")[:2] == ("False", "SeriesBaseGone")
    assert world.step().requeue_after == 60, "no event of the ModelVersion wakes the model"
    world.versions["pretrained"] = pushed_version("pretrained")
    world.settle()
    assert (world.series.number, base_of_series(world)) == (2, "pretrained")


def test_a_series_whose_pushed_version_never_came_ends() -> None:
    world = World(model(spec={"initial": {"pushed": "pretrained"}}))
    world.settle()
    world.fail(world.created[-1], "PushedVersionNotFound")
    world.settle()
    assert (world.series.stage, len(world.created)) == ("Ended", 1)
    assert world.condition("Stalled")[:2] == ("True", "SeriesBaseGone")
    assert "ModelVersion pretrained is gone" in world.condition("Stalled")[2]
    world.versions["pretrained"] = pushed_version("pretrained")
    begin(world, "now")
    assert (world.series.number, base_of_series(world)) == (2, "pretrained")


def test_a_round_that_somebody_has_put_there_says_nothing_of_the_series() -> None:
    world = lost()
    name = rounds.last(world.series).name
    live = world.rounds[name]
    world.rounds[name] = replace(live, metadata=replace(live.metadata, owner_references=()))
    world.settle()
    assert world.condition("Stalled")[2].startswith("Somebody deleted or replaced round")


def test_a_version_without_a_current_one_says_that_it_is_compared_with_none_and_which_versions_wait() -> None:
    world = trained(gate={"promote": "Manual"})
    assert world.verdict(1)[:2] == ("Accepted", "FirstVersion")
    for number in (2, 3):
        world.run_next()
        assert tasks(world)[0] == ("Statistics", 0)
        outcome, reason, message = world.verdict(number)
        assert (outcome, reason) == ("Accepted", "NoCurrentVersion")
        assert message.startswith("The hub operator compares this version with no other version, because no version")
    assert message.endswith("These earlier versions wait for a person's decision too: 1, 2.")
    assert world.condition("VersionWaits")[2].startswith(f"Version 3 is Accepted. {message}")
