"""Two network namespaces on one link, like two pods on one bridge. The gate runs in the first."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround.pod import gate

OPERATOR = Path(gate.__file__).parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR)}
# A neighbour: a resolver that answers every host, by TCP and UDP, over IPv4 and IPv6.
NEIGHBOUR = """
import socket, socketserver, threading
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.request[0][:2] + bytes(10), self.client_address)
class Server(socketserver.ThreadingUDPServer):
    address_family = socket.AF_INET6
udp = Server(("::", 53), Udp)
tcp = socket.create_server(("::", 53), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
print("ready", flush=True)
udp.serve_forever()
"""


@dataclass(frozen=True)
class Pair:
    """`pid`: a process in the pod's namespace. `beside`: a process in its neighbour's namespace."""

    pid: int
    beside: int

    def run(self, command: str, *, beside: bool = False, check: bool = True) -> subprocess.CompletedProcess[str]:
        within = ["nsenter", f"--net=/proc/{self.beside if beside else self.pid}/ns/net", "sh", "-ec", command]
        done = subprocess.run(within, env=ENVIRONMENT, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done

    def python(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
        within = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]
        return subprocess.run(within, env=ENVIRONMENT, capture_output=True, text=True)

    def json(self, script: str, *arguments: str) -> Any:
        """Runs a script in the pod's namespace and parses what it prints."""
        done = self.python(script, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextlib.contextmanager
def pair(*, ping: str = "0 2147483647", dad: bool = False, ipv6: bool = True) -> Iterator[Pair]:
    """The pod has 10.9.0.1, its neighbour 10.9.0.2. `ping`: groups that may open ICMP sockets. `dad`: whether the pod's
    kernel runs duplicate address detection."""
    with contextlib.ExitStack() as stack:
        pids = [_namespace(stack) for _ in range(2)]
        both = Pair(*pids)
        # With equal indexes, the ends would come up a second later (linkwatch_urgent_event in the kernel).
        here, there = ["eth0", "index", "7", "netns", str(pids[0])], ["eth0", "index", "8", "netns", str(pids[1])]
        subprocess.run(["ip", "link", "add", *here, "type", "veth", "peer", *there], check=True)
        for number, beside in enumerate((False, True), 1):
            detection = 1 if dad and not beside else 0
            both.run(
                f"sysctl -qw net.ipv6.conf.eth0.disable_ipv6={0 if ipv6 else 1} net.ipv4.ping_group_range='{ping}' "
                f"net.ipv6.conf.all.accept_dad={detection} net.ipv6.conf.eth0.accept_dad={detection} && "
                f"ip link set lo up && ip addr add 10.9.0.{number}/24 dev eth0 && ip link set eth0 up",
                beside=beside,
            )
        yield both


@contextlib.contextmanager
def running(both: Pair, script: str, *arguments: str, beside: bool = False) -> Iterator[None]:
    """Runs a script that prints `ready` when it has started."""
    within = ["nsenter", f"--net=/proc/{both.beside if beside else both.pid}/ns/net"]
    with _started([*within, sys.executable, "-c", script, *arguments]):
        yield


@contextlib.contextmanager
def resolver(both: Pair) -> Iterator[None]:
    """Runs NEIGHBOUR in the neighbour's namespace."""
    with running(both, NEIGHBOUR, beside=True):
        yield


def _namespace(stack: contextlib.ExitStack) -> int:
    command = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"]
    return stack.enter_context(_started(command)).pid


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def alone(script: str) -> str:
    """Runs a script in a network namespace with only loopback. Returns its output."""
    command = ["unshare", "--net", "sh", "-ec", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c"]
    done = subprocess.run([*command, textwrap.dedent(script)], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
