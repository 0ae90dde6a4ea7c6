"""Small parts of the site operator that need no cluster: token lifetimes, enrolment, targets, the pod's task."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.worlds.site import ASSIGNMENT
from wardround.clock import system_draw
from wardround.kube.client import Client
from wardround.kube.errors import ApiError, Forbidden, NotFound, Unauthorized, Unavailable
from wardround.network import addresses
from wardround.network.probe import ProbeTarget
from wardround.network.probe import probe as ask
from wardround.plans.site.link import Credentials
from wardround.plans.site.plan import renewal_due
from wardround.plans.sitetask.control import Endpoint, targets
from wardround.plans.sitetask.job import requested
from wardround.site import control
from wardround.site.link import HubLink, connect, token_life
from wardround.wire import codec
from wardround.wire.isolation import IsolationTarget
from wardround.wire.training import LiveRounds

ISSUED = datetime(2026, 11, 24, tzinfo=UTC)


def token(hours: float) -> str:
    claims = {"iat": ISSUED.timestamp(), "exp": (ISSUED + timedelta(hours=hours)).timestamp()}
    return "head." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".signature"


def test_a_token_is_renewed_once_half_of_its_life_is_over() -> None:
    assert not renewal_due(token_life(token(24)), ISSUED + timedelta(hours=11))
    assert renewal_due(token_life(token(24)), ISSUED + timedelta(hours=12))
    assert renewal_due(token_life(token(1)), ISSUED + timedelta(minutes=31))


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "a.!!.c", "a.e30.c"])
def test_a_token_that_does_not_say_when_it_ends_is_left_alone(text: str) -> None:
    assert not renewal_due(token_life(text), ISSUED)


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (None, "Connected"),
        (Unauthorized("renew Lease site", "401"), "EnrolmentExpired"),
        (Forbidden("renew Lease site", "403"), "HubForbids"),
        (NotFound("renew Lease site", "404"), "HubForbids"),
        (Unavailable("renew Lease site", "no answer"), "HubUnreachable"),
    ],
)
def test_each_answer_to_a_heartbeat_has_its_state(failure: ApiError | None, state: str) -> None:
    own = Client("https://own", "", lambda: "", "hospital-a", draw=system_draw)
    link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
    link.heartbeat(failure)
    assert link.state.state == "Connecting", "without credentials, an answer says nothing"
    link._credentials = Credentials("https://hub", "PEM", "abc", "site-a")
    link.heartbeat(failure)
    assert link.state.state == state


def test_all_name_servers_of_the_pod_are_read(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(
        "search x\nnameserver 10.96.0.10\n#nameserver 192.0.2.9\nnameserver fd00::10\n"
    )
    assert control.resolvers(tmp_path / "resolv.conf") == ["10.96.0.10", "fd00::10"]
    assert control.resolvers(tmp_path / "none") == []


def test_hub_and_store_are_looked_up_with_their_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    around = control.surroundings("https://127.0.0.1:6443", "http://127.0.0.2", ["10.0.0.1"], ["10.244.0.9"])
    assert (around.hub, around.store) == (Endpoint(["127.0.0.1"], 6443), Endpoint(["127.0.0.2"], 80))
    assert around.kubernetes_api == Endpoint(("10.96.0.1",), 6443)
    assert (around.node, around.own[0]) == (["10.0.0.1"], "10.244.0.9")


def test_the_pod_probes_the_site_operator_over_link_local_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an echo to everybody is not allowed or not answered, this neighbour is known all the same."""
    interfaces = tmp_path / "if_inet6"
    interfaces.write_text(
        "fe800000000000000858aafffe510a09 0003 40 20 80     eth0\n"
        "fe800000000000000858aafffe510a0a 0001 40 20 80     lo\n"
    )
    monkeypatch.setattr(addresses, "INTERFACES", interfaces)
    closed = targets(control.surroundings("", "", [], ["10.244.0.9"]))
    hosts = {(each.host, each.port, each.protocol) for each in closed if each.name == "site-operator"}
    link_local = "fe80::858:aaff:fe51:a09"
    assert hosts == {(host, *way) for host in ("10.244.0.9", link_local) for way in ((8080, "TCP"), (0, "ICMP"))}


def test_how_slow_an_answer_was_is_measured() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = IsolationTarget("hub", "127.0.0.1", server.getsockname()[1], "TCP")
        assert control.probe((target,)).proven
    with socket.socket(type=socket.SOCK_DGRAM) as slow:
        slow.bind(("127.0.0.1", 0))
        resolver = ProbeTarget("resolver", "127.0.0.1", slow.getsockname()[1], "UDP")

        def answer() -> None:
            _, sender = slow.recvfrom(512)
            time.sleep(0.2)
            slow.sendto(b"late", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        assert ask([resolver], 20).slowest_seconds >= 0.2
        thread.join()


def test_a_hub_that_does_not_answer_out_here_proves_nothing_in_there() -> None:
    closed = targets(control.surroundings("https://127.0.0.1:1", "https://127.0.0.1:2", [], []))
    assert not control.probe(tuple(t for t in closed if t.name == "hub")).proven


async def test_a_name_server_that_does_not_answer_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    def slow(*_: object, **__: object) -> list[object]:
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the loop stands still while a name is looked up"
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    measured = await control.Controls().take(hub="https://hub.example", store="https://store.example", node=[], own=[])
    assert not measured.proven


def test_the_pods_task_holds_what_the_round_says_and_nothing_of_the_hospitals_own() -> None:
    live = LiveRounds(("round-uid",), ("state-uid",), "2026-11-24T00:00:00Z")
    assignment = dataclasses.replace(ASSIGNMENT, state_round="state-uid")
    request = requested(assignment, 100, live, base="")
    assert (request.max_samples, request.base_digest) == (100, "")
    assert (request.round_uid, request.state_round, request.live_rounds) == ("round-uid", "state-uid", live)
    assert not codec.dump_document(request).keys() & {"task", "dataset", "minSamples", "minCell"}
    assert requested(ASSIGNMENT, None, live, base="").max_samples > 10**12
