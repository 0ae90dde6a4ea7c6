"""The gate's findings over IPv6 link-local, on a real kernel: two network namespaces on one link."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import networks
from wardround.network import addresses

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces")
# The gate as `prepare` runs it, with one target that is always closed: no route leads there.
HOLD = """
import json, sys
from wardround.pod import gate, outcome
from wardround.network import probe
refuse, *named = sys.argv[1:]
targets = [probe.ProbeTarget("hub", "203.0.113.1", 443, "TCP")]
targets += [probe.ProbeTarget("site-operator", each, 53, "TCP") for each in named]
# Three times the least: a neighbour on a busy machine may answer late.
settings = gate.Settings(tuple(targets), 0.75, refuse)
try:
    finding = gate.hold(settings, deadline_seconds=0.3)
    print(json.dumps(json.loads(outcome.write(finding.outcome))["linkLocal"]))
except outcome.PodError as failure:
    print(outcome.write(failure.outcome).decode())
"""
DROPS = "nft 'add table ip6 t; add chain ip6 t c { type filter hook input priority 0; policy drop; }'"
ALL_PROTOCOLS = [
    "neighbour over link-local (ICMP)",
    "neighbour over link-local (TCP 53)",
    "neighbour over link-local (UDP 53)",
]


# The sidecar as Kubernetes runs it. SIGTERM ends it after it has logged its finding.
WATCH = """
import os, signal, threading
from wardround.pod import isolation, outcome
write = outcome.log
def log(line):
    write(line)
    if "link-local" in line:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
isolation.log = log
os.environ.update(
    WARDROUND_ISOLATION='[{"name": "hub", "host": "203.0.113.1", "port": 443, "protocol": "TCP"}]',
    WARDROUND_ISOLATION_SECONDS="0.75", WARDROUND_LINK_LOCAL="Warn", WARDROUND_TERMINATION_LOG="/dev/stdout",
)
raise SystemExit(isolation.main([]))
"""


def hold(both: networks.Pair, policy: str = "Warn", *named: str) -> dict[str, Any]:
    finding: dict[str, Any] = both.json(HOLD, policy, *named)
    return finding


def test_a_neighbour_is_found_by_a_multicast_echo_and_then_probed() -> None:
    with networks.pair() as both, networks.resolver(both):
        assert hold(both) == {"heard": "Open", "answers": ALL_PROTOCOLS}


def test_an_answer_is_an_open_network_if_the_site_refuses_link_local() -> None:
    with networks.pair() as both, networks.resolver(both):
        failure = both.json(HOLD, "Refuse")
    assert (failure["reason"], failure["class"]) == ("NetworkOpen", "Site")
    assert "policy.linkLocal" in failure["message"]
    assert "fe80" not in failure["message"]


def test_the_pods_own_answers_do_not_count() -> None:
    """The pod's kernel answers its own multicast echo, and its own processes listen."""
    with networks.pair() as both, networks.running(both, networks.NEIGHBOUR):
        both.run("ip link set eth0 down", beside=True)
        both.run("ip link set eth0 up", check=False)
        assert hold(both, "Refuse") == {"heard": "Silent", "answers": []}


# The pod gets no processor between its echo and the end of its time, as on a busy node.
LATE = """
import json, time
from wardround.network import probe
start = probe._start
def late(target):
    attempt = start(target)
    time.sleep(1)
    return attempt
probe._start = late
[index] = [index for index, name in probe.socket.if_nameindex() if name == "eth0"]
own = {each.split("/")[0] for each in %r.split()}
answers = probe.probe([probe.ProbeTarget("neighbour", probe.ALL_HOSTS, 0, "ICMP", index)], 0, own)
print(json.dumps([each.label for each in answers.open]))
"""


def test_a_neighbours_answer_behind_the_pods_own_counts_if_the_time_is_over() -> None:
    with networks.pair() as both:
        own = both.run("ip -6 -o addr show dev eth0 scope link").stdout.split()[3]
        assert both.json(LATE % own) == ["neighbour over link-local (ICMP)"]


