"""A model that begins a series when the hospitals have enough new patients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_model.world import World, model
from wardround.api import participant
from wardround.api.federatedmodel import FederatedModel, Trigger
from wardround.api.participant import Participant
from wardround.plans.model import patients

FIFTY = {"newPatients": 50}
WEEK = timedelta(days=7)


def trained(count: int | None, **trigger: Any) -> World:
    """A model whose first series began a week ago with this number of training patients, and has ended."""
    world = World(model(rounds=1, spec={"trigger": trigger or FIFTY}), patients=count)
    world.run()
    assert (world.series.number, world.series.stage) == (1, "Ended")
    world.now += WEEK
    return world


def test_a_series_begins_when_the_sum_has_grown_by_the_number() -> None:
    world = trained(110)
    assert (world.series.trigger, world.series.training_patients) == ("Created", 110)
    assert world.condition("Scheduled") == (
        "True",
        "NextSeries",
        "Nobody has to act: series 2 begins when the hospitals together have at least 50 more training patients "
        "than 110 (not before 2026-12-04T12:00:01Z).",
    )
    world.patients = 159
    world.run()
    assert world.series.number == 1
    world.patients = 160
    world.run()
    assert (world.series.number, world.series.trigger, world.series.training_patients) == (2, "NewPatients", 160)
    world.now += WEEK
    world.patients = 200
    world.run()
    assert world.series.number == 2


def test_new_patients_begin_a_series_a_week_after_the_last_one_at_the_earliest() -> None:
    """A hospital may state any number, and as often as it wants. The evaluations of the others still last."""
    world = trained(110)
    until = world.now + 3 * WEEK
    while world.now < until:
        world.patients = (world.series.training_patients or 0) + 55
        world.run()
        world.now += timedelta(hours=6)
    assert world.series.number == 4


def test_the_plan_looks_again_within_an_hour() -> None:
    world = trained(110)
    assert world.step().requeue_after == 3600


def test_whichever_of_cron_and_new_patients_comes_first_begins_the_series() -> None:
    both = {"cron": "0 2 * * 1", **FIFTY}
    world = trained(110, **both)
    assert world.condition("Scheduled")[2] == (
        "Nobody has to act: series 2 begins at 2026-11-30T02:00:00Z, or when the hospitals together have at least 50 "
        "more training patients than 110 (not before 2026-12-04T12:00:01Z)."
    )
    world.now += timedelta(days=4) - WEEK
    world.run()
    assert (world.series.number, world.series.trigger, world.series.training_patients) == (2, "Cron", 110)
    world.patients = 160
    world.now += timedelta(days=3)
    world.run()
    assert world.series.number == 2
    world.now += timedelta(days=4) - timedelta(hours=12)
    world.run()
    assert world.series.number == 3
    assert world.next_start == "2026-12-14T02:00:00Z"


def test_a_series_for_which_both_triggers_are_due_says_new_patients() -> None:
    world = trained(110, cron="0 2 * * 1", **FIFTY)
    world.patients = 160
    world.now += WEEK
    world.run()
    assert (world.series.number, world.series.trigger) == (2, "NewPatients")


def test_the_first_number_that_a_hospital_tells_is_no_growth() -> None:
    world = trained(None)
    assert "when a hospital first tells its number (policy.tellNewPatients)" in world.condition("Scheduled")[2]
    world.patients = 1100
    world.run()
    assert (world.series.number, world.series.training_patients) == (1, 1100)
    world.patients = None
    world.run()
    assert (world.series.number, world.series.training_patients) == (1, 1100)
    world.patients = 1150
    world.run()
    assert world.series.number == 2


def test_fewer_patients_begin_no_series() -> None:
    world = trained(110)
    for count in (0, 55, 110):
        world.patients = count
        world.run()
    assert (world.series.number, world.series.training_patients) == (1, 110)


def test_a_suspended_model_begins_no_series_for_new_patients() -> None:
    world = trained(110)
    world.suspend(True)
    world.patients = 1100
    world.run()
    assert world.series.number == 1
    world.suspend(False)
    world.run()
    assert world.series.number == 2


def test_a_cron_line_that_names_no_time_stops_both() -> None:
    world = trained(110)
    world.edit(trigger=Trigger(cron="never", new_patients=50))
    world.patients = 1100
    world.run()
    assert (world.series.number, world.condition("Stalled")[1]) == (1, "CronInvalid")


# The sum


def hospital(
    name: str, count: int | None, *, federation: str = "federation", dataset: str = "breast", suspend: bool = False
) -> Participant:
    offered = {"name": dataset, **({} if count is None else {"trainingPatients": count})}
    return participant.parse(
        {
            "metadata": {"name": name, "namespace": name, "labels": {"region": "north"}},
            "spec": {"allowedFederations": [{"namespace": federation}], "suspend": suspend},
            "status": {"site": {"datasets": [{"name": "lung", "trainingPatients": 999}, offered]}},
        }
    )


def selecting(**wanted: Any) -> FederatedModel:
    base = model()
    spec = {"image": base.spec.round.image, "datasetName": "breast", "quorum": {"min": 1}}
    return model(spec={"round": {**spec, "participants": wanted}})


@pytest.mark.parametrize(
    ("hospitals", "expected"),
    [
        ([("site-a", 110), ("site-b", 22)], 132),
        ([("site-a", 110), ("site-b", None)], 110),
        ([("site-a", 0)], 0),
        ([("site-a", None)], None),
        ([("site-z", 110)], None),
        ([], None),
    ],
)
def test_the_hospitals_of_the_model_that_tell_are_added(
    hospitals: list[tuple[str, int | None]], expected: int | None
) -> None:
    known = [hospital(*each) for each in hospitals]
    assert patients.training_patients(selecting(names=["site-a", "site-b"]), known) == expected


def test_a_selector_selects_only_hospitals_of_the_federation() -> None:
    known = [
        hospital("site-a", 11),
        hospital("site-b", 22, federation="another"),
        hospital("site-c", 44, dataset="heart"),
    ]
    assert patients.training_patients(selecting(selector={"matchLabels": {"region": "north"}}), known) == 11
    assert patients.training_patients(selecting(selector={"matchLabels": {"region": "south"}}), known) is None


def test_the_number_of_a_suspended_hospital_does_not_count() -> None:
    known = [hospital("site-a", 11), hospital("site-b", 22, suspend=True)]
    assert patients.training_patients(selecting(names=["site-a", "site-b"]), known) == 11
