"""A round with a server optimizer says whether it goes on from its base's state, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    aggregating,
    collecting,
    combined,
    federated_round,
    observation,
    over,
    sent,
)
from tests.unit.plans_hub.reading import condition_of, message_of, of_type
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregate, Dispatch, StoreModel
from wardround.sealing.body import PART, ciphertext_length
from wardround.wire.server_state import StateManifest

PARAMETERS = {"serverLearningRate": "1", "momentum": "0.9"}
SPEC: dict[str, Any] = {
    "initial": None,
    "base": {"roundName": "train-0"},
    "aggregation": {"strategy": "FedAvgM", "parameters": PARAMETERS},
}
STATE = StateManifest(
    result_digest="d",
    strategy="FedAvgM",
    parameters=PARAMETERS,
    frozen=tuple(sorted(federated_round(**SPEC).spec.exchange.frozen)),
    moments=(),
)
KNOWN: dict[str, Any] = {
    "base": over(federated_round("train-0", "base-uid"), "Complete"),
    "base_model": replace(STORED, result=replace(STORED.result, bytes=1 << 20)),
    "base_uid": "base-uid",
}
CASES: dict[str, tuple[StateManifest | None, str, str]] = {
    "the same": (
        STATE,
        "Continued",
        "The server optimizer FedAvgM continues with the state that round train-0 has left.",
    ),
    "none": (None, "NoState", "begins with a new state, because round train-0 has no server state."),
    "another strategy": (
        replace(STATE, strategy="FedAdam"),
        "OtherStrategy",
        "because round train-0 was made with another strategy.",
    ),
    "other parameters": (
        replace(STATE, parameters={**PARAMETERS, "momentum": "0.5"}),
        "OtherParameters",
        "because round train-0 was made with other aggregation.parameters.",
    ),
    "other frozen tensors": (
        replace(STATE, frozen=("head.*",)),
        "OtherFrozenTensors",
        "because round train-0 was made with another list exchange.frozen.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_round_says_how_its_optimizer_goes_on(case: str) -> None:
    state, reason, words = CASES[case]
    started = plan(
        collecting(*map(sent, NAMES), spec={**SPEC, "quorum": {"min": 3, "graceSeconds": 0}}, base_state=state, **KNOWN)
    )
    assert of_type(started, Aggregate)
    assert words in message_of(started, "Reconciling")
    ended = plan(replace(aggregating(spec=SPEC, answer=combined(*NAMES)), base_state=state, **KNOWN))
    assert condition_of(ended, "Complete") == ("True", "Complete")
    assert words in message_of(ended, "Complete")
    [action] = of_type(ended, StoreModel)
    assert action.model.server_state == reason


def test_a_round_says_that_its_server_state_is_lost() -> None:
    seen = replace(aggregating(spec=SPEC, answer=combined(*NAMES), state_lost=True), base_state=STATE, **KNOWN)
    ended = plan(seen)
    [action] = of_type(ended, StoreModel)
    assert action.model.state_lost
    restarted = plan(replace(seen, model=action.model))
    for made in (ended, restarted):
        message = message_of(made, "Complete")
        assert "The hub could not keep the server state (the state of the server optimizer) of this round" in message
        assert "a round that starts from this result begins with a new server state." in message


def test_a_round_without_an_optimizer_says_nothing_about_a_state() -> None:
    seen = aggregating(spec={**SPEC, "aggregation": {}}, answer=combined(*NAMES))
    ended = plan(replace(seen, base_state=STATE, **KNOWN))
    assert "server state" not in message_of(ended, "Complete")


def test_a_state_that_this_hub_did_not_sign_fails_the_round_before_anybody_trains() -> None:
    seen = observation(federated_round(**SPEC), **KNOWN, base_state_damaged=True)
    made = plan(seen)
    assert condition_of(made, "Failed") == ("True", "ServerStateUnusable")
    assert message_of(made, "Failed").startswith(
        "The round cannot continue with the server state (the state of the server optimizer) of the result of round "
        "train-0, because the hub's signature of this state is missing or wrong."
    )
    assert of_type(made, Dispatch) == []
    without = plan(observation(federated_round(**{**SPEC, "aggregation": {}}), **KNOWN, base_state_damaged=True))
    assert len(of_type(without, Dispatch)) == len(NAMES)


def test_a_state_that_is_damaged_while_hospitals_train_is_not_combined() -> None:
    made = plan(
        collecting(
            *map(sent, NAMES), spec={**SPEC, "quorum": {"min": 3, "graceSeconds": 0}}, base_state_damaged=True, **KNOWN
        )
    )
    assert condition_of(made, "Failed") == ("True", "ServerStateUnusable")
    assert of_type(made, Aggregate) == []


def test_scratch_has_room_for_the_moments() -> None:
    def room(strategy: dict[str, Any]) -> int:
        spec = {**SPEC, "aggregation": strategy, "quorum": {"min": 3, "graceSeconds": 0}}
        [action] = of_type(plan(collecting(*map(sent, NAMES), spec=spec, **KNOWN)), Aggregate)
        return int(action.scratch.bytes)

    assert room(SPEC["aggregation"]) - room({}) == ciphertext_length(1 << 20) < 2 * PART
