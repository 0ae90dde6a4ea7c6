"""Measures an aggregation: `python -m bench.aggregation --participants 4 --parameters 1000000`. Asserts nothing.

The store is real, with TLS on loopback. The aggregation runs as in its Job: a process of its own that reads plan.json,
with the compiled loop of the operator image. Each run measures in turn: the fetch floor (curl, four connections, the
same ciphertext, written to the scratch file system and synced), the time to read and decrypt what curl wrote, in two
threads, the transfer of one of these files to the store, which is as large as the result (curl, four connections), the
aggregation, Flower and NVFLARE (bench/peers.py). Then each robust strategy is measured in turn with that of Flower. The
last line is JSON with the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from bench import early
from bench.peers import HOSTILE_SHARE, PEERS, arrays
from lab.topology import ROOT
from tests.players.store import Server, serving
from tests.players.stored_round import Round
from wardround.aggregate import weighted
from wardround.sealing.body import (
    SEALED_SEGMENT,
    SEGMENT,
    SEGMENTS_PER_PART,
    TAG,
    Body,
    part_lengths,
    part_name,
)
from wardround.sealing.manifests import open_update
from wardround.store import admin
from wardround.store.transfer import StoreClient
from wardround.wire.strategy_terms import FEDAVG, STRATEGIES, fewest

Times = dict[str, list[float]]
# The number of the first aggregation that begins early. Each aggregation has its own place for its result.
EARLY_NUMBER = 1000
# Strategies that Flower has too.
COMPARED = ("Median", "TrimmedMean", "Krum")
# The result's key, and the name of the measurement that it is the median of.
RESULT = {
    "wall_s": "wall",
    "closing_s": "closing",
    "early_s": "early",
    "fetch_floor_s": "floor",
    "opening_s": "opening",
    "transfer_s": "transfer",
    "rss_mb": "rss",
    "scratch_mb": "scratch",
    "flower_s": "flower",
    "nvflare_s": "nvflare",
}
# The Job's last log line says what cannot be measured from outside.
CLOSING = re.compile(r"closing took ([0-9.]+) s, scratch held ([0-9]+) bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=20)
    parser.add_argument("--parameters", type=int, default=25_600_000)
    parser.add_argument("--tensors", type=int, default=267, help="of the model, which share the parameters")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the store and scratch lie; default: the system's temporary")
    parser.add_argument("--strategy", choices=STRATEGIES, default=FEDAVG)
    parser.add_argument("--given", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the strategy")
    parser.add_argument("--no-peers", action="store_true", help="measure neither Flower nor NVFLARE")
    parser.add_argument("--compared", nargs="*", default=list(COMPARED), choices=COMPARED, help="with Flower's")
    parser.add_argument("--compared-runs", type=int, default=1)
    parser.add_argument("--numpy", action="store_true", help="without the compiled loop, which the operator image has")
    parser.add_argument("--early", action="store_true", help="also measure closing after updates were read early")
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.folder, prefix="wardround-bench-") as name:
        if not options.numpy:
            os.environ[weighted.VARIABLE] = str(Path(name) / "kernels.so")
            _run([str(ROOT / "kernels/build"), os.environ[weighted.VARIABLE]])
        times = asyncio.run(_measure(Path(name), options))
    for label, values in times.items():
        spread = f"min {min(values):8.2f}   max {max(values):8.2f}   n={len(values)}"
        print(f"{label:20} median {median(values):8.2f}   {spread}")
    result: dict[str, object] = {key: _median(times, name) for key, name in RESULT.items()}
    keys = {"closing_s": "closing", "wall_s": "wall", "rss_mb": "rss", "flower_s": "flower"}
    result["strategies"] = {
        name: {key: _median(times, f"{name} {each}") for key, each in keys.items()}
        for name in options.compared
        if f"{name} wall" in times
    }
    print(json.dumps(result))


def _median(times: Times, name: str) -> float | None:
    return round(median(times[name]), 3) if name in times else None


async def _measure(folder: Path, options: argparse.Namespace) -> Times:
    times: Times = defaultdict(list)
    (folder / "store").mkdir()
    with serving(folder / "store") as server:
        async with server.client() as store:
            await admin.ensure_bucket(store, server.presigner, datetime.now(UTC))
            played = await _round(server, store, folder, options)
            compared = await _compared(played, options)
            played.strategy = options.strategy
            played.strategy_parameters = dict(each.split("=", 1) for each in options.given)
            plans = [await played.plan(number + 1) for number in range(options.runs)]
        peers = {} if options.no_peers else dict(_peers(folder, options))
        print(
            f"{options.participants} updates of {options.parameters} float32 in {options.tensors} tensors", flush=True
        )
        for plan in plans:
            with _scratch(folder) as scratch:
                times["floor"].append(_fetch_floor(played, server, scratch))
                times["opening"].append(_opening(played, scratch))
                times["transfer"].append(_transfer(played, server, scratch, len(times["transfer"])))
            with _scratch(folder) as scratch:
                _aggregate(plan, scratch, times)
            if options.early:
                with _scratch(folder) as scratch:
                    times["early"].append(await early.closing(played, EARLY_NUMBER + len(times["early"]), scratch))
            for peer, program in peers.items():
                times[peer].append(_aggregate_by_peer(program, peer, folder / peer, FEDAVG))
            print({name: [round(each, 2) for each in values] for name, values in times.items()}, flush=True)
        for name, plan in compared:
            with _scratch(folder) as scratch:
                _aggregate(plan, scratch, times, f"{name} ")
            if flower := peers.get("flower"):
                times[f"{name} flower"].append(_aggregate_by_peer(flower, "flower", folder / "flower", name))
            print(name, {each: values for each, values in times.items() if each.startswith(f"{name} ")}, flush=True)
    return times


async def _compared(played: Round, options: argparse.Namespace) -> list[tuple[str, bytes]]:
    """Plans of the strategies that are compared with Flower's, as often as each runs. In turn."""
    plans, number = [], options.runs
    hostile = max(1, int(HOSTILE_SHARE * options.participants))
    for name in options.compared * options.compared_runs:
        number += 1
        played.strategy = name
        played.strategy_parameters = {key: str(hostile) for key in STRATEGIES[name].parameters}
        if fewest(name, played.strategy_parameters) <= options.participants:
            plans.append((name, await played.plan(number)))
    return plans


