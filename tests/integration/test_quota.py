"""What a hospital's account can fill on the hub: one heartbeat, and nothing beside it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api import Api, Refused, account

Object = dict[str, Any]
SITE_B = account("site-b", "site")


def lease(name: str) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "site-b"},
        "spec": {"holderIdentity": "a test"},
    }


@pytest.fixture
def heartbeat(api: Api) -> Any:
    """The one Lease, made as the site makes it."""
    api.create(lease("site"), user=SITE_B)
    yield
    api.delete("Lease", "site", "site-b")


@pytest.mark.usefixtures("heartbeat")
def test_a_hospital_renews_its_heartbeat_and_makes_no_second_lease(api: Api) -> None:
    renewed = {"spec": {"holderIdentity": "the same test"}}
    assert api.patch("Lease", "site", renewed, "site-b", user=SITE_B)["spec"] == renewed["spec"]
    for number in range(3):
        with pytest.raises(Refused, match="exceeded quota: participant") as refused:
            api.create(lease(f"filler-{number}"), user=SITE_B)
        assert refused.value.status == 403


def test_no_event_of_a_hospital_stands_on_the_hub(api: Api) -> None:
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
