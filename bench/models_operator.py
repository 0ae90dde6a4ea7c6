"""The hub operator as a process that counts its own requests, for bench/models.py.

It reads its instructions from standard input. On SIGUSR1 it writes what it counted into the file `report`; with
`trace`, the report also has the places in the code that have allocated most of the memory since the report before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from wardround.clock import system_draw
from wardround.durable import partial_of
from wardround.hub import rounds
from wardround.hub.operator import FIELD_MANAGER, serve
from wardround.hub.settings import Settings
from wardround.kube.client import Client
from wardround.kube.process import run_until_terminated
from wardround.ports import Object

MOST_LINES = 25


class CountingClient(Client):
    """Counts the requests by verb and kind. A list of several pages counts once a page, and a watch does not count."""

    counts: ClassVar[Counter[str]] = Counter()

    async def _call(self, verb: str, kind: str, namespace: str | None, name: str | None = None, **more: Any) -> Object:
        self.counts[f"{'LIST' if verb == 'GET' and name is None else verb} {kind}"] += 1
        return await super()._call(verb, kind, namespace, name, **more)


class Report:
    """Writes the counts, and the growth of memory since the report before."""

    def __init__(self, path: Path, *, trace: bool) -> None:
        self._path = path
        self._trace = trace
        self._before: tracemalloc.Snapshot | None = None
        if trace:
            tracemalloc.start(1)

    def write(self) -> None:
        report: dict[str, Any] = {"requests": CountingClient.counts, "threads": threading.active_count()}
        if self._trace:
            report |= self._memory()
        partial = partial_of(self._path)
        partial.write_text(json.dumps(report))
        partial.rename(self._path)

    def _memory(self) -> dict[str, Any]:
        gc.collect()
        now, before = tracemalloc.take_snapshot(), self._before
        self._before = now
        kinds = Counter(type(each).__name__ for each in gc.get_objects()).most_common(MOST_LINES)
        lines = [str(each) for each in now.compare_to(before, "lineno")[:MOST_LINES]] if before else []
        return {"traced": tracemalloc.get_traced_memory(), "kinds": kinds, "lines": lines}


async def _run(instructions: dict[str, Any]) -> None:
    rounds.LEFTOVERS_SECONDS = instructions["search"]
    report = Report(Path(instructions["report"]), trace=instructions["trace"])
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, report.write)
    token, address = str(instructions["token"]), (instructions["server"], instructions["ca"])
    client = CountingClient(*address, lambda: token, instructions["namespace"], FIELD_MANAGER, draw=system_draw)
    await serve(Settings(**instructions["settings"]), client, int(instructions["port"]))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kopf").setLevel(logging.ERROR)
    run_until_terminated(_run(json.loads(sys.stdin.read())))
