"""Hospitals and a store in trouble: both sides report the cause and who must act, and no task is lost."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conditions import Condition, condition, is_true
from tests.e2e.accounts import bearer
from tests.e2e.clusters import eventually
from tests.e2e.federation import ROUND_SECONDS, Federation, Finished
from tests.e2e.played import SAMPLES, Played, enrolled, store
from tests.e2e.troubles import (
    aged,
    another_hub_pinned,
    enrolment_expired,
    node_dead,
    not_approved,
    nothing_restarts,
    store_down,
)
from tests.integration.api.apiserver import Refused
from wardround.api import names
from wardround.api.times import parse_time

Object = dict[str, Any]
UNAPPROVED, MISTAKEN, EXPIRED = "site-a", "site-b", "site-c"


@dataclass(frozen=True)
class Seen:
    """How objects stood at the worst moment, by cluster or participant. `first`: round of the hospital that nobody has
    approved, `second`: of the two others."""

    first: Object
    first_tasks: list[Object]
    second: Object
    participant: Object
    sites: dict[str, Object]
    lease: Object
    round_tasks: dict[str, Object]
    site_tasks: dict[str, Object]


@dataclass(frozen=True)
class Story:
    """The same two rounds through all of it: three hospitals in trouble; then these are well, and the store is not.

    `sent`: a round of a hospital that had sent its update before the store went away. The node that was to combine
    it died first; `lost`: the pod there, when the hub had made another one.
    """

    worst: Seen
    without_store: dict[str, tuple[Object, Object, Object]]
    lost: list[Object]
    first: Finished
    second: Finished
    sent: Finished


@pytest.fixture(scope="module", autouse=True)
def steady(federation: Federation) -> Iterator[None]:
    with nothing_restarts(federation):
        yield


@pytest.fixture(scope="module")
def story(federation: Federation) -> Story:
    first = federation.manifest("first-in-trouble", "Statistics", participants={"names": [UNAPPROVED]})
    others = {"names": [MISTAKEN, EXPIRED]}
    second = federation.manifest("second-in-trouble", "Statistics", participants=others, quorum={"min": 1})
    played = federation.name("played")
    sent = federation.manifest("sent-in-time", "Statistics", participants={"names": [played]})
    with enrolled(federation, played) as hospitals, ExitStack() as away:
        say_sent = _stored(federation, hospitals[played], sent)
        with node_dead("hub"):
            # Each try to aggregate begins with a list in the store, so the store is there until the second one.
            say_sent()
            _take_from_its_node(federation, sent)
            eventually("the hub tries again", lambda: bool(_combining(federation, sent, attempt=2)))
            lost = _combining(federation, sent, attempt=1)
            away.enter_context(store_down(federation))
            worst = _worst_of(federation, first, second)
        eventually("the round waits", lambda: _reason(_round(federation, sent)) == "StoreUnreachable")
        without_store = {
            site: _waiting_for_the_store(federation, made, site)
            for site, made in ((UNAPPROVED, first), (EXPIRED, second))
        }
        away.close()
        ended = [federation.completed(each["metadata"]["name"]) for each in (first, second, sent)]
    return Story(worst, without_store, lost, *ended)


def _worst_of(federation: Federation, first: Object, second: Object) -> Seen:
    with ExitStack() as stack:
        stack.enter_context(not_approved(federation, UNAPPROVED))
        stack.enter_context(another_hub_pinned(federation, MISTAKEN))
        stack.enter_context(enrolment_expired(federation, EXPIRED))
        _until_said(federation, EXPIRED, "EnrolmentExpired")
        federation.apply(first, second)
        return _worst(federation, first, second)


def _take_from_its_node(federation: Federation, made: Object) -> None:
    """Deletes the pods of a node, like Kubernetes does some minutes after the node's last heartbeat."""

    def bound() -> bool:
        return any(pod["spec"].get("nodeName") for pod in _combining(federation, made, attempt=1))

    eventually("a node is to combine what was sent", bound)
    [pod] = [pod["metadata"]["name"] for pod in _combining(federation, made, attempt=1)]
    where = ("-n", federation.hub_namespace)
    federation.kubectl("hub")("delete", "pod", pod, *where, "--wait=false", "--grace-period=1")


def _combining(federation: Federation, made: Object, attempt: int) -> list[Object]:
    uid = _round(federation, made)["metadata"]["uid"]
    labels = f"{names.ROUND_UID}={uid},{names.ATTEMPT}={attempt}"
    return list(federation.kubectl("hub").get("pods", "-n", federation.hub_namespace, "-l", labels)["items"])


