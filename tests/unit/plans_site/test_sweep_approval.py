"""One Approval covers the models of a sweep: exactly these models, with exactly their values."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.plans_site.approved import EVALUATE, MANUAL, MODEL, STATISTICS, TRAIN, accepts, an_approval, key_of
from tests.worlds.site import NOW, a_task, seen, signed
from wardround.api.approval import Approval
from wardround.api.times import to_seconds
from wardround.plans import approval as approvals
from wardround.plans import terms
from wardround.plans.approval import Approvals, EarlierTask
from wardround.plans.sitetask.plan import plan
from wardround.plans.terms import MOST_MODELS, SeriesTerms, SweepTerms, series_terms, sweep_terms, text
from wardround.wire import codec
from wardround.wire.assignment import AssignedPushed, Assignment

RATES = ("0.003", "0.01", "0.03")


def member(number: int, task: Assignment = TRAIN, **model: Any) -> Assignment:
    """A task of the model of this number, with its value of learningRate."""
    assert task.model is not None
    own: dict[str, Any] = {"name": f"breast-{number}", "uid": f"uid-{number}", "round": task.model.round}
    own["parameters"] = {"epochs": "5", "learningRate": RATES[number]}
    swept = dataclasses.replace(MODEL, **own | model)
    parameters = task.parameters if task.task == "Statistics" else swept.parameters
    return dataclasses.replace(task, round_uid=f"round-of-{number}", parameters=parameters, model=swept)


def own_terms(task: Assignment) -> SeriesTerms:
    series = series_terms(task)
    assert series is not None
    return series


def swept(*tasks: Assignment) -> SweepTerms:
    made = sweep_terms([own_terms(each) for each in tasks])
    assert made is not None
    return made


SWEEP = swept(member(0), member(1))


def approved(made: SweepTerms = SWEEP, **spec: Any) -> Approval:
    return an_approval(terms=text(made), **spec)


def covers(task: Assignment, *every: Approval, earlier: tuple[EarlierTask, ...] = ()) -> bool:
    return approvals.covering(task, key_of(task), Approvals(every=every, earlier=earlier), NOW) is not None


def test_the_terms_state_each_model_with_its_values_and_what_all_have_in_common() -> None:
    document = json.loads(text(SWEEP))
    assert document["parameters"] == {"epochs": "5"}
    assert document["models"] == [
        {"name": "breast-0", "uid": "uid-0", "values": {"learningRate": "0.003"}},
        {"name": "breast-1", "uid": "uid-1", "values": {"learningRate": "0.01"}},
    ]
    assert terms.read(text(SWEEP)) == (own_terms(member(0)), own_terms(member(1)))


@pytest.mark.parametrize("task", [TRAIN, EVALUATE, STATISTICS], ids=lambda each: each.task)
@pytest.mark.parametrize("number", [0, 1])
def test_one_approval_covers_all_tasks_of_each_model(number: int, task: Assignment) -> None:
    assert covers(member(number, task), approved())


# The hub asks for something that the person did not read.
ATTACKS: dict[str, Assignment] = {
    "another model with a value of the sweep": member(0, uid="uid-9", name="breast-9"),
    "another model that claims the name of one": member(0, uid="uid-9"),
    "another model with another value": member(2),
    "another value of a model": member(0, parameters={"epochs": "5", "learningRate": "0.03"}),
    "the value of the other model": member(0, parameters={"epochs": "5", "learningRate": "0.01"}),
    "another value of a common parameter": member(0, parameters={"epochs": "9", "learningRate": "0.003"}),
    "one more parameter": member(0, parameters={"epochs": "5", "learningRate": "0.003", "hidden": "9999"}),
    "a value for the task alone": dataclasses.replace(member(0), parameters={"epochs": "5", "learningRate": "0.01"}),
    "more rounds in the series": member(0, rounds=MODEL.rounds + 1),
    "a round beyond the series": member(0, round=MODEL.rounds + 1),
    "another series": member(0, series=2),
    "test rows": dataclasses.replace(member(0, EVALUATE), rows="Test"),
    "other weights": dataclasses.replace(
        member(0), pushed=(AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda"),)
    ),
    "no model": dataclasses.replace(member(0), model=None),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_task_outside_the_set_is_not_covered(name: str) -> None:
    assert covers(member(0), approved())
    assert not covers(ATTACKS[name], approved())


def test_a_task_outside_the_set_waits_for_people_who_read_why() -> None:
    changed = dataclasses.replace(ATTACKS["another value of a model"], round_uid="round-uid")
    changes = {name: getattr(changed, name) for name in Assignment.__dataclass_fields__}
    planned = plan(seen(a_task(envelope=signed(**changes)), site=MANUAL, approvals=(approved(),)))
    assert not accepts(planned)
    [accepted] = [each for each in planned.status.conditions if each.type == "Accepted"]
    assert "Approval breast-s1 does not cover the task: the hub now asks for other terms (parameters)." in (
        accepted.message
    )


def test_the_limit_is_that_of_all_models_together() -> None:
    """Each model plans four rounds. The person allows three in all."""
    full = {"rounds": 3, "roundTasks": [key_of(member(0)), "x/1", "y/1"]}
    assert covers(member(0), approved(maxRounds=3, status=full)), "it counts already"
    assert not covers(member(1), approved(maxRounds=3, status=full))
    assert covers(member(1), approved(maxRounds=4, status=full))
    assert covers(member(1, EVALUATE), approved(maxRounds=3, status=full)), "evaluations have a number of their own"


def test_tasks_count_for_a_second_approval_of_the_same_models_and_after_the_first_was_deleted() -> None:
    used = an_approval(
        own_terms(member(0)), name="single", withdrawnBy="bob", status={"rounds": 2, "roundTasks": ["a/1", "b/1"]}
    )
    assert not covers(member(1), approved(maxRounds=2), used)
    digest = terms.digest(text(own_terms(member(0))))
    known = tuple(EarlierTask(key=f"{each}/1", terms=digest, evaluation=False) for each in "ab")
    assert not covers(member(1), approved(maxRounds=2), earlier=known)
    assert covers(member(1), approved(maxRounds=3), earlier=known)
    status = approvals.count(approved(), member(1), key_of(member(1)), Approvals(every=(approved(),), earlier=known))
    assert status.round_tasks == ("a/1", "b/1", key_of(member(1)))


def test_the_courier_agrees_with_the_site_operator() -> None:
    def agrees(approval: Approval, task: Assignment, now: datetime = NOW) -> bool:
        return approvals.stands_for(approval, task, key_of(task), now)

    other = dataclasses.replace(ATTACKS["another model with a value of the sweep"], round_uid="round-of-9")
    disguised = dataclasses.replace(member(0), model=member(1).model)
    counts = {"rounds": 3, "roundTasks": [key_of(each) for each in (member(0), other, disguised)]}
    known = approved(status=counts)
    assert agrees(known, member(0))
    assert not agrees(known, member(1)), "it does not count"
    assert not agrees(known, disguised)
    assert not agrees(known, other)
    assert not agrees(approved(status=counts, withdrawnBy="bob"), member(0))
    assert not agrees(known, member(0), NOW + timedelta(days=31))


def test_a_denial_of_a_sweep_is_about_each_of_its_models() -> None:
    denial = Approvals(every=(approved(verdict="Deny"),))
    assert approvals.denying(member(1), denial) is not None
    assert approvals.denying(member(2), denial) is None


def test_a_denial_of_a_sweep_that_another_version_has_written_stays_a_denial() -> None:
    denial = Approvals(every=(an_approval(verdict="Deny", terms=respelt(more=1)),))
    assert approvals.denying(member(1), denial) is not None
    assert approvals.denying(member(2), denial) is None
    unreadable = an_approval(verdict="Deny", terms=respelt(models=[{"name": "heart-0"}]))
    assert approvals.denying(member(2), Approvals(every=(unreadable,))) is not None


def respelt(**changes: Any) -> str:
    document = codec.dump_document(SWEEP) | changes
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


MODELS = json.loads(text(SWEEP))["models"]


@pytest.mark.parametrize(
    "other",
    [
        respelt(models=MODELS[::-1]),
        respelt(models=MODELS[:1]),
        respelt(models=[]),
        respelt(models=[MODELS[0], MODELS[0]]),
        respelt(models=[{**each, "values": {**each["values"], "epochs": "5"}} for each in MODELS], parameters={}),
        respelt(models=[{**MODELS[0], "values": {}}, MODELS[1]]),
        respelt(more=1),
        respelt() + " ",
    ],
)
def test_terms_that_are_not_the_one_spelling_of_a_sweep_cover_nothing(other: str) -> None:
    assert respelt() == text(SWEEP)
    known = an_approval(terms=other)
    assert not covers(member(0), known)
    status = approvals.status(known, NOW)
    assert [each.reason for each in status.conditions if each.type == "Ready"] == ["ApprovalUnreadable"]


def test_a_sweep_is_of_two_models_or_more_that_differ_in_values_alone() -> None:
    one = own_terms(member(0))
    assert sweep_terms([one]) is None
    assert sweep_terms([one, one]) is None
    others = [
        dataclasses.replace(one, model_uid=f"u-{number:03}", model_name=f"heart-{number}")
        for number in range(MOST_MODELS)
    ]
    assert sweep_terms(others) is not None
    assert sweep_terms([one, *others]) is None
    for field, value in (("rounds", 9), ("image", "other"), ("parameters", {"epochs": "5"}), ("release", "Readers")):
        assert sweep_terms([one, dataclasses.replace(own_terms(member(1)), **{field: value})]) is None, field  # type: ignore[arg-type]


def test_two_models_of_one_name_are_no_sweep() -> None:
    """A person who reads a list of names would approve a model that the list does not show."""
    one, other = own_terms(member(0)), own_terms(member(1))
    assert sweep_terms([one, other]) is not None
    assert sweep_terms([one, dataclasses.replace(other, model_name=one.model_name)]) is None
    assert not covers(member(0), an_approval(terms=respelt(models=[{**each, "name": "heart"} for each in MODELS])))


def test_an_approval_of_a_sweep_says_how_it_stands() -> None:
    for known, reason in (
        (approved(), "SeriesApproved"),
        (approved(maxRounds=1, status={"rounds": 1, "roundTasks": ["a/1"]}), "ApprovalUsedUp"),
        (approved(until=to_seconds(NOW)), "ApprovalOver"),
    ):
        after = approvals.status(known, NOW)
        assert [each.reason for each in after.conditions if each.type == "Ready"] == [reason]
