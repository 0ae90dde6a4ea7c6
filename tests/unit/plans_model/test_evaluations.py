"""Evaluate rounds between the Train rounds of a series: `spec.evaluation.every`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.players.patience import LARGEST
from tests.unit.crd_files import CRDS, root
from tests.unit.plans_model.world import World, model
from wardround.api import conditions
from wardround.api.federatedmodel import Evaluation
from wardround.api.federatedround import Quorum
from wardround.plans.model import plan as model_plan
from wardround.plans.schedules import evaluation_follows, evaluations_before


def evaluated(every: int, losses: list[str | None] | None = None, *, quorum: int | None = None, **series: Any) -> World:
    evaluation = {"every": every, **({"quorum": {"min": quorum}} if quorum else {})}
    world = World(model(spec={"evaluation": evaluation}, **series), losses or ["0.5", "0.4", "0.3"])
    world.settle()
    return world


def places(world: World) -> list[str]:
    """`Train 2`: of the rounds that are Complete."""
    return [f"{each.task} {each.number}" for each in world.series.rounds if each.outcome == "Complete"]


def complete(world: World, times: int) -> None:
    for _ in range(times):
        world.complete(world.created[-1])
        world.settle()


def fail_for_good(world: World) -> None:
    """The newest round and all that take its place."""
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()


@pytest.mark.parametrize(
    ("every", "evaluations"),
    [(0, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (4, [4, 5]), (5, [5]), (6, [5]), (256, [5])],
)
def test_an_evaluate_round_follows_every_nth_train_round_and_the_last_one(every: int, evaluations: list[int]) -> None:
    """And never twice the same Train round."""
    world = evaluated(every, rounds=5)
    world.run()
    train = (
        f"Train {number}\nEvaluate {number}" if number in evaluations else f"Train {number}" for number in range(1, 6)
    )
    assert places(world) == ["Statistics 0", *"\n".join(train).split("\n")]
    assert (world.series.stage, world.series.round) == ("Ended", 5)
    assert len(set(world.created)) == len(world.created)


def test_the_train_round_after_an_evaluate_round_starts_from_the_last_trained_model() -> None:
    world = evaluated(1, rounds=2)
    world.run()
    _, first, evaluation, second, last = (each.name for each in world.series.rounds)
    bases = [base.round_name if (base := world.rounds[name].spec.base) else None for name in world.created]
    assert bases == [None, None, first, first, second]
    assert (evaluation, last) == ("heart-s1-e1-0123abcd", "heart-s1-e2-0123abcd")
    assert world.rounds[evaluation].spec.rows == "Validation"


def test_it_has_the_quorum_of_evaluations() -> None:
    """Small hospitals withhold their sums, and do not count for it."""
    world = evaluated(1, rounds=2, quorum=1)
    world.run()
    quorums = {(each.spec.task, each.spec.quorum.min) for each in world.rounds.values()}
    assert quorums == {("Statistics", 2), ("Train", 2), ("Evaluate", 1)}


def test_its_loss_counts_before_the_next_train_round_and_stays() -> None:
    """The next Train round measures the same model, at other hospitals."""
    world = evaluated(2)
    complete(world, 4)
    measured = next(each for each in world.series.rounds if (each.task, each.number) == ("Train", 2))
    assert (measured.loss, measured.hospitals) == ("0.4", 2)
    assert (world.series.loss, world.series.rounds[-1].task) == ("0.4", "Train")
    world.losses, world.hospitals = ["0.9"] * 3, (1,)
    complete(world, 1)
    assert measured in world.series.rounds
    assert (world.series.best, world.series.loss) == (measured.name, "0.4")


def test_a_version_has_the_numbers_of_the_evaluate_round_of_its_model() -> None:
    world = evaluated(2, ["0.5", "0.1", "0.3"])
    world.run()
    [version] = world.versions.values()
    assert version.spec.round_name == "heart-s1-r2-0123abcd"
    assert model_plan.measuring_names(world.series)[0] == "heart-s1-e2-0123abcd"
    assert [each.value for each in version.status.metrics] == ["0.1"]


def test_a_version_has_the_numbers_of_the_next_train_round_if_the_evaluate_round_has_none() -> None:
    """A result over one hospital has no numbers, unless this hospital tells them."""
    world = evaluated(2, ["0.5", "0.1", "0.3"])
    complete(world, 3)
    evaluation = world.created[-1]
    world.losses = [None] * 3
    complete(world, 1)
    world.losses = ["0.5", "0.1", "0.3"]
    world.run()
    assert world.rounds[evaluation].spec.task == "Evaluate"
    [version] = world.versions.values()
    assert (version.spec.round_name, world.series.loss) == ("heart-s1-r2-0123abcd", "0.1")
    assert [each.value for each in version.status.metrics] == ["0.1"]


def test_a_model_says_that_the_series_evaluates_though_it_is_still_training() -> None:
    world = evaluated(1)
    complete(world, 2)
    shown = conditions.find(world.model.status.conditions, "Reconciling")
    assert shown is not None
    assert (shown.reason, shown.message) == (
        "SeriesEvaluating",
        "The series is under way: its round heart-s1-e1-0123abcd waits or runs.",
    )
    assert (world.series.stage, world.series.round) == ("Training", 1)


def test_a_series_trains_on_though_an_evaluate_round_fails_for_good() -> None:
    """The next Train round measures the model."""
    world = evaluated(2)
    complete(world, 3)
    fail_for_good(world)
    world.run()
    assert places(world) == ["Statistics 0", "Train 1", "Train 2", "Train 3", "Evaluate 3"]
    assert [each.loss for each in world.series.rounds if each.task == "Train"] == ["0.5", "0.4", "0.3"]
    failed = [each.name for each in world.series.rounds if each.outcome == "Failed"]
    assert failed == ["heart-s1-e2-0123abcd", "heart-s1-e2-t2-0123abcd", "heart-s1-e2-t3-0123abcd"]
    assert (world.series.stage, world.current, world.series.skipped) == ("Ended", 1, False)


def test_a_series_whose_hospitals_allow_no_more_evaluations_trains_on_without_them_and_says_so_once() -> None:
    world = evaluated(1, rounds=4)
    complete(world, 2)
    world.fail(world.created[-1], site_b="EvaluationsUsedUp")
    world.settle()
    message = world.condition("Reconciling")[2]
    assert message.startswith(
        "The series is under way: its round heart-s1-r2-0123abcd waits or runs. Round heart-s1-e1-0123abcd has"
    )
    assert "`kubectl wardround explain federatedround/heart-s1-e1-0123abcd -n " in message
    world.run()
    assert places(world) == ["Statistics 0", "Train 1", "Train 2", "Train 3", "Train 4", "Evaluate 4"]
    assert [each.name for each in world.series.rounds if each.outcome == "Failed"] == ["heart-s1-e1-0123abcd"]


def test_a_changed_spec_lets_a_series_evaluate_again() -> None:
    world = evaluated(1, rounds=3)
    complete(world, 2)
    world.fail(world.created[-1], site_b="EvaluationsUsedUp")
    world.settle()
    world.edit(evaluation=Evaluation(every=2))
    world.run()
    assert places(world) == ["Statistics 0", "Train 1", "Train 2", "Evaluate 2", "Train 3", "Evaluate 3"]
    assert "would fail too" not in world.condition("Reconciling")[2]


def test_a_failed_evaluate_round_is_tried_again_before_the_series_trains_on() -> None:
    world = evaluated(1)
    complete(world, 2)
    world.fail(world.created[-1])
    world.settle()
    assert world.created[-1] == "heart-s1-e1-t2-0123abcd"
    world.run()
    assert places(world)[:4] == ["Statistics 0", "Train 1", "Evaluate 1", "Train 2"]


def test_patience_ends_a_series_right_after_the_evaluate_round_that_measured_no_gain() -> None:
    """Without it, the loss of a model is known one Train round later."""
    losses: list[str | None] = ["0.5", "0.6", "0.6", *["0.1"] * 6]
    world = evaluated(1, losses, rounds=9, stop={"patience": 2})
    world.run()
    assert places(world)[-2:] == ["Train 3", "Evaluate 3"]
    later = evaluated(0, losses, rounds=9, stop={"patience": 2})
    later.run()
    assert places(later)[-2:] == ["Train 4", "Evaluate 4"]


@pytest.mark.parametrize(("rounds", "every"), LARGEST)
def test_a_series_without_gain_ends_early_by_the_largest_patience_and_by_no_larger_one(rounds: int, every: int) -> None:
    """The API server refuses larger ones (tests/integration/api/test_models.py)."""
    for patience in range(1, rounds + 1):
        world = evaluated(every, ["0.5"] * rounds, rounds=rounds, stop={"patience": patience})
        world.run()
        ends_early = f"Train {rounds}" not in places(world)
        assert ends_early == (patience <= LARGEST[rounds, every])


def test_patience_ends_a_series_between_the_evaluate_rounds_with_one_of_the_last_model() -> None:
    world = evaluated(3, ["0.5", "0.6", "0.6", "0.6", "0.1"], rounds=9, stop={"patience": 3})
    world.run()
    assert places(world)[-5:] == ["Train 3", "Evaluate 3", "Train 4", "Train 5", "Evaluate 5"]
    assert world.series.best == "heart-s1-r5-0123abcd"


def test_a_series_whose_time_is_over_after_an_evaluate_round_measures_its_last_model_once() -> None:
    world = evaluated(2, rounds=9, stop={"seconds": 3600})
    complete(world, 3)
    world.now = world.now.replace(hour=world.now.hour + 2)
    complete(world, 1)
    world.run()
    assert places(world) == ["Statistics 0", "Train 1", "Train 2", "Evaluate 2"]
    assert (world.series.stage, world.current) == ("Ended", 1)


def test_fewer_rounds_than_trained_end_the_series_after_its_evaluate_round() -> None:
    world = evaluated(2, rounds=9)
    complete(world, 3)
    world.change(rounds=2)
    world.run()
    assert places(world) == ["Statistics 0", "Train 1", "Train 2", "Evaluate 2"]


def test_a_change_of_every_counts_from_the_next_train_round() -> None:
    world = evaluated(0, rounds=4)
    complete(world, 2)
    world.edit(evaluation=Evaluation(every=1, quorum=Quorum(min=1)))
    world.run()
    assert places(world)[2:] == ["Train 2", "Evaluate 2", "Train 3", "Evaluate 3", "Train 4", "Evaluate 4"]


def test_the_gate_compares_after_the_last_evaluate_round_as_before() -> None:
    world = World(
        model(rounds=2, spec={"evaluation": {"every": 1}, "trigger": {"cron": "0 2 * * 1"}}),
        ["0.5", "0.4", "0.3", "0.2"],
    )
    world.run()
    world.run_next()
    assert places(world) == ["Train 1", "Evaluate 1", "Train 2", "Evaluate 2", "Evaluate 2"]
    assert [bool(each.references) for each in world.series.rounds] == [False] * 4 + [True]
    assert world.current == 2


def test_the_rounds_of_the_longest_series_fit_into_the_status() -> None:
    """Each place has as many attempts as a series allows. Beyond the limit, the API server would refuse the status."""
    spec, status = (root(CRDS["federatedmodels"])["properties"][each]["properties"] for each in ("spec", "status"))
    rounds = spec["series"]["properties"]["rounds"]["maximum"]
    attempts = spec["series"]["properties"]["onFailure"]["properties"]["retries"]["maximum"] + 1
    # Statistics and the comparison, and for each Train round an Evaluate round.
    assert status["series"]["properties"]["rounds"]["maxItems"] == attempts * (2 + 2 * rounds)
    assert spec["evaluation"]["properties"]["every"]["maximum"] == rounds


def test_as_many_evaluate_rounds_come_before_a_round_as_follow_the_rounds_before_it() -> None:
    for every in range(7):
        for number in range(1, 20):
            follow = sum(evaluation_follows(every, each) for each in range(1, number))
            assert evaluations_before(every, number) == follow, (every, number)
