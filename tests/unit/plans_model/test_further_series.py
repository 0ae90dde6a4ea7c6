"""Further series of a model: when they begin, what the gate decides, which version counts, and what is deleted."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.plans_model.world import UID, WEEKLY, World, model, tasks, trained
from wardround.api.federatedmodel import History, ModelGate, OnFailure, Trigger
from wardround.api.meta import Meta
from wardround.api.modelversion import ModelVersion, ModelVersionSpec, Parent, Pushed
from wardround.plans.model import plan as model_plan

# The first one after the world's first day.
MONDAY = "2026-11-30T01:00:00Z"


def test_without_a_trigger_there_is_one_series() -> None:
    world = World(model(rounds=1))
    world.run()
    world.now += timedelta(days=365)
    world.run()
    assert (world.series.number, world.model.status.next) == (1, None)


def test_a_further_series_begins_at_its_time_from_the_current_version() -> None:
    world = trained()
    assert world.condition("Scheduled") == ("True", "NextSeries", f"Nobody has to act: series 2 begins at {MONDAY}.")
    first = world.versions["heart-v1-0123abcd"]
    world.run_next()
    assert (world.series.started, world.series.trigger) == ("2026-11-30T01:00:01Z", "Cron")
    assert tasks(world) == [("Train", 1), ("Train", 2), ("Evaluate", 2), ("Evaluate", 2)]
    base = world.rounds[world.series.rounds[0].name].spec.base
    assert base is not None
    assert base.round_name == first.spec.round_name
    assert list(world.versions) == ["heart-v1-0123abcd", "heart-v2-0123abcd"]
    assert world.model.status.versions == tuple(world.versions)


def test_a_start_that_is_due_while_a_series_runs_is_not_told_as_a_time_in_the_past() -> None:
    world = trained()
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    due = world.next_start
    world.now = datetime.fromisoformat(due) + timedelta(hours=1)
    world.complete(world.created[-1])
    world.settle()
    words = f"Nobody has to act: series 3 begins when series 2 has ended (due since {due})."
    assert world.condition("Scheduled") == ("True", "NextSeries", words)


def parents(world: World, number: int) -> tuple[Parent, ...]:
    return world.versions[f"heart-v{number}-0123abcd"].spec.parents


def test_a_version_names_the_version_from_which_its_series_started() -> None:
    world = trained("Accepted")
    first = world.versions["heart-v1-0123abcd"]
    assert parents(world, 1) == ()
    named = Parent(round_name=first.spec.round_name, version_name=first.metadata.name, digest="sha256:" + "d" * 64)
    assert parents(world, 2) == (named,)
    world.change(start="Scratch")
    world.run_next()
    assert parents(world, 3) == ()


def test_a_version_names_the_round_of_a_parent_that_somebody_deletes_during_the_series() -> None:
    world = trained()
    base = world.versions["heart-v1-0123abcd"].spec.round_name
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    del world.versions["heart-v1-0123abcd"]
    world.run()
    assert parents(world, 2) == (Parent(round_name=base),)


def test_a_version_names_the_pushed_version_from_which_its_series_started() -> None:
    world = World(model(rounds=1, spec={"initial": {"pushed": "pretrained"}}))
    world.versions["pretrained"] = pushed_version("pretrained")
    world.run()
    named = Parent(round_name="pretrained", version_name="pretrained", digest=world.versions["pretrained"].spec.digest)
    assert parents(world, 1) == (named,)
    assert world.model.status.versions == ("heart-v1-0123abcd",)


def pushed_version(name: str) -> ModelVersion:
    spec = ModelVersionSpec(
        model_name=name,
        version=1,
        series=0,
        round_name=name,
        round_uid="push",
        digest="sha256:" + "e" * 64,
        parents=(),
        release="Readers",
        pushed=Pushed(requested_by="wanda"),
    )
    return ModelVersion(metadata=Meta(name=name, namespace="federation", uid="pushed"), spec=spec)


@pytest.mark.parametrize("release", ["Participants", "Readers"])
def test_a_version_says_who_may_get_it(release: str) -> None:
    world = trained(release=release)
    assert world.versions["heart-v1-0123abcd"].spec.release == release


def test_a_series_from_scratch_has_new_statistics_and_first_weights() -> None:
    world = trained()
    world.change(start="Scratch")
    world.run_next()
    assert tasks(world)[:2] == [("Statistics", 0), ("Train", 1)]
    first = world.rounds[world.series.rounds[1].name].spec
    assert first.initial is not None
    assert first.initial.statistics_round_name == world.series.rounds[0].name
    assert "-s2-" in world.series.rounds[0].name


@pytest.mark.parametrize("start", ["Scratch", "Current"])
def test_a_series_from_scratch_starts_from_the_pushed_version_again(start: str) -> None:
    world = trained(initial={"pushed": "pretrained"})
    world.versions["pretrained"] = pushed_version("pretrained")
    world.change(start=start)
    world.run_next()
    base = world.rounds[world.series.rounds[0].name].spec.base
    assert base is not None
    assert (base.version_name == "pretrained") == (start == "Scratch")


def test_while_it_waits_the_plan_looks_again_before_long_and_at_the_start() -> None:
    world = trained()
    assert world.step().requeue_after == 3600.0
    world.now = world.now.replace(day=30, hour=0, minute=59, second=29)
    assert world.step().requeue_after == 30.0


def test_a_start_that_was_missed_runs_once() -> None:
    world = trained()
    world.now += timedelta(days=70)
    world.run()
    assert world.series.number == 2
    assert world.model.status.next is not None
    assert world.model.status.next.at > world.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_series_never_overlap() -> None:
    world = trained(trigger={"cron": "* * * * *"})
    world.now += timedelta(minutes=2)
    world.settle()
    number, name = world.series.number, world.created[-1]
    for _ in range(5):
        world.now += timedelta(minutes=5)
        world.settle()
    assert (world.series.number, world.created[-1]) == (number, name)


def test_a_changed_trigger_counts_from_now_and_a_removed_one_ends_the_series() -> None:
    world = trained()
    world.now += timedelta(days=300)
    world.edit(trigger=Trigger(cron="0 4 1 * *"))
    world.run()
    assert world.series.number == 1
    assert world.model.status.next is not None
    assert world.model.status.next.at == "2027-10-01T04:00:00Z"
    world.edit(trigger=None)
    world.run()
    assert world.model.status.next is None
    assert world.condition("Scheduled") == ("False", "NoTrigger", "")


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        (Trigger(cron="every monday"), "CronInvalid"),
        (Trigger(cron="0 2 31 2 *"), "CronInvalid"),
        (Trigger(cron="0 2 * * 1", time_zone="Europe/Berlim"), "TimeZoneUnknown"),
    ],
)
def test_the_status_shows_at_once_a_trigger_without_a_time_and_the_model_stalls_at_the_end(
    trigger: Trigger, reason: str
) -> None:
    world = World(model(rounds=1))
    world.edit(trigger=trigger)
    world.settle()
    status, shown_reason, message = world.condition("Scheduled")
    assert (status, shown_reason, world.condition("Reconciling")[0]) == ("False", reason, "True")
    assert str(trigger.cron) in message or trigger.time_zone in message
    world.run()
    assert world.condition("Stalled") == ("True", reason, message)
    assert world.condition("Ready")[0] == "True"
    world.edit(trigger=Trigger(cron="0 2 * * 1"))
    world.run()
    assert world.condition("Stalled")[0] == "False"


def test_a_suspended_model_begins_no_series_and_makes_up_for_it_once() -> None:
    world = trained()
    world.suspend(True)
    world.now += timedelta(days=30)
    world.run()
    assert (world.series.number, world.condition("Suspended")[0]) == (1, "True")
    world.suspend(False)
    world.run()
    assert world.series.number == 2


def test_an_accepted_candidate_becomes_the_current_version() -> None:
    world = trained("Accepted")
    assert world.current == 2
    assert world.verdict(2)[:2] == ("Accepted", "NotWorse")
    assert world.model.status.candidate is None


def test_a_first_version_has_nothing_to_be_compared_with() -> None:
    world = trained()
    assert world.verdict(1)[:2] == ("Accepted", "FirstVersion")
    assert all(each.spec.gate is None for each in world.rounds.values())


def test_the_gate_compares_the_best_model_of_the_series_with_the_current_and_the_best_version() -> None:
    """Version 1 has the lowest loss, and version 2 is the current one."""
    world = trained("Accepted", "Accepted", losses=["0.3", "0.4", "0.5", "0.45", "0.42", "0.48"])
    comparison = world.rounds[world.series.rounds[-1].name].spec
    versions = [each.spec.round_name for each in world.versions.values()]
    assert comparison.base is not None
    # Of the third series, the first model is the better one.
    assert comparison.base.round_name == world.series.rounds[0].name == versions[2]
    assert comparison.references == (versions[1], versions[0])
    assert (comparison.rows, comparison.gate and comparison.gate.min_events) == ("Validation", 20)
    assert world.series.rounds[-1].name == "heart-s3-c1-0123abcd"


def test_a_loss_without_a_hospital_does_not_make_a_version_the_best_one() -> None:
    """The hospital with the most difficult patients was away when version 3 was measured. Version 4 is measured with
    all hospitals again."""
    world = World(model(rounds=1, spec=WEEKLY), ["0.5", "0.45", "0.2", "0.48", "0.49"], hospitals=(3, 3, 2, 3, 3))
    world.run()
    for _ in range(4):
        world.run_next()
    comparison = world.rounds[world.series.rounds[-1].name].spec
    versions = [each.spec.round_name for each in world.versions.values()]
    assert comparison.references == (versions[3], versions[1])


def test_where_the_current_version_is_the_best_one_it_is_the_only_reference() -> None:
    world = trained("Accepted")
    comparison = world.rounds[world.series.rounds[-1].name].spec
    assert comparison.references == (world.versions["heart-v1-0123abcd"].spec.round_name,)


def test_a_worse_candidate_stays_a_version_and_never_counts() -> None:
    world = trained("Worse")
    assert world.current == 1
    assert world.model.status.candidate == "heart-v2-0123abcd"
    outcome, reason, message = world.verdict(2)
    assert (outcome, reason) == ("Worse", "WorseThanReference")
    assert message.endswith("The reference is version 1.")
    assert "VersionWaits" not in [each.type for each in world.model.status.conditions]
    world.run_next()
    base = world.rounds[world.series.rounds[0].name].spec.base
    assert base is not None
    assert base.round_name == world.versions["heart-v1-0123abcd"].spec.round_name


def test_a_worse_version_with_a_low_loss_is_not_the_best_one() -> None:
    """The labels of a hospital may be flipped in its validation rows too."""
    world = trained("Worse", "Accepted", losses=["0.5", "0.4", "0.1", "0.2", "0.5", "0.6"])
    references = world.rounds[world.series.rounds[-1].name].spec.references
    assert references == (world.versions["heart-v1-0123abcd"].spec.round_name,)


def test_an_undecided_candidate_waits_for_a_person_and_says_why() -> None:
    world = trained("Undecided")
    assert world.current == 1
    status, reason, message = world.condition("VersionWaits")
    assert (status, reason) == ("True", "PeopleDecide")
    assert message.startswith("Version 2 is Undecided.")
    assert "less than 80 %" in message
    assert message.endswith("set spec.current.version to 2.")
    world.pin(2)
    world.run()
    assert world.current == 2
    assert world.condition("VersionWaits")[:2] == ("False", "NoVersionWaits")
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("True", "VersionCurrent")
    assert message.startswith("Version 2 is Undecided.")
    assert message.endswith("It is the current version because spec.current has named it.")
    world.pin(1)
    world.run()
    assert world.condition("Ready") == ("True", "VersionCurrent", "")


def test_the_status_shows_a_deleted_current_version_and_no_candidate_silently_replaces_it() -> None:
    world = trained()
    del world.versions["heart-v1-0123abcd"]
    world.run()
    assert world.condition("Ready")[:2] == ("False", "VersionGone")
    assert world.made == ["heart-v1-0123abcd"], "nobody makes a deleted version again"
    world.run_next()
    # Nothing is left to go on from, and nothing to compare with.
    assert tasks(world)[0] == ("Statistics", 0)
    assert world.verdict(2)[:2] == ("Undecided", "ReferencesGone")
    assert world.condition("VersionWaits")[0] == "True"


@pytest.mark.parametrize("changed", [("schema",), ("schema", "columns")])
def test_a_changed_schema_leaves_the_gate_undecided_without_a_comparison(changed: tuple[str, ...]) -> None:
    world = trained(series={"rounds": 1, "from": "Scratch"})
    for name in changed:
        setattr(world, name, "sha256:" + "e" * 64)
    world.run_next()
    assert [each.references for each in world.series.rounds] == [(), (), ()]
    outcome, reason, why = world.verdict(2)
    assert (outcome, reason) == ("Undecided", "SchemaChanged")
    assert world.current == 1
    status, reason, message = world.condition("VersionWaits")
    assert (status, reason) == ("True", "PeopleDecide")
    assert message.startswith(f"Version 2 is Undecided. {why}")


def test_a_version_has_the_numbers_of_the_comparison_unless_they_are_over_fewer_hospitals() -> None:
    """Of the rounds that measured its model, only the comparison has a calibration curve and a threshold."""
    world = trained("Accepted", losses=["0.5", "0.4", "0.30", "0.31"])
    names, best = model_plan.measuring_names(world.series), model_plan.best_name(world.series)
    assert names == ("heart-s2-c1-0123abcd", "heart-s2-r2-0123abcd")
    comparison, train = measured = [world.rounds[name] for name in names]
    assert model_plan.measuring(measured, best) is comparison
    result = comparison.status.result
    assert result is not None
    fewer = tuple(replace(each, hospitals=each.hospitals - 1) for each in result.metrics)
    smaller = replace(comparison, status=replace(comparison.status, result=replace(result, metrics=fewer)))
    assert model_plan.measuring([smaller, train], best) is train
    assert model_plan.measuring([smaller, train], "heart-s2-r7-0123abcd") is None


def test_a_series_that_fails_for_good_is_skipped_if_the_spec_says_so() -> None:
    world = trained(series={"rounds": 2, "onFailure": {"retries": 0, "then": "Skip"}})
    world.now = world.now.replace(day=30)
    world.settle()
    world.fail(world.created[-1])
    world.settle()
    assert world.condition("Reconciling")[:2] == ("False", "SeriesSkipped")
    assert (world.current, list(world.versions)) == (1, ["heart-v1-0123abcd"])
    world.run_next()
    assert world.current == 3


def test_a_series_without_a_result_does_not_keep_the_next_one_from_beginning() -> None:
    world = trained()
    world.now = world.now.replace(day=30)
    world.settle()
    while world.series.stage != "Comparing":
        world.complete(world.created[-1])
        world.step()
    del world.rounds[model_plan.best_name(world.series)]
    world.settle()
    assert world.condition("Stalled")[:2] == ("True", "ResultGone")
    world.run_next()
    assert world.current == 3


def test_retention_keeps_what_a_version_needs_and_deletes_the_rest() -> None:
    world = trained(*["Worse"] * 6, losses=["0.3", "0.4"], history={"versions": 2})
    # The current version is the first and the best one.
    assert list(world.versions) == [f"heart-v{number}-0123abcd" for number in (1, 6, 7)]
    assert world.model.status.versions == tuple(world.versions)
    kept = {each.spec.round_name for each in world.versions.values()} | {each.name for each in world.series.rounds}
    assert set(world.rounds) == kept
    assert len(world.created) == 4 + 6 * 4


def test_the_number_of_rounds_stays_bounded_over_many_series() -> None:
    world = trained(*["Accepted"] * 40, history={"versions": 3})
    assert len(world.rounds) <= 4 + 5
    assert len(world.versions) <= 5


def test_the_best_version_stays_as_long_as_it_is_the_best_one() -> None:
    losses: list[str | None] = ["0.3", *["0.5"] * 9]
    world = trained(*["Accepted"] * 8, losses=losses, rounds=1, history={"versions": 1})
    assert "heart-v1-0123abcd" in world.versions
    assert world.current == 9


def test_a_version_that_is_being_deleted_does_not_hold_up_the_next_series() -> None:
    """A finalizer of somebody else may keep it for long."""
    world = trained("Worse", "Worse", history={"versions": 2})
    name = "heart-v2-0123abcd"
    held = world.versions[name]
    world.versions[name] = replace(held, metadata=replace(held.metadata, deletion_timestamp="2026-01-01T00:00:00Z"))
    world.edit(history=History(versions=1))
    world.settle()
    assert name in world.versions
    assert name not in world.deleted
    world.run_next()
    assert world.series.number == 4


def test_the_current_version_has_no_owner_and_others_go_with_the_model() -> None:
    def owners(number: int) -> list[str]:
        return [each.uid for each in world.versions[f"heart-v{number}-0123abcd"].metadata.owner_references]

    world = trained("Accepted", "Worse")
    world.run()
    assert [owners(number) for number in (1, 2, 3)] == [[UID], [], [UID]]
    world.pin(1)
    world.run()
    assert [owners(number) for number in (1, 2, 3)] == [[], [UID], [UID]]


def test_an_edited_gate_counts_from_the_next_comparison() -> None:
    world = trained()
    world.edit(gate=ModelGate(min_events=50))
    world.run_next()
    gate = world.rounds[world.series.rounds[-1].name].spec.gate
    assert gate is not None
    assert gate.min_events == 50


def test_a_model_that_holds_after_failures_goes_on_when_it_is_told_to_skip() -> None:
    world = trained()
    world.now = world.now.replace(day=30)
    world.settle()
    for _ in range(3):
        world.fail(world.created[-1])
        world.settle()
    assert world.condition("Stalled")[:2] == ("True", "SeriesRoundFailed")
    world.change(on_failure=OnFailure(retries=0, then="Skip"))
    world.settle()
    world.fail(world.created[-1])
    world.settle()
    assert world.series.skipped


def test_history_may_be_shortened_later() -> None:
    world = trained(*["Worse"] * 4)
    assert len(world.versions) == 5
    world.model = replace(world.model, spec=replace(world.model.spec, history=History(versions=1)))
    world.run()
    assert list(world.versions) == ["heart-v1-0123abcd", "heart-v5-0123abcd"]
