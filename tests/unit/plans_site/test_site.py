"""Whether a Site is ready, and what it says when it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from tests.worlds.site import FINGERPRINT, NOW, a_record, a_site, a_task
from wardround.api import conditions, participant
from wardround.api.conditions import Condition
from wardround.api.dataset import Dataset
from wardround.api.dataset import parse as parse_dataset
from wardround.api.participant import Participant, PublicKeys
from wardround.api.site import CourierIdentity, Site, SiteStatus
from wardround.plans.site.report import report
from wardround.plans.site.status import status
from wardround.plans.site.types import Link, LinkState, Observation
from wardround.plans.sitetask.held import HeldTask
from wardround.wire.versions import KNOWN, LATEST

KEYS = PublicKeys(signing="QQ==", decryption="Qg==")
SITE = dataclasses.replace(a_site(), status=SiteStatus(courier=CourierIdentity(keys=KEYS, fingerprint=FINGERPRINT)))


def a_participant(**spec: object) -> Participant:
    return participant.parse({"metadata": {"name": "site-a"}, "spec": {"keyFingerprint": FINGERPRINT, **spec}})


def status_of(site: Site, link: Link, known: Participant | None = None, held: Sequence[HeldTask] = ()) -> SiteStatus:
    return status(Observation(site=site, link=link, participant=known, held=held, now=NOW))


def reason(site: Site = SITE, state: LinkState = "Connected", known: Participant | None = None) -> tuple[str, str]:
    condition = conditions.find(status_of(site, Link(state, "said"), known).conditions, "Ready")
    assert condition is not None
    return condition.status, condition.reason


def test_a_site_that_holds_as_many_tasks_as_it_may_says_so() -> None:
    for tasks, ready in ((255, "Approved"), (256, "TooManyTasks")):
        held = (a_record(a_task()),) * tasks
        condition = conditions.find(status_of(SITE, Link("Connected"), a_participant(), held).conditions, "Ready")
        assert condition is not None
        assert condition.reason == ready


def test_an_approved_and_connected_site_is_ready() -> None:
    assert reason(known=a_participant()) == ("True", "Approved")


@pytest.mark.parametrize("state", ["NotEnrolled", "EnrolmentExpired", "HubForbids", "HubUnreachable", "Connecting"])
def test_without_its_hub_a_site_is_not_ready_and_says_why(state: LinkState) -> None:
    assert reason(state=state, known=a_participant()) == ("False", state)


def test_expired_enrolment_needs_a_person_and_an_unreachable_hub_does_not() -> None:
    for state, stalled in (("EnrolmentExpired", True), ("HubUnreachable", False)):
        after = status_of(SITE, Link(state), a_participant())  # type: ignore[arg-type]
        assert conditions.is_true(after.conditions, "Stalled") is stalled
        assert conditions.is_true(after.conditions, "HubConnected") is False


def test_the_site_shows_the_state_of_its_participant_at_the_hub() -> None:
    assert reason() == ("False", "ParticipantUnknown")
    assert reason(known=a_participant(suspend=True)) == ("False", "Suspended")
    assert reason(known=a_participant(keyFingerprint=None)) == ("False", "NotApproved")
    assert reason(known=a_participant(keyFingerprint="sha256:" + "0" * 64)) == ("False", "FingerprintMismatch")


def test_a_site_that_pins_another_hub_needs_a_person_before_any_task_comes() -> None:
    pinned = SITE.spec.hub.fingerprint
    for fingerprint, expected in ((pinned, ("True", "Approved")), ("sha256:" + "0" * 64, ("False", "HubNotPinned"))):
        known = a_participant()
        known = dataclasses.replace(known, status=dataclasses.replace(known.status, hub_fingerprint=fingerprint))
        assert reason(known=known) == expected
        stalled = status_of(SITE, Link("Connected"), known).conditions
        assert conditions.is_true(stalled, "Stalled") is (expected[0] == "False")


@pytest.mark.parametrize("too_old", ["SiteTooOld", "HubTooOld"])
def test_a_site_whose_hub_knows_none_of_its_versions_says_who_has_to_upgrade(too_old: str) -> None:
    ready = Condition(type="Ready", status="False", reason=too_old, last_transition_time="2026-11-24T12:00:00Z")
    known = a_participant()
    known = dataclasses.replace(known, status=dataclasses.replace(known.status, conditions=(ready,)))
    assert reason(known=known) == ("False", too_old)
    after = status_of(SITE, Link("Connected"), known).conditions
    stalled = conditions.find(after, "Stalled")
    assert stalled is not None
    assert stalled.status == "True"
    assert "Upgrade the" in stalled.message


def test_a_site_publishes_the_versions_that_its_policy_accepts() -> None:
    assert report(SITE, [])["assignmentVersions"] == list(KNOWN)
    assert report(a_site(lowestAssignmentVersion=LATEST), [])["assignmentVersions"] == [LATEST]
    assert report(a_site(lowestAssignmentVersion=LATEST + 1), [])["assignmentVersions"] == []


@pytest.mark.parametrize("agrees", [False, True])
def test_a_site_says_whether_cards_may_name_its_hospital(agrees: bool) -> None:
    """Also if they may not: the hub takes the field as the word of a site that reads cards with names."""
    assert report(a_site(nameOnCards=agrees), [])["nameOnCards"] is agrees
    assert report(SITE, [])["nameOnCards"] is False


def test_a_site_without_keys_waits_for_its_courier() -> None:
    assert reason(site=a_site(), known=a_participant()) == ("False", "NoKeys")
    condition = conditions.find(status_of(a_site(), Link("Connected"), a_participant()).conditions, "Ready")
    assert condition is not None
    assert condition.message.endswith(": kubectl logs deployment/courier -n hospital-a")


def test_the_hub_learns_names_and_digests_of_datasets_and_nothing_else() -> None:
    document = {
        "metadata": {"name": "breast"},
        "spec": {
            "claimName": "secret-claim",
            "path": "cases.csv",
            "schemaName": "breast-v1",
            "identifier": {"column": "secret-column", "type": "string"},
            "split": {},
        },
        "status": {"schemaDigest": "sha256:1", "columnsDigest": "sha256:2", "rows": 341},
    }
    dataset: Dataset = parse_dataset(document)
    site_report = report(SITE, [dataset])
    assert site_report["datasets"] == [{"name": "breast", "schemaDigest": "sha256:1", "columnsDigest": "sha256:2"}]
    assert "secret" not in str(site_report)


def test_the_hub_does_not_learn_of_a_dataset_that_no_federation_may_use() -> None:
    def document(name: str) -> dict[str, Any]:
        identifier = {"column": "i", "type": "string"}
        spec = {"claimName": "c", "schemaName": "s", "path": "p", "identifier": identifier, "split": {}}
        return {
            "metadata": {"name": name},
            "spec": spec,
            "status": {"schemaDigest": "sha256:1", "columnsDigest": "sha256:2"},
        }

    listed = a_site(datasets=[{"name": name, "federations": ["breast-cancer"]} for name in ("skin", "breast", "lung")])
    site_report = report(listed, [parse_dataset(document(name)) for name in ("psychiatry", "skin", "breast")])
    assert [each["name"] for each in site_report["datasets"]] == ["breast", "skin"]
    assert report(a_site(datasets=[]), [parse_dataset(document("breast"))])["datasets"] == []
