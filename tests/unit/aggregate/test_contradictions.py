"""A plan whose fields contradict each other is refused, with the field that contradicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.players.hub import Hub
from tests.unit.plans_hub.builders import NOW, UID, federated_round, observation
from wardround.aggregate import plan as aggregation_plan
from wardround.aggregate.contradictions import contradiction
from wardround.documents import aggregations
from wardround.plans.round.scratch import Scratch
from wardround.plans.round.types import Aggregate
from wardround.presign import Credentials, Presigner
from wardround.wire import codec
from wardround.wire.aggregation import AggregationPlan, PlannedCollection, PlannedGate, PlannedList, StoreAccess

PRESIGNER = Presigner("https://store.example", "wardround", "us-east-1", Credentials("access", "secret"))
HUB = Hub()
ADAM = {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}
GROWING = PlannedList(bytes(32), 2, (), PlannedCollection("updates/uid/lists/0-00", "https://store.example/0", 700, 60))


def plan() -> AggregationPlan:
    """The hub operator's plan of a Train round with a base."""
    text = aggregations.plan(
        observation(federated_round(initial=None, base={"roundName": "train-0"})),
        Aggregate(number=1, tasks=(), until=NOW, scratch=Scratch(1, reads_twice=False)),
        HUB.round_key,
        HUB.seal_model(b"12345678", UID, schema_digest="sha256:" + "1" * 64).model,
        PlannedList(bytes(32), 0, ()),
        presigner=PRESIGNER,
        store=StoreAccess("https://store.example", ""),
        now=NOW,
    )
    return aggregation_plan.parse(text)


PLAN = plan()
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "another task": ({"task": "Predict"}, "does not know"),
    "another weighting": ({"weighting": "Equal"}, "does not know"),
    "another strategy": ({"strategy": "Newest"}, "does not know"),
    "another parameter": ({"parameters": {"newest": "1"}}, "does not know"),
    "a strategy for sums": ({"task": "Evaluate", "base": None, "strategy": "Median"}, "only FedAvg"),
    "differences without a base": (
        {"initial": True, "base": None, "strategy": "FedAdam", "parameters": ADAM},
        "FedAdam needs a base",
    ),
    "compressed weights": ({"initial": True, "base": None, "compression": "Int8"}, "compression Int8"),
    "all updates at once, twice": ({"strategy": "Median", "reads_twice": True}, "from the store twice"),
    "compressed updates, twice": ({"compression": "Int8", "reads_twice": True}, "from the store twice"),
    "a result before the updates, twice": ({"anticipates": True, "reads_twice": True}, "while the last of them arrive"),
    "a result before its norms": (
        {"anticipates": True, "strategy": "NormBounding", "parameters": {"largestNorm": "1"}},
        "while the last of them arrive",
    ),
    "a compressed result before its updates": (
        {"anticipates": True, "compression": "Int8"},
        "while the last of them arrive",
    ),
    "weights before they have come": (
        {"anticipates": True, "initial": True, "base": None},
        "while the last of them arrive",
    ),
    "a growing list, twice": ({"listed": GROWING, "reads_twice": True}, "while the round still collects"),
    "a growing list of weights": ({"listed": GROWING, "initial": True, "base": None}, "while the round still collects"),
    "a growing list, at once": ({"listed": GROWING, "strategy": "Median"}, "while the round still collects"),
    "a gate alone": ({"gate": PlannedGate(20, {})}, "no references"),
    "no base": ({"base": None}, "needs a base, and every other"),
    "a base of sums": ({"task": "Evaluate"}, "every other round must have none"),
    "no server state": ({"strategy": "FedAdam", "parameters": ADAM}, "2 moments"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_plan_with_a_contradiction_is_refused(case: str) -> None:
    changes, words = CONTRADICTIONS[case]
    refused = replace(PLAN, **changes)
    assert words in contradiction(refused)
    with pytest.raises(aggregation_plan.AggregationError) as caught:
        aggregation_plan.parse(codec.write_document(refused))
    assert caught.value.answer.reason == "PlanUnreadable"


def test_the_hubs_plan_of_each_kind_of_round_has_no_contradiction() -> None:
    initial: dict[str, Any] = {"initial": True, "base": None}
    kinds: list[dict[str, Any]] = [
        {},
        initial,
        {"task": "Evaluate", "base": None},
        {"reads_twice": True},
        {"anticipates": True},
        {"anticipates": True, "strategy": "Median"},
        {"listed": GROWING},
    ]
    assert [contradiction(replace(PLAN, **each)) for each in kinds] == [""] * len(kinds)
