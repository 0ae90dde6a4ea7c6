"""What the gate finds over IPv6 link-local: real kernels, two namespaces on one link."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import networks
from wardround.network import addresses

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="networks of its own are root's to make")
# The gate as `prepare` holds it, with the one target that every pod has closed here: no route leads there.
HOLD = """
import json, sys
from wardround.pod import gate, outcome
from wardround.network import probe
refuse, *named = sys.argv[1:]
targets = [probe.Target("hub", "203.0.113.1", 443, "TCP")]
targets += [probe.Target("site-operator", each, 53, "TCP") for each in named]
told = gate.Settings(tuple(targets), link_local=refuse)
try:
    found = gate.hold(told, deadline_seconds=0.3)
    print(json.dumps(json.loads(outcome.write(found.outcome))["linkLocal"]))
except outcome.Failure as failure:
    print(outcome.write(failure.outcome).decode())
"""
DROPS = "nft 'add table ip6 t; add chain ip6 t c { type filter hook input priority 0; policy drop; }'"
EVERY_WAY = [
    "neighbour over link-local (ICMP)",
    "neighbour over link-local (TCP 53)",
    "neighbour over link-local (UDP 53)",
]


# The sidecar as Kubernetes runs it, ended by SIGTERM once it has said what it heard.
WATCH = """
import os, signal, threading
from wardround.pod import isolation, outcome
said = outcome.log
def log(line):
    said(line)
    if "link-local" in line:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
