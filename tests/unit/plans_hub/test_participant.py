"""Whether a participant may take part is computed from its keys, never read from a condition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import FEDERATION, NOW, at, condition, keys, participant
from wardround.api import conditions
from wardround.api.participant import Participant, PublicKeys, SiteReport
from wardround.plans.events import headline
from wardround.plans.participant import barred, fingerprint, names_on_card, reads_names, status
from wardround.wire.card import MOST_NAMES
from wardround.wire.versions import KNOWN

HUB = "sha256:" + "1" * 64


def with_keys(item: Participant, published: PublicKeys | None) -> Participant:
    site = SiteReport(keys=published, assignment_versions=KNOWN)
    return replace(item, status=replace(item.status, site=site))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (participant("site-a"), "Approved"),
        (participant("site-a", key_fingerprint=None), "NotApproved"),
        (participant("site-a", key_fingerprint="sha256:" + "0" * 64), "FingerprintMismatch"),
        (with_keys(participant("site-a"), None), "NoKeys"),
        (with_keys(participant("site-a"), PublicKeys(signing="AAAA", decryption="AAAA")), "NoKeys"),
        (with_keys(participant("site-a"), keys("site-b")), "FingerprintMismatch"),
    ],
)
def test_ready_has_one_reason(item: Participant, reason: str) -> None:
    ready = conditions.find(status(item, HUB, NOW).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("True" if reason == "Approved" else "False", reason)


def test_a_suspended_participant_is_neither_ready_nor_in_the_making() -> None:
    """kstatus takes a Ready that is not True for work under way."""
    approved = status(participant("site-a"), HUB, NOW)
    suspended = status(replace(participant("site-a", suspend=True), status=approved), HUB, NOW)
    assert conditions.find(suspended.conditions, "Ready") is None
    true = [each.type for each in suspended.conditions if each.status == "True"]
    assert true == ["Suspended"]
    assert headline(suspended.conditions) == conditions.find(suspended.conditions, "Suspended")
    back = status(replace(participant("site-a"), status=suspended), HUB, NOW)
    assert [each.type for each in back.conditions if each.status == "True"] == ["Ready"]


def test_a_hospital_without_an_account_is_revoked_and_people_have_to_act() -> None:
    revoked = status(participant("site-a"), HUB, NOW, has_account=False)
    true = {each.type: each.reason for each in revoked.conditions if each.status == "True"}
    assert true == {"Stalled": "Revoked"}
    ready = conditions.find(revoked.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "Revoked")
    assert "`kubectl wardround enrol site-a --apply --hub-server URL --bootstrap FILE`" in ready.message
    gone = replace(participant("site-a"), status=revoked)
    assert barred(gone, FEDERATION) == "ParticipantRevoked"
    assert status(gone, HUB, at(60), has_account=False) == revoked
    back = replace(gone, status=status(gone, HUB, at(60), has_account=True))
    assert [each.type for each in back.status.conditions if each.status == "True"] == ["Ready"]
    assert barred(back, FEDERATION) is None


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        # Its manifests may be on their way: the account comes after the Participant.
        (with_keys(participant("site-a"), None), "NoKeys"),
        (participant("site-a", suspend=True), "Suspended"),
        (participant("site-a", key_fingerprint=None), "Revoked"),
        (participant("site-a", key_fingerprint="sha256:" + "0" * 64), "Revoked"),
    ],
)
def test_a_missing_account_comes_before_faults_of_the_participants_keys(item: Participant, reason: str) -> None:
    shown = headline(status(item, HUB, NOW, has_account=False).conditions)
    assert shown is not None
    assert shown.reason == reason


def test_a_condition_is_no_proof() -> None:
    swapped = with_keys(participant("site-a"), keys("site-b"))
    lying = replace(swapped, status=replace(swapped.status, conditions=(condition("Ready", True, "Approved"),)))
    assert barred(lying, FEDERATION) == "FingerprintMismatch"


def test_the_fingerprint_that_people_compare_is_computed_by_the_hub() -> None:
    fresh = participant("site-a", key_fingerprint=None)
    assert status(fresh, HUB, NOW).fingerprint == fingerprint(keys("site-a"))
    assert status(with_keys(fresh, None), HUB, NOW).fingerprint is None


def test_a_participant_named_otherwise_than_its_namespace_is_nobody() -> None:
    item = participant("site-a")
    odd = replace(item, metadata=replace(item.metadata, namespace="elsewhere"))
    ready = conditions.find(status(odd, HUB, NOW).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "NamespaceDiffers")


def test_the_hub_passes_on_the_sites_part_of_the_status() -> None:
    item = participant("site-a")
    assert status(item, HUB, NOW).site == item.status.site


def test_the_site_can_compare_the_hubs_own_word_with_its_pin() -> None:
    assert status(participant("site-a"), HUB, NOW).hub_fingerprint == HUB


def test_a_second_look_changes_nothing() -> None:
    item = participant("site-a")
    after = status(item, HUB, NOW)
    assert status(replace(item, status=after), HUB, at(60)) == after


@pytest.mark.parametrize(("changes", "reason"), [({}, None), ({"allowed_federations": ()}, "FederationNotAllowed")])
def test_a_federation_needs_leave(changes: dict[str, Any], reason: str | None) -> None:
    assert barred(participant("site-a", **changes), FEDERATION) == reason


def agreeing(name: str, agrees: bool | None, **spec: Any) -> Participant:
    """`agrees`: None if the site is older than names on cards."""
    item = participant(name, **spec)
    return replace(item, status=replace(item.status, site=SiteReport(name_on_cards=agrees)))


def named(*items: Participant, trained: tuple[str, ...] = ("site-a", "site-b")) -> tuple[str, ...]:
    return names_on_card({each.metadata.name: each for each in items}, trained)


NORTH, WEST = agreeing("site-a", True, display_name="North Hospital"), agreeing("site-b", False, display_name="West")


def test_a_card_names_the_hospitals_that_agree_and_no_others() -> None:
    bystander = agreeing("site-c", True)
    assert named(NORTH, WEST, bystander) == ("North Hospital",)
    assert named(agreeing("site-a", True, display_name="Z"), agreeing("site-b", True, display_name="A")) == ("A", "Z")
    assert named(participant("site-b"), trained=("site-b",)) == ()
    assert named(NORTH, trained=("site-a", "gone")) == ("North Hospital",)


def test_a_card_names_hospitals_although_a_site_of_the_federation_reads_no_names() -> None:
    """The hub delivers the card without names to this site."""
    older = agreeing("site-c", None)
    assert named(NORTH, WEST, older) == ("North Hospital",)
    assert [reads_names(each) for each in (NORTH, WEST, older)] == [True, True, False]


@pytest.mark.parametrize("shown", ["", "North\x1b[2J", "North\u202ehtron", "N" * 129])
def test_a_name_that_a_card_cannot_have_is_replaced_by_that_of_the_participant(shown: str) -> None:
    """A card with such a name would be refused by everybody who reads it."""
    assert named(agreeing("site-a", True, display_name=shown)) == ("site-a",)


def test_a_card_names_a_bounded_number_of_hospitals() -> None:
    many = tuple(agreeing(f"site-{number}", True) for number in range(MOST_NAMES + 1))
    assert len(named(*many, trained=tuple(each.metadata.name for each in many))) == MOST_NAMES
