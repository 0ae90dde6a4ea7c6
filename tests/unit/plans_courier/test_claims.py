"""What leaves the site of the training pod's claims about an update, and which claims are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.worlds.site import ASSIGNMENT
from wardround.plans.courier.claims import read_claims, require_base
from wardround.sealing.refused import Refused
from wardround.wire import codec, digests
from wardround.wire.update import UpdateClaims, ValidationSums

BASE = digests.digest(b"base")
CLAIMS = UpdateClaims(
    samples=290,
    withheld=False,
    tells=True,
    min_cell=11,
    sums=None,
    digest=digests.digest(b"tensors"),
    schema_digest=digests.digest(b"schema"),
    base_digest=BASE,
    length=7,
)


def document(**changes: Any) -> bytes:
    return codec.write_document(replace(CLAIMS, **changes))


def sums(**reported: str) -> bytes:
    return codec.write_document(ValidationSums(people=40, sums={"people": ("40.0", "12.0", "28.0")}, reported=reported))


def test_a_reported_metric_that_nobody_declared_stays_here() -> None:
    claims = read_claims(document(sums=sums(loss="0.1", name="12")), ASSIGNMENT)
    assert claims.sums is not None
    assert json.loads(claims.sums)["reported"] == {"loss": "0.1"}


def test_claims_without_sums_are_taken_as_they_are() -> None:
    assert read_claims(document(), ASSIGNMENT) == CLAIMS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": "sha256:short"}, "OutputNotSafetensors"),
        ({"base_digest": "no digest"}, "OutputNotSafetensors"),
        ({"sums": b"{}"}, "MetricsInvalid"),
        ({"sums": sums(loss="1" * 4096)}, "MetricsInvalid"),
    ],
)
def test_claims_that_are_not_as_the_pod_writes_them_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_claims(document(**changes), ASSIGNMENT)


def test_an_update_of_another_base_is_refused() -> None:
    require_base(CLAIMS, BASE)
    require_base(CLAIMS, "")  # an initial round: the base is the site's own
    with pytest.raises(Refused, match="WrongBase"):
        require_base(CLAIMS, digests.digest(b"another base"))