def _stored(federation: Federation, hospital: Played, made: Object) -> Callable[[], None]:
    """A round whose one update lies in the store; to be called for the hospital to say so."""
    federation.apply(made)
    eventually("it is asked", lambda: bool(federation.tasks_of(made["metadata"]["name"])))
    [task] = federation.tasks_of(made["metadata"]["name"])
    update = hospital.seal(task)
    store(federation, hospital.asked_for_place(task, update), update)
    return lambda: hospital.say_sent(task, update)


def test_an_unapproved_hospital_is_named_and_gets_no_task(story: Story) -> None:
    stalled = _condition(story.worst.first, "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "ParticipantNotApproved")
    assert UNAPPROVED in stalled.message
    [entry] = story.worst.first["status"]["attention"]
    assert (entry["participant"], entry["reason"]) == (UNAPPROVED, "ParticipantNotApproved")
    assert story.worst.first_tasks == []
    ready = _condition(story.worst.participant, "Ready")
    assert (ready.status, ready.reason) == ("False", "NotApproved")
    assert story.worst.participant["status"]["fingerprint"] in ready.message


def test_an_unapproved_hospital_sees_the_fingerprint_to_read_out(story: Story) -> None:
    ready = _condition(story.worst.sites[UNAPPROVED], "Ready")
    assert (ready.status, ready.reason) == ("False", "NotApproved")
    assert story.worst.participant["status"]["fingerprint"] in ready.message


def test_a_round_continues_when_its_hospital_is_approved(story: Story) -> None:
    assert story.first.round["status"]["participants"]["aggregated"] == 1


def test_a_hospital_that_pins_another_hub_refuses_and_both_sides_report_it(story: Story) -> None:
    for side in (story.worst.round_tasks[MISTAKEN], story.worst.site_tasks[MISTAKEN]):
        accepted = _condition(side, "Accepted")
        assert (accepted.status, accepted.reason) == ("False", "HubNotPinned")
        assert side["status"]["failure"]["class"] == "Site"
    failed = _condition(story.worst.site_tasks[MISTAKEN], "Failed")
    assert "hub.fingerprint in the values of the site chart" in failed.message
    [entry] = [each for each in story.worst.second["status"]["attention"] if each["participant"] == MISTAKEN]
    assert entry["reason"] == "HubNotPinned"
    assert entry["message"]
    assert story.second.attention(MISTAKEN)["reason"] == "HubNotPinned"


def test_the_site_of_a_hospital_that_pins_another_hub_reports_it(story: Story) -> None:
    for kind, status in (("Ready", "False"), ("Stalled", "True")):
        shown = _condition(story.worst.sites[MISTAKEN], kind)
        assert (shown.status, shown.reason) == (status, "HubNotPinned")
        assert "spec.hub.fingerprint" in shown.message


def test_a_hospital_with_an_expired_enrolment_reports_what_to_request(story: Story) -> None:
    site = story.worst.sites[EXPIRED]
    connected = _condition(site, "HubConnected")
    assert (connected.status, connected.reason) == ("False", "EnrolmentExpired")
    assert f"enrol {EXPIRED} --apply --hub-server URL --bootstrap FILE" in connected.message
    assert _condition(site, "Stalled").reason == "EnrolmentExpired"


def test_the_hub_reports_a_hospital_with_an_expired_enrolment_as_silent(story: Story) -> None:
    lost = parse_time(_condition(story.worst.sites[EXPIRED], "HubConnected").since)
    # The condition's time has no fraction of a second.
    assert (parse_time(story.worst.lease["spec"]["renewTime"]) - lost).total_seconds() < 1
    assert "timeline" not in story.worst.round_tasks[EXPIRED]["status"]


def test_a_token_of_the_hub_is_refused_only_for_its_age(federation: Federation) -> None:
    """The control: the token's signature is valid, so it is refused for its age."""
    secret = federation.kubectl(EXPIRED).get("secret", "hub-credentials", "-n", federation.site_namespace)
    held = base64.b64decode(secret["data"]["token"]).decode()
    with bearer("hub", aged(held, 0)) as api:
        api.get("Participant", EXPIRED, EXPIRED)
    with bearer("hub", aged(held, 2 * 24 * 3600)) as api, pytest.raises(Refused) as refusal:
        api.get("Participant", EXPIRED, EXPIRED)
    assert refusal.value.status == 401


def test_both_sides_wait_for_a_missing_store_and_report_it(story: Story) -> None:
    for site, (round_, *sides) in story.without_store.items():
        for side in sides:
            waits = _condition(side, "Reconciling")
            assert (waits.status, waits.reason) == ("True", "StoreUnreachable")
        [entry] = [each for each in round_["status"]["attention"] if each["participant"] == site]
        assert entry["reason"] == "StoreUnreachable"
        assert entry["message"]


def test_sent_updates_wait_for_a_store_that_fails_before_aggregation(story: Story) -> None:
    assert story.sent.result["samples"] == SAMPLES


def test_sent_updates_survive_the_node_of_their_aggregation(story: Story) -> None:
    """Kubernetes has not deleted its pod."""
    assert [bool(pod["metadata"].get("deletionTimestamp")) for pod in story.lost] == [True]
    assert story.sent.complete


def test_no_task_is_lost_after_the_trouble(story: Story) -> None:
    """The aggregated tasks are those that waited: there is no second attempt."""
    for finished, site in ((story.first, UNAPPROVED), (story.second, EXPIRED)):
        assert finished.complete
        counted = int(finished.task(site)["status"]["update"]["samples"])
        assert finished.result["samples"] == counted
        assert [int(task["spec"]["attempt"]) for task in finished.tasks] == [1] * len(finished.tasks)


def test_a_round_of_all_hospitals_completes_after_the_trouble(federation: Federation, story: Story) -> None:
    assert federation.run_round("after-trouble", "Statistics").round["status"]["participants"]["aggregated"] == 3


def _worst(federation: Federation, first: Object, second: Object) -> Seen:
    """Once everything that can be said is said."""
    hub, name = federation.kubectl("hub"), second["metadata"]["name"]

    def site(name: str) -> Object:
        return federation.kubectl(name).get("site", "site", "-n", federation.site_namespace)

    def round_tasks() -> dict[str, Object]:
        return {task["metadata"]["namespace"]: task for task in federation.tasks_of(name)}

    eventually("the round says who is not approved", lambda: is_true(_round(federation, first), "Stalled"))
    _until_said(federation, UNAPPROVED, "NotApproved", "Ready")
    _until_said(federation, MISTAKEN, "HubNotPinned", "Ready")
    eventually("both are asked", lambda: len(round_tasks()) == 2)
    eventually("one refuses", lambda: is_true(round_tasks()[MISTAKEN], "Failed"))
    eventually(
        "the round says who refuses", lambda: (MISTAKEN, "HubNotPinned") in _attention(_round(federation, second))
    )
    tasks = round_tasks()
    return Seen(
        first=_round(federation, first),
        first_tasks=federation.tasks_of(first["metadata"]["name"]),
        second=_round(federation, second),
        participant=hub.get("participant", UNAPPROVED, "-n", UNAPPROVED),
        sites={each: site(each) for each in federation.sites},
        lease=hub.get("lease", "site", "-n", EXPIRED),
        round_tasks=tasks,
        site_tasks={MISTAKEN: federation.site_task(MISTAKEN, tasks[MISTAKEN]["metadata"]["name"])},
    )


def _until_said(federation: Federation, site: str, reason: str, kind: str = "HubConnected") -> None:
    def explained() -> bool:
        item = federation.kubectl(site).get("site", "site", "-n", federation.site_namespace)
        return _condition(item, kind).reason == reason

    eventually(f"the Site of {site} says {reason}", explained)


def _waiting_for_the_store(federation: Federation, made: Object, site: str) -> tuple[Object, Object, Object]:
    """Round, RoundTask and SiteTask, after all report that they wait for the store."""
    name = made["metadata"]["name"]
    objects: list[Object] = []

    def explained() -> bool:
        round_ = _round(federation, made)
        there = [task for task in federation.tasks_of(name) if task["metadata"]["namespace"] == site]
        if not there or (site, "StoreUnreachable") not in _attention(round_):
            return False
        objects[:] = [round_, there[0], federation.site_task(site, there[0]["metadata"]["name"])]
        return all(_reason(task) == "StoreUnreachable" for task in objects[1:])

    eventually(f"{site} waits for the store", explained, ROUND_SECONDS)
    round_, there, here = objects
    return round_, there, here


def _round(federation: Federation, made: Object) -> Object:
    return federation.kubectl("hub").get("federatedround", made["metadata"]["name"], "-n", federation.namespace)


def _attention(round_: Object) -> set[tuple[str, str]]:
    return {(each["participant"], each["reason"]) for each in round_["status"].get("attention") or ()}


def _reason(item: Object) -> str:
    """The reason why the item is not ready yet. Empty if it has none."""
    reconciling = condition(item, "Reconciling")
    return reconciling.reason if reconciling else ""


def _condition(item: Object, kind: str) -> Condition:
    result = condition(item, kind)
    assert result is not None, f"no condition {kind}: {item.get('status')}"
    return result
