"""What a round starts from, and with what an evaluation compares its model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    accepted,
    aggregating,
    at,
    collecting,
    combined,
    failed,
    federated_round,
    observation,
    over,
    sent,
)
from tests.unit.plans_hub.reading import condition_of, message_of, of_type
from wardround.api.federatedmodel import KIND
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import Meta, owner
from wardround.api.times import to_seconds
from wardround.plans.round.plan import plan
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Dispatch,
    Observation,
    Reference,
    StoredModel,
    StoreModel,
)
from wardround.reasons.registry import REASONS


def test_the_action_for_a_base_of_another_task_names_both_fields_that_name_a_base() -> None:
    action = REASONS["BaseTaskDiffers"].action
    assert "base.roundName names a Train round" in action
    assert "initial.statisticsRoundName names a Statistics round" in action


def with_base(**changes: Any) -> Observation:
    return observation(federated_round(initial=None, base={"roundName": "train-0"}), **changes)


def test_a_round_waits_for_a_base_that_may_still_complete() -> None:
    made = plan(with_base(base=federated_round("train-0", "other")))
    assert (made.actions, condition_of(made, "Reconciling")) == ((), ("True", "WaitingForBase"))
    assert made.status.timeline == ()


def test_a_base_that_does_not_exist_stalls_the_round_and_fails_it_after_the_admission_deadline() -> None:
    waits, ended = plan(with_base()), plan(with_base(now=at(600)))
    assert condition_of(waits, "Stalled") == ("True", "BaseNotFound")
    assert message_of(waits, "Stalled").endswith(f" The round waits until {to_seconds(at(600))}, and then fails.")
    assert condition_of(ended, "Failed") == ("True", "BaseNotFound")
    assert "waits until" not in message_of(ended, "Failed")


@pytest.mark.parametrize(
    ("base", "stored", "reason"),
    [
        (over(federated_round("train-0", "other"), "Failed"), False, "BaseFailed"),
        (over(federated_round("train-0", "other", task="Statistics"), "Complete"), True, "BaseTaskDiffers"),
        (over(federated_round("train-0", "other"), "Complete"), False, "BaseLost"),
    ],
)
def test_a_base_that_can_never_be_used_fails_the_round(base: Any, stored: bool, reason: str) -> None:
    made = plan(with_base(base=base, base_model=STORED if stored else None))
    assert condition_of(made, "Failed") == ("True", reason)


def from_pushed(**changes: Any) -> Observation:
    return observation(federated_round(initial=None, base={"versionName": "pretrained"}), **changes)


def test_a_round_waits_for_a_pushed_version_and_fails_without_one() -> None:
    waits, ended = plan(from_pushed()), plan(from_pushed(now=at(600)))
    assert condition_of(waits, "Stalled") == ("True", "PushedVersionNotFound")
    assert "has no ModelVersion pretrained that was pushed." in message_of(waits, "Stalled")
    assert waits.requeue_after == 10
    assert condition_of(ended, "Failed") == ("True", "PushedVersionNotFound")


def test_a_pushed_version_starts_the_round_and_one_of_other_columns_does_not() -> None:
    assert len(of_type(plan(from_pushed(base_model=STORED)), Dispatch)) == 3
    other = replace(STORED, result=replace(STORED.result, columns_digest="sha256:" + "0" * 64))
    made = plan(from_pushed(base_model=other))
    assert condition_of(made, "Failed") == ("True", "SchemaDiffersFromBase")
    assert "has other columns than ModelVersion pretrained." in message_of(made, "Failed")


def test_a_complete_base_starts_the_round() -> None:
    base = over(federated_round("train-0", "other"), "Complete")
    assert len(of_type(plan(with_base(base=base, base_model=STORED)), Dispatch)) == 3


def test_a_round_starts_from_the_result_of_a_round_that_was_deleted_while_it_waited() -> None:
    made = plan(with_base(base_model=STORED, base_uid="uid-0", base_deleted=True))
    assert len(of_type(made, Dispatch)) == 3
    assert condition_of(made, "BaseDeleted") == ("True", "BaseDeleted")
    assert message_of(made, "BaseDeleted").startswith("Somebody deleted round train-0, from which this round starts.")
    statistics = replace(STORED, task="Statistics")
    other = plan(with_base(base_model=statistics, base_uid="uid-0", base_deleted=True))
    assert condition_of(other, "Failed") == ("True", "BaseTaskDiffers")
    words = "The task of round train-0 is Statistics. This round needs a Train round."
    assert message_of(other, "Failed").startswith(words)


def test_a_round_made_after_its_base_was_deleted_says_so_and_waits_for_another_of_that_name() -> None:
    late = with_base(base_deleted=True)
    waits, ended = plan(late), plan(replace(late, now=at(600)))
    assert condition_of(waits, "Stalled") == ("True", "BaseUnusable")
    assert message_of(waits, "Stalled").startswith("Somebody deleted round train-0 before this round was applied.")
    assert condition_of(ended, "Failed") == ("True", "BaseUnusable")


def test_a_running_round_goes_on_when_its_base_is_deleted_and_says_so() -> None:
    spec = {"initial": None, "base": {"roundName": "train-0"}}
    tasks = (failed("site-a"), accepted("site-b"), accepted("site-c"))
    made = plan(collecting(*tasks, spec=spec, base_model=STORED, base_uid="uid-0", base_deleted=True))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a"]
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert condition_of(made, "BaseDeleted") == ("True", "BaseDeleted")


def test_nothing_is_asked_or_combined_for_a_round_whose_base_cannot_be_opened() -> None:
    """Else sites would train from nothing, and the aggregation would take what they send for first weights."""
    spec = {"initial": None, "base": {"roundName": "train-0"}}
    again = collecting(failed("site-a"), accepted("site-b"), accepted("site-c"), spec=spec)
    died = collecting(*map(sent, NAMES), spec=spec, aggregation=Aggregation(number=1, over=True))
    for seen in (again, died):
        made = plan(seen)
        assert condition_of(made, "Failed") == ("True", "BaseLost")
        assert not of_type(made, Dispatch)
        assert not of_type(made, Aggregate)


def test_an_initial_round_waits_for_its_statistics() -> None:
    initial = federated_round(initial={"statisticsRoundName": "stats"})
    running = federated_round("stats", "other", task="Statistics", initial=None, image=None)
    assert condition_of(plan(observation(initial, base=running)), "Reconciling")[1] == "WaitingForBase"
    done, stored = over(running, "Complete"), replace(STORED, task="Statistics")
    assert len(of_type(plan(observation(initial, base=done, base_model=stored)), Dispatch)) == 3


EVALUATES: dict[str, Any] = {"task": "Evaluate", "initial": None, "base": {"roundName": "train-0"}}
FIRST = over(federated_round("heart-1", "uid-1"), "Complete")
READY = Reference(name="heart-1", round=FIRST, uid="uid-1", model=STORED)


def comparing(*references: Reference, **changes: Any) -> Observation:
    names = [each.name for each in references]
    base = over(federated_round("train-0", "uid-0"), "Complete")
    known = {"base": base, "base_uid": "uid-0", "base_model": STORED, "references": references}
    return observation(federated_round(**EVALUATES, references=names), **{**known, **changes})


def test_an_evaluation_asks_once_base_and_references_are_complete() -> None:
    other = replace(STORED, aggregated=("site-b",), states={"site-a": "uid-of-an-earlier-one"})
    made = plan(comparing(READY, replace(READY, name="heart-2", uid="uid-2", model=other)))
    states = {each.participant: each.reference_states for each in of_type(made, Dispatch)}
    assert states == {
        "site-a": ("uid-1", "uid-of-an-earlier-one"),
        "site-b": ("uid-1", "uid-2"),
        "site-c": ("uid-1", ""),
    }


def test_an_evaluation_waits_for_each_reference() -> None:
    running = Reference(name="heart-2", round=federated_round("heart-2", "uid-2"), uid="uid-2")
    for references in ((running,), (READY, running)):
        made = plan(comparing(*references))
        assert (made.actions, condition_of(made, "Reconciling")) == ((), ("True", "WaitingForReference"))
        assert "heart-2" in message_of(made, "Reconciling")


@pytest.mark.parametrize("deleted", [False, True])
def test_a_reference_that_does_not_exist_stalls_the_round_and_fails_it_after_the_admission_deadline(
    deleted: bool,
) -> None:
    missing = Reference(name="heart-2", deleted=deleted)
    waits, ended = plan(comparing(READY, missing)), plan(comparing(READY, missing, now=at(600)))
    assert condition_of(waits, "Stalled") == ("True", "ReferenceNotFound")
    assert message_of(waits, "Stalled").endswith(f" The round waits until {to_seconds(at(600))}, and then fails.")
    assert condition_of(ended, "Failed") == ("True", "ReferenceNotFound")
    assert "heart-2" in message_of(ended, "Failed")


COUNTING = over(federated_round("heart-1", "uid-1", task="Statistics", initial=None, image=None), "Complete")
OTHER_BOUNDS = replace(STORED, result=replace(STORED.result, schema_digest="sha256:" + "1" * 64))
OTHER_COLUMNS = replace(OTHER_BOUNDS, result=replace(OTHER_BOUNDS.result, columns_digest="sha256:" + "1" * 64))


def test_a_reference_of_another_task_is_told_in_words_that_suit_each_task() -> None:
    made = plan(comparing(replace(READY, round=None, model=replace(STORED, task="Evaluate"))))
    words = "The task of round heart-1 of spec.references is Evaluate."
    assert message_of(made, "Failed").startswith(words)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"round": over(federated_round("heart-1", "uid-1"), "Failed"), "model": None}, "ReferenceFailed"),
        ({"round": COUNTING}, "ReferenceTaskDiffers"),
        ({"round": None, "model": replace(STORED, task="Evaluate")}, "ReferenceTaskDiffers"),
        ({"model": None}, "ReferenceLost"),
        ({"model": OTHER_COLUMNS}, "ReferenceDiffers"),
        ({"model": OTHER_BOUNDS}, "ReferenceDiffers"),
    ],
)
def test_a_reference_that_can_never_be_compared_fails_the_round(change: dict[str, Any], reason: str) -> None:
    for references in ((replace(READY, **change),), (replace(READY, name="heart-0"), replace(READY, **change))):
        made = plan(comparing(*references))
        assert condition_of(made, "Failed") == ("True", reason)
        assert "heart-1" in message_of(made, "Failed")
        assert not made.actions


@pytest.mark.parametrize(
    ("model", "difference"),
    [(OTHER_COLUMNS, "columns"), (OTHER_BOUNDS, "types, bounds, categories or required of a field")],
)
def test_the_round_says_which_reference_has_another_dataschema_and_how_it_differs(
    model: StoredModel, difference: str
) -> None:
    made = plan(comparing(replace(READY, name="heart-0"), replace(READY, name="heart-1", model=model)))
    assert message_of(made, "Failed").startswith(
        "The model of round heart-1 of spec.references was trained with another DataSchema than the model of the base, "
        f"round train-0: their {difference} differ."
    )


def test_an_evaluation_compares_with_the_result_of_a_round_that_was_deleted_while_it_waited() -> None:
    made = plan(comparing(Reference(name="heart-1", uid="uid-1", deleted=True, model=STORED)))
    assert [each.reference_states for each in of_type(made, Dispatch)] == [("uid-1",)] * 3


def test_a_running_evaluation_fails_if_a_reference_cannot_be_opened_any_more() -> None:
    """Else a further attempt would get no model to compare with."""
    spec = {**EVALUATES, "references": ["heart-1"]}
    tasks = (failed("site-a"), accepted("site-b"), accepted("site-c"))
    known = {"spec": spec, "base_model": STORED, "base_uid": "uid-0"}
    made = plan(collecting(*tasks, references=(replace(READY, model=None),), **known))
    assert condition_of(made, "Failed") == ("True", "ReferenceLost")
    again = plan(collecting(*tasks, references=(READY,), **known))
    assert [(each.participant, each.reference_states) for each in of_type(again, Dispatch)] == [("site-a", ("uid-1",))]


# Rounds of a FederatedModel

HEART, OTHER = (Meta(name=name, namespace="heart", uid=f"uid-of-{name}") for name in ("heart", "other"))


def owned(model: Meta | None, federated: FederatedRound) -> FederatedRound:
    """The round, under the control of the model."""
    owners = (owner(KIND, model),) if model else ()
    return replace(federated, metadata=replace(federated.metadata, owner_references=owners))


@pytest.mark.parametrize("model", [None, OTHER, replace(HEART, uid="uid-of-an-earlier-one")])
def test_a_round_of_a_model_does_not_start_from_a_round_that_somebody_has_put_in_the_place_of_its_base(
    model: Meta | None,
) -> None:
    base = owned(model, over(federated_round("train-0", "uid-0"), "Complete"))
    seen = with_base(base=base, base_model=STORED)
    made = plan(replace(seen, round=owned(HEART, seen.round)))
    assert not of_type(made, Dispatch)
    assert condition_of(made, "Failed") == ("True", "BaseReplaced")


@pytest.mark.parametrize("model", [None, OTHER])
def test_a_round_of_a_model_is_not_compared_with_a_round_that_somebody_has_put_there(model: Meta | None) -> None:
    assert READY.round is not None
    seen = comparing(replace(READY, round=owned(model, READY.round)))
    base = owned(HEART, seen.base) if seen.base else None
    made = plan(replace(seen, round=owned(HEART, seen.round), base=base))
    assert not of_type(made, Dispatch)
    assert condition_of(made, "Failed") == ("True", "ReferenceReplaced")
    assert READY.name in message_of(made, "Failed")


MODEL_SAYS = "Run `kubectl wardround explain federatedmodel/heart -n breast-cancer`"


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("task", ["Train", "Evaluate", "Deliver"])
def test_a_round_of_a_model_whose_base_is_gone_fails_at_once(task: str, deleted: bool) -> None:
    """The base was there before, and nobody can make it again."""
    seen = observation(federated_round(task=task, initial=None, base={"roundName": "train-0"}), base_deleted=deleted)
    made = plan(replace(seen, round=owned(HEART, seen.round)))
    assert condition_of(made, "Failed") == ("True", "BaseGone")
    assert message_of(made, "Failed").startswith("Somebody deleted round train-0, whose result this round needs.")
    assert MODEL_SAYS in message_of(made, "Failed")
    assert condition_of(plan(seen), "Stalled")[0] == "True", "the round of a person waits"


def test_an_initial_round_of_a_model_whose_statistics_are_gone_fails_at_once() -> None:
    seen = observation(federated_round(initial={"statisticsRoundName": "stats"}))
    made = plan(replace(seen, round=owned(HEART, seen.round)))
    assert condition_of(made, "Failed") == ("True", "BaseGone")


@pytest.mark.parametrize("deleted", [False, True])
def test_a_round_of_a_model_whose_reference_is_gone_fails_at_once(deleted: bool) -> None:
    seen = comparing(Reference(name="heart-2", deleted=deleted))
    base = owned(HEART, seen.base) if seen.base else None
    made = plan(replace(seen, round=owned(HEART, seen.round), base=base))
    assert condition_of(made, "Failed") == ("True", "ReferenceGone")
    assert message_of(made, "Failed").startswith("Somebody deleted round heart-2 of spec.references")
    assert MODEL_SAYS in message_of(made, "Failed")


@pytest.mark.parametrize("name", ["BaseGone", "BaseReplaced", "ReferenceGone", "ReferenceReplaced"])
def test_nobody_is_told_to_apply_a_round_in_the_place_of_one_of_a_model(name: str) -> None:
    assert "apply" not in REASONS[name].action.lower()
    assert REASONS[name].lasting


@pytest.mark.parametrize("name", ["BaseNotFound", "ReferenceNotFound"])
def test_the_advice_about_a_missing_round_tells_rounds_of_people_from_those_of_a_model(name: str) -> None:
    """A person's round may name the round of a ModelVersion."""
    action = REASONS[name].action
    assert action.startswith("If the name is right, and people apply this other round, apply it in this namespace.")
    assert "If a FederatedModel made this other round, nobody can bring it back" in action


