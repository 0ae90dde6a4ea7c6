"""Who gets a model, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_hub.builders import FEDERATION, NOW, STORED
from wardround.api import conditions
from wardround.api.meta import Meta
from wardround.api.modeltransfer import ModelTransfer, ModelTransferSpec
from wardround.api.times import to_seconds
from wardround.plans.transfer import Observation, Plan, plan
from wardround.wire.assignment import AssignedPushed

TRANSFER = ModelTransfer(
    metadata=Meta(name="pull-1", namespace=FEDERATION, uid="uid", generation=1, creation_timestamp=to_seconds(NOW)),
    spec=ModelTransferSpec(public_key="key", requested_by="rita", round_name="train-1", seconds=600),
)
SEEN = Observation(
    transfer=TRANSFER,
    stored=replace(STORED, release="Readers", quorum=3),
    has_card=True,
    key_usable=True,
    now=NOW,
)


def reason(made: Plan, kind: str) -> str:
    shown = conditions.find(made.status.conditions, kind)
    return shown.reason if shown and shown.status == "True" else ""


def test_a_released_model_is_given_until_the_transfer_expires() -> None:
    made = plan(SEEN)
    assert (made.give, made.delete, made.requeue_after) == (True, False, 600)
    assert reason(made, "Complete") == "TransferReady"
    assert not reason(made, "Failed")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stored": None}, "TransferWithoutResult"),
        ({"stored": replace(SEEN.stored or STORED, task="Statistics")}, "TransferWithoutModel"),
        ({"stored": replace(SEEN.stored or STORED, task="Evaluate")}, "TransferWithoutModel"),
        ({"has_card": False}, "TransferWithoutModel"),
        ({"stored": replace(SEEN.stored or STORED, release="Participants")}, "TransferNotReleased"),
        ({"stored": replace(SEEN.stored or STORED, quorum=4)}, "TransferTooFewHospitals"),
        ({"key_usable": False}, "TransferKeyUnusable"),
    ],
)
def test_a_model_that_the_person_may_not_have_is_refused_for_good(change: dict[str, Any], expected: str) -> None:
    made = plan(replace(SEEN, **change))
    assert (made.give, reason(made, "Failed"), reason(made, "Complete")) == (False, expected, "")
    after = replace(TRANSFER, status=made.status)
    # A second look does not change the answer, whatever has changed.
    again = plan(replace(SEEN, transfer=after, now=NOW + timedelta(seconds=60)))
    assert (again.give, again.status, again.requeue_after) == (False, made.status, 540)


PUSHED = replace(
    STORED,
    release="Readers",
    aggregated=(),
    pushed=AssignedPushed(digest=STORED.result.digest, requested_by="wanda"),
)


def test_a_reader_gets_the_weights_that_a_person_pushed() -> None:
    made = plan(replace(SEEN, stored=PUSHED))
    assert (made.give, reason(made, "Complete")) == (True, "TransferReady")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"release": "Participants", "aggregated": ("site-a", "site-b", "site-c")}, "TransferNotReleased"),
        # Also if the hospitals' updates change nothing, so that the file is the one that was pushed.
        ({"aggregated": ("site-a", "site-b"), "quorum": 3}, "TransferTooFewHospitals"),
        ({"pushed": AssignedPushed(digest="sha256:" + "0" * 64, requested_by="wanda")}, "TransferTooFewHospitals"),
    ],
)
def test_a_model_that_hospitals_trained_from_pushed_weights_keeps_its_own_rules(
    change: dict[str, Any], expected: str
) -> None:
    made = plan(replace(SEEN, stored=replace(PUSHED, **change)))
    assert (made.give, reason(made, "Failed")) == (False, expected)


@pytest.mark.parametrize("seconds", [600, 6000])
def test_an_expired_transfer_is_deleted_and_gets_nothing(seconds: int) -> None:
    made = plan(replace(SEEN, now=NOW + timedelta(seconds=seconds)))
    assert (made.give, made.delete, made.status) == (False, True, TRANSFER.status)
