"""Measures the memory of a large aggregation: `python -m bench.large --mebibytes 16`. Asserts nothing.

The Job runs as in its pod, a process of its own. Its store (bench/generated_store.py) makes each update while it sends
it. With `--seconds`, the Job is ended after so long: a prefix of what would take hours. Then a second process reduces
the first `--segments` segments of all updates, as the Job does at the end. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.generated_store import GeneratedStore, Plain, serving
from lab.topology import ROOT
from tests.players.hospital import Hospital
from tests.players.hub import dispatch
from tests.players.store import Server
from tests.players.stored_round import IMAGE, Round, now
from wardround import tensors
from wardround.api.meta import Meta
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.task import Update, Upload
from wardround.api.times import to_seconds
from wardround.plans.round.scratch import GIB
from wardround.presign import Credentials, Presigner
from wardround.sealing import body
from wardround.sealing.manifests import sign_update
from wardround.sealing.wrap import update_context, wrap
from wardround.tensors import Layout, Tensor
from wardround.wire import digests
from wardround.wire.models import UpdateManifest
from wardround.wire.strategy_terms import FEDAVG, STRATEGIES

INITIAL = digests.digest(b"the weights before training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=512)
    parser.add_argument("--mebibytes", type=int, default=16, help="of each update")
    parser.add_argument("--tensors", type=int, default=267, help="of each update")
    parser.add_argument("--seconds", type=float, help="end the Job after so long")
    parser.add_argument("--segments", type=int, default=8, help="how many segments to reduce then")
    parser.add_argument("--scratch-gib", type=int, default=20, help="aggregation.scratchGiB of the hub chart")
    parser.add_argument("--strategy", choices=STRATEGIES, default=FEDAVG)
    parser.add_argument("--given", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the strategy")
    options = parser.parse_args()
    plain = Plain(_layout(options.mebibytes, options.tensors))
    with TemporaryDirectory(prefix="wardround-bench-") as name:
        folder = Path(name)
        with serving(GeneratedStore(plain), folder) as store:
            print(json.dumps(asyncio.run(_measure(folder, store, options))))


async def _measure(folder: Path, store: GeneratedStore, options: argparse.Namespace) -> dict[str, float | int | bool]:
    presigner = Presigner(store.origin, "wardround", "us-east-1", Credentials("access", "secret"))
    server = Server(store.origin, store.ca, presigner, folder)
    async with server.client() as client:
        played = Round(server, client, folder, initial=True, metrics=(), scratch_limit=options.scratch_gib * GIB)
        played.strategy = options.strategy
        played.strategy_parameters = dict(each.split("=", 1) for each in options.given)
        await _send_all(played, store, options.participants, whole=options.seconds is None)
        start = time.perf_counter()
        (folder / "plan.json").write_bytes(plan := await played.plan())
        listing = time.perf_counter() - start
    pages = sum(len(each) for key, each in store.stored.items() if "/lists/" in key)
    scratch = folder / "scratch"
    scratch.mkdir()
    job = ["-m", "wardround", "aggregate", str(folder / "plan.json"), str(scratch)]
    examined = await asyncio.to_thread(_watched, job, options.seconds)
    measured: dict[str, float | int | bool] = {
        "participants": options.participants,
        "update_mib": options.mebibytes,
        "plan_kb": round(len(plan) / 1e3, 1),
        "list_kb": round(pages / 1e3, 1),
        "list_s": round(listing, 2),
        "ended": examined.code == 0,
        "wall_s": round(examined.seconds, 1),
        "rss_mb": round(examined.peak / 1e6, 1),
        "sent_gb": round(store.sent / 1e9, 2),
    }
    if options.seconds is not None:
        reducing = ["-m", "bench.large_reduction", str(folder / "plan.json"), str(scratch), str(options.segments)]
        reduced = await asyncio.to_thread(_watched, reducing, None)
        measured["reduction_rss_mb"] = round(reduced.peak / 1e6, 1)
        measured["reduction_s"] = round(reduced.seconds, 1)
    shutil.rmtree(scratch)
    return measured


def _layout(mebibytes: int, count: int) -> Layout:
    """One model of `count` tensors of float32, of about so many MiB."""
    shape = ((mebibytes << 20) // 4 // count,)
    return tensors.canonical_layout([Tensor(f"layer-{number:05d}", "F32", shape) for number in range(count)])


async def _send_all(played: Round, store: GeneratedStore, participants: int, *, whole: bool) -> None:
    """Sign a manifest for each update. `whole`: the digests of the updates are right, which takes time."""
    with ThreadPoolExecutor(2) as pool:
        hashed = list(pool.map(store.plain.digest, range(participants))) if whole else [INITIAL] * participants
    length = store.plain.length
    for number, digest in enumerate(hashed):
        hospital = Hospital(f"site-{number:04d}")
        file_key = body.new_file_key()
        header = body.new_header(
            file_key,
            kind=body.UPDATE,
            round_uid=played.uid,
            attempt=1,
            participant=hospital.name,
            base_digest=INITIAL,
            image_digest=IMAGE,
            schema_digest=store.plain.layout.schema_digest,
            length=length,
        )
        manifest = UpdateManifest(
            header=header,
            digest=digest,
            wrapped_key=wrap(
                file_key, played.hub.round_key.public, update_context(played.uid, 1, hospital.name, digest)
            ),
            samples=100 + number,
            withheld=False,
            tells=False,
            min_cell=11,
            sealed_sums=None,
            bytes=body.ciphertext_length(length),
            expires=to_seconds(now() + timedelta(hours=6)),
        )
        store.bodies[number] = body.Body(file_key, header)
        text = sign_update(manifest, hospital.signing)
        asked = played.hospitals.setdefault(hospital.name, hospital)
        if number == 0:
            spec = played.hub.ask(played.object, asked.recipient, dispatch(asked.name, now()), now())
        status = RoundTaskStatus(
            upload=Upload(bytes=body.ciphertext_length(length)), update=Update(manifest=text, samples=100 + number)
        )
        meta = Meta(name="task", namespace=hospital.name)
        played.sent[hospital.name] = RoundTask(metadata=meta, spec=replace(spec), status=status)


@dataclass(frozen=True)
class Watched:
    """A process that ended, or was ended. `peak`: its largest resident memory in bytes."""

    code: int
    seconds: float
    peak: int


def _watched(arguments: list[str], seconds: float | None) -> Watched:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}", "WARDROUND_TERMINATION_LOG": "/dev/null"}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=environment)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _peak(process.pid))
        if seconds is not None and time.perf_counter() - start > seconds:
            process.terminate()
            process.wait()
        time.sleep(0.1)
    return Watched(process.returncode, time.perf_counter() - start, peak)


def _peak(process: int) -> int:
    """The largest resident memory so far, in bytes; 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else 0


if __name__ == "__main__":
    main()
