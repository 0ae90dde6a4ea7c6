"""The courier as a process: how much memory it takes, and what a kill at the worst moment does."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cluster import free_port, token
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.play import condition, enrolled, job_of, leave_update, run_pod
from wardround.wire import digests

SIZE = 200 << 20
# It is sealed, fetched, sealed and opened beside whatever else runs here.
PATIENCE_SECONDS = 240
ROOT = Path(__file__).parents[3]


def start(site: Site) -> subprocess.Popen[bytes]:
    instructions = {
        "pins": list(dataclasses.astuple(site.settings.pins)),
        "workspace": str(site.settings.workspace),
        "server": site.server,
        "ca": site.ca,
        "token": token(site.api, NAMESPACE, "courier"),
        "namespace": NAMESPACE,
        "port": free_port(),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.site.courier_process"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        # As the chart has it.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}", "MALLOC_ARENA_MAX": "1"},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(instructions).encode())
    process.stdin.close()
    return process


def peak_megabytes(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@pytest.mark.own_courier
async def test_a_killed_courier_resumes_and_uses_little_memory(site: Site) -> None:
    process = await asyncio.to_thread(start, site)
    try:
        await enrolled(site)
        model = bytes(SIZE)
        task = site.hub.ask(await site.hub.seal_model(model))
        name = task["metadata"]["name"]
        job = await eventually("the Job", lambda: job_of(site, name), PATIENCE_SECONDS)
        fetched = peak_megabytes(process)

        leave_update(site, name, model, digests.digest(model))
        run_pod(site.api, job, "prepare", "train", "check")
        manifest = site.folder(name) / "sealed" / "manifest.json"
        await eventually("the update is sealed", manifest.is_file, PATIENCE_SECONDS)
        sealed = manifest.read_text()
        peak = peak_megabytes(process)
        process.send_signal(signal.SIGKILL)
        process.wait()

        site.hub.grant_upload(task, len(model))
        process = await asyncio.to_thread(start, site)
        await eventually(
            "the task is complete",
            lambda: condition(site.api.get("RoundTask", name, PARTICIPANT), "Complete")["status"] == "True",
            PATIENCE_SECONDS,
        )
        print(
            f"\ncourier, peak resident, {SIZE >> 20} MiB model: {fetched:.0f} MB fetching, {peak:.0f} MB sealing, "
            f"{peak_megabytes(process):.0f} MB sending"
        )
        live = site.api.get("RoundTask", name, PARTICIPANT)["status"]
        assert live["update"]["manifest"] == sealed, "what was sealed before the kill is what was sent"
        assert site.hub.open_update(task, digests.digest(model)) == model
    finally:
        process.terminate()
        process.wait()
