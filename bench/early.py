"""Measures closing with an aggregation that began while its round collected: from the last page to the end of the Job.

All updates but one are listed and examined before. Closing then transfers the last update, combines and uploads.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from lab.topology import ROOT
from tests.players.early_round import EarlyRound
from tests.players.stored_round import Round
from wardround.aggregate.scratch import NAME

WAITS_SECONDS = 900


async def closing(played: Round, number: int, scratch: Path) -> float:
    """Seconds from the last page to the end of the Job's process. `number`: of the aggregation."""
    async with played.server.client() as played.store:
        early = EarlyRound(played, most=len(played.sent), seconds=WAITS_SECONDS, number=number)
        *others, last = played.sent
        plan, log = scratch / "plan.json", scratch / "termination-log"
        plan.write_bytes(early.plan())
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "operator"),
            "WARDROUND_TERMINATION_LOG": str(log),
        }
        command = [sys.executable, "-m", "wardround", "aggregate", str(plan), str(scratch)]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.DEVNULL)
        for each in others:
            await early.list_updates(each)
        await asyncio.to_thread(_wait_for, scratch / NAME, sum(map(played.stored_bytes, others)))
        start = time.perf_counter()
        await early.list_updates(last, counted=list(played.sent))
        if await process.wait() != 0:
            raise SystemExit(f"the aggregation that began early ended with {process.returncode}: {log.read_text()}")
        return time.perf_counter() - start


def _wait_for(file: Path, count: int) -> None:
    """Wait until scratch has so many bytes, and two seconds more."""
    while not file.exists() or file.stat().st_blocks * 512 < count:
        time.sleep(0.2)
    time.sleep(2)
