"""Who may push a model, what fits, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_hub.builders import ASSIGNED, FEDERATION, NOW
from wardround.api import conditions
from wardround.api.meta import Meta
from wardround.api.modelpush import ModelPush, ModelPushSpec, ModelPushStatus, UploadOffer
from wardround.api.times import to_seconds
from wardround.plans.push import DEVIATION, MEAN, ExaminedFile, Kind, Observation, Plan, hidden, plan

DIGEST = "sha256:" + "d" * 64
PUSH = ModelPush(
    metadata=Meta(name="pretrained", namespace=FEDERATION, uid="uid", creation_timestamp=to_seconds(NOW)),
    spec=ModelPushSpec(
        schema_name="breast-v1", digest=DIGEST, bytes=100, tensors_digest=DIGEST, public_key="key", requested_by="wanda"
    ),
)
SEEN = Observation(
    push=PUSH, schema=ASSIGNED, features=1, name_taken=False, kept=False, key_usable=True, examined=None, now=NOW
)
OFFERED = replace(PUSH, status=ModelPushStatus(upload=UploadOffer(hub_key="key", offer="{}")))
UPLOADED = replace(OFFERED, spec=replace(PUSH.spec, uploaded=True))
NETWORK: dict[str, Kind] = {
    MEAN: ("F32", (1,)),
    DEVIATION: ("F32", (1,)),
    "hidden.0.weight": ("F32", (4, 1)),
    "hidden.0.bias": ("F32", (4,)),
    "output.weight": ("F32", (1, 4)),
    "output.bias": ("F32", (1,)),
}
EXAMINED = ExaminedFile(tensors=NETWORK, segments_digest=DIGEST, bytes=116)


def reason(made: Plan, kind: str) -> str:
    shown = conditions.find(made.status.conditions, kind)
    return shown.reason if shown and shown.status == "True" else ""


def does(made: Plan) -> list[str]:
    return [name for name in ("offer", "look", "keep", "delete") if getattr(made, name)]


def test_a_push_goes_from_the_offer_to_the_version() -> None:
    first = plan(SEEN)
    assert (does(first), reason(first, "Reconciling"), first.requeue_after) == (["offer"], "PushUploading", 600)
    waits = plan(replace(SEEN, push=OFFERED))
    assert (does(waits), reason(waits, "Reconciling")) == ([], "PushUploading")
    looks = plan(replace(SEEN, push=UPLOADED))
    assert (does(looks), reason(looks, "Reconciling")) == (["look"], "PushChecking")
    keeps = plan(replace(SEEN, push=UPLOADED, examined=EXAMINED))
    assert (does(keeps), reason(keeps, "Complete"), keeps.status.upload) == (["keep"], "PushReady", None)


def test_after_a_crash_the_version_is_not_made_again() -> None:
    made = plan(replace(SEEN, push=UPLOADED, kept=True))
    assert (does(made), reason(made, "Complete")) == ([], "PushReady")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": None}, "PushWithoutSchema"),
        ({"name_taken": True}, "PushNameTaken"),
        ({"key_usable": False}, "PushKeyUnusable"),
        ({"push": UPLOADED, "examined": ExaminedFile(reason="PushNotFinite", tensors={})}, "PushNotFinite"),
        ({"push": UPLOADED, "examined": EXAMINED, "features": 2}, "PushDiffers"),
    ],
)
def test_the_hub_refuses_a_push_that_does_not_fit_for_good(change: dict[str, Any], expected: str) -> None:
    made = plan(replace(SEEN, **change))
    assert (does(made), reason(made, "Failed"), reason(made, "Complete")) == ([], expected, "")
    assert made.status.upload is None
    again = plan(replace(SEEN, push=replace(UPLOADED, status=made.status), examined=EXAMINED))
    assert (does(again), again.status) == ([], made.status)


@pytest.mark.parametrize("push", [PUSH, OFFERED, UPLOADED])
def test_a_push_whose_time_is_over_is_deleted_and_keeps_nothing(push: ModelPush) -> None:
    assert does(plan(replace(SEEN, push=push, examined=EXAMINED, now=NOW + timedelta(seconds=600)))) == ["delete"]


@pytest.mark.parametrize(
    ("change", "widths"),
    [
        ({}, (4,)),
        ({"extra": ("F32", (1,))}, None),
        ({"output.bias": ("F64", (1,))}, None),
        ({"hidden.0.bias": ("F32", (3,))}, None),
        ({"hidden.0.weight": ("F32", (4,))}, None),
        (
            {"hidden.1.weight": ("F32", (2, 4)), "hidden.1.bias": ("F32", (2,)), "output.weight": ("F32", (1, 2))},
            (4, 2),
        ),
        ({"hidden.2.weight": ("F32", (2, 4)), "hidden.2.bias": ("F32", (2,))}, None),
    ],
)
def test_a_network_of_the_built_in_trainer_is_known_by_all_of_its_tensors(
    change: dict[str, Kind], widths: tuple[int, ...] | None
) -> None:
    assert hidden({**NETWORK, **change}, 1) == widths
    assert hidden({**NETWORK, **change}, 2) is None


def test_the_hub_keeps_a_push_with_the_tensors_of_another_image() -> None:
    """Only the code of that image knows its tensors. A training container refuses a base that does not fit its code
    (tests/unit/simulation/test_foreign_base.py)."""
    other = replace(EXAMINED, tensors={"encoder.weight": ("F64", (3, 3))})
    assert does(plan(replace(SEEN, push=UPLOADED, examined=other))) == ["keep"]
