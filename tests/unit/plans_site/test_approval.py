"""Which tasks an Approval of a model covers, how they count, and what a denial denies."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

import pytest

from tests.conditions import condition
from tests.unit.plans_site.approved import (
    EVALUATE,
    MODEL,
    STATISTICS,
    TERMS,
    TRAIN,
    UNTIL,
    an_approval,
    counted,
    covers,
    earlier_task,
    key_of,
    terms,
    waiting,
)
from tests.worlds.site import (
    ASSIGNMENT,
    HUB,
    IMAGE,
    NOW,
    a_reference,
    a_site,
)
from wardround.api.approval import Approval
from wardround.api.times import to_seconds
from wardround.plans import approval as approvals
from wardround.plans.approval import Approvals
from wardround.plans.sitetask.plan import plan
from wardround.plans.terms import SeriesTerms, differing, text
from wardround.wire import canonical
from wardround.wire.assignment import (
    AssignedDelivery,
    AssignedPushed,
    AssignedSchedule,
    AssignedStep,
    Assignment,
    Exchange,
    Quorum,
    Resources,
)


def test_the_evaluations_of_a_series_do_not_declare_the_number_of_steps() -> None:
    """Training code reports it for the strategy FedNova, and an evaluation has none."""
    model = dataclasses.replace(MODEL, metrics=("loss", "steps"))
    train = dataclasses.replace(TRAIN, model=model, metrics=("loss", "steps"))
    evaluation = dataclasses.replace(EVALUATE, model=model, metrics=("loss",))
    assert approvals.deviations(train) == ()
    assert approvals.deviations(evaluation) == ()
    assert approvals.deviations(dataclasses.replace(train, metrics=("loss",))) != ()
    assert approvals.deviations(dataclasses.replace(evaluation, metrics=("loss", "steps"))) != ()


@pytest.mark.parametrize("task", [TRAIN, EVALUATE, STATISTICS], ids=lambda each: each.task)
def test_an_approval_covers_all_tasks_of_the_series(task: Assignment) -> None:
    assert approvals.deviations(task) == ()
    assert covers(task, an_approval())


def test_a_scheduled_parameter_has_its_value_from_its_round_on() -> None:
    third = dataclasses.replace(MODEL, round=3)
    assert covers(dataclasses.replace(TRAIN, model=third, parameters={"epochs": "2"}), an_approval())
    assert not covers(dataclasses.replace(TRAIN, model=third), an_approval())


# The hub asks for something else than was approved: the series says so, and the task agrees with the series.
CHANGED_TERMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # field of the terms: (what changes in the assignment, what in its model)
    "federation": ({"round_namespace": "other"}, {}),
    "model_name": ({}, {"name": "other"}),
    "model_uid": ({}, {"uid": "other"}),
    "series": ({}, {"series": 2}),
    "rounds": ({}, {"rounds": 4}),
    "tasks": ({}, {"tasks": (*MODEL.tasks, "Evaluate Test")}),
    "image": ({"image": f"other@{IMAGE.partition('@')[2]}"}, {"image": f"other@{IMAGE.partition('@')[2]}"}),
    "command": ({"command": ("sh",)}, {"command": ("sh",)}),
    "parameters": ({"parameters": {"epochs": "6"}}, {"parameters": {"epochs": "6"}}),
    "schedules": ({}, {"schedules": (AssignedSchedule("epochs", (AssignedStep(3, "1000"),)),)}),
    "dataset_name": ({"dataset_name": "lung"}, {}),
    "schema": ({"schema": dataclasses.replace(ASSIGNMENT.schema, digest="sha256:" + "0" * 64)}, {}),
    "frozen": ({"exchange": Exchange(())}, {"frozen": ()}),
    "metrics": ({"metrics": ("loss", "people")}, {"metrics": ("loss", "people")}),
    "quorum": ({"quorum": Quorum(1, (), 60, "Fail")}, {"quorum": Quorum(1, (), 60, "Fail")}),
    "evaluation_quorum": ({}, {"evaluation_quorum": Quorum(1, (), 60, "Fail")}),
    "resources": (
        {"resources": Resources(1, 0, local_sockets=True)},
        {"resources": Resources(1, 0, local_sockets=True)},
    ),
    "release": ({"release": "Readers"}, {}),
    "pushed": ({"pushed": (AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda"),)}, {}),
    "compression": ({"initial": False, "compression": "Int8"}, {"compression": "Int8"}),
    "evaluation_every": ({"evaluation_every": 1}, {}),
}


@pytest.mark.parametrize("name", CHANGED_TERMS)
def test_a_hub_that_changes_one_term_falls_outside_the_approval(name: str) -> None:
    assignment, model = CHANGED_TERMS[name]
    changed = dataclasses.replace(TRAIN, **assignment, model=dataclasses.replace(MODEL, **model))
    assert approvals.deviations(changed) == (), "the task agrees with what the hub says of its series"
    assert not covers(changed, an_approval())
    assert len(differing(TERMS, terms(changed))) == 1


def test_an_approval_of_pushed_weights_covers_no_others() -> None:
    """Somebody deletes the pushed version, and another person pushes one of its name."""
    wanda = AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda")
    task = dataclasses.replace(TRAIN, pushed=(wanda,))
    approved = an_approval(terms(task))
    assert covers(task, approved)
    for other in ({"requested_by": "mallory"}, {"digest": "sha256:" + "f" * 64}):
        assert not covers(dataclasses.replace(TRAIN, pushed=(dataclasses.replace(wanda, **other),)), approved)


def test_each_term_is_changed_once() -> None:
    assert {*CHANGED_TERMS} == {each.name for each in dataclasses.fields(SeriesTerms)}


# The series is the approved one, and the task is not as the series says.
DEVIATIONS: dict[str, tuple[Assignment, dict[str, Any]]] = {
    "task": (EVALUATE, {"rows": "Test"}),
    "round": (TRAIN, {"model": dataclasses.replace(MODEL, round=4), "parameters": {"epochs": "2"}}),
    "image": (TRAIN, {"image": "other"}),
    "command": (TRAIN, {"command": ("sh",)}),
    "parameters": (TRAIN, {"parameters": {"epochs": "2"}}),
    "frozen": (TRAIN, {"exchange": Exchange(())}),
    "metrics": (EVALUATE, {"metrics": ("loss", "people")}),
    "quorum": (EVALUATE, {"quorum": MODEL.quorum}),
    "resources": (STATISTICS, {"resources": Resources(1, 1, local_sockets=False)}),
    "references": (EVALUATE, {"references": (a_reference(parameters={"epochs": "7"}),)}),
    "compression": (EVALUATE, {"compression": "Int8"}),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_task_that_is_not_as_its_series_says_is_not_covered(name: str) -> None:
    task, changes = DEVIATIONS[name]
    changed = dataclasses.replace(task, **changes)
    assert approvals.deviations(changed) == (name,)
    assert not covers(changed, an_approval())
    assert f"({name})" in approvals.why_not_covered(changed, Approvals(every=(an_approval(),)), NOW)


def test_a_task_may_mix_more_hospitals_than_the_series_says_and_not_fewer() -> None:
    """Where the strategy is Krum, the Train rounds of a series mix fewer hospitals than its Statistics round."""
    for least, deviations in ((MODEL.quorum.min + 1, ()), (MODEL.quorum.min - 1, ("quorum",))):
        changed = dataclasses.replace(STATISTICS, quorum=dataclasses.replace(MODEL.quorum, min=least))
        assert approvals.deviations(changed) == deviations


def test_only_the_rounds_of_a_compressed_series_that_send_differences_compress_them() -> None:
    model = dataclasses.replace(MODEL, compression="Int8")
    first, later = dataclasses.replace(TRAIN, initial=True), dataclasses.replace(TRAIN, initial=False)
    for task, compression in ((first, "None"), (later, "Int8"), (EVALUATE, "None"), (STATISTICS, "None")):
        number = dataclasses.replace(model, round=task.model.round if task.model else 0)
        for given in ("None", "BFloat16", "Int8"):
            changed = dataclasses.replace(task, model=number, compression=given)
            assert approvals.deviations(changed) == (() if given == compression else ("compression",))


def test_every_part_of_a_task_that_is_compared_deviates_once() -> None:
    assert DEVIATIONS.keys() == approvals.COMPARED.keys()


def test_a_reference_that_a_round_of_the_series_could_have_made_is_covered() -> None:
    for epochs in ("5", "2"):
        assert covers(
            dataclasses.replace(EVALUATE, references=(a_reference(parameters={"epochs": epochs}),)), an_approval()
        )


def test_a_round_of_a_person_is_covered_by_no_approval() -> None:
    assert not covers(ASSIGNMENT, an_approval())
    assert approvals.why_not_covered(ASSIGNMENT, Approvals(every=(an_approval(),)), NOW) == ""


def without(name: str) -> str:
    """The text of the terms without one of its fields."""
    document = {key: each for key, each in json.loads(text(TERMS)).items() if key != name}
    return canonical.dumps(document).decode()


@pytest.mark.parametrize(
    "over",
    [
        {"until": to_seconds(NOW)},
        {"until": "no time"},
        {"withdrawnBy": "bob"},
        {"verdict": "Deny"},
        {"maxRounds": 0},
        {"terms": "{}"},
        {"terms": text(TERMS) + " "},
        *({"terms": without(name)} for name in ("pushed", "compression", "evaluationEvery")),
    ],
    ids=str,
)
def test_an_approval_that_is_over_covers_nothing(over: dict[str, Any]) -> None:
    assert not covers(TRAIN, an_approval(**over))


# Counting


def test_a_task_counts_once_and_each_attempt_is_a_task() -> None:
    first = counted(TRAIN, an_approval())
    assert (first.rounds, first.round_tasks, first.evaluations) == (1, (key_of(TRAIN),), 0)
    known = dataclasses.replace(an_approval(), status=first)
    assert counted(TRAIN, known) == first
    second = dataclasses.replace(TRAIN, attempt=2)
    assert counted(second, known).round_tasks == (key_of(TRAIN), key_of(second))
    evaluated = counted(EVALUATE, known)
    assert (evaluated.evaluations, evaluated.evaluation_tasks, evaluated.rounds) == (1, (key_of(EVALUATE),), 1)


# What a hub can change in a task without changing its terms.
OTHERS: dict[str, dict[str, Any]] = {
    "seed": {"seed": 8},
    "deadlines": {"train_seconds": 3600},
    "threads": {"threads": 3},
    "roster": {"roster": ("site-a", "site-c")},
    "expiry": {"expires": "2026-11-25T12:00:00Z"},
    "issue time": {"issued": "2026-11-24T12:00:00.000000Z"},
    "state": {"state_round": "another"},
    "round key": {"round_public_key": b"0" * 32},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_assignment_of_a_counted_attempt_counts_as_a_further_task(name: str) -> None:
    known = dataclasses.replace(an_approval(maxRounds=1), status=counted(TRAIN, an_approval()))
    assert covers(TRAIN, known)
    other = dataclasses.replace(TRAIN, **OTHERS[name])
    assert not covers(other, known)
    assert counted(other, known).round_tasks == (key_of(TRAIN), key_of(other))


def test_an_assignment_counts_once_in_whichever_envelope_it_comes() -> None:
    """Each ECDSA signature of the same payload differs."""
    envelopes = {HUB.sign(TRAIN) for _ in range(3)}
    assert len(envelopes) == 3
    assert {approvals.task_key(TRAIN, each) for each in envelopes} == {key_of(TRAIN)}


def test_the_last_round_is_covered_and_the_next_one_is_not() -> None:
    full = {"rounds": 2, "roundTasks": ["a/1", key_of(TRAIN)]}
    assert covers(TRAIN, an_approval(status=full, maxRounds=2)), "it counts already, as after a crash"
    assert not covers(dataclasses.replace(TRAIN, attempt=2), an_approval(status=full, maxRounds=2))
    assert covers(dataclasses.replace(TRAIN, attempt=2), an_approval(status=full, maxRounds=3))
    # Evaluations have a number of their own.
    assert covers(EVALUATE, an_approval(status=full, maxRounds=2))


def test_a_new_approval_of_the_same_terms_does_not_begin_at_zero() -> None:
    withdrawn = an_approval(name="old", withdrawnBy="bob", status={"rounds": 2, "roundTasks": ["a/1", "b/1"]})
    assert not covers(TRAIN, an_approval(maxRounds=2), withdrawn)
    assert counted(TRAIN, an_approval(maxRounds=3), withdrawn).round_tasks == ("a/1", "b/1", key_of(TRAIN))


def test_after_an_approval_was_deleted_the_tasks_at_the_site_still_count() -> None:
    known = (earlier_task("a/1"), earlier_task("b/1"), earlier_task("c/1", evaluation=True))
    assert not covers(TRAIN, an_approval(maxRounds=2), earlier=known)
    assert counted(TRAIN, an_approval(), earlier=known).round_tasks == ("a/1", "b/1", key_of(TRAIN))
    others = tuple(earlier_task(f"{n}/1", dataclasses.replace(TERMS, series=2)) for n in range(9))
    assert covers(TRAIN, an_approval(maxRounds=1), earlier=others)


# A denial


def test_a_denial_is_about_the_model_whatever_the_hub_changes() -> None:
    changed = dataclasses.replace(TRAIN, parameters={"epochs": "6"}, model=dataclasses.replace(MODEL, series=4))
    denial = an_approval(verdict="Deny")
    assert approvals.denying(changed, Approvals(every=(an_approval(), denial))) == denial
    assert approvals.denying(changed, Approvals(every=(an_approval(verdict="Deny", withdrawnBy="bob"),))) is None
    other = dataclasses.replace(TRAIN, model=dataclasses.replace(MODEL, uid="another"))
    assert approvals.denying(other, Approvals(every=(denial,))) is None
    assert approvals.denying(ASSIGNMENT, Approvals(every=(denial,))) is None


def test_a_denial_of_a_model_is_about_its_deliveries_too() -> None:
    """A Deliver round is no round of a series, so its assignment names the model elsewhere."""
    delivery = AssignedDelivery(model_name="breast", model_uid=MODEL.uid, version=3, keep=5, card="card")
    delivered = dataclasses.replace(ASSIGNMENT, task="Deliver", delivery=delivery)
    denial = an_approval(verdict="Deny")
    assert approvals.denying(delivered, Approvals(every=(denial,))) == denial
    other = dataclasses.replace(delivered, delivery=dataclasses.replace(delivery, model_uid="another"))
    assert approvals.denying(other, Approvals(every=(denial,))) is None


UNREADABLE = ["{}", "not JSON", "[]", '{"federation": "f", "modelUID": 1}', '{"modelUID": "u"}', '{"federation": "f"}']


@pytest.mark.parametrize("change", [{"newField": "x"}, {"compression": "Zstd"}, {"rounds": -1}, {"quorum": None}])
def test_a_denial_that_another_version_has_written_stays_a_denial(change: dict[str, Any]) -> None:
    written = json.dumps(json.loads(text(TERMS)) | change, indent=2)
    denial = an_approval(verdict="Deny", terms=written)
    assert approvals.denying(TRAIN, Approvals(every=(denial,))) == denial
    other = dataclasses.replace(TRAIN, model=dataclasses.replace(MODEL, uid="another"))
    assert approvals.denying(other, Approvals(every=(denial,))) is None
    assert not covers(TRAIN, an_approval(terms=written)), "an Approval is read strictly"


@pytest.mark.parametrize("written", UNREADABLE)
def test_a_denial_that_names_no_model_denies_all_models_until_a_person_withdraws_it(written: str) -> None:
    denial = an_approval(verdict="Deny", terms=written)
    planned = plan(dataclasses.replace(waiting(TRAIN, denial), site=a_site(approval="Policy")))
    assert planned.status.failure is not None
    assert planned.status.failure.reason == "Denied"
    decision = planned.status.decision
    assert decision is not None
    assert decision.approval == denial.metadata.name
    assert approvals.denying(ASSIGNMENT, Approvals(every=(denial,))) is None, "a round that a person has made"
    withdrawn = an_approval(verdict="Deny", terms=written, withdrawnBy="bob")
    assert approvals.denying(TRAIN, Approvals(every=(withdrawn,))) is None


# How an Approval stands


@pytest.mark.parametrize(
    ("known", "reason", "status"),
    [
        (an_approval(), "SeriesApproved", "True"),
        (an_approval(verdict="Deny"), "SeriesDenied", "True"),
        (an_approval(maxRounds=1, status={"rounds": 1, "roundTasks": ["a/1"]}), "ApprovalUsedUp", "False"),
        (an_approval(until=to_seconds(NOW)), "ApprovalOver", "False"),
        (an_approval(withdrawnBy="bob"), "ApprovalOver", "False"),
        (an_approval(terms='{"a": 1}'), "ApprovalUnreadable", "False"),
        (an_approval(verdict="Deny", terms='{"a": 1}'), "DenialUnreadable", "False"),
        (an_approval(verdict="Deny", terms='{"a": 1}', withdrawnBy="bob"), "ApprovalOver", "False"),
        (an_approval(terms=without("compression")), "ApprovalUnreadable", "False"),
        (an_approval(verdict="Deny", terms=without("compression")), "SeriesDenied", "True"),
        (an_approval(verdict="Deny", terms=text(TERMS)[:-1] + ',"zzz":1}'), "SeriesDenied", "True"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_approval_says_how_it_stands(known: Approval, reason: str, status: str) -> None:
    after = approvals.status(known, NOW)
    ready = condition({"status": {"conditions": [dataclasses.asdict(each) for each in after.conditions]}}, "Ready")
    assert ready is not None
    assert (ready.reason, ready.status) == (reason, status)
    assert (after.withdrawn_at is not None) is (known.spec.withdrawn_by is not None)
    assert approvals.status(dataclasses.replace(known, status=after), NOW) == after


# The courier


def agrees(approval: Approval, task: Assignment = TRAIN, now: datetime = NOW) -> bool:
    return approvals.stands_for(approval, task, key_of(task), now)


def test_the_courier_agrees_only_if_the_task_counts_and_the_count_is_within_the_limit() -> None:
    counts = {"rounds": 2, "roundTasks": ["a/1", key_of(TRAIN)]}
    assert agrees(an_approval(status=counts, maxRounds=2))
    assert not agrees(an_approval(status=counts, maxRounds=1))
    assert not agrees(an_approval())
    assert not agrees(an_approval(status=counts), dataclasses.replace(TRAIN, attempt=2))
    assert not agrees(an_approval(status=counts), dataclasses.replace(TRAIN, seed=8)), "another task of this attempt"
    assert not agrees(an_approval(status=counts), EVALUATE)
    assert not agrees(an_approval(status=counts), ASSIGNMENT)
    assert not agrees(an_approval(status=counts, withdrawnBy="bob"))
    assert not agrees(an_approval(status=counts), now=UNTIL)
