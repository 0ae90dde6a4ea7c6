"""What a hospital's account can fill on the hub: one heartbeat, small statuses, and nothing beside them.

The hub's etcd keeps every version of an object for five minutes, two gigabytes in all. Objects of a megabyte, written
ten times a second, fill it in between, and then nobody writes anything there.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import HUB, condition, round_task

Object = dict[str, Any]
SITE_B = account("site-b", "site")
HUB_OPERATOR = account(HUB, "hub-operator")
SMALL = "Lease of a site may hold only a holder's name"
TOO_MUCH = "Shorten the message, or remove these characters"


def lease(name: str) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "site-b"},
        "spec": {"holderIdentity": "a test"},
    }


@pytest.fixture(scope="module")
def heartbeat(api: Api) -> Any:
    """The one Lease, made as the site makes it; once, as no controller is here to count it down again."""
    api.create(lease("site"), user=SITE_B)
    yield
    api.delete("Lease", "site", "site-b")


@pytest.mark.usefixtures("heartbeat")
def test_a_hospital_can_renew_its_lease_and_make_no_second_one(api: Api) -> None:
    renewed = {"spec": {"holderIdentity": "the same test"}}
    assert api.patch("Lease", "site", renewed, "site-b", user=SITE_B)["spec"] == renewed["spec"]
    for number in range(3):
        with pytest.raises(Refused, match="exceeded quota: participant") as refused:
            api.create(lease(f"filler-{number}"), user=SITE_B)
        assert refused.value.status == 403


@pytest.mark.usefixtures("heartbeat")
@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"annotations": {"filler": "x" * 200_000}}},
        {"metadata": {"labels": {"filler": "x"}}},
        {"metadata": {"finalizers": ["example.org/never"]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x" * 200, "uid": "x"}]}},
        {"spec": {"holderIdentity": "x" * 1_000_000}},
    ],
    ids=["annotation", "label", "finalizer", "owner", "holder"],
)
def test_the_api_server_refuses_a_large_heartbeat(api: Api, change: Object) -> None:
    with pytest.raises(Refused, match=SMALL):
        api.patch("Lease", "site", change, "site-b", user=SITE_B)


def test_the_api_server_refuses_a_large_first_heartbeat(api: Api) -> None:
    full = lease("site")
    full["metadata"]["annotations"] = {"filler": "x" * 200_000}
    with pytest.raises(Refused, match=SMALL):
        api.create(full, user=SITE_B)


@pytest.mark.usefixtures("heartbeat")
def test_annotations_of_people_do_not_stop_a_heartbeat(api: Api) -> None:
    api.patch("Lease", "site", {"metadata": {"labels": {"watched": "yes"}}}, "site-b")
    api.patch("Lease", "site", {"spec": {"holderIdentity": "still a test"}}, "site-b", user=SITE_B)


@pytest.fixture
def task(api: Api) -> Any:
    api.create(round_task("site-b", "filled"), user=HUB_OPERATOR)
    yield "filled"
    api.delete("RoundTask", "filled", "site-b")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"update": {"manifest": "x" * 16385}}, "may not be more than 16384"),
        ({"conditions": [condition("Accepted") | {"message": "x" * 257}]}, TOO_MUCH),
        # `explain` shows it to people in a terminal.
        ({"conditions": [condition("Accepted") | {"message": "\u001b]0;clear"}]}, TOO_MUCH),
    ],
    ids=["manifest", "long message", "escape sequence"],
)
def test_a_hospitals_report_about_a_task_is_short(api: Api, task: str, status: Object, words: str) -> None:
    with pytest.raises(Refused, match=words):
        api.patch_status("RoundTask", task, status, "site-b", user=SITE_B)


def test_a_hospital_cannot_name_more_datasets_than_rounds_can_ask_for(api: Api) -> None:
    many = {"site": {"datasets": [{"name": f"d{number}"} for number in range(65)]}}
    with pytest.raises(Refused, match="must have at most 64 items"):
        api.patch_status("Participant", "site-b", many, "site-b", user=SITE_B)
    long = {"site": {"datasets": [{"name": "x" * 64}]}}
    with pytest.raises(Refused, match="may not be more than 63"):
        api.patch_status("Participant", "site-b", long, "site-b", user=SITE_B)


def test_a_hospital_cannot_write_events_on_the_hub(api: Api) -> None:
    """The API server counts no events into any quota, so that only the missing right holds here."""
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "filler", "namespace": "site-b"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "test",
        "reportingInstance": "test",
        "action": "Fill",
        "reason": "Fill",
        "type": "Normal",
    }
    with pytest.raises(Refused, match="cannot create resource"):
        api.create(event, user=SITE_B)
