"""When a version is measured on test rows: once, when it has become the current one, and for the report only."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_model.world import World, model
from wardround.api.federatedmodel import Evaluation, MeasurementStatus, ModelGate, OnFailure
from wardround.api.federatedround import Counts, Quorum
from wardround.api.modelversion import ModelVersion, VersionTest
from wardround.api.times import to_seconds
from wardround.documents import models
from wardround.plans.model import plan as model_plan
from wardround.plans.model.types import CreateDelivery, CreateTest
from wardround.reasons.reason import NOBODY
from wardround.reasons.registry import REASONS

WEEKLY = {"cron": "0 2 * * 1"}
FIRST, SECOND = "heart-t1-0123abcd", "heart-t2-0123abcd"


def world(*outcomes: Any, losses: list[str | None] | None = None, **spec: Any) -> World:
    known = {"trigger": WEEKLY, "evaluation": {"testRows": True}}
    return World(model(rounds=2, spec=known | spec), losses or ["0.5", "0.4"], outcomes=list(outcomes) or ["Accepted"])


def trained(*outcomes: Any, **spec: Any) -> World:
    """After the first series, and one more for each outcome of a comparison."""
    made = world(*outcomes, **spec)
    made.run()
    for _ in outcomes:
        made.run_next()
    return made


def version(made: World, number: int = 1) -> ModelVersion:
    return made.versions[f"heart-v{number}-0123abcd"]


def result_of(made: World, number: int = 1) -> VersionTest:
    result = version(made, number).status.test
    assert result is not None
    return result


def until_asked(made: World) -> None:
    """Every round completes until the first version is to be measured on test rows."""
    for _ in range(20):
        made.settle()
        if made.tests or not under_way(made):
            return
        made.complete(under_way(made)[0])


def under_way(made: World) -> list[str]:
    return [name for name, each in made.rounds.items() if not each.status.conditions]


def test_the_gate_opens_test_rows_once_for_the_version_that_it_promotes() -> None:
    made = trained("Accepted")
    assert made.tests == [FIRST, SECOND]
    asked = made.rounds[SECOND].spec
    assert (asked.task, asked.rows, asked.references, asked.gate) == ("Evaluate", "Test", (), None)
    assert asked.base is not None
    assert asked.base.round_name == version(made, 2).spec.round_name
    assert made.condition("Tested")[:2] == ("True", "VersionTested")


def test_numbers_about_test_rows_stand_apart_from_those_of_validation_rows() -> None:
    made = trained()
    first = version(made)
    assert [(each.rows, each.model) for each in result_of(made).metrics] == [("Test", first.spec.round_name)]
    assert {each.rows for each in first.status.metrics} == {"Validation"}
    assert (result_of(made).round_name, result_of(made).outcome) == (FIRST, "Complete")


@pytest.mark.parametrize("outcome", ["Worse", "Undecided"])
def test_a_version_that_the_gate_does_not_promote_is_not_measured_on_test_rows(outcome: str) -> None:
    made = trained(outcome)
    assert made.tests == [FIRST]
    assert version(made, 2).status.test is None


def test_a_version_that_people_promote_is_measured_on_test_rows() -> None:
    made = trained("Undecided")
    made.pin(2)
    made.run()
    assert made.tests == [FIRST, SECOND]
    assert result_of(made, 2).outcome == "Complete"


def test_a_model_whose_versions_people_promote_opens_no_test_rows_by_itself() -> None:
    """A sweep makes such models."""
    made = trained(gate={"promote": "Manual"})
    assert made.tests == []
    made.edit(gate=ModelGate(promote="Manual"))
    made.pin(1)
    made.run()
    assert made.tests == [FIRST]


def test_a_rollback_opens_no_test_rows_a_second_time() -> None:
    made = trained("Accepted")
    for number in (1, 2, 1, None):
        made.pin(number)
        made.run()
    assert made.tests == [FIRST, SECOND]
    assert made.condition("Tested")[:2] == ("True", "VersionTested")


def test_a_rollback_before_the_round_exists_measures_the_other_version() -> None:
    made = trained("Undecided", evaluation={"testRows": True})
    made.ready = {"site-a"}
    made.pin(2)
    made.settle()
    assert made.condition("Tested")[:2] == ("False", "TooFewForTest")
    made.pin(1)
    made.ready = {"site-a", "site-b"}
    made.run()
    assert made.tests == [FIRST]
    made.pin(2)
    made.run()
    assert made.tests == [FIRST, SECOND]


def test_a_failed_round_that_has_asked_no_hospital_is_tried_again_as_other_rounds_are() -> None:
    made = world()
    until_asked(made)
    made.fail(FIRST)
    due = to_seconds(made.now + timedelta(seconds=30))
    made.step()
    assert made.condition("Tested")[1:] == (
        "VersionTesting",
        f"The measurement of the version on test rows has failed: round {FIRST} has failed (QuorumNotMet). To see why: "
        f"`kubectl wardround explain federatedround/{FIRST} -n federation`. Nobody has to act: the hub operator makes "
        f"another round in its place at {due}.",
    )
    made.settle()
    made.fail(under_way(made)[0])
    made.settle()
    made.run()
    assert made.tests == [FIRST, "heart-t1-t2-0123abcd", "heart-t1-t3-0123abcd"]
    assert result_of(made).round_name == "heart-t1-t3-0123abcd"
    assert set(made.rounds) & set(made.tests) == {"heart-t1-t3-0123abcd"}


def test_a_failed_round_that_has_asked_hospitals_is_not_tried_again() -> None:
    """One hospital has sent its numbers, and would open its test rows again. The other one may have opened its rows
    too, and the hub has not heard of it."""
    made = world()
    until_asked(made)
    made.fail(FIRST, asked=True, site_b="NotAnswered")
    made.run()
    assert made.tests == [FIRST]
    assert result_of(made).outcome == "Failed"
    assert result_of(made).message.endswith("because hospitals may have opened their test rows in this one.")
    assert made.condition("Tested")[:2] == ("False", "TestFailed")


def test_a_round_that_has_lost_its_key_is_not_made_again_and_its_reason_says_where_to_look() -> None:
    made = world()
    until_asked(made)
    made.fail(FIRST, "RoundKeyLost", asked=True)
    made.run()
    assert made.tests == [FIRST]
    assert made.condition("Tested")[:2] == ("False", "TestFailed")
    advice = REASONS["RoundKeyLost"].action
    assert "a round on test rows (spec.rows is Test) that has asked a hospital is not made again" in advice
    assert "the condition Tested of the FederatedModel then says what to do" in advice


def test_a_hospital_that_has_accepted_a_failed_round_is_not_asked_again() -> None:
    """The hub operator could not write that it had asked."""
    made = world()
    until_asked(made)
    made.fail(FIRST)
    live = made.rounds[FIRST]
    made.rounds[FIRST] = replace(live, status=replace(live.status, participants=Counts(selected=2, accepted=1)))
    made.run()
    assert made.tests == [FIRST]


def test_a_round_that_fails_for_good_is_never_made_again() -> None:
    made = world("Undecided")
    made.change(on_failure=OnFailure(retries=0))
    until_asked(made)
    made.fail(FIRST)
    made.run()
    assert result_of(made).outcome == "Failed"
    assert "QuorumNotMet" in result_of(made).message
    assert made.condition("Tested")[:2] == ("False", "TestFailed")
    assert made.current == 1
    made.change(on_failure=OnFailure(retries=5))
    made.run_next()
    for number in (2, 1, None):
        made.pin(number)
        made.run()
    assert made.tests == [FIRST, SECOND]


def test_a_round_that_hospitals_refuse_is_not_tried_again() -> None:
    made = world()
    until_asked(made)
    made.fail(FIRST, site_a="TaskNotAllowed")
    made.run()
    assert made.tests == [FIRST]
    assert result_of(made).outcome == "Failed"


def test_a_round_of_hospitals_without_test_rows_is_not_tried_again_and_asks_nobody_to_act() -> None:
    made = world("Accepted")
    until_asked(made)
    made.fail(FIRST, "NumbersWithheld")
    made.run()
    assert made.tests == [FIRST]
    assert result_of(made).outcome == "Withheld"
    assert result_of(made).message.startswith("The hospitals have no test rows, or too few people in them.")
    assert made.condition("Tested")[:2] == ("False", "NoTestRows")
    assert REASONS["NoTestRows"].owner == NOBODY
    for number in (1, None):
        made.pin(number)
        made.run()
    assert made.tests == [FIRST]


def test_a_failed_round_is_not_tried_again_once_another_version_is_the_current_one() -> None:
    made = trained("Undecided")
    made.pin(2)
    made.settle()
    made.fail(SECOND)
    made.ready = {"site-a"}
    made.settle()
    assert made.model.status.testing is not None
    assert made.model.status.testing.attempt == 2
    made.pin(1)
    made.ready = {"site-a", "site-b"}
    made.run()
    assert result_of(made, 2).outcome == "Failed"
    made.pin(2)
    made.run()
    assert made.tests == [FIRST, SECOND]


def test_a_round_that_somebody_deletes_is_not_made_again() -> None:
    made = world()
    until_asked(made)
    made.settle()
    del made.rounds[FIRST]
    made.run()
    assert made.tests == [FIRST]
    assert (result_of(made).outcome, FIRST in result_of(made).message) == ("Failed", True)


def test_no_round_is_made_for_too_few_hospitals_and_one_is_made_when_they_are_back() -> None:
    made = world()
    made.ready = {"site-a"}
    made.run()
    assert made.tests == []
    status, reason, message = made.condition("Tested")
    assert (status, reason) == ("False", "TooFewForTest")
    assert "Now the hub may ask 1." in message
    assert made.step().requeue_after == 3600
    made.ready = {"site-a", "site-b"}
    made.now += timedelta(hours=1)
    made.run()
    assert made.tests == [FIRST]


def test_a_hospital_that_the_quorum_requires_has_to_be_there() -> None:
    quorum = {"min": 1, "required": ["site-b"]}
    made = world(evaluation={"testRows": True, "quorum": quorum})
    made.ready = {"site-a"}
    made.run()
    assert made.tests == []
    made.ready = {"site-b"}
    made.run()
    assert made.rounds[FIRST].spec.quorum == Quorum(min=1, required=("site-b",))


def test_a_version_is_delivered_before_it_is_measured() -> None:
    made = world(deliver={"to": "Participants"})
    until_asked(made)
    assert made.ended["heart-d1-0123abcd"] == "Complete"
    assert made.tests == [FIRST]


def test_a_version_that_is_lost_before_its_delivery_does_not_wait_for_the_delivery() -> None:
    """No round ever delivers it, so its measurement ends with the cause."""
    made = world(deliver={"to": "Participants"})
    while made.model.status.delivery is None:
        made.step()
        for name in under_way(made):
            made.complete(name)
    assert made.model.status.delivery.round not in made.rounds
    del made.rounds[version(made).spec.round_name]
    made.settle()
    assert made.condition("Delivered")[:2] == ("False", "VersionRoundGone")
    assert made.condition("Tested")[:2] == ("False", "TestFailed")
    assert "because somebody deleted round" in result_of(made).message
    assert made.tests == []


def test_nothing_is_measured_without_the_field_or_while_the_model_is_suspended() -> None:
    made = trained(evaluation={"testRows": False})
    assert made.tests == []
    made.suspend(True)
    made.edit(evaluation=Evaluation(test_rows=True))
    made.run()
    assert made.tests == []
    made.suspend(False)
    made.run()
    assert made.tests == [FIRST]


def test_a_round_on_test_rows_is_suspended_with_its_model() -> None:
    made = world()
    until_asked(made)
    made.suspend(True)
    made.settle()
    assert made.rounds[FIRST].spec.suspend
    resumed = f"Once somebody sets its spec.suspend to false, round {FIRST} measures the version on test rows."
    assert resumed in made.condition("Tested")[2]
    made.suspend(False)
    made.settle()
    assert not made.rounds[FIRST].spec.suspend


def test_the_next_series_runs_while_a_version_is_measured() -> None:
    made = world()
    until_asked(made)
    made.now += timedelta(days=8)
    made.settle()
    assert made.series.number == 2
    assert under_way(made)[0] == FIRST
    made.complete(FIRST)
    made.settle()
    assert result_of(made).outcome == "Complete"


def test_the_numbers_change_neither_the_best_version_nor_what_the_gate_compares() -> None:
    """Otherwise test rows would choose models."""
    without = trained("Accepted", evaluation={"testRows": False}, losses=["0.5", "0.4", "0.3", "0.6"])
    tested = trained("Accepted", losses=["0.5", "0.4", "0.3", "0.6"])
    for made in (without, tested):
        made.pin(1)
        made.run_next()
    seen = [
        (each.series.best, each.series.loss, [entry.references for entry in each.series.rounds], each.current)
        for each in (without, tested)
    ]
    assert seen[0] == seen[1]


def test_the_round_has_the_code_that_made_the_version_whatever_the_spec_says_now() -> None:
    made = trained("Undecided")
    made.change(parameters={"epochs": "9"})
    made.pin(2)
    made.run()
    assert made.rounds[SECOND].spec.parameters == {"epochs": "5"}


def test_an_approval_of_the_series_names_test_rows_only_if_the_series_opens_them() -> None:
    made = world()
    until_asked(made)
    assigned = models.assigned_series(made.model, FIRST)
    assert assigned is not None
    assert (assigned.model.series, assigned.model.round) == (1, 2)
    assert assigned.model.tasks == ("Statistics", "Train", "Evaluate Validation", "Evaluate Test")
    closed = replace(made.model, spec=replace(made.model.spec, evaluation=Evaluation(test_rows=False)))
    again = models.assigned_series(closed, FIRST)
    assert again is not None
    assert "Evaluate Test" not in again.model.tasks


def test_the_round_of_a_version_of_an_earlier_series_stands_under_no_approval() -> None:
    """The model no longer holds the terms of that series."""
    made = trained("Undecided", "Accepted")
    made.pin(2)
    made.run()
    assert made.model.status.testing is not None
    assert made.model.status.testing.number is None
    assert models.assigned_series(made.model, SECOND) is None


def test_a_status_of_a_round_that_is_not_made_is_not_taken_for_a_deleted_one() -> None:
    """The operator dies between the status and the round."""
    made = world()
    until_asked(made)
    named = MeasurementStatus(version="heart-v1-0123abcd", round=FIRST, series=1, number=1)
    made.model = replace(made.model, status=replace(made.model.status, testing=named))
    plan = model_plan.plan(made.observe())
    assert plan.status.testing == replace(named, begun=True)
    del made.rounds[FIRST]
    made.settle()
    assert FIRST in made.rounds


@pytest.mark.parametrize(("refusing", "outcome"), [(CreateTest, "Undecided"), (CreateDelivery, "Accepted")])
def test_a_round_that_the_api_server_refuses_loses_no_version_and_begins_no_series(
    refusing: type[CreateDelivery] | type[CreateTest], outcome: str
) -> None:
    made = world(outcome, deliver={"to": "Participants"})
    made.refusing = (refusing,)
    made.run()
    made.run_next()
    assert made.model.status.versions == ("heart-v1-0123abcd", "heart-v2-0123abcd")
    assert made.current == (2 if outcome == "Accepted" else 1)
    made.run()
    assert made.series.number == 2
    assert made.condition("Stalled")[:2] == ("True", "RoundRefused")


def test_somebody_elses_round_under_a_name_does_not_keep_later_versions_from_test_rows() -> None:
    made = world("Accepted")
    made.settle()
    first = made.rounds[made.created[0]]
    made.rounds[FIRST] = replace(first, metadata=replace(first.metadata, name=FIRST, uid="other", owner_references=()))
    made.run()
    assert made.condition("Tested")[:2] == ("False", "NameTaken")
    made.run_next()
    assert made.tests == [SECOND]
    assert made.condition("Tested")[:2] == ("True", "VersionTested")
