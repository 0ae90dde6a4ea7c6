"""Along a chain of rounds columns keep their meaning: a model knows them by their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.unit.plans_hub.builders import (
    ASSIGNED,
    NAMES,
    STORED,
    WIDER,
    accepted,
    at,
    combined,
    dispatched,
    failed,
    federated_round,
    meaning,
    observation,
    over,
    sent,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, message_of, of_type
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregation, Cancel, Dispatch, Observation, StoredModel, StoreModel
from wardround.plans.schema import assigned
from wardround.wire import codec

FIRST, OTHER = ASSIGNED.columns_digest, "sha256:other"


def hospitals(*columns: str, schema: str = ASSIGNED.digest) -> dict[str, Participant]:
    return {name: meaning(name, schema, each) for name, each in zip(NAMES, columns, strict=True)}


def following(model: StoredModel, participants: Mapping[str, Participant]) -> Observation:
    current = federated_round("train-2", initial=None, base={"roundName": "train-1"})
    base = over(federated_round("train-1", "base"), "Complete")
    return observation(current, base=base, base_model=model, participants=participants)


def result_of(seen: Observation, now: Mapping[str, Participant] | None = None) -> StoredModel:
    """The record in the Secret of the model, after the hub has combined the updates of all hospitals that it asked.
    `now`: the Participants at that time."""
    ended = Aggregation(number=1, over=True, answer=combined(*NAMES))
    tasks = tuple(sent(each.participant) for each in of_type(plan(seen), Dispatch))
    closed = replace(seen, round=dispatched(seen.round), tasks=tasks, aggregation=ended)
    [kept] = of_type(plan(replace(closed, participants=now or seen.participants)), StoreModel)
    return codec.parse(StoredModel, json.loads(json.dumps(codec.dump(kept.model))))


def test_a_result_says_which_columns_it_was_made_with() -> None:
    assert result_of(observation(participants=hospitals(FIRST, FIRST, FIRST))).result.columns_digest == FIRST


def test_columns_are_those_of_when_hospitals_were_asked() -> None:
    """A hospital may have changed its columns since then. It has not trained with the new ones."""
    first = observation(participants=hospitals(FIRST, FIRST, FIRST))
    assert result_of(first, hospitals(OTHER, OTHER, OTHER)).result.columns_digest == FIRST


def test_the_columns_are_the_rounds_also_of_hospitals_that_publish_no_digest() -> None:
    """Their sites compare the assignment with their own DataSchema."""
    assert result_of(observation(participants=hospitals("", "", "", schema=""))).result.columns_digest == FIRST


def test_within_a_round_other_columns_show_whatever_the_schemas_say() -> None:
    """A site that lies about one of the two, so that later the others would be asked to have its columns."""
    made = plan(observation(participants=hospitals(OTHER, FIRST, FIRST)))
    assert attention_of(made) == {"site-a": "DatasetDiffers"}


def test_most_hospitals_do_not_outvote_the_rounds_schema() -> None:
    offers = {"site-a": ("sha256:2", OTHER), "site-b": ("sha256:2", OTHER), "site-c": (ASSIGNED.digest, FIRST)}
    made = plan(observation(participants={name: meaning(name, *each) for name, each in offers.items()}))
    assert attention_of(made) == dict.fromkeys(NAMES[:2], "DatasetDiffers")


@pytest.mark.parametrize("standing", [task, accepted])
def test_a_hospital_that_changes_its_columns_before_it_has_sent_is_called_back(
    standing: Callable[[str], RoundTask],
) -> None:
    """Its Job may not be made yet, and would read what there is then."""
    tasks = (standing("site-a"), *(sent(name) for name in NAMES[1:]))
    made = plan(observation(dispatched(federated_round()), tasks=tasks, participants=hospitals(OTHER, OTHER, FIRST)))
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [
        ("site-a", "DatasetDiffers")
    ]
    assert attention_of(made) == {"site-a": "DatasetDiffers"}


@pytest.mark.parametrize(("now", "again"), [(FIRST, True), ("", True), (OTHER, False)])
def test_a_hospital_with_other_columns_by_now_is_not_asked_again(now: str, again: bool) -> None:
    tasks = (failed("site-a"), *(sent(name) for name in NAMES[1:]))
    seen = observation(dispatched(federated_round()), tasks=tasks, participants=hospitals(now, FIRST, FIRST))
    made = plan(seen)
    assert bool(of_type(made, Dispatch)) == again
    assert attention_of(made).get("site-a") == ("Evicted" if again else "DatasetDiffers")


def test_the_first_columns_stay_those_of_the_chain() -> None:
    """Also where hospitals have changed theirs while the round went on."""
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    again = following(first, hospitals(FIRST, FIRST, FIRST))
    assert result_of(again, hospitals(OTHER, OTHER, OTHER)).result.columns_digest == FIRST
    assert result_of(following(first, hospitals("", "", ""))).result.columns_digest == FIRST


def test_a_round_with_other_columns_does_not_go_on_with_the_model() -> None:
    """Also where all hospitals mean the round's columns: a model knows columns by their place."""
    stored = replace(STORED, result=replace(STORED.result, columns_digest=OTHER))
    made = plan(following(stored, hospitals(FIRST, FIRST, FIRST)))
    assert not of_type(made, Dispatch)
    assert condition_of(made, "Failed") == ("True", "SchemaDiffersFromBase")
    assert "DataSchema breast-v1 has other columns than the result of round train-1" in message_of(made, "Failed")


def test_bounds_may_change_along_a_chain() -> None:
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    wider = assigned(WIDER)
    seen = replace(following(first, hospitals(FIRST, FIRST, FIRST, schema=wider.digest)), schema=wider)
    made = plan(seen)
    assert len(of_type(made, Dispatch)) == len(NAMES)


def test_statistics_too_are_of_certain_columns() -> None:
    initial = federated_round(initial={"statisticsRoundName": "stats"})
    statistics = over(federated_round("stats", "other", task="Statistics", initial=None, image=None), "Complete")
    first = replace(STORED, result=replace(STORED.result, columns_digest=OTHER))
    seen = observation(initial, base=statistics, base_model=first)
    assert condition_of(plan(seen), "Failed") == ("True", "SchemaDiffersFromBase")


def test_a_model_from_before_columns_were_kept_is_gone_on_with() -> None:
    assert len(of_type(plan(following(STORED, hospitals(FIRST, FIRST, FIRST))), Dispatch)) == len(NAMES)


def test_a_round_waits_for_its_schema_and_says_where_to_apply_it() -> None:
    made = plan(observation(schema=None))
    assert not of_type(made, Dispatch)
    assert condition_of(made, "Stalled") == ("True", "RoundSchemaNotFound")
    assert message_of(made, "Stalled").startswith("Namespace breast-cancer has no DataSchema breast-v1. ")
    assert "The round waits until 2026-11-24T16:10:00Z" in message_of(made, "Stalled")
    assert condition_of(plan(observation(schema=None, now=at(600))), "Failed") == ("True", "RoundSchemaNotFound")


def test_a_round_with_a_wrong_schema_fails_at_once() -> None:
    """Neither of the two can change."""
    made = plan(observation(schema=None, schema_fault="DataSchema: target 'side' is a string"))
    assert condition_of(made, "Failed") == ("True", "RoundSchemaInvalid")
    assert "target 'side' is a string" in message_of(made, "Failed")
