"""Whose state a participant goes on from: that of the nearest round of the chain that combined its update."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    accepted,
    combined,
    dispatched,
    failed,
    federated_round,
    observation,
    over,
    sent,
)
from tests.unit.plans_hub.reading import of_type
from wardround.api.federatedround import FederatedRound
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregation, Dispatch, Observation, StoredModel, StoreModel
from wardround.wire import codec
from wardround.wire.aggregation import LeftOut

FOLLOWING: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}, "quorum": {"min": 1}}


def following(base: str, model: StoredModel, **spec: Any) -> Observation:
    """Of a round that goes on from another, whose record is `model`."""
    current = federated_round("train-1", "uid-1", **{**FOLLOWING, **spec})
    return observation(
        current, base=over(federated_round("train-0", base), "Complete"), base_uid=base, base_model=model
    )


def asked(seen: Observation) -> dict[str, str]:
    return {each.participant: each.state_round for each in of_type(plan(seen), Dispatch)}


def record(seen: Observation, counted: Collection[str]) -> StoredModel:
    """What the hub keeps of the round once it has combined these."""
    left_out = tuple(LeftOut(name, "Altered") for name in NAMES if name not in counted)
    answer = combined(*(name for name in NAMES if name in counted), left_out=left_out)
    closed = replace(
        seen,
        round=dispatched(seen.round),
        tasks=tuple(map(sent, NAMES)),
        aggregation=Aggregation(number=1, over=True, answer=answer),
    )
    [kept] = of_type(plan(closed), StoreModel)
    # The code that made it, for evaluations that compare with it.
    spec = seen.round.spec
    assert (kept.model.image, kept.model.command, kept.model.parameters) == (spec.image, spec.command, spec.parameters)
    # As the Secret of the model holds it.
    return codec.parse(StoredModel, json.loads(json.dumps(codec.dump(kept.model))))


def test_a_hospital_goes_on_from_the_last_round_that_counted_it() -> None:
    model = replace(STORED, aggregated=("site-a",), states={"site-b": "uid-of-an-earlier-one"})
    assert asked(following("uid-0", model)) == {"site-a": "uid-0", "site-b": "uid-of-an-earlier-one", "site-c": ""}


def test_an_evaluation_gets_the_state_that_belongs_to_the_model() -> None:
    model = replace(STORED, aggregated=("site-a",), states={"site-b": "uid-of-an-earlier-one"})
    dispatches = asked(following("uid-0", model, task="Evaluate"))
    assert dispatches == {"site-a": "uid-0", "site-b": "uid-of-an-earlier-one", "site-c": ""}


@pytest.mark.parametrize("initial", [{}, {"statisticsRoundName": "train-0"}])
def test_a_first_round_starts_without_a_state(initial: Mapping[str, Any]) -> None:
    statistics = over(federated_round("train-0", "uid-0", task="Statistics", initial=None, image=None), "Complete")
    seen = observation(federated_round(initial=initial), base=statistics, base_model=STORED)
    assert asked(seen) == dict.fromkeys(NAMES, "")


def test_a_further_attempt_goes_on_from_the_same_state() -> None:
    model = replace(STORED, aggregated=("site-a",))
    seen = following("uid-0", model)
    again = replace(
        seen, round=dispatched(seen.round), tasks=(failed("site-a"), accepted("site-b"), accepted("site-c"))
    )
    [attempt] = of_type(plan(again), Dispatch)
    assert (attempt.participant, attempt.attempt, attempt.state_round) == ("site-a", 2, "uid-0")


def test_states_are_those_of_the_result_also_when_its_round_was_deleted() -> None:
    """Also where another round has its name by then."""
    model = replace(STORED, aggregated=("site-a",), states={"site-b": "uid-of-an-earlier-one"})
    seen = following("uid-0", model)
    for base in (None, over(federated_round("train-0", "uid-of-another"), "Complete")):
        gone = replace(seen, base=base, base_deleted=True)
        assert asked(gone) == {"site-a": "uid-0", "site-b": "uid-of-an-earlier-one", "site-c": ""}


def test_along_a_chain_each_has_the_state_of_the_last_round_that_counted_it() -> None:
    draw = random.Random(3)
    last: dict[str, str] = dict.fromkeys(NAMES, "")
    seen = observation(federated_round("train-0", "uid-0", quorum={"min": 1}))
    for number in range(30):
        assert asked(seen) == last
        counted = draw.sample(NAMES, draw.randint(1, len(NAMES)))
        model = record(seen, counted)
        last |= dict.fromkeys(counted, f"uid-{number}")
        assert not model.states.keys() & set(model.aggregated)
        seen = after(seen.round, number, model)


def after(base: FederatedRound, number: int, model: StoredModel) -> Observation:
    current = federated_round(f"train-{number + 1}", f"uid-{number + 1}", **FOLLOWING)
    return observation(current, base=over(base, "Complete"), base_uid=base.metadata.uid, base_model=model)
