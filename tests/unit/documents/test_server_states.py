"""A server state goes on only from the result, the strategy and the parameters with which it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.players.hub import Hub
from tests.unit.plans_hub.builders import NOW, UID, combined, federated_round, observation
from wardround.aggregate import plan as aggregate_plan
from wardround.aggregate.plan import AggregationError
from wardround.api import names
from wardround.documents import aggregations, server_states
from wardround.documents.keys import Model, ServerState
from wardround.hub import tries, vault
from wardround.plans.round.scratch import Scratch
from wardround.plans.round.types import Aggregate, Aggregation
from wardround.presign import Credentials, Presigner
from wardround.sealing.manifests import sign_model, sign_state
from wardround.sealing.refused import Refused
from wardround.wire import codec, kept_plan
from wardround.wire.aggregation import AggregationPlan, PlannedList, PlannedStart, PlannedState, StoreAccess
from wardround.wire.server_state import StateManifest

PRESIGNER = Presigner("https://store.example", "wardround", "us-east-1", Credentials("access", "secret"))
HUB = Hub()
PARAMETERS = {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}
ADAM = {"strategy": "FedAdam", "parameters": PARAMETERS}
DIGESTS = ("sha256:" + "2" * 64, "sha256:" + "3" * 64)


def result(uid: str, plain: bytes = b"12345678") -> Model:
    return HUB.seal_model(plain, uid, schema_digest="sha256:" + "1" * 64).model


def text_of(base: Model, **spec: Any) -> bytes:
    asked = federated_round(initial=None, base={"roundName": "train-0"}, **{"aggregation": ADAM, **spec})
    action = Aggregate(number=1, tasks=(), until=NOW, scratch=Scratch(1, reads_twice=False))
    return aggregations.plan(
        observation(asked),
        action,
        HUB.round_key,
        base,
        PlannedList(bytes(32), 0, ()),
        presigner=PRESIGNER,
        store=StoreAccess("https://store.example", ""),
        now=NOW,
    )


def planned(base: Model, **spec: Any) -> AggregationPlan:
    return aggregate_plan.parse(text_of(base, **spec))


def state_of(plan: AggregationPlan) -> PlannedState:
    assert plan.state is not None
    return plan.state


def start_of(base: Model, **spec: Any) -> PlannedStart | None:
    return state_of(planned(base, **spec)).start


BEFORE, RESULT = result("5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21"), result(UID)


def kept(model: Model = RESULT) -> ServerState:
    made = server_states.made(planned(BEFORE), DIGESTS, model.manifest, HUB.identity.key)
    assert made is not None
    return made


STATE = kept()


def former(plan: dict[str, Any]) -> dict[str, Any]:
    del plan["compression"]
    del plan["listed"]
    return plan


def newer(plan: dict[str, Any]) -> dict[str, Any]:
    moments = [{**each, "later": [{"later": 0.5}]} for each in plan["state"]["moments"]]
    return {**plan, "later": None, "store": "later", "state": {**plan["state"], "later": {}, "moments": moments}}


@pytest.mark.parametrize("version", [former, newer])
def test_the_hub_keeps_a_result_whose_plan_another_version_has_made(
    version: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """An upgrade or a rollback of the hub operator while an aggregation runs. Only the plan has the keys."""
    text = text_of(BEFORE)
    plan = kept_plan.read(json.dumps(version(json.loads(text))).encode())
    assert plan.data_key == aggregate_plan.parse(text).data_key
    made = server_states.made(plan, DIGESTS, RESULT.manifest, HUB.identity.key)
    expected = server_states.made(aggregate_plan.parse(text), DIGESTS, RESULT.manifest, HUB.identity.key)
    assert made is not None
    assert expected is not None
    assert (made.manifest, made.data_keys) == (expected.manifest, expected.data_keys)


def renamed(plan: dict[str, Any]) -> dict[str, Any]:
    return {"serverState" if key == "state" else key: value for key, value in plan.items()}


def reshaped(plan: dict[str, Any]) -> dict[str, Any]:
    return {**plan, "state": {"moments": [{"key": "later"}]}}


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda plan: {key: value for key, value in plan.items() if key != name}


@pytest.mark.parametrize(
    ("version", "lost"),
    [
        (newer, False),
        (renamed, True),
        (reshaped, True),
        *((without(name), True) for name in ("strategy", "parameters", "frozen")),
    ],
)
def test_a_server_state_that_this_version_cannot_read_is_known_to_be_lost(
    version: Callable[[dict[str, Any]], dict[str, Any]], lost: bool
) -> None:
    """The result can be kept all the same."""
    text = text_of(BEFORE)
    secret = vault.secret(
        names.aggregation_name(UID, 1), "hub", {"plan.json": json.dumps(version(json.loads(text))).encode()}
    )
    job = Aggregation(number=1, over=True, answer=replace(combined(), state=DIGESTS))
    assert tries.state_lost(secret, job) is lost
    assert kept_plan.read(vault.value(secret, "plan.json")).data_key == aggregate_plan.parse(text).data_key


def test_a_plan_without_the_key_of_its_result_is_of_no_use() -> None:
    for text in (b"{}", b"[]", b"half"):
        with pytest.raises(codec.Malformed, match=r"plan\.json"):
            kept_plan.read(text)


def test_the_first_round_of_an_optimizer_begins_anew() -> None:
    assert start_of(BEFORE) is None
    assert planned(BEFORE, aggregation={}).state is None


def test_the_next_round_goes_on_from_the_state_of_its_base() -> None:
    start = start_of(replace(RESULT, state=STATE))
    assert start is not None
    assert (start.manifest, start.data_keys) == (STATE.manifest, STATE.data_keys)
    assert [get.segments.partition("?")[0].removeprefix("https://store.example/wardround/") for get in start.gets] == [
        f"models/{UID}/1/moment-0/segments",
        f"models/{UID}/1/moment-1/segments",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregation": {"strategy": "FedYogi", "parameters": PARAMETERS}},
        {"aggregation": {"strategy": "FedAdam", "parameters": {**PARAMETERS, "tau": "0.01"}}},
        {"exchange": {"frozen": ["input.*"]}},
    ],
    ids=["another strategy", "another parameter", "other frozen tensors"],
)
def test_a_state_of_other_training_is_not_used(changes: dict[str, Any]) -> None:
    assert start_of(replace(RESULT, state=STATE), **changes) is None


def test_each_plan_has_fresh_keys() -> None:
    keys = [each.data_key for _ in range(2) for each in state_of(planned(RESULT)).moments]
    assert len(set(keys)) == 4


def opened(state: ServerState, model: Model = RESULT) -> ServerState:
    return server_states.opened(state.text, b"".join(state.data_keys), model.manifest, HUB.identity.key.public_key())


def test_the_hub_opens_the_state_that_it_has_kept() -> None:
    assert opened(STATE) == STATE


def test_a_state_that_another_hub_signed_is_refused() -> None:
    with pytest.raises(Refused):
        opened(replace(STATE, text=sign_state(STATE.manifest, Hub().identity.key)))


def test_a_manifest_of_a_model_is_no_state() -> None:
    with pytest.raises(Refused):
        opened(replace(STATE, text=sign_model(RESULT.manifest, HUB.identity.key)))


def test_a_state_of_another_result_is_refused() -> None:
    with pytest.raises(Refused):
        opened(STATE, BEFORE)
    with pytest.raises(Refused):
        opened(STATE, result(UID, b"87654321"))


def test_a_state_without_one_of_its_keys_is_refused() -> None:
    with pytest.raises(Refused):
        opened(replace(STATE, data_keys=STATE.data_keys[:1]))


FOREIGN: dict[str, StateManifest] = {
    "another result": replace(STATE.manifest, result_digest="sha256:" + "9" * 64),
    "another strategy": replace(STATE.manifest, strategy="FedYogi"),
    "another parameter": replace(STATE.manifest, parameters={**PARAMETERS, "tau": "0.01"}),
    "other frozen tensors": replace(STATE.manifest, frozen=("input.*",)),
    "one moment": replace(STATE.manifest, moments=STATE.manifest.moments[:1]),
    "another round": replace(
        STATE.manifest,
        moments=tuple(
            replace(each, header=replace(each.header, round_uid=BEFORE.manifest.header.round_uid))
            for each in STATE.manifest.moments
        ),
    ),
    "another layout": replace(
        STATE.manifest,
        moments=tuple(replace(each, header=replace(each.header, length=9)) for each in STATE.manifest.moments),
    ),
    "a model instead of a moment": replace(
        STATE.manifest,
        moments=tuple(replace(each, header=replace(each.header, kind="Model")) for each in STATE.manifest.moments),
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_the_aggregation_refuses_a_state_that_is_not_the_one_of_its_base(case: str) -> None:
    plan = planned(replace(RESULT, state=STATE))
    start = state_of(plan).start
    assert start is not None
    forged = replace(plan, state=replace(state_of(plan), start=replace(start, manifest=FOREIGN[case])))
    with pytest.raises(AggregationError, match="PlanUnreadable"):
        aggregate_plan.parse(codec.write_document(forged))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_aggregation_refuses_a_plan_with_another_number_of_moments(count: int) -> None:
    plan = planned(RESULT)
    moments = (*state_of(plan).moments, state_of(plan).moments[0])[:count]
    forged = replace(plan, state=PlannedState(moments, None) if moments else None)
    with pytest.raises(AggregationError, match="PlanUnreadable"):
        aggregate_plan.parse(codec.write_document(forged))


def test_the_aggregation_refuses_a_state_for_a_strategy_without_one() -> None:
    forged = replace(planned(RESULT), strategy="FedAvg", parameters={})
    with pytest.raises(AggregationError, match="PlanUnreadable"):
        aggregate_plan.parse(codec.write_document(forged))
