"""What a delivery does on the claim of models, as a table: what the claim holds, and what the courier writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.card.models import making, manifest
from tests.worlds.site import ASSIGNMENT, NOW
from wardround.documents import cards
from wardround.plans.courier.delivery import OnClaim, Package, Plan, package, plan
from wardround.sealing.refused import Refused
from wardround.wire.assignment import AssignedDelivery
from wardround.wire.model_folder import FolderOwner

CARD = cards.first(making(), NOW)
MANIFEST = manifest(b"")
DELIVERY = AssignedDelivery(model_name="breast", model_uid="uid", version=3, keep=2, card="signed")
ASKED = replace(
    ASSIGNMENT,
    task="Deliver",
    round_namespace=CARD.round_namespace,
    schema=replace(ASSIGNMENT.schema, columns_digest=CARD.columns_digest),
    delivery=DELIVERY,
)
PACKAGE = package(ASKED, DELIVERY, MANIFEST, CARD, "text")
OWNER = FolderOwner(federation=CARD.round_namespace, name="breast", uid="uid")
EARLIER = OnClaim(exists=True, owner=OWNER, versions=(1, 2), current=2)
WHOLE = OnClaim(exists=True, owner=OWNER, versions=(2, 3), current=3, digest=MANIFEST.digest, described=CARD)

PLANS: dict[str, tuple[OnClaim, Plan]] = {
    "the claim holds nothing of the model": (OnClaim(), Plan(missing="Folder")),
    "it holds as many versions as the model keeps": (EARLIER, Plan(missing="Folder", surplus=(1,))),
    "it holds the version": (WHOLE, Plan(missing="Nothing")),
    "it holds the version without a card": (replace(WHOLE, described=None), Plan(missing="Card")),
    "people of the hospital have gone back to the version": (
        replace(WHOLE, versions=(2, 3, 4)),
        Plan(missing="Nothing", surplus=(2,)),
    ),
    "people have gone back to a version that is no longer there": (
        replace(EARLIER, versions=(4, 5), current=3),
        Plan(missing="Folder", surplus=(4,)),
    ),
    "a delivery broke off before the surplus went": (
        replace(WHOLE, versions=(1, 2, 3), current=2),
        Plan(missing="Nothing", surplus=(1,)),
    ),
}

REFUSALS: dict[str, tuple[OnClaim, str]] = {
    "another model has the name": (replace(EARLIER, owner=replace(OWNER, federation="another")), "ModelNameTaken"),
    "people have written there": (OnClaim(exists=True), "ModelNameTaken"),
    "a newer version is there, and no current one": (
        replace(EARLIER, versions=(4,), current=None),
        "ModelVersionBackwards",
    ),
    "a newer version was the current one": (replace(EARLIER, current=4), "ModelVersionBackwards"),
    "the version is another model": (replace(WHOLE, digest="none"), "ModelVersionDiffers"),
    "its card cannot be read": (replace(WHOLE, described=None, unreadable=True), "ModelVersionDiffers"),
    "its card has other people": (replace(WHOLE, described=replace(CARD, people=9999)), "ModelVersionDiffers"),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_delivery_writes_what_the_claim_lacks(case: str) -> None:
    seen, planned = PLANS[case]
    assert plan(PACKAGE, seen) == planned


@pytest.mark.parametrize(("revision", "missing"), [(6, "Nothing"), (7, "Nothing"), (8, "Card")])
def test_only_a_newer_revision_takes_the_place_of_a_card(revision: int, missing: str) -> None:
    brought = replace(PACKAGE, described=replace(CARD, revision=revision))
    assert plan(brought, replace(WHOLE, described=replace(CARD, revision=7))).missing == missing


@pytest.mark.parametrize("case", REFUSALS)
def test_a_version_that_may_not_go_onto_the_claim_is_refused(case: str) -> None:
    seen, reason = REFUSALS[case]
    with pytest.raises(Refused) as refused:
        plan(PACKAGE, seen)
    assert refused.value.reason == reason


def test_a_package_is_of_the_model_that_its_card_describes() -> None:
    assert Package(owner=OWNER, version=3, keep=2, digest=MANIFEST.digest, card="text", described=CARD) == PACKAGE
    for other in (
        replace(CARD, round_namespace="another"),
        replace(CARD, columns_digest="sha256:" + "0" * 64),
        replace(CARD, model=replace(CARD.model, bytes=CARD.model.bytes + 1)),
    ):
        with pytest.raises(Refused, match="CardDiffers"):
            package(ASKED, DELIVERY, MANIFEST, other, "text")
