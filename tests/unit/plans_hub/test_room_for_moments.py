"""A round that asks hospitals has room for their updates: what closing needs is known before anybody trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, STORED, collecting, federated_round, observation, over, sent
from tests.unit.plans_hub.reading import condition_of, of_type
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import GIB, scratch
from wardround.plans.round.types import Dispatch
from wardround.sealing.body import ciphertext_length

MODEL = GIB
GIVEN = {"serverLearningRate": "1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}
SPEC: dict[str, Any] = {
    "initial": None,
    "base": {"roundName": "train-0"},
    "quorum": {"min": 3},
    "aggregation": {"strategy": "FedAdam", "parameters": GIVEN, "compression": "Int8"},
}


@pytest.mark.parametrize("spare", [-1, 0])
def test_the_moments_of_an_optimizer_count_before_anybody_trains(spare: int) -> None:
    spec = federated_round(**SPEC).spec
    needed = scratch(spec, len(NAMES), ciphertext_length(MODEL), MODEL, 1000 * GIB).bytes
    known: dict[str, Any] = {
        "base": over(federated_round("train-0", "base-uid"), "Complete"),
        "base_model": replace(STORED, result=replace(STORED.result, bytes=MODEL)),
        "base_uid": "base-uid",
        "scratch_limit": needed + spare,
    }
    asked = of_type(plan(observation(federated_round(**SPEC), **known)), Dispatch)
    assert len(asked) == (0 if spare < 0 else len(NAMES))
    late = plan(collecting(*map(sent, NAMES), spec=SPEC, **known))
    assert (condition_of(late, "Failed") == ("True", "TooMuchForScratch")) is (spare < 0)