def _aggregate_by_peer(program: Path, peer: str, updates: Path, strategy: str) -> float:
    """Seconds of one aggregation."""
    return float(_run([str(program), "-m", "bench.peers", peer, "aggregate", str(updates), strategy]).stdout)


async def _round(server: Server, store: StoreClient, folder: Path, options: argparse.Namespace) -> Round:
    """A round whose updates and base are stored."""
    (folder / "round").mkdir()
    played = Round(server, store, folder / "round")
    await played.with_base(_tensors(0, options))
    for number in range(options.participants):
        name = f"site-{number:04d}"
        await played.update(name, _tensors(number + 1, options), samples=100 + number)
        shutil.rmtree(folder / "round" / name)
    return played


def _tensors(seed: int, options: argparse.Namespace) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return dict(arrays(seed, options.parameters, options.tensors))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A fresh folder. What earlier measurements wrote is on disk, so that no measurement pays for another one."""
    os.sync()
    with TemporaryDirectory(dir=folder, prefix="scratch-") as name:
        yield Path(name)


def _fetch_floor(played: Round, server: Server, scratch: Path) -> float:
    """Seconds that curl takes to fetch all updates, written and synced."""
    ca, listed = scratch / "ca.crt", scratch / "urls"
    ca.write_text(server.ca)
    lines = []
    for name, task in played.sent.items():
        assert task.status.upload
        for index in range(len(part_lengths(task.status.upload.bytes))):
            key = f"updates/{played.uid}/1/{name}/{part_name(index)}"
            url = server.presigner.get(key, datetime.now(UTC), 3600)
            lines.append(f'url = "{url}"\noutput = "{scratch}/{name}-{index}"\n')
    listed.write_text("".join(lines))
    return _process(["sh", "-c", f"{_curl(ca, listed)} && sync --file-system {scratch}"]).seconds


def _curl(ca: Path, listed: Path) -> str:
    options = "--silent --show-error --fail --parallel --parallel-immediate --parallel-max 4"
    return f"curl {options} --cacert {ca} --config {listed}"


def _transfer(played: Round, server: Server, scratch: Path, number: int) -> float:
    """Seconds that curl takes to store the parts of one update that it fetched. `number`: of the run."""
    listed, lines = scratch / "uploads", []
    name = min(played.sent)
    for path in sorted(scratch.glob(f"{name}-*")):
        upload = server.presigner.put(f"transfers/{number}/{path.name}", datetime.now(UTC), 3600, path.stat().st_size)
        headers = "".join(f'header = "{key}: {value}"\n' for key, value in upload.headers.items())
        # Behind `next`, curl forgets the options of its command line that are about one transfer.
        lines.append(f'fail\ncacert = "{scratch}/ca.crt"\nurl = "{upload.url}"\nupload-file = "{path}"\n{headers}')
    listed.write_text("next\n".join(lines))
    return _process(["sh", "-c", _curl(scratch / "ca.crt", listed)]).seconds


def _opening(played: Round, scratch: Path) -> float:
    """Seconds in which two threads read and decrypt the updates that curl wrote."""
    parts: list[tuple[Body, Path, int]] = []
    for name, task in played.sent.items():
        assert task.status.update
        key = played.hospitals[name].signing.public_key()
        body = played.hub.opener(open_update(task.status.update.manifest, key))
        lengths = enumerate(part_lengths(body.length))
        parts += [(body, scratch / f"{name}-{index}", index * SEGMENTS_PER_PART) for index, _ in lengths]
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_open_part, parts))
    return time.perf_counter() - start


def _open_part(part: tuple[Body, Path, int]) -> None:
    body, path, first = part
    sealed, plain = memoryview(bytearray(SEALED_SEGMENT)), memoryview(bytearray(SEGMENT))
    with path.open("rb", buffering=0) as file:
        index = first
        while count := file.readinto(sealed):
            body.open_into(index, sealed[:count], plain[: count - TAG])
            index += 1


def _aggregate(plan: bytes, scratch: Path, times: Times, prefix: str = "") -> None:
    """Run the Job's process once. Each plan has a place of its own for the result. `prefix`: of the names in `times`"""
    path, log = scratch / "plan.json", scratch / "termination-log"
    path.write_bytes(plan)
    environment = {"PYTHONPATH": str(ROOT / "operator"), "WARDROUND_TERMINATION_LOG": str(log)}
    command = [sys.executable, "-m", "wardround", "aggregate", str(path), str(scratch)]
    measured = _process(command, environment)
    times[f"{prefix}wall"].append(measured.seconds)
    times[f"{prefix}rss"].append(measured.peak / 1e6)
    times[f"{prefix}processor"].append(measured.processor)
    if closing := CLOSING.search(measured.errors):
        times[f"{prefix}closing"].append(float(closing[1]))
        times[f"{prefix}scratch"].append(int(closing[2]) / 1e6)


