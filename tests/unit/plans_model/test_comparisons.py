"""The comparison of a candidate: which round measures the model, and what follows if the comparison fails."""

from tests.unit.plans_model.world import World, tasks, trained


def test_the_comparison_measures_the_only_model_of_a_series() -> None:
    world = trained("Accepted", losses=["0.5", "0.4"], rounds=1)
    assert tasks(world) == [("Train", 1), ("Evaluate", 1)]
    assert world.series.rounds[-1].references == ("heart-s1-r1-0123abcd",)
    version = world.versions["heart-v2-0123abcd"]
    assert (world.series.loss, world.current) == ("0.4", 2)
    assert [(each.name, each.value) for each in version.status.metrics] == [("loss", "0.4")]


def test_the_only_model_of_a_first_series_is_measured_by_a_round_of_its_own() -> None:
    world = trained(rounds=1)
    assert tasks(world) == [("Statistics", 0), ("Train", 1), ("Evaluate", 1)]
    assert not world.series.rounds[-1].references
    assert world.series.loss == "0.5"


def test_a_comparison_that_fails_for_good_leaves_the_gate_undecided() -> None:
    world = trained()
    assert world.model.status.next is not None
    world.now = world.now.replace(day=30)
    while world.series.number == 1 or not world.series.rounds[-1].references:
        world.settle()
        if not world.series.rounds[-1].references:
            world.complete(world.created[-1])
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()
    outcome, reason, message = world.verdict(2)
    assert (outcome, reason) == ("Undecided", "ComparisonFailed")
    assert "The comparison of the models has failed: round heart-s2-c2-t3-0123abcd has failed (QuorumNotMet)" in message
    assert world.current == 1


def failing_comparison() -> World:
    """The second series has one Train round. The comparison of its model fails for good."""
    world = trained(rounds=1)
    world.now = world.now.replace(day=30)
    world.settle()
    world.complete(world.created[-1])
    world.settle()
    for _ in range(3):
        assert world.series.rounds[-1].references
        world.fail(world.created[-1])
        world.settle()
    return world


def test_a_round_of_its_own_measures_the_only_model_of_a_series_if_the_comparison_fails_for_good() -> None:
    """A person decides about the version, and compares its numbers with those of the current one."""
    world = failing_comparison()
    newest = world.series.rounds[-1]
    assert (newest.name, newest.task, newest.references) == ("heart-s2-e1-0123abcd", "Evaluate", ())
    assert world.condition("Reconciling")[:2] == ("True", "SeriesEvaluating")
    world.run()
    version = world.versions["heart-v2-0123abcd"]
    assert [(each.name, each.value) for each in version.status.metrics] == [("loss", "0.4")]
    outcome, reason, message = world.verdict(2)
    assert (outcome, reason, world.current) == ("Undecided", "ComparisonFailed", 1)
    assert "`kubectl wardround explain federatedround/heart-s2-c1-t3-0123abcd -n federation`" in message
    assert [each.name for each in world.series.rounds][-2:] == ["heart-s2-c1-t3-0123abcd", "heart-s2-e1-0123abcd"]


def test_a_series_ends_if_the_round_after_its_failed_comparison_fails_too() -> None:
    world = failing_comparison()
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()
    assert (world.series.number, world.series.stage) == (2, "Ended")
    assert world.created[-1] == "heart-s2-e1-t3-0123abcd"
    assert world.verdict(2)[:2] == ("Undecided", "ComparisonFailed")
    assert world.versions["heart-v2-0123abcd"].status.metrics == ()


def test_failed_evaluations_do_not_use_up_the_attempts_of_the_comparison() -> None:
    world = trained()
    world.now = world.now.replace(day=30)
    world.settle()
    while not world.series.rounds[-1].references:
        newest = world.series.rounds[-1]
        world.fail(newest.name) if newest.task == "Evaluate" else world.complete(newest.name)
        world.settle()
    world.fail(world.created[-1])
    world.settle()
    assert world.series.rounds[-1].name == "heart-s2-c1-t2-0123abcd"
    assert world.series.rounds[-1].references == world.series.rounds[-2].references


def test_a_comparison_that_measures_another_loss_changes_no_candidate() -> None:
    world = trained("Accepted", losses=["0.5", "0.4", "0.30", "0.31"])
    series = world.series
    assert [each.loss for each in series.rounds] == ["0.30", "0.31", None, None]
    assert series.best == series.rounds[0].name == world.versions["heart-v2-0123abcd"].spec.round_name
