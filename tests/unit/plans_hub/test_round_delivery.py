"""How a Deliver round brings a model to its hospitals, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    NAMES,
    STORED,
    accepted,
    at,
    condition,
    dispatched,
    failed,
    federated_round,
    observation,
    over,
    refused,
    sent,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type
from tests.unit.plans_hub.test_versions import publishing
from wardround.api.federatedround import FederatedRound
from wardround.api.roundtask import RoundTask
from wardround.api.task import Upload
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregate, Dispatch, Grant, Observation
from wardround.wire.assignment import COMPRESSION_SINCE
from wardround.wire.compression import Compression

BASE = over(federated_round("train-0", "base-uid"), "Complete")
DELIVERY = {"modelName": "breast", "modelUID": "uid", "version": 3, "versions": 5}


def delivery_round(**spec: Any) -> FederatedRound:
    known: dict[str, Any] = {
        "task": "Deliver",
        "base": {"roundName": "train-0"},
        "initial": None,
        "image": None,
        "quorum": {"min": 1},
        "delivery": DELIVERY,
    }
    return federated_round(**{**known, **spec})


def delivering(*tasks: RoundTask, **changes: Any) -> Observation:
    known: dict[str, Any] = {"base": BASE, "base_uid": "base-uid", "base_model": STORED, "base_card": True}
    current = delivery_round(**changes.pop("spec", {}))
    return observation(dispatched(current) if tasks else current, tasks=tasks, **{**known, **changes})


def has_model(name: str, seconds: float = 100) -> RoundTask:
    return task(name, condition("Accepted", True, "Accepted"), condition("Complete", True, "Delivered", seconds))


def test_all_hospitals_are_asked_and_none_reads_a_state() -> None:
    asked = of_type(plan(delivering()), Dispatch)
    assert [each.participant for each in asked] == list(NAMES)
    assert {each.state_round for each in asked} == {""}


def test_a_round_waits_for_every_hospital_though_one_is_a_quorum() -> None:
    made = plan(delivering(has_model("site-a"), accepted("site-b"), accepted("site-c"), now=at(400)))
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert "1 of 3 hospitals got the model." in message_of(made, "Reconciling")


def test_a_round_is_complete_without_an_aggregation_and_without_a_result() -> None:
    made = plan(delivering(*map(has_model, NAMES)))
    assert of_type(made, Aggregate) == []
    assert condition_of(made, "Complete") == ("True", "Complete")
    assert message_of(made, "Complete") == "3 hospitals got version 3 of model breast."
    assert (made.status.result, counts(made).sent) == (None, 3)


def test_hospitals_without_the_model_are_named() -> None:
    lost = failed("site-b", "Site", "ModelsClaimFull")
    made = plan(delivering(has_model("site-a"), lost, refused("site-c", "TaskNotAllowed")))
    assert condition_of(made, "Complete") == ("True", "Complete")
    assert "Without the model: site-b (ModelsClaimFull), site-c (TaskNotAllowed)." in message_of(made, "Complete")
    assert attention_of(made) == {"site-b": "ModelsClaimFull", "site-c": "TaskNotAllowed"}


def test_a_round_that_every_hospital_refuses_fails() -> None:
    made = plan(delivering(*(refused(name, "TaskNotAllowed") for name in NAMES)))
    assert condition_of(made, "Failed") == ("True", "QuorumNotMet")
    assert "0 hospitals can still get the model, but quorum.min is 1." in message_of(made, "Failed")


def test_a_hospital_that_says_nothing_is_given_up_at_the_deadline() -> None:
    made = plan(delivering(has_model("site-a"), task("site-b"), task("site-c"), now=at(3601)))
    assert condition_of(made, "Complete") == ("True", "Complete")


def test_a_site_gets_no_place_for_an_upload_in_a_delivery() -> None:
    made = plan(delivering(accepted("site-a", upload=Upload(bytes=1)), accepted("site-b"), accepted("site-c")))
    assert of_type(made, Grant) == []
    assert attention_of(made) == {"site-a": "UploadTooLarge"}


def test_a_site_that_says_it_sent_an_update_has_not_got_the_model() -> None:
    made = plan(delivering(sent("site-a", upload=None), accepted("site-b"), accepted("site-c")))
    assert counts(made).sent == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base_card": False}, "DeliveryWithoutCard"),
        ({"base_model": replace(STORED, quorum=4)}, "DeliveryTooFewHospitals"),
        ({"base_model": replace(STORED, task="Statistics"), "base": None}, "BaseTaskDiffers"),
        ({"base_model": None}, "BaseLost"),
    ],
)
def test_a_result_that_may_not_be_given_away_is_not_delivered(changes: dict[str, Any], reason: str) -> None:
    made = plan(delivering(**changes))
    assert of_type(made, Dispatch) == []
    assert condition_of(made, "Failed") == ("True", reason)


@pytest.mark.parametrize(("compression", "asked"), [(None, NAMES), ("Int8", ("site-a", "site-c"))])
def test_a_model_of_compressed_updates_goes_only_to_sites_that_can_read_its_card(
    compression: Compression | None, asked: tuple[str, ...]
) -> None:
    result = replace(STORED.result, compression=compression)
    seen = delivering(base_model=replace(STORED, result=result), spec={"participants": {"selector": {}}})
    older = publishing("site-b", [COMPRESSION_SINCE - 1])
    made = plan(replace(seen, participants={**seen.participants, "site-b": older}))
    assert tuple(each.participant for each in of_type(made, Dispatch)) == asked