def test_a_round_of_a_model_starts_from_another_round_of_the_model_and_is_compared_with_one() -> None:
    base = owned(HEART, over(federated_round("train-0", "uid-0"), "Complete"))
    seen = with_base(base=base, base_model=STORED)
    assert len(of_type(plan(replace(seen, round=owned(HEART, seen.round))), Dispatch)) == 3
    assert READY.round is not None
    compared = comparing(replace(READY, round=owned(HEART, READY.round)))
    base_of_it = owned(HEART, compared.base) if compared.base else None
    assert len(of_type(plan(replace(compared, round=owned(HEART, compared.round), base=base_of_it)), Dispatch)) == 3


def test_a_round_that_a_person_made_starts_from_a_round_of_a_model() -> None:
    base = owned(HEART, over(federated_round("train-0", "uid-0"), "Complete"))
    assert len(of_type(plan(with_base(base=base, base_model=STORED)), Dispatch)) == 3


@pytest.mark.parametrize("uid", ["", OTHER.uid])
def test_a_round_of_a_model_uses_no_result_that_is_left_of_a_round_of_somebody_else(uid: str) -> None:
    """A person has put a round in the place of the base, and has deleted it again once it was Complete."""
    left = replace(STORED, model_uid=uid)
    seen = with_base(base_model=left, base_uid="uid-0", base_deleted=True)
    made = plan(replace(seen, round=owned(HEART, seen.round)))
    assert (of_type(made, Dispatch), condition_of(made, "Failed")) == ([], ("True", "BaseReplaced"))
    compared = comparing(Reference(name="heart-1", uid="uid-1", deleted=True, model=left))
    base = owned(HEART, compared.base) if compared.base else None
    made = plan(replace(compared, round=owned(HEART, compared.round), base=base))
    assert (of_type(made, Dispatch), condition_of(made, "Failed")) == ([], ("True", "ReferenceReplaced"))


def test_a_round_of_a_model_uses_the_result_that_is_left_of_another_round_of_the_model() -> None:
    seen = with_base(base_model=replace(STORED, model_uid=HEART.uid), base_uid="uid-0", base_deleted=True)
    assert len(of_type(plan(replace(seen, round=owned(HEART, seen.round))), Dispatch)) == 3


def test_a_result_remembers_the_model_whose_round_made_it() -> None:
    seen = aggregating(answer=combined(*NAMES))
    for model, uid in ((None, ""), (HEART, HEART.uid)):
        [store] = of_type(plan(replace(seen, round=owned(model, seen.round))), StoreModel)
        assert store.model.model_uid == uid
