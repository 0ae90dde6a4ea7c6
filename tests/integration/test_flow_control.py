"""Whose requests take turns with whose at the hub's API server: hospitals in a level of their own."""

from __future__ import annotations

import copy
import time

import pytest

from tests.integration.api import Api, account
from tests.integration.objects import HUB
from wardround.cli.enrolment import PRIORITY_LEVEL, flow_schema_name, manifests

FLOW_CONTROL = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMA, LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
OWN = "/apis/wardround.io/v1alpha1/namespaces/site-a/roundtasks"


def uid(api: Api, plural: str, name: str) -> str:
    found: str = api.call("GET", f"{FLOW_CONTROL}/{plural}/{name}")["metadata"]["uid"]
    return found


def sorted_into(api: Api, user: str, path: str = OWN) -> tuple[str, str]:
    """The UIDs of the FlowSchema that caught a request and of the level in which it took its turn."""
    headers = api.headers(path, user=user)
    return headers[SCHEMA], headers[LEVEL]


@pytest.fixture(scope="module")
def level(api: Api) -> str:
    """The hospitals' level, once the API server knows who goes there."""
    found = uid(api, "prioritylevelconfigurations", PRIORITY_LEVEL)
    deadline = time.monotonic() + 30
    for name in ("site-a", "site-b"):
        while sorted_into(api, account(name, "site"))[1] != found:
            assert time.monotonic() < deadline, f"the requests of {name} do not go to {PRIORITY_LEVEL}"
            time.sleep(0.2)
    return found


@pytest.mark.parametrize(
    "path",
    [
        OWN,
        "/apis/coordination.k8s.io/v1/namespaces/site-a/leases/site",
        # What is refused has been sorted before.
        "/api/v1/namespaces/site-a/secrets",
        "/apis/wardround.io/v1alpha1/participants",
        "/api/v1/nodes",
        "/version",
        "/openapi/v3",
    ],
)
def test_all_that_a_hospital_asks_takes_its_turn_among_hospitals(api: Api, level: str, path: str) -> None:
    own = uid(api, "flowschemas", flow_schema_name("site-a"))
    assert sorted_into(api, account("site-a", "site"), path) == (own, level)


def test_hospitals_take_turns_with_each_other(api: Api, level: str) -> None:
    """Each has a flow, and so queues, of its own."""
    schemas = {sorted_into(api, account(name, "site")) for name in ("site-a", "site-b")}
    assert len(schemas) == 2
    assert {each[1] for each in schemas} == {level}


@pytest.mark.parametrize(
    "user",
    [
        account(HUB, "hub-operator"),
        # In the hub's own cluster, as many will first try it.
        account("hospital-a", "site-operator"),
        account("hospital-a", "courier"),
        account("site-a", "default"),
        account("elsewhere", "site"),
        "ada",
    ],
)
def test_nobody_else_waits_for_hospitals(api: Api, level: str, user: str) -> None:
    assert sorted_into(api, user)[1] != level


def test_without_its_level_a_hospitals_flow_schema_is_passed_over(api: Api) -> None:
    """As with flowControl.enabled=false: then it is like any other account."""
    schema = copy.deepcopy(manifests("site-c", "C", [])[-1])
    schema["spec"]["priorityLevelConfiguration"]["name"] = "not-there"
    api.create(schema)
    path = f"{FLOW_CONTROL}/flowschemas/{schema['metadata']['name']}"
    deadline = time.monotonic() + 30
    while not any(each["type"] == "Dangling" for each in api.call("GET", path).get("status", {}).get("conditions", [])):
        assert time.monotonic() < deadline, "the API server has not looked at the FlowSchema"
        time.sleep(0.2)
    assert sorted_into(api, account("site-c", "site"))[0] == uid(api, "flowschemas", "service-accounts")
