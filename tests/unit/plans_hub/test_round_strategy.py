"""A round whose strategy cannot combine its updates fails before anybody trains, and says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    aggregating,
    collecting,
    federated_round,
    observation,
    over,
    participant,
    sent,
)
from tests.unit.plans_hub.reading import condition_of, message_of, of_type
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import GIB
from wardround.plans.round.types import Aggregate, Dispatch
from wardround.wire.aggregation import AggregationFailure, LeftOut

MEDIAN = {"strategy": "Median"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"aggregation": {"strategy": "Bulyan"}}, "There is no strategy Bulyan."),
        ({"aggregation": {"strategy": "Krum"}}, "The strategy Krum takes exactly the parameters hostile."),
        ({"aggregation": {**MEDIAN, "parameters": {"trimmed": "1"}}}, "The strategy Median takes no parameters."),
        (
            {"aggregation": {"strategy": "TrimmedMean", "parameters": {"trimmed": "0"}}},
            "The parameter trimmed of the strategy TrimmedMean has to be a whole number from 1 to 999",
        ),
        (
            {"aggregation": {"strategy": "NormBounding", "parameters": {"largestNorm": "0.0"}}},
            "The parameter largestNorm of the strategy NormBounding has to be a number above 0 with at most six "
            'digits before and after the point, written as a string. It is "0.0".',
        ),
        (
            {"aggregation": {"strategy": "NormBounding", "parameters": {"largestNorm": "2"}}},
            "An initial round cannot have the strategy NormBounding: its hospitals send weights, and NormBounding "
            "needs differences from a base.",
        ),
        (
            {"task": "Statistics", "initial": None, "image": None, "aggregation": MEDIAN},
            "A Statistics round cannot have the strategy Median: it adds sums, so its strategy has to be FedAvg.",
        ),
        (
            {"aggregation": {**MEDIAN, "maxWeightShare": "0.5"}, "quorum": {"min": 3}},
            "The strategy Median gives all hospitals the same weight, so it needs no aggregation.maxWeightShare: set "
            "this field to 1.",
        ),
        (
            {"aggregation": MEDIAN},
            "The strategy Median with these parameters needs 3 updates, and quorum.min is 2: raise quorum.min, or "
            "change the parameters.",
        ),
        (
            {"aggregation": {"strategy": "Krum", "parameters": {"hostile": "1"}}, "quorum": {"min": 3}},
            "The strategy Krum with these parameters needs 5 updates, and quorum.min is 3: raise quorum.min, or "
            "change the parameters.",
        ),
        (
            {"aggregation": {"compression": "Int8"}},
            "An initial round cannot have the compression Int8: its hospitals send weights, and Int8 rounds only "
            "differences from a base.",
        ),
        (
            {"task": "Statistics", "initial": None, "image": None, "aggregation": {"compression": "BFloat16"}},
            "A Statistics round cannot have the compression BFloat16: only Train rounds compress their updates.",
        ),
    ],
)
def test_an_impossible_strategy_fails_the_round_before_anybody_is_asked(spec: dict[str, Any], words: str) -> None:
    made = plan(observation(federated_round(**spec)))
    assert condition_of(made, "Failed") == ("True", "StrategyImpossible")
    assert message_of(made, "Failed").startswith(words)
    assert of_type(made, Dispatch) == []


def test_a_possible_strategy_asks_everybody() -> None:
    made = plan(observation(federated_round(aggregation=MEDIAN, quorum={"min": 3})))
    assert len(of_type(made, Dispatch)) == len(NAMES)


def test_a_quorum_whose_updates_cannot_all_be_in_scratch_is_not_asked() -> None:
    large = replace(STORED, result=replace(STORED.result, bytes=GIB))
    base = over(federated_round("train-0", "base-uid"), "Complete")
    changes: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}, "quorum": {"min": 3}}
    known: dict[str, Any] = {"base": base, "base_model": large, "base_uid": "base-uid"}
    refused = plan(observation(federated_round(**changes, aggregation=MEDIAN), **known, scratch_limit=4 * GIB))
    assert condition_of(refused, "Failed") == ("True", "TooMuchForScratch")
    assert message_of(refused, "Failed").startswith(
        "The strategy Median needs all updates at once on the scratch volume. The updates of 3 hospitals need more "
        "than aggregation.scratchGiB of the hub chart allows (4 GiB)."
    )
    for strategy, limit in (("Median", 5), ("FedAvg", 4)):
        accepted = federated_round(**changes, aggregation={"strategy": strategy})
        made = plan(observation(accepted, **known, scratch_limit=limit * GIB))
        assert len(of_type(made, Dispatch)) == len(NAMES)


def test_decompressed_updates_need_room_in_scratch_whatever_the_strategy() -> None:
    """The aggregation keeps them as long as updates that were never compressed."""
    large = replace(STORED, result=replace(STORED.result, bytes=GIB))
    base = over(federated_round("train-0", "base-uid"), "Complete")
    changes: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}, "quorum": {"min": 3}}
    known: dict[str, Any] = {"base": base, "base_model": large, "base_uid": "base-uid"}
    current = federated_round(**changes, aggregation={"compression": "Int8"})
    refused = plan(observation(current, **known, scratch_limit=4 * GIB))
    assert condition_of(refused, "Failed") == ("True", "TooMuchForScratch")
    assert message_of(refused, "Failed").startswith(
        "With the compression Int8, the aggregation keeps the decompressed updates on the scratch volume. The updates "
        "of 3 hospitals need more than aggregation.scratchGiB of the hub chart allows (4 GiB)."
    )
    made = plan(observation(current, **known, scratch_limit=5 * GIB))
    assert len(of_type(made, Dispatch)) == len(NAMES)
    sending = collecting(*map(sent, NAMES), spec={**changes, "aggregation": {"compression": "Int8"}}, **known)
    [action] = of_type(plan(sending), Aggregate)
    assert isinstance(action, Aggregate)
    assert not action.scratch.reads_twice
    assert action.scratch.bytes > 4 * GIB
    late = plan(replace(sending, scratch_limit=4 * GIB))
    assert condition_of(late, "Failed") == ("True", "TooMuchForScratch")


def test_room_for_the_updates_of_a_quorum_is_not_enough_because_all_hospitals_may_send() -> None:
    names = (*NAMES, "site-d")
    spec: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}, "participants": {"names": list(names)}}
    current = federated_round(**spec, aggregation=MEDIAN, quorum={"min": 3})
    known: dict[str, Any] = {
        "base": over(federated_round("train-0", "base-uid"), "Complete"),
        "base_model": replace(STORED, result=replace(STORED.result, bytes=GIB)),
        "base_uid": "base-uid",
        "participants": {name: participant(name) for name in names},
    }
    refused = plan(observation(current, **known, scratch_limit=5 * GIB))
    assert condition_of(refused, "Failed") == ("True", "TooMuchForScratch")
    assert "The updates of 4 hospitals need more" in message_of(refused, "Failed")
    assert len(of_type(plan(observation(current, **known, scratch_limit=6 * GIB)), Dispatch)) == len(names)


@pytest.mark.parametrize(("matched", "asked"), [(512, 512), (513, 0)])
def test_a_round_whose_selector_matches_more_hospitals_than_an_aggregation_combines_asks_none(
    matched: int, asked: int
) -> None:
    names = [f"site-{number}" for number in range(matched)]
    spec: dict[str, Any] = {"participants": {"selector": {"matchLabels": {"country": "de"}}}}
    made = plan(observation(federated_round(**spec), participants={name: participant(name) for name in names}))
    assert len(of_type(made, Dispatch)) == asked
    if not asked:
        assert condition_of(made, "Failed") == ("True", "TooMuchToAggregate")
        assert message_of(made, "Failed").startswith("The round would ask 513 hospitals. The round's author: Name")


@pytest.mark.parametrize(
    ("strategy", "gigabytes", "asked"), [("FedAdam", 14, 0), ("FedAdam", 12, 3), ("FedAvg", 26, 3)]
)
def test_a_model_whose_urls_no_plan_holds_is_not_trained(strategy: str, gigabytes: int, asked: int) -> None:
    optimizer = {"serverLearningRate": "1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}
    given = optimizer if strategy == "FedAdam" else {}
    spec: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}}
    current = federated_round(**spec, aggregation={"strategy": strategy, "parameters": given})
    known: dict[str, Any] = {
        "base": over(federated_round("train-0", "base-uid"), "Complete"),
        "base_model": replace(STORED, result=replace(STORED.result, bytes=gigabytes * 10**9)),
        "base_uid": "base-uid",
    }
    made = plan(observation(current, **known))
    assert len(of_type(made, Dispatch)) == asked
    if not asked:
        assert condition_of(made, "Failed") == ("True", "TooMuchToAggregate")
        assert message_of(made, "Failed").startswith(
            "The base has 14.0 GB. With the strategy FedAdam, an aggregation combines models of at most 13.4 GB."
        )


def test_updates_that_turn_out_too_large_for_scratch_are_not_combined() -> None:
    spec = {"aggregation": MEDIAN, "quorum": {"min": 3, "graceSeconds": 0}}
    refused = plan(collecting(*map(sent, NAMES), spec=spec, scratch_limit=1))
    assert condition_of(refused, "Failed") == ("True", "TooMuchForScratch")
    assert of_type(refused, Aggregate) == []
    [action] = of_type(plan(collecting(*map(sent, NAMES), spec=spec)), Aggregate)
    assert action.scratch.reads_twice is False


def test_too_few_updates_for_the_strategy_are_not_combined_again() -> None:
    answer = AggregationFailure("TooFewForStrategy", "2 can be used.", (LeftOut("site-c", "Altered"),))
    made = plan(aggregating(spec={"aggregation": MEDIAN, "quorum": {"min": 3}}, answer=answer))
    assert condition_of(made, "Failed") == ("True", "TooFewForStrategy")
    assert "2 can be used." in message_of(made, "Failed")
    assert of_type(made, Aggregate) == []