def test_silence_is_reported_as_silent_and_no_ipv6_as_absent() -> None:
    with networks.pair() as both, networks.resolver(both):
        both.run(DROPS, beside=True)
        assert hold(both, "Refuse") == {"heard": "Silent", "answers": []}
    with networks.pair(ipv6=False) as both, networks.resolver(both):
        assert hold(both, "Refuse") == {"heard": "Absent", "answers": []}


def test_without_icmp_sockets_named_and_ipv4_neighbours_are_probed() -> None:
    with networks.pair(ping="1 0") as both, networks.resolver(both):
        named = both.run("ip -6 -o addr show dev eth0 scope link", beside=True).stdout.split()[3].split("/")[0]
        assert hold(both) == {"heard": "Silent", "answers": []}
        # After its first answer, the gate probes a named target like every other neighbour.
        answers = [*ALL_PROTOCOLS[1:], "site-operator over link-local (TCP 53)"]
        assert hold(both, "Warn", named) == {"heard": "Open", "answers": answers}
        # One packet over IPv4, even if refused, shows the neighbour's hardware address.
        both.python("import socket; socket.socket().connect_ex(('10.9.0.2', 1))")
        assert hold(both) == {"heard": "Open", "answers": ALL_PROTOCOLS[1:]}


def test_silence_does_not_count_before_duplicate_address_detection_is_over() -> None:
    with networks.pair(dad=True) as both, networks.resolver(both):
        assert both.json(HOLD, "Refuse")["reason"] in ("IsolationUnknown", "NetworkOpen")
    with networks.pair(dad=True) as both, networks.resolver(both):
        assert both.json(WATCH) == {"linkLocal": {"heard": "Open", "answers": ALL_PROTOCOLS}}


def test_a_sidecar_reports_its_finding_when_it_ends() -> None:
    with networks.pair() as both, networks.resolver(both):
        assert both.json(WATCH) == {"linkLocal": {"heard": "Open", "answers": ALL_PROTOCOLS}}
    with networks.pair() as both:
        both.run(DROPS, beside=True)
        assert both.json(WATCH) == {"linkLocal": {"heard": "Silent", "answers": []}}
    with networks.pair(ipv6=False) as both:
        assert both.json(WATCH) == {"linkLocal": {"heard": "Absent", "answers": []}}


def test_the_sidecar_stops_probing_neighbours_after_two_answered_looks() -> None:
    script = """
        import json, sys, threading, time
        from wardround.pod import gate, isolation
        from wardround.network import probe
        counts = []
        def counted(targets, *more):
            counts.append(sum(bool(each.scope) for each in targets))
            return probe.probe(targets, *more)
        gate.probe = counted
        settings = gate.Settings((probe.ProbeTarget("hub", "203.0.113.1", 443, "TCP"),))
        threading.Thread(target=isolation.Watch(settings, 0.05).run, daemon=True).start()
        while len(counts) < 4:
            time.sleep(0.05)
        print(json.dumps(counts))
    """
    with networks.pair() as both, networks.resolver(both):
        done = both.python(script)
    first_look, second_look, *others = json.loads(done.stdout)
    assert second_look > first_look > 0
    assert not any(others)
    assert done.stderr.count("isolation: IPv6 link-local is open: neighbour over link-local (ICMP)") == 1


def test_a_link_local_address_is_derived_from_a_hardware_address_as_linux_does(
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


def test_an_address_on_loopback_does_not_count() -> None:
    script = """
        import json, socket
        from wardround.network import addresses
        print(json.dumps([addresses.has(family) for family in (socket.AF_INET, socket.AF_INET6)]))
    """
    with networks.pair() as both:
        assert both.json(script) == [True, True]
        both.run("ip addr flush dev eth0 scope global")
        assert both.json(script) == [False, True]
    assert json.loads(networks.alone(script)) == [False, False]
