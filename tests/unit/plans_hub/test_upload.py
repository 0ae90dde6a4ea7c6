"""The hub gives up a site that asks for more room than its update can need. The other sites go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from lab.topology import ROOT
from tests.unit.plans_hub.builders import (
    STORED,
    accepted,
    dispatched,
    federated_round,
    observation,
    participant,
    sent,
)
from wardround.aggregate.counts import evaluation_layout, statistics_layout
from wardround.api import conditions
from wardround.api.federatedround import FederatedRound
from wardround.api.names import CANCELLED
from wardround.api.task import Update, Upload
from wardround.card import push
from wardround.plans.round.parts import LARGEST_MANIFEST
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Aggregate, Cancel, Grant, Observation, Plan, StoredModel
from wardround.plans.round.upload import LARGEST_INITIAL, largest_upload
from wardround.pod import check
from wardround.sealing.body import MOST_PARTS, PART, SEALED_SEGMENT, ciphertext_length

MODEL_BYTES = 5 << 20
TRAINED = federated_round(initial=None, base={"roundName": "train-0"})
STATISTICS = federated_round(task="Statistics", initial=None, image=None)
EVALUATED = federated_round(task="Evaluate", initial=None, base={"roundName": "train-0"})
INITIAL = federated_round()


def base(length: int = MODEL_BYTES) -> StoredModel:
    return replace(STORED, result=replace(STORED.result, bytes=length))


def collecting(current: FederatedRound, *tasks: Any, **changes: Any) -> Observation:
    known = {"base_model": base(), "leftovers": True}
    return observation(dispatched(current), tasks=tasks, **known | changes)


def granted(made: Plan) -> dict[str, int | None]:
    grants = [action for action in made.actions if isinstance(action, Grant)]
    return {each.task.metadata.namespace: each.upload.bytes if each.upload else None for each in grants}


def attention_of(made: Plan) -> dict[str, str]:
    return {each.participant: each.reason for each in made.status.attention}


LIMITS = [
    (TRAINED, ciphertext_length(MODEL_BYTES)),
    (STATISTICS, SEALED_SEGMENT),
    (EVALUATED, SEALED_SEGMENT),
    (INITIAL, ciphertext_length(LARGEST_INITIAL)),
    (federated_round(initial={"statisticsRoundName": "train-0"}), ciphertext_length(LARGEST_INITIAL)),
]


@pytest.mark.parametrize(("current", "limit"), LIMITS)
def test_room_is_given_up_to_what_the_update_can_be(current: FederatedRound, limit: int) -> None:
    made = plan(
        collecting(current, accepted("site-a", upload=Upload(bytes=limit)), accepted("site-b"), accepted("site-c"))
    )
    assert granted(made) == {"site-a": limit}
    assert attention_of(made) == {}


@pytest.mark.parametrize(("current", "limit"), LIMITS)
def test_a_hospital_that_asks_for_a_byte_more_is_given_up_once_and_the_round_says_why(
    current: FederatedRound, limit: int
) -> None:
    greedy = accepted("site-a", upload=Upload(bytes=limit + 1))
    others = accepted("site-b"), accepted("site-c")
    made = plan(collecting(current, greedy, *others))
    assert granted(made) == {}
    [cancel] = [action for action in made.actions if isinstance(action, Cancel)]
    assert (cancel.task.metadata.namespace, cancel.reason) == ("site-a", "UploadTooLarge")
    assert attention_of(made) == {"site-a": "UploadTooLarge"}
    assert "site-a" in made.status.attention[0].message
    assert conditions.is_true(made.status.conditions, "Reconciling")
    # As it stands when the plan has been carried out: nothing is left to do about it.
    notes = {**greedy.metadata.annotations, CANCELLED: "UploadTooLarge"}
    cancelled = replace(
        greedy, spec=replace(greedy.spec, cancel=True), metadata=replace(greedy.metadata, annotations=notes)
    )
    after = plan(replace(collecting(current, cancelled, *others), round=replace(current, status=made.status)))
    assert after.actions == ()
    assert after.status == made.status


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"upload": Upload(bytes=2**62)}, "UploadTooLarge"),
        ({"update": Update(manifest="x" * (LARGEST_MANIFEST + 1))}, "ManifestUnreadable"),
    ],
)
def test_a_site_that_says_it_has_sent_something_enormous_is_left_out(change: dict[str, Any], reason: str) -> None:
    made = plan(collecting(INITIAL, sent("site-a", **change), sent("site-b"), sent("site-c")))
    [aggregate] = [action for action in made.actions if isinstance(action, Aggregate)]
    assert [each.metadata.namespace for each in aggregate.tasks] == ["site-b", "site-c"]
    assert attention_of(made) == {"site-a": reason}


def test_updates_of_the_largest_model_of_many_hospitals_are_combined() -> None:
    names = [f"site-{number}" for number in range(12)]
    tasks = [sent(name, upload=Upload(bytes=ciphertext_length(LARGEST_INITIAL))) for name in names]
    made = plan(collecting(INITIAL, *tasks, participants={name: participant(name) for name in names}))
    [aggregate] = [action for action in made.actions if isinstance(action, Aggregate)]
    assert (len(aggregate.tasks), aggregate.scratch.reads_twice) == (12, True)


def most_md5(kind: str, *fields: str) -> int:
    """Of how many parts the status of this kind holds the MD5."""
    schema = yaml.safe_load((ROOT / "crds" / f"{kind}.yaml").read_text())["spec"]["versions"][0]["schema"]
    field = schema["openAPIV3Schema"]
    for each in ("status", *fields, "upload", "md5"):
        field = field["properties"][each]
    return int(field["maxItems"])


def test_the_limits_are_those_of_the_pod_the_courier_and_the_aggregation() -> None:
    assert LARGEST_INITIAL == check.MODEL_LIMIT
    assert ciphertext_length(LARGEST_INITIAL) <= MOST_PARTS * PART
    # No later model is larger: pushed weights are smaller, and a trained model has the length of its base.
    assert push.LARGEST <= LARGEST_INITIAL
    assert most_md5("roundtasks") == most_md5("sitetasks", "courier") == MOST_PARTS
    most_fields = 2048  # crds/datasets.yaml
    assert ciphertext_length(statistics_layout(most_fields).length) <= SEALED_SEGMENT
    assert ciphertext_length(evaluation_layout(2).length) <= SEALED_SEGMENT


def test_a_base_that_was_deleted_meanwhile_gives_no_room_without_limit() -> None:
    assert largest_upload(TRAINED, None) == ciphertext_length(LARGEST_INITIAL)