isolation.log = log
os.environ.update(
    WARDROUND_ISOLATION='[{"name": "hub", "host": "203.0.113.1", "port": 443, "protocol": "TCP"}]',
    WARDROUND_ISOLATION_SECONDS="0.25", WARDROUND_LINK_LOCAL="Warn", WARDROUND_TERMINATION_LOG="/dev/stdout",
)
raise SystemExit(isolation.main([]))
"""


def first(both: networks.Pair, policy: str = "Warn", *named: str) -> dict[str, Any]:
    found: dict[str, Any] = both.found(HOLD, policy, *named)
    return found


def test_a_neighbour_that_ipv4_rules_do_not_know_is_found_by_an_echo_and_asked() -> None:
    with networks.pair() as both, networks.resolver(both):
        assert first(both) == {"heard": "Open", "answers": EVERY_WAY}


def test_where_link_local_is_refused_an_answer_is_an_open_network() -> None:
    with networks.pair() as both, networks.resolver(both):
        failure = both.found(HOLD, "Refuse")
    assert (failure["reason"], failure["class"]) == ("NetworkOpen", "Site")
    assert "policy.linkLocal" in failure["message"]
    assert "fe80" not in failure["message"]


def test_the_pods_own_answers_do_not_count() -> None:
    """Its kernel answers its own question to everybody, and its own processes listen."""
    with networks.pair() as both, networks.running(both, networks.NEIGHBOUR):
        both.run("ip link set eth0 down", beside=True)
        both.run("ip link set eth0 up", check=False)
        assert first(both, "Refuse") == {"heard": "Silent", "answers": []}


def test_silence_is_not_called_closed_and_no_address_is() -> None:
    with networks.pair() as both, networks.resolver(both):
        both.run(DROPS, beside=True)
        assert first(both, "Refuse") == {"heard": "Silent", "answers": []}
    with networks.pair(ipv6=False) as both, networks.resolver(both):
        assert first(both, "Refuse") == {"heard": "Absent", "answers": []}


def test_without_ping_sockets_neighbours_are_asked_that_this_pod_can_name() -> None:
    with networks.pair(ping="1 0") as both, networks.resolver(both):
        named = both.run("ip -6 -o addr show dev eth0 scope link", beside=True).stdout.split()[3].split("/")[0]
        assert first(both) == {"heard": "Silent", "answers": []}
        # Once it has answered, it is a neighbour like others.
        answers = [*EVERY_WAY[1:], "site-operator over link-local (TCP 53)"]
        assert first(both, "Warn", named) == {"heard": "Open", "answers": answers}
        # One word over IPv4, even one that is refused, tells the neighbour's hardware address.
        both.python("import socket; socket.socket().connect_ex(('10.9.0.2', 1))")
        assert first(both) == {"heard": "Open", "answers": EVERY_WAY[1:]}


def test_an_address_that_is_still_being_tried_is_waited_for_before_silence_counts() -> None:
    with networks.pair(dad=True) as both, networks.resolver(both):
        assert both.found(HOLD, "Refuse")["reason"] in ("IsolationUnknown", "NetworkOpen")
    with networks.pair(dad=True) as both, networks.resolver(both):
        assert both.found(WATCH) == {"linkLocal": {"heard": "Open", "answers": EVERY_WAY}}


def test_a_sidecar_that_is_ended_tells_what_it_heard() -> None:
    with networks.pair() as both, networks.resolver(both):
        assert both.found(WATCH) == {"linkLocal": {"heard": "Open", "answers": EVERY_WAY}}
    with networks.pair() as both:
        both.run(DROPS, beside=True)
        assert both.found(WATCH) == {"linkLocal": {"heard": "Silent", "answers": []}}
    with networks.pair(ipv6=False) as both:
        assert both.found(WATCH) == {"linkLocal": {"heard": "Absent", "answers": []}}


def test_the_sidecar_asks_neighbours_until_it_knows_them_and_then_leaves_them_alone() -> None:
    script = """
        import json, sys, threading, time
        from wardround.pod import gate, isolation
        from wardround.network import probe
        asked = []
        def counted(targets, *more):
            asked.append(sum(bool(each.scope) for each in targets))
            return probe.probe(targets, *more)
        gate.probe = counted
        told = gate.Settings((probe.Target("hub", "203.0.113.1", 443, "TCP"),))
        threading.Thread(target=isolation.Watch(told, 0.05).run, daemon=True).start()
        while len(asked) < 4:
            time.sleep(0.05)
        print(json.dumps(asked))
    """
    with networks.pair() as both, networks.resolver(both):
        done = both.python(script)
    first_look, second_look, *others = json.loads(done.stdout)
    assert second_look > first_look > 0
    assert not any(others)
    assert done.stderr.count("isolation: IPv6 link-local is open: neighbour over link-local (ICMP)") == 1


def test_a_hardware_address_gives_the_link_local_address_that_linux_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfaces = tmp_path / "if_inet6"
    interfaces.write_text(
        "fe800000000000000858ccfffe500a09 0003 40 20 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    neighbours = tmp_path / "arp"
    neighbours.write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.81.0.1        0x1         0x2         0a:58:0a:51:00:01     *        eth0\n"
        "10.81.0.7        0x1         0x0         00:00:00:00:00:00     *        eth0\n"
        "10.99.0.7        0x1         0x2         0a:58:0a:51:00:07     *        eth1\n"
    )
    monkeypatch.setattr(addresses, "INTERFACES", interfaces)
    monkeypatch.setattr(addresses, "NEIGHBOURS", neighbours)
    [link] = addresses.links()
    assert (link.name, link.index, link.usable, link.early) == ("eth0", 3, True, False)
    assert addresses.likely([link]) == [("fe80::858:aff:fe51:1", 3)]
    assert addresses.own_link_local() == ["fe80::858:ccff:fe50:a09"]


def test_an_address_counts_unless_it_is_on_loopback() -> None:
    script = """
        import json, socket
        from wardround.network import addresses
        print(json.dumps([addresses.has(family) for family in (socket.AF_INET, socket.AF_INET6)]))
    """
    with networks.pair() as both:
        assert both.found(script) == [True, True]
        both.run("ip addr flush dev eth0 scope global")
        assert both.found(script) == [False, True]
    assert json.loads(networks.alone(script)) == [False, False]