# A small parent: Linux counts a parent's memory as its child's until the child has called execve.
_MEASURING = """
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump({"code": done.returncode, "errors": done.stderr, "seconds": seconds, "peak": used.ru_maxrss * 1024,
           "processor": used.ru_utime + used.ru_stime}, sys.stdout)
"""


@dataclass(frozen=True)
class Measured:
    """A process that ended. `peak`: its largest resident memory in bytes."""

    code: int
    errors: str
    seconds: float
    processor: float
    peak: int


def _process(command: list[str], environment: dict[str, str] | None = None) -> Measured:
    measured = Measured(**json.loads(_run([sys.executable, "-c", _MEASURING, *command], environment).stdout))
    if measured.code != 0:
        raise SystemExit(f"{command[0]} ended with {measured.code}: {measured.errors}")
    return measured


def _run(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def _peers(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Install each peer into a throw-away environment, and let it write its own updates."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for peer in PEERS:
        environment, updates = folder / f"{peer}-environment", folder / peer
        program = environment / "bin" / "python"
        updates.mkdir()
        try:
            _run([sys.executable, "-m", "venv", str(environment)])
            _run([str(program), "-m", "pip", "install", "--quiet", *extras[f"peer-{peer}"]])
            counts = [str(each) for each in (options.participants, options.parameters, options.tensors)]
            _run([str(program), "-m", "bench.peers", peer, "write", str(updates), *counts])
        except subprocess.CalledProcessError as failed:
            print(f"{peer} cannot be measured here: {failed.stderr.strip()[-500:]}", flush=True)
        else:
            yield peer, program


if __name__ == "__main__":
    main()
