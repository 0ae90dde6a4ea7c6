"""API Priority and Fairness at the hub's API server: each hospital has its own priority level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.integration.api.apiserver import Api, account, until
from tests.integration.api.objects import HUB, PARTICIPANTS
from wardround.cli.enrolment import flow_control_name

SCHEMA, LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
OWN = "/apis/wardround.io/v1alpha1/namespaces/site-a/roundtasks"
# More requests than a hospital's level runs and queues.
CONNECTIONS = 80
# Shorter than the 15 s after which the API server refuses a queued request.
PATIENCE_SECONDS = 10


def uid(api: Api, kind: str, name: str) -> str:
    result: str = api.get(kind, name)["metadata"]["uid"]
    return result


def sorted_into(api: Api, user: str, path: str = OWN) -> tuple[str, str]:
    """Returns the UIDs of the FlowSchema and of the priority level of a request."""
    headers = api.headers(path, user=user)
    return headers[SCHEMA], headers[LEVEL]


@pytest.fixture(scope="module")
def levels(api: Api) -> dict[str, str]:
    """The UID of each hospital's level, after the API server applies the FlowSchemas."""
    uids = {name: uid(api, "PriorityLevelConfiguration", flow_control_name(name)) for name in PARTICIPANTS}

    def go() -> bool:
        return {name: sorted_into(api, account(name, "site"))[1] for name in PARTICIPANTS} == uids

    until("hospitals' requests go to their levels", go)
    return uids


@pytest.mark.parametrize(
    "path",
    [
        OWN,
        "/apis/coordination.k8s.io/v1/namespaces/site-a/leases/site",
        # The API server classifies a request before it refuses the request.
        "/api/v1/namespaces/site-a/secrets",
        "/apis/wardround.io/v1alpha1/participants",
        "/api/v1/nodes",
        "/version",
        "/openapi/v3",
    ],
)
def test_all_requests_of_a_hospital_share_its_own_turns(api: Api, levels: dict[str, str], path: str) -> None:
    own = uid(api, "FlowSchema", flow_control_name("site-a"))
    assert sorted_into(api, account("site-a", "site"), path) == (own, levels["site-a"])


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_probes_take_no_turn(api: Api, path: str) -> None:
    """docs/security.md says that probes have no limit."""
    assert sorted_into(api, account("site-a", "site"), path)[1] == uid(api, "PriorityLevelConfiguration", "exempt")


@pytest.mark.parametrize(
    "user",
    [
        account(HUB, "hub-operator"),
        # The site in the hub's cluster, as in most first trials.
        account("hospital-a", "site-operator"),
        account("hospital-a", "courier"),
        account("site-a", "default"),
        account("site-b", "site"),
        account("elsewhere", "site"),
        "ada",
    ],
)
def test_other_requests_take_no_turn_of_a_hospital(api: Api, levels: dict[str, str], user: str) -> None:
    assert sorted_into(api, user)[1] != levels["site-a"]


def test_a_hospital_with_endless_requests_delays_nobody_else(api: Api, levels: dict[str, str]) -> None:
    """If both hospitals shared a level, the API server would refuse the other hospital after 15 s."""
    assert len(set(levels.values())) == len(PARTICIPANTS)
    with unfinished(api, account("site-a", "site"), CONNECTIONS):
        # The running requests end when the API server cancels them after a minute.
        until("the unfinished requests hold all turns of site-a", lambda: waiting(api, "site-a") > 0, 30)
        for user in (account("site-b", "site"), account(HUB, "hub-operator")):
            assert answer(api, user, "/apis/wardround.io/v1alpha1/namespaces/site-b/roundtasks") == 200


@contextmanager
def unfinished(api: Api, user: str, count: int) -> Iterator[None]:
    """Opens `count` allowed requests of the user and never sends their bodies."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(closing(api.connection(PATIENCE_SECONDS)))
            connection.putrequest("PATCH", f"{OWN}/train-1/status")
            headers = {
                "Impersonate-User": user,
                "Content-Type": "application/merge-patch+json",
                "Content-Length": "100",
            }
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(b"{")
        yield


def waiting(api: Api, participant: str) -> int:
    """Returns the number of a hospital's queued requests, from the API server's metrics."""
    schema = f'flow_schema="{flow_control_name(participant)}"'
    lines = [each for each in api.text("/metrics").splitlines() if schema in each]
    queued = [each for each in lines if each.startswith("apiserver_flowcontrol_current_inqueue_requests{")]
    return sum(int(each.rsplit(" ", 1)[1]) for each in queued)


def answer(api: Api, user: str, path: str) -> int:
    """Returns the status of a GET. Raises TimeoutError if no answer comes."""
    with closing(api.connection(PATIENCE_SECONDS)) as connection:
        connection.request("GET", path, headers={"Impersonate-User": user})
        return connection.getresponse().status
