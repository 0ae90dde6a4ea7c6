"""The isolation gate against real sockets on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pod import networks
from wardround.network.probe import Answers, ProbeTarget, probe
from wardround.pod import gate
from wardround.pod.gate import Settings
from wardround.pod.outcome import PodError

OPERATOR = Path(gate.__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")


@contextlib.contextmanager
def listener(family: socket.AddressFamily = socket.AF_INET) -> Iterator[ProbeTarget]:
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((host, 0))
        server.listen()
        yield ProbeTarget("hub", host, server.getsockname()[1], "TCP")


@contextlib.contextmanager
def resolver() -> Iterator[ProbeTarget]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    query, client = server.recvfrom(512)
                    server.sendto(query[:2] + b"\x81\x85" + bytes(8), client)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield ProbeTarget("resolver", "127.0.0.1", server.getsockname()[1], "UDP")


def closed(protocol: str = "TCP") -> ProbeTarget:
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        return ProbeTarget(f"closed {protocol}", "127.0.0.1", server.getsockname()[1], protocol)


@contextlib.contextmanager
def silent() -> Iterator[tuple[ProbeTarget, socket.socket]]:
    """A socket that never answers, like a target behind a policy that drops packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield ProbeTarget("silent", "127.0.0.1", server.getsockname()[1], "UDP"), server


def names(answers: Answers) -> list[str]:
    return [each.label for each in answers.open]


def test_a_closed_network_passes_after_the_configured_rounds() -> None:
    with silent() as (dropped, server):
        gate.hold(Settings((closed(), closed("UDP"), dropped)))
        server.setblocking(False)
        probes = 0
        with contextlib.suppress(BlockingIOError):
            while server.recv(512):
                probes += 1
    assert probes == gate.ROUNDS


def test_an_open_tcp_port_fails_the_gate_and_is_named_without_its_address() -> None:
    with listener() as target, pytest.raises(PodError) as caught:
        gate.hold(Settings((closed(), target)), deadline_seconds=0.1)
    assert (caught.value.reason, caught.value.exit_code, caught.value.category) == ("NetworkOpen", 75, "Site")
    assert "hub" in caught.value.message
    assert "127.0.0.1" not in caught.value.message


def test_an_open_port_over_ipv6_counts_as_open() -> None:
    try:
        with listener(socket.AF_INET6) as target:
            assert names(probe([target], 20)) == ["hub"]
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


def test_an_answer_that_is_there_counts_if_the_time_is_over() -> None:
    """The kernel answers on loopback before `probe` waits. A busy machine may run the pod only after its time."""
    with listener() as target:
        assert names(probe([target], 0)) == ["hub"]


def test_any_answer_over_udp_counts_as_open() -> None:
    with resolver() as target:
        # `probe` returns once all have answered, so only a busy machine needs the time.
        assert names(probe([target, closed("UDP")], 20)) == ["resolver"]


PROBES = """
import sys
from wardround.pod import gate
from wardround.network import probe
targets = tuple(probe.ProbeTarget("node", host, 0, "ICMP") for host in sys.argv[1:])
gate.Gate(gate.Settings(targets)).log_unprobed_protocols()
print([each.label for each in probe.probe(targets, 0.25).open])
"""


def echoes(allowed: str, *hosts: str) -> subprocess.CompletedProcess[str]:
    """Runs PROBES in a network namespace with only loopback, where the `allowed` groups may open ICMP sockets."""
    script = f"ip link set lo up && echo '{allowed}' > /proc/sys/net/ipv4/ping_group_range && exec \"$@\""
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-c", PROBES, *hosts]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@as_root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_echo_reply_counts_as_open_and_is_labelled_icmp(host: str) -> None:
    if ":" in host and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    done = echoes("0 2147483647", host, "203.0.113.1")
    assert (done.stdout, done.stderr) == ("['node (ICMP)']\n", "")
    echo, hub = ProbeTarget("node", host, 0, "ICMP"), ProbeTarget("hub", host, 443, "TCP")
    assert "lets ICMP through" in gate.network_open([echo]).message
    assert "this node enforces no NetworkPolicy" in gate.network_open([hub, echo]).message


@as_root
def test_a_node_without_icmp_sockets_is_logged_once() -> None:
    done = echoes("1 0", "127.0.0.1", "127.0.0.2")
    assert done.stdout == "[]\n"
    assert done.stderr == "gate: no target is probed by ICMP (AF_INET): this node lets no pod open an ICMP socket\n"


