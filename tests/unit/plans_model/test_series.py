"""A series: which rounds a FederatedModel makes, in which order, and which model becomes a version."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.plans_model.world import UID, World, model, started
from wardround.api import conditions
from wardround.api.federatedmodel import Schedule, Step, Stop, Summary
from wardround.api.federatedround import Aggregation, Base, Participants, ResultMetric
from wardround.api.times import to_seconds
from wardround.plans.model import plan as model_plan
from wardround.plans.model import series as rounds
from wardround.plans.model.types import CreateRound


def end_of(world: World) -> list[tuple[str, int, str]]:
    return [(each.task, each.number, each.outcome) for each in world.series.rounds]


def condition(world: World, kind: str) -> tuple[str, str]:
    shown = conditions.find(world.model.status.conditions, kind)
    assert shown is not None
    return shown.status, shown.reason


def test_a_series_computes_statistics_trains_and_evaluates_the_last_model() -> None:
    world = started()
    world.run()
    assert end_of(world) == [
        ("Statistics", 0, "Complete"),
        ("Train", 1, "Complete"),
        ("Train", 2, "Complete"),
        ("Train", 3, "Complete"),
        ("Evaluate", 3, "Complete"),
    ]
    assert world.created == [each.name for each in world.series.rounds]
    assert condition(world, "Ready") == ("True", "VersionCurrent")
    assert condition(world, "Reconciling") == ("False", "SeriesEnded")


def test_each_round_starts_from_the_round_before() -> None:
    world = started()
    world.run()
    statistics, first, second, third, evaluation = (world.rounds[each.name].spec for each in world.series.rounds)
    names = [each.name for each in world.series.rounds]
    assert (statistics.image, statistics.base, statistics.initial) == (None, None, None)
    assert first.initial is not None
    assert (first.initial.statistics_round_name, first.base, first.seed) == (names[0], None, 7)
    assert [each.base.round_name for each in (second, third, evaluation) if each.base] == names[1:4]
    assert {each.seed for each in (second, third)} == {7}
    assert (evaluation.rows, evaluation.seed) == ("Validation", 0)


def test_a_series_that_starts_from_a_pushed_version_computes_no_statistics() -> None:
    world = started(spec={"initial": {"pushed": "pretrained"}})
    world.run()
    assert [each.task for each in world.series.rounds] == ["Train", "Train", "Train", "Evaluate"]
    first, second, *_ = (world.rounds[each.name].spec for each in world.series.rounds)
    assert (first.base, first.initial) == (Base(version_name="pretrained"), None)
    assert second.base == Base(round_name=world.series.rounds[0].name)
    assert condition(world, "Ready") == ("True", "VersionCurrent")


def test_rounds_for_which_the_strategy_is_impossible_use_fedavg() -> None:
    momentum = {"serverLearningRate": "1", "momentum": "0.9"}
    for name, parameters, first in (
        ("NormBounding", {"largestNorm": "2"}, "FedAvg"),
        ("FedAvgM", momentum, "FedAvg"),
        ("Median", {}, "Median"),
    ):
        template = replace(model().spec.round, aggregation=Aggregation(strategy=name, parameters=parameters))
        world = World(replace(model(), spec=replace(model().spec, round=template)))
        world.settle()
        world.run()
        used = [world.rounds[each.name].spec.aggregation for each in world.series.rounds]
        assert [each.strategy for each in used] == ["FedAvg", first, name, name, "FedAvg"]
        assert [each.parameters for each in used] == [parameters if each.strategy == name else {} for each in used]


def test_only_rounds_that_send_differences_are_compressed() -> None:
    template = replace(model().spec.round, aggregation=Aggregation(strategy="Median", compression="Int8"))
    world = World(replace(model(), spec=replace(model().spec, round=template)))
    world.settle()
    world.run()
    used = [world.rounds[each.name].spec for each in world.series.rounds]
    compressed = [(each.task, each.aggregation.compression) for each in used]
    assert compressed == [
        ("Statistics", "None"),
        ("Train", "None"),
        ("Train", "Int8"),
        ("Train", "Int8"),
        ("Evaluate", "None"),
    ]


def test_the_status_names_a_round_before_it_is_created() -> None:
    world = World(model())
    plan = world.step()
    assert plan.actions == ()
    assert plan.requeue_after == 0.0
    assert world.series.rounds[0].name == "heart-s1-r0-0123abcd"
    assert world.created == []
    world.step()
    assert world.created == ["heart-s1-r0-0123abcd"]


def test_a_round_under_way_is_not_created_again() -> None:
    world = started()
    for _ in range(3):
        assert world.step().actions == ()
    assert world.created == ["heart-s1-r0-0123abcd"]


def test_a_recreated_model_has_rounds_of_other_names() -> None:
    meta = model().metadata
    other = replace(meta, uid="99999999-0000-4000-8000-000000000001")
    assert rounds.round_name(meta, 1, "Train", 2, 1) != rounds.round_name(other, 1, "Train", 2, 1)


def test_names_fit_into_a_label() -> None:
    meta = replace(model().metadata, name="m" * 200)
    assert len(rounds.round_name(meta, 99999, "Evaluate", 256, 10)) <= 63
    assert len(rounds.version_name(meta, 99999)) <= 63


@pytest.mark.parametrize(
    ("losses", "best"),
    [(["0.5", "0.3", "0.4"], 2), (["0.5", "0.4", "0.3"], 3), (["0.3", "0.3", "0.3"], 1), ([None, None, None], 3)],
    ids=["the middle one", "the last one", "the earlier of equals", "nobody tells a loss"],
)
def test_the_model_with_the_lowest_loss_becomes_the_version(losses: list[str | None], best: int) -> None:
    world = World(model(), losses)
    world.run()
    [version] = world.versions.values()
    assert version.spec.round_name == next(
        each.name for each in world.series.rounds if (each.task, each.number) == ("Train", best)
    )
    assert world.model.status.current == version.metadata.name == "heart-v1-0123abcd"
    assert version.metadata.owner_references == ()


def test_a_loss_over_fewer_hospitals_chooses_no_model_and_ends_no_series() -> None:
    """The hospital with the most difficult patients was away when the second model was measured, the worst one."""
    world = World(model(rounds=4, stop={"patience": 2}), ["0.31", "0.12", "0.30", "0.29"])
    world.hospitals = (3, 1, 3, 3)
    world.run()
    trained = [each for each in world.series.rounds if each.task == "Train"]
    assert [each.hospitals for each in trained] == [3, 1, 3, 3]
    assert (world.series.best, world.series.loss) == (trained[3].name, "0.29")


def test_an_outage_of_one_hospital_does_not_make_an_early_model_the_best_one() -> None:
    """The third hospital was measured in one round only. Losses over two hospitals are most, so these are compared."""
    losses: list[str | None] = ["0.69", "0.64", "0.59", "0.55", "0.51", "0.48"]
    world = World(model(rounds=6), losses, hospitals=(3, 2, 2, 2, 2, 2))
    world.run()
    trained = [each for each in world.series.rounds if each.task == "Train"]
    assert [each.hospitals for each in trained] == [3, 2, 2, 2, 2, 2]
    assert (world.series.best, world.series.loss) == (trained[5].name, "0.48")


def test_a_series_ends_by_patience_though_one_hospital_is_measured_once() -> None:
    world = World(model(rounds=8, stop={"patience": 2}), ["0.68", *["0.30"] * 7], hospitals=(3, *[2] * 7))
    world.run()
    trained = [each for each in world.series.rounds if each.task == "Train"]
    assert len(trained) < 8


def test_a_refused_round_stalls_the_model_with_the_words_of_the_api_server() -> None:
    world = World(model())
    while not (planned := model_plan.plan(seen := world.observe())).actions:
        world.step()
    [create] = [each for each in planned.actions if isinstance(each, CreateRound)]
    refused = model_plan.refused(seen, planned, create, "spec.parameters: Too many")
    stalled = conditions.find(refused.status.conditions, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", "RoundRefused")
    assert "spec.parameters: Too many" in stalled.message
    assert (refused.actions, refused.status.series) == ((), planned.status.series)
    assert refused.requeue_after == model_plan.REFUSED_SECONDS


def test_each_loss_stands_at_the_round_that_made_the_model() -> None:
    world = started()
    world.run()
    assert [each.loss for each in world.series.rounds] == [None, "0.5", "0.4", "0.3", None]


def test_the_round_of_a_version_stays_as_long_as_the_version() -> None:
    world = started()
    world.run()
    [version] = world.versions.values()
    owners = {
        (each.kind, each.uid, each.controller)
        for each in world.rounds[version.spec.round_name].metadata.owner_references
    }
    assert owners == {("FederatedModel", UID, True), ("ModelVersion", version.metadata.uid, False)}


def test_a_version_has_the_numbers_of_its_own_model() -> None:
    world = started()
    world.run()
    [version] = world.versions.values()
    assert [(each.name, each.value, each.model) for each in version.status.metrics] == [
        ("loss", "0.3", version.spec.round_name)
    ]


def test_a_table_shows_the_numbers_of_the_current_version_and_how_the_loss_changes() -> None:
    world = started()
    assert world.model.status.summary is None
    world.run()
    assert world.model.status.summary == Summary(loss="0.3", trend="-0.1")
    [version] = world.versions.values()
    measured = ResultMetric(
        name="auc", value="0.91", low="0.88", high="0.94", people=90, hospitals=2, rows="Validation", model="r"
    )
    status = replace(version.status, metrics=(*version.status.metrics, measured))
    world.versions[version.metadata.name] = replace(version, status=status)
    world.step()
    assert world.model.status.summary == Summary(loss="0.3", auc="0.91 (0.88 to 0.94)", trend="-0.1")


def test_a_loss_over_fewer_hospitals_is_no_trend() -> None:
    world = World(model(), ["0.5", "0.4", "0.3"], hospitals=(2, 2, 1))
    world.run()
    assert world.model.status.summary is not None
    assert world.model.status.summary.trend == "-0.1"


def test_a_scheduled_parameter_changes_from_its_round_on() -> None:
    schedule = Schedule(
        parameter="learningRate", steps=(Step(from_round=3, value="0.001"), Step(from_round=2, value="0.01"))
    )
    spec = replace(model().spec.series, parameters={"learningRate": "0.1", "epochs": "5"}, schedules=(schedule,))
    values = [rounds.parameters(spec, number)["learningRate"] for number in (1, 2, 3, 4)]
    assert values == ["0.1", "0.01", "0.001", "0.001"]
    assert rounds.parameters(spec, 3)["epochs"] == "5"


def test_a_series_stops_after_patience_rounds_without_gain() -> None:
    """The loss of the second model is known at the end of the third round."""
    world = World(
        model(rounds=9, stop={"patience": 2}), ["0.5", "0.6", "0.5", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1"]
    )
    world.run()
    assert [each.number for each in world.series.rounds if each.task == "Train"] == [1, 2, 3, 4]


def test_a_gain_lets_patience_begin_anew() -> None:
    losses: list[str | None] = ["0.5", "0.6", "0.4", "0.5", "0.3", "0.4", "0.2"]
    world = World(model(rounds=7, stop={"patience": 2}), losses)
    world.run()
    assert world.series.round == 7


def test_a_gain_below_min_delta_is_none() -> None:
    falling: list[str | None] = [f"{0.5 - 0.001 * number:.3f}" for number in range(9)]
    patient = World(model(rounds=9, stop={"patience": 2, "minDelta": "0.01"}), falling)
    patient.run()
    assert patient.series.round == 4
    eager = World(model(rounds=9, stop={"patience": 2}), falling)
    eager.run()
    assert eager.series.round == 9


def test_no_round_begins_after_the_seconds_of_the_series() -> None:
    world = World(model(rounds=9), [f"0.{9 - number}" for number in range(9)])
    world.model = replace(
        world.model, spec=replace(world.model.spec, series=replace(world.model.spec.series, stop=Stop(seconds=12)))
    )
    world.run()
    assert 1 <= world.series.round < 9
    assert world.series.stage == "Ended"


def test_a_failed_round_is_tried_again_under_another_name() -> None:
    world = started()
    world.fail("heart-s1-r0-0123abcd")
    world.settle()
    assert world.created == ["heart-s1-r0-0123abcd", "heart-s1-r0-t2-0123abcd"]
    world.run()
    assert world.series.stage == "Ended"
    first = next(each for each in world.series.rounds if each.task == "Train")
    initial = world.rounds[first.name].spec.initial
    assert initial is not None
    assert initial.statistics_round_name == "heart-s1-r0-t2-0123abcd"


def test_a_round_is_tried_again_after_a_while_and_each_time_later() -> None:
    world = started()
    waits = []
    for _ in range(2):
        world.fail(world.created[-1])
        failed_at = world.now
        world.settle()
        waits.append((world.now - failed_at).total_seconds())
    assert 30 <= waits[0] < 60 <= waits[1] < 90


def test_while_it_waits_the_series_says_which_round_failed_and_why_and_when_it_goes_on() -> None:
    world = started()
    [first] = world.created
    world.fail(first)
    why = "1 of 2 hospitals sent an update."
    failed = world.rounds[first]
    [ended] = failed.status.conditions
    explained = replace(failed.status, conditions=(replace(ended, message=why),))
    world.rounds[first] = replace(failed, status=explained)
    due = to_seconds(world.now + timedelta(seconds=30))
    plan = world.step()
    assert world.condition("Reconciling") == (
        "True",
        "SeriesRetrying",
        "Round heart-s1-r0-0123abcd of the series has failed (QuorumNotMet). Nobody has to act: the hub operator "
        f"makes another round in its place at {due}. To see why it failed: `kubectl wardround explain "
        f"federatedround/heart-s1-r0-0123abcd -n federation`. The round says: {why}",
    )
    assert plan.requeue_after == 29.0
    assert world.created == ["heart-s1-r0-0123abcd"]


def test_a_suspended_series_says_that_it_tries_again_once_somebody_resumes_it() -> None:
    world = started()
    world.fail(world.created[-1])
    world.suspend(True)
    world.step()
    message = world.condition("Reconciling")[2]
    assert "Once somebody sets its spec.suspend to false, the hub operator makes another round in its place" in message
    assert "Nobody has to act" not in message


def test_a_series_ends_though_its_evaluation_fails_for_good() -> None:
    """The loss of the last model stays unknown, so the best of the others counts."""
    world = started()
    for _ in range(4):
        world.complete(world.created[-1])
        world.settle()
    assert world.series.rounds[-1].task == "Evaluate"
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()
    assert world.series.stage == "Ended"
    [version] = world.versions.values()
    assert version.spec.round_name == "heart-s1-r2-0123abcd"
    assert [each.value for each in version.status.metrics] == ["0.4"]


def failed_for_good() -> World:
    world = started()
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()
    return world


def test_after_its_retries_a_series_waits_and_says_which_round_failed_and_why() -> None:
    world = failed_for_good()
    assert len(world.created) == 3
    assert condition(world, "Stalled") == ("True", "SeriesRoundFailed")
    stalled = conditions.find(world.model.status.conditions, "Stalled")
    assert stalled is not None
    assert "heart-s1-r0-t3-0123abcd has failed (QuorumNotMet)" in stalled.message
    assert "kubectl wardround explain federatedround/heart-s1-r0-t3-0123abcd -n federation" in stalled.message


def test_a_changed_spec_lets_a_stalled_series_go_on() -> None:
    world = failed_for_good()
    world.change(parameters={"epochs": "1"})
    world.settle()
    assert world.created[-1] == "heart-s1-r0-t4-0123abcd"
    world.run()
    assert world.series.stage == "Ended"


def test_any_number_of_changes_to_a_failing_model_fits_into_its_status() -> None:
    """The kind limits the list of rounds. Beyond it, the API server would refuse every further status."""
    world = failed_for_good()
    for epochs in range(2, 12):
        world.change(parameters={"epochs": str(epochs)})
        world.settle()
        for _ in range(3):
            world.fail(world.created[-1])
            world.settle()
    assert len(world.created) == 33, "each attempt has a name of its own"
    assert [each.name for each in world.series.rounds] == world.created[-3:]
    assert condition(world, "Stalled") == ("True", "SeriesRoundFailed")


def test_a_change_counts_from_the_next_round_and_is_recorded() -> None:
    world = started()
    world.complete(world.created[-1])
    world.settle()
    assert world.rounds[world.created[-1]].spec.parameters == {"epochs": "5"}
    world.change(parameters={"epochs": "1"})
    world.settle()
    world.complete(world.created[-1])
    world.settle()
    assert world.rounds[world.created[-1]].spec.parameters == {"epochs": "1"}
    assert [each.generation for each in world.series.rounds] == [1, 1, 2]


def test_hospitals_join_and_leave_between_the_rounds_of_a_series() -> None:
    """The series goes on from the model of the hospitals before: no round is made again."""
    world = started(rounds=2)
    for names in (("site-a", "site-b"), ("site-a", "site-b", "site-c"), ("site-b", "site-c")):
        world.edit(round=replace(world.model.spec.round, participants=Participants(names=names)))
        # The round that runs keeps its hospitals. The next one has those of the edit.
        world.complete(world.created[-1])
        world.settle()
    world.run()
    asked = [(each.task, world.rounds[each.name].spec.participants.names) for each in world.series.rounds]
    assert asked == [
        ("Statistics", ("site-a", "site-b")),
        ("Train", ("site-a", "site-b")),
        ("Train", ("site-a", "site-b", "site-c")),
        ("Evaluate", ("site-b", "site-c")),
    ]
    bases = [base.round_name if (base := world.rounds[each.name].spec.base) else None for each in world.series.rounds]
    assert bases == [None, None, world.series.rounds[1].name, world.series.rounds[2].name]
    assert (world.series.number, world.series.stage, world.current) == (1, "Ended", 1)


def test_a_round_that_was_only_named_is_made_from_the_changed_spec_and_says_so() -> None:
    world = started()
    world.complete(world.created[-1])
    world.step()
    assert world.series.rounds[-1].name not in world.rounds
    world.change(parameters={"epochs": "1"})
    world.settle()
    assert world.rounds[world.created[-1]].spec.parameters == {"epochs": "1"}
    assert world.series.rounds[-1].generation == 2


def test_a_suspended_model_suspends_its_round_and_creates_none() -> None:
    world = started()
    world.suspend(True)
    world.settle()
    name = world.created[-1]
    assert world.rounds[name].spec.suspend
    assert condition(world, "Suspended") == ("True", "Suspended")
    world.complete(name)
    world.settle()
    assert world.created == [name]
    world.suspend(False)
    world.settle()
    assert len(world.created) == 2
    assert condition(world, "Suspended") == ("False", "Resumed")


def test_a_round_of_somebody_else_is_not_taken_over() -> None:
    world = World(model())
    world.step()
    name = world.series.rounds[0].name
    world.step()
    live = world.rounds[name]
    world.rounds[name] = replace(live, metadata=replace(live.metadata, owner_references=()))
    world.settle()
    assert condition(world, "Stalled") == ("True", "NameTaken")
    assert world.created == [name]
    assert world.step().requeue_after == model_plan.REFUSED_SECONDS
    del world.rounds[name]
    world.settle()
    assert condition(world, "Stalled")[0] == "False"


def test_a_version_of_another_round_is_not_taken_over() -> None:
    world = started()
    world.run()
    [(name, version)] = world.versions.items()
    world.versions[name] = replace(version, spec=replace(version.spec, round_uid="another"))
    world.settle()
    assert condition(world, "Stalled") == ("True", "NameTaken")


def test_a_best_round_that_is_deleted_before_its_version_is_made_is_told() -> None:
    world = started()
    while world.series.stage != "Ended":
        world.step()
        world.rounds.pop(model_plan.best_name(world.series), None) if world.series.stage == "Comparing" else None
        for name in [name for name, each in world.rounds.items() if not each.status.conditions]:
            world.complete(name)
    world.settle()
    assert condition(world, "Stalled") == ("True", "ResultGone")
