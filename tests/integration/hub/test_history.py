"""The memory of the hub operator must not grow with the rounds that are over, because these rounds stay for ever."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from lab.apiserver import apiserver
from tests.integration.api.apiserver import Api, account
from tests.integration.api.objects import (
    FEDERATION,
    HUB,
    PARTICIPANTS,
    ROOT,
    condition,
    federated_round,
    hub_values,
    round_task,
)
from tests.integration.cluster import Helm, enrol, free_port, token
from tests.integration.hub.conftest import store_settings
from tests.players.store import Server

# A few, so that all code is in memory that reads them, and many more.
FEW, MANY = 10, 110
# Of growth. Where they are all in memory at once it is 46.
MOST_MEGABYTES = 25
OPERATOR = account(HUB, "hub-operator")


@pytest.fixture
def alone(tmp_path: Path, server: Server) -> Iterator[Api]:
    """The administrator of a hub of its own: the other tests' hub would look at every round too."""
    with apiserver(tmp_path / "apiserver") as cluster:
        api = Api(cluster.kubeconfig)
        helm = Helm(toolchain.tool("helm"), cluster.kubeconfig, tmp_path)
        helm.install("wardround-crds", "crds", "default", {}, "--wait")
        helm.install("wardround-hub", "hub", HUB, hub_values(server.origin))
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FEDERATION}})
        for participant in PARTICIPANTS:
            enrol(api, participant)
        yield api
        api.close()


def test_ended_rounds_use_little_memory(alone: Api, server: Server) -> None:
    settings = dataclasses.asdict(store_settings(alone, server))
    weights = []
    for first, last in ((0, FEW), (FEW, MANY)):
        for number in range(first, last):
            finished(alone, f"round-{number:03}")
        weights.append(peak_megabytes(alone, settings))
    few, many = weights
    print(f"\nhub operator, peak resident: {few:.0f} MB with {FEW} rounds that are over, {many:.0f} MB with {MANY}")
    assert many - few < MOST_MEGABYTES


def finished(api: Api, name: str) -> None:
    """A round that is over and its tasks, the grants those of a model of many segments."""
    created = api.create(federated_round(name))
    over = [condition(kind, reason="Complete") for kind in ("Complete", "Reconciling", "Failed", "Stalled")]
    over = [{**each, "status": "True" if each["type"] == "Complete" else "False"} for each in over]
    start = [{"stage": stage, "time": "2026-11-24T12:00:00.000000Z"} for stage in ("Started", "Dispatched")]
    status = {"conditions": over, "timeline": start, "participants": {"selected": 2, "accepted": 2}}
    api.patch_status("FederatedRound", name, status, FEDERATION, user=OPERATOR)
    ref = {"namespace": FEDERATION, "name": name, "uid": created["metadata"]["uid"]}
    for participant in PARTICIPANTS:
        task = round_task(participant, f"{name}-a1")
        task["metadata"]["labels"] = {"wardround.io/round": name, "wardround.io/round-uid": ref["uid"]}
        task["spec"].update(roundRef=ref, assignment="a" * 3700, grants="g" * 40_000)
        api.create(task, user=OPERATOR)
        progress = [condition(kind) for kind in ("Accepted", "InputReady", "Trained", "Sent")]
        api.patch_status(
            "RoundTask", f"{name}-a1", {"conditions": progress}, participant, user=account(participant, "site")
        )


def peak_megabytes(api: Api, settings: dict[str, Any]) -> float:
    """Of an operator that starts, reads all there is, and has come to rest."""
    configuration: Any = api._client.configuration
    port = free_port()
    instructions = {
        "settings": settings,
        "server": configuration.host,
        "ca": Path(configuration.ssl_ca_cert).read_text(),
        "token": token(api, HUB, "hub-operator"),
        "namespace": HUB,
        "port": port,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.hub.hub_process"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"},
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(instructions).encode())
        process.stdin.close()
        ready(process, port)
        rested(process)
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1000
    finally:
        process.terminate()
        process.wait()


def ready(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        assert process.poll() is None, "the operator has ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the operator is not ready")


def rested(process: subprocess.Popen[bytes]) -> None:
    """Until it has used next to no processor for three seconds."""
    for _ in range(60):
        before = ticks(process)
        time.sleep(3)
        if ticks(process) - before < 5:
            return
    raise AssertionError("the operator does not come to rest")


def ticks(process: subprocess.Popen[bytes]) -> int:
    """Hundredths of a second of processor time."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