HOLD = """
import json
from wardround.pod import gate, outcome
from wardround.network import probe
targets = [probe.ProbeTarget("hub", "10.9.0.2", 53, "TCP"), probe.ProbeTarget("resolver", "10.9.0.2", 53, "UDP")]
try:
    print(outcome.write(gate.hold(gate.Settings(tuple(targets)), deadline_seconds=0.1).outcome).decode())
except outcome.PodError as failure:
    print(outcome.write(failure.outcome).decode())
"""
# Training code may do this: it binds every port from which this pod can probe.
TAKES_ALL_PORTS = """
import socket, sys, time
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
taken = [socket.socket(socket.AF_INET6, kinds[each]) for each in sys.argv[1:] for _ in range(4)]
for number, each in enumerate(taken):
    each.bind(("::", 60000 + number % 4))
print("ready", flush=True)
time.sleep(600)
"""


@as_root
@pytest.mark.parametrize("kinds", [("tcp",), ("udp",), ("tcp", "udp")], ids=" and ".join)
def test_code_that_takes_all_ports_does_not_blind_the_gate(kinds: tuple[str, ...]) -> None:
    """Every target here is open."""
    with networks.pair() as both, networks.resolver(both):
        both.run("sysctl -qw net.ipv4.ip_local_port_range='60000 60003'")
        with networks.running(both, TAKES_ALL_PORTS, *kinds):
            outcome = both.json(HOLD)
        assert both.json(HOLD)["reason"] == "NetworkOpen"
    if kinds == ("tcp", "udp"):
        assert (outcome["reason"], outcome["class"]) == ("IsolationUnknown", "Platform")
        assert "hub: EADDRNOTAVAIL, resolver: EAGAIN" in outcome["message"]
    else:
        assert outcome["reason"] == "NetworkOpen", "the gate still probes by the other protocol"


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "", "{}", "null", '[{"name":"hub"}]'),
        '[{"name":"hub","host":"hub.example","port":443,"protocol":"TCP"}]',
        '[{"name":"hub","host":"127.0.0.1","port":0,"protocol":"TCP"}]',
        '[{"name":"hub","host":"127.0.0.1","port":1,"protocol":"ICMP"}]',
        '[{"name":"hub","host":"127.0.0.1","port":1,"protocol":"SCTP"}]',
        # A neighbour's silence proves nothing.
        '[{"name":"site-operator","host":"fe80::1","port":8080,"protocol":"TCP"}]',
    ],
)
def test_malformed_or_missing_targets_fail_the_gate(text: str) -> None:
    with pytest.raises(PodError) as caught:
        gate.parse(text)
    assert caught.value.exit_code == 70


# Without links, the sidecar does not probe the neighbours of the machine that runs the tests.
SIDECAR = """
import sys
from pathlib import Path
from wardround.network import addresses
from wardround.pod import isolation
addresses.INTERFACES = addresses.SETTINGS = Path("/no-such-file")
sys.exit(isolation.main([]))
"""


def sidecar(tmp_path: Path, target: ProbeTarget, **variables: str) -> subprocess.Popen[bytes]:
    raw = {"name": target.name, "host": target.host, "port": target.port, "protocol": target.protocol}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(OPERATOR),
        "WARDROUND_TERMINATION_LOG": str(tmp_path / "termination"),
        "WARDROUND_ISOLATION": json.dumps([raw]),
        "WARDROUND_ISOLATION_SECONDS": "0.25",
        "WARDROUND_LINK_LOCAL": "Warn",
        **variables,
    }
    return subprocess.Popen([sys.executable, "-c", SIDECAR], env=environment)


def test_the_sidecar_exits_with_network_open_when_a_target_answers(tmp_path: Path) -> None:
    with listener() as target:
        assert sidecar(tmp_path, target).wait(60) == 75
    assert json.loads((tmp_path / "termination").read_text())["reason"] == "NetworkOpen"


def test_the_sidecar_exits_with_0_on_sigterm(tmp_path: Path) -> None:
    with silent() as (target, server):
        server.settimeout(60)
        process = sidecar(tmp_path, target)
        server.recv(512)  # the sidecar has started
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize("name", ["WARDROUND_ISOLATION", "WARDROUND_ISOLATION_SECONDS", "WARDROUND_LINK_LOCAL"])
def test_a_sidecar_without_a_setting_fails_instead_of_using_a_default(tmp_path: Path, name: str) -> None:
    assert sidecar(tmp_path, closed(), **{name: ""}).wait(60) == 70
    assert name in json.loads((tmp_path / "termination").read_text())["message"]


def test_the_sidecar_imports_only_the_standard_library() -> None:
    script = "import sys, wardround.pod.isolation; print({'numpy','pyarrow','aiohttp'} & set(sys.modules))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR)}
    loaded = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert loaded.stdout.strip() == b"set()"
