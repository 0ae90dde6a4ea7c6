"""Hostile training code. It probes its surroundings and prints its findings as JSON.

It runs in the trainer's image, in the `train` container; a round's parameters carry it (`carried`). It imports nothing
of ours. The test gives it the target addresses.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

SECONDS = 2.0
# Characters.
LONGEST_LINE = 8000
# Folders that may belong to the whole pod.
SHARED = ("/dev/shm", "/dev/mqueue")
# In the name of each file that code leaves for the code of another model.
MARK = "mark-of-a-model"
PLACES = tuple(
    f"/wardround/{each}" for each in ("", "out", "base", "data", "task", "state/in", "state", "state/out", "checkpoint")
)
DNS_QUERY = bytes.fromhex("575201000001000000000000" + "00" + "0002" + "0001")
ECHO_REQUEST = bytes.fromhex("0800f7fd00010001")


def tcp(host: str, port: int) -> None:
    socket.create_connection((host, port), SECONDS).close()


def udp(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SECONDS)
        asking.connect((host, port))
        asking.send(DNS_QUERY)
        asking.recv(512)


def icmp(host: str, _: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as asking:
        asking.settimeout(SECONDS)
        asking.connect((host, 0))
        asking.send(ECHO_REQUEST)
        asking.recv(512)


def name(host: str, _: int) -> None:
    socket.getaddrinfo(host, 443)


WAYS = {"tcp": tcp, "udp": udp, "icmp": icmp, "name": name}


def attempt(target: tuple[str, str, int]) -> str:
    way, host, port = target
    try:
        WAYS[way](host, port)
    except OSError as error:
        return type(error).__name__
    return "open"


def reached(targets: list[tuple[str, str, int]]) -> list[list[Any]]:
    with ThreadPoolExecutor(32) as pool:
        return [[*target, answer] for target, answer in zip(targets, pool.map(attempt, targets), strict=True)]


def files() -> dict[str, str]:
    """The content of every readable file outside the image, or the error."""
    contents = {}
    for top in ("/wardround", "/var/run", "/run", "/tmp", "/mnt", "/srv", "/home", "/root", *SHARED):
        for folder, _, names in os.walk(top):
            for each in names:
                path = Path(folder, each)
                try:
                    contents[str(path)] = path.read_bytes().decode("latin-1")
                except OSError as error:
                    contents[str(path)] = type(error).__name__
    return contents


def processes() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")[:80])
        except OSError:
            continue
    return lines


def rows() -> dict[str, list[dict[str, float]]]:
    from pyarrow import parquet

    return {path.name: parquet.read_table(path).to_pylist() for path in Path("/wardround/data").glob("*.parquet")}


def sockets() -> dict[str, str]:
    """The kernel's answer for each address family that could reach another host."""
    answers = {}
    for family in (
        socket.AF_UNIX,
        socket.AF_INET,
        socket.AF_INET6,
        socket.AF_NETLINK,
        socket.AF_PACKET,
        socket.AF_VSOCK,
    ):
        try:
            socket.socket(family, socket.SOCK_DGRAM).close()
            answers[family.name] = "open"
        except OSError as error:
            answers[family.name] = errno.errorcode.get(error.errno or 0, str(error.errno))
    return answers


def loopback() -> str:
    """The bytes that two processes of this pod exchange over TCP, or the error."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            if os.fork() == 0:
                try:
                    with socket.create_connection(server.getsockname(), SECONDS) as line:
                        line.sendall(b"heard")
                finally:
                    os._exit(0)
            server.settimeout(SECONDS)
            with server.accept()[0] as line:
                greeting = line.recv(5).decode()
            os.wait()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return greeting


def everything(targets: list[tuple[str, str, int]]) -> dict[str, Any]:
    return {
        "reached": reached(targets),
        "sockets": sockets(),
        "loopback": loopback(),
        "environment": dict(os.environ),
        "mounts": Path("/proc/self/mounts").read_text().splitlines(),
        "files": files(),
        "processes": processes(),
        "rows": rows(),
    }


def marked() -> list[str]:
    """The folders that accept a mark of this model for the code of another one."""
    accepted = []
    for folder in (*PLACES, "/tmp", "/var/tmp", "/run", *SHARED):
        try:
            # A queue in /dev/mqueue has a name and takes no text.
            os.close(os.open(f"{folder}/{MARK}-{os.urandom(8).hex()}", os.O_CREAT | os.O_WRONLY))
        except OSError:
            continue
        accepted.append(folder)
    return accepted


def models() -> dict[str, str]:
    """SHA-256 of each model that can be read, by path."""
    paths = [path for path in files() if path.endswith(".safetensors")]
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}


def report(findings: dict[str, Any]) -> None:
    """Prints them for `tests.probes.findings`, in lines that the container runtime does not divide."""
    text = json.dumps(findings)
    for start in range(0, len(text), LONGEST_LINE):
        print("FOUND " + text[start : start + LONGEST_LINE], flush=True)


def beside() -> None:
    """Looks for other models of the same evaluation. Then leaves a mark in each folder that takes one."""
    if sys.argv[-1] == "predict":
        seen = {
            "files": sorted(files()),
            "models": models(),
            "mounts": Path("/proc/self/mounts").read_text().splitlines(),
            "processes": processes(),
        }
        report({**seen, "marked": marked()})
    work()


def predicting(targets: list[tuple[str, str, int]]) -> None:
    """Looks at everything in the pod of a Prediction, leaves marks, and reports its end in words of its own."""
    if sys.argv[-1] == "predict":
        report({**everything(targets), "marked": marked()})
        forged = {"reason": "AnswerExists", "message": MARK}
        Path("/dev/termination-log").write_text(json.dumps(forged))
        # A file beside the predictions, and a link to the rows.
        Path("/wardround/out/answers.csv").write_text(MARK)
    work()


def main(targets: list[tuple[str, str, int]]) -> None:
    if sys.argv[-1] == "train":
        report(everything(targets))
    work()


def sleep() -> None:
    if sys.argv[-1] == "train":
        time.sleep(600)
    work()


def work() -> None:
    """Trains as usual, so that nobody notices. Hides the parameters that carried this code from the trainer."""
    from wardround_trainer import __main__ as trainer

    parse = json.loads

    def without_code(text: str) -> Any:
        task = parse(text)
        if "parameters" in task:
            task["parameters"] = {name: each for name, each in task["parameters"].items() if name[:4] != "code"}
        return task

    with mock.patch.object(json, "loads", without_code):
        sys.exit(trainer.main(sys.argv[-1:]))
