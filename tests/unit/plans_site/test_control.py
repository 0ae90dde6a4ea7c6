"""Which addresses a training pod must not reach, and what the positive control of the isolation gate proves."""

from __future__ import annotations

import dataclasses

import pytest

from wardround.plans.sitetask.control import FRESH_SECONDS, Endpoint, Surroundings, control, is_fresh, proving, targets
from wardround.plans.sitetask.types import Control

AROUND = Surroundings(
    hub=Endpoint(("192.0.2.1",), 6443),
    store=Endpoint(("192.0.2.2", "192.0.2.3"), 9000),
    kubernetes_api=Endpoint(("10.96.0.1",)),
    node=("10.0.0.1",),
    own=("10.244.0.9", "fe80::1"),
    resolvers=("10.96.0.10", "127.0.0.53", "fe80::1%eth0", "fd00::10"),
)


def test_the_pod_must_not_reach_hub_store_node_metadata_and_a_neighbour() -> None:
    tcp = {(each.name, each.host, each.port) for each in targets(AROUND) if each.protocol == "TCP"}
    assert tcp == {
        ("hub", "192.0.2.1", 6443),
        ("store", "192.0.2.2", 9000),
        ("store", "192.0.2.3", 9000),
        ("kubernetes-api", "10.96.0.1", 443),
        ("node", "10.0.0.1", 10250),
        ("metadata", "169.254.169.254", 80),
        ("metadata", "fd00:ec2::254", 80),
        ("site-operator", "10.244.0.9", 8080),
        ("site-operator", "fe80::1", 8080),
        ("resolver", "10.96.0.10", 53),
        ("resolver", "fd00::10", 53),
    }


def test_each_target_is_pinged_once_and_each_resolver_asked_over_udp_too() -> None:
    closed = targets(AROUND)
    pinged = [(each.name, each.host) for each in closed if each.protocol == "ICMP"]
    assert set(pinged) == {(each.name, each.host) for each in closed}
    assert len(pinged) == len(set(pinged))
    assert {each.host for each in closed if each.protocol == "UDP"} == {"10.96.0.10", "fd00::10"}


def test_only_hub_and_kubernetes_api_prove_something_and_not_by_ping() -> None:
    assert [(each.name, each.protocol) for each in proving(targets(AROUND))] == [
        ("hub", "TCP"),
        ("kubernetes-api", "TCP"),
    ]
    alone = dataclasses.replace(AROUND, hub=Endpoint(), kubernetes_api=Endpoint())
    assert proving(targets(alone)) == ()


@pytest.mark.parametrize(("slowest", "seconds"), [(0.0, 0.25), (0.1, 0.25), (0.2, 0.4), (0.5, 1.0), (0.9, 1.0)])
def test_the_pod_waits_twice_as_long_as_the_slowest_answer_took_out_here(slowest: float, seconds: float) -> None:
    assert control((), answered=True, slowest_seconds=slowest) == Control((), True, seconds)


@pytest.mark.parametrize(
    ("last", "age", "fresh"),
    [
        (Control((), True, 0.25), FRESH_SECONDS, True),
        (Control((), True, 0.25), FRESH_SECONDS + 1, False),
        (Control((), False, 0.25), 0.0, False),
        (None, 0.0, False),
    ],
    ids=["proven", "old", "proves nothing", "first"],
)
def test_a_control_holds_for_a_minute_if_it_proves_something(last: Control | None, age: float, fresh: bool) -> None:
    assert is_fresh(last, age) is fresh
