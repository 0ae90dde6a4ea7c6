"""Along a chain of rounds columns keep their meaning: a model knows them by their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
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
    stages,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, message_of, of_type
from wardround.api.names import COLUMNS
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregation, Cancel, Dispatch, Observation, StoredModel, StoreModel
from wardround.wire import codec

FIRST, OTHER = "sha256:first", "sha256:other"


def hospitals(*columns: str, schema: str = "sha256:s") -> dict[str, Participant]:
    return {name: meaning(name, schema, each) for name, each in zip(NAMES, columns, strict=True)}


def following(model: StoredModel, participants: Mapping[str, Participant]) -> Observation:
    current = federated_round("train-2", initial=None, base={"roundName": "train-1"})
    base = over(federated_round("train-1", "base"), "Complete")
    return observation(current, base=base, base_model=model, participants=participants)


def noted(current: RoundTask, columns: str) -> RoundTask:
    """As it was made where the hospital had said so of its columns."""
    notes = {**current.metadata.annotations, **({COLUMNS: columns} if columns else {})}
    return replace(current, metadata=replace(current.metadata, annotations=notes))


def result_of(seen: Observation, now: Mapping[str, Participant] | None = None) -> StoredModel:
    """What the hub keeps once all whom it asks have been combined, as the Secret of the model holds it. `now`: what
    they say by then."""
    ended = Aggregation(number=1, over=True, answer=combined(*NAMES))
    tasks = tuple(noted(sent(each.participant), each.columns) for each in of_type(plan(seen), Dispatch))
    closed = replace(seen, round=dispatched(seen.round), tasks=tasks, aggregation=ended)
    [kept] = of_type(plan(replace(closed, participants=now or seen.participants)), StoreModel)
    return codec.parse(StoredModel, json.loads(json.dumps(codec.dump(kept.model))))


def test_a_result_says_which_columns_it_was_made_with() -> None:
    assert result_of(observation(participants=hospitals(FIRST, FIRST, FIRST))).result.columns_digest == FIRST


def test_columns_are_those_of_when_hospitals_were_asked() -> None:
    """What they say once they have sent is not what they have trained with."""
    first = observation(participants=hospitals(FIRST, FIRST, FIRST))
    assert result_of(first, hospitals(OTHER, OTHER, OTHER)).result.columns_digest == FIRST


def test_nothing_is_known_of_hospitals_that_publish_no_digest() -> None:
    assert result_of(observation(participants=hospitals("", "", ""))).result.columns_digest is None
    assert result_of(observation(participants=hospitals("", FIRST, ""))).result.columns_digest is None
    assert result_of(observation(participants=hospitals("", FIRST, FIRST))).result.columns_digest == FIRST


def test_within_a_round_other_columns_show_whatever_the_schemas_say() -> None:
    """A site that lies about one of the two, so that later the others would be asked to have its columns."""
    made = plan(observation(participants=hospitals(OTHER, FIRST, FIRST)))
    assert attention_of(made) == {"site-a": "DatasetDiffers"}


def test_a_hospital_with_another_schema_has_no_vote_on_the_columns_of_the_rest() -> None:
    offers = {"site-a": ("sha256:2", OTHER), "site-b": ("sha256:1", FIRST), "site-c": ("sha256:1", "")}
    made = plan(observation(participants={name: meaning(name, *each) for name, each in offers.items()}))
    assert attention_of(made) == {"site-a": "DatasetDiffers"}


@pytest.mark.parametrize("standing", [task, accepted])
def test_a_hospital_that_changes_its_columns_before_it_has_sent_is_called_back(
    standing: Callable[[str], RoundTask],
) -> None:
    """Its Job may not be made yet, and would read what there is then."""
    tasks = (noted(standing("site-a"), FIRST), *(noted(sent(name), FIRST) for name in NAMES[1:]))
    made = plan(observation(dispatched(federated_round()), tasks=tasks, participants=hospitals(OTHER, OTHER, FIRST)))
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [
        ("site-a", "DatasetDiffers")
    ]
    assert attention_of(made) == {"site-a": "DatasetDiffers"}


@pytest.mark.parametrize(("now", "again"), [(FIRST, True), ("", True), (OTHER, False)])
def test_a_hospital_with_other_columns_by_now_is_not_asked_again(now: str, again: bool) -> None:
    tasks = (noted(failed("site-a"), FIRST), *(noted(sent(name), FIRST) for name in NAMES[1:]))
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


def test_hospitals_that_have_all_changed_their_columns_do_not_go_on_with_the_model() -> None:
    """Equal among themselves as they are: this is what no comparison within a round can see."""
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    made = plan(following(first, hospitals(OTHER, OTHER, OTHER)))
    assert not of_type(made, Dispatch)
    assert condition_of(made, "Stalled") == ("True", "DatasetDiffersFromBase")
    assert attention_of(made) == dict.fromkeys(NAMES, "DatasetDiffersFromBase")
    assert "those that the round's base was made with" in message_of(made, "Stalled")


def test_a_hospital_that_has_changed_alone_is_named_alone() -> None:
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    # Two of three, so that most of the round mean the new columns.
    changed = {name: meaning(name, "sha256:new", OTHER) for name in NAMES[1:]}
    made = plan(following(first, hospitals(FIRST, OTHER, OTHER) | changed))
    assert attention_of(made) == dict.fromkeys(NAMES[1:], "DatasetDiffersFromBase")


def test_bounds_may_change_along_a_chain() -> None:
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    made = plan(following(first, hospitals(FIRST, FIRST, FIRST, schema="sha256:wider")))
    assert len(of_type(made, Dispatch)) == len(NAMES)


def test_statistics_too_are_of_certain_columns() -> None:
    initial = federated_round(initial={"statisticsRoundName": "stats"})
    statistics = over(federated_round("stats", "other", task="Statistics", initial=None, image=None), "Complete")
    first = replace(STORED, result=replace(STORED.result, columns_digest=FIRST))
    seen = observation(initial, base=statistics, base_model=first, participants=hospitals(OTHER, OTHER, OTHER))
    assert condition_of(plan(seen), "Stalled") == ("True", "DatasetDiffersFromBase")


def test_a_model_from_before_columns_were_kept_is_gone_on_with() -> None:
    assert len(of_type(plan(following(STORED, hospitals(OTHER, OTHER, OTHER))), Dispatch)) == len(NAMES)


def test_a_round_that_waited_in_vain_says_so() -> None:
    first = result_of(observation(participants=hospitals(FIRST, FIRST, FIRST)))
    seen = following(first, hospitals(OTHER, OTHER, OTHER))
    started = replace(seen.round, status=replace(seen.round.status, timeline=stages("Started")))
    assert condition_of(plan(replace(seen, round=started, now=at(600))), "Failed")[1] == "DatasetDiffersFromBase"
