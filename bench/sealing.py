"""Measures the speed and memory of sealing, opening and reducing files on this machine. Asserts nothing.

python -m bench.sealing [MiB [RUNS]]
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

from wardround.courier.fetch import PARTS
from wardround.sealing import body, files, keys, wrap
from wardround.sealing.opener import FileOpener
from wardround.wire.models import Header

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def timed(name: str, mebibytes: float) -> Iterator[None]:
    """Print seconds, MiB a second, and the process's peak memory."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<34} {seconds:7.3f} s  {mebibytes / seconds:7.0f} MiB/s  peak {peak:5.0f} MiB")


def seal_and_open(folder: Path, mebibytes: int, runs: int) -> None:
    """Seal a file like a courier that sends an update, and open it like a courier that fetches a base. In turn with the
    reference: AES-GCM from file to file by the same threads, without any digest."""
    plain, reference, sealed, opened = (folder / name for name in ("plain", "reference", "sealed", "opened"))
    with plain.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))
    key = body.new_file_key()
    names = {"round_uid": "uid", "participant": "site-a", "base_digest": "", "image_digest": "", "schema_digest": ""}
    rates: dict[str, list[tuple[float, float]]] = {
        "AES-GCM from file to file": [],
        "seal a file": [],
        "open a file": [],
    }
    for _ in range(runs):
        header = body.new_header(key, kind=body.UPDATE, attempt=1, length=plain.stat().st_size, **names)
        seconds, _ = _timed(reference, _reference, plain, reference, header, key)
        rates["AES-GCM from file to file"].append(seconds)
        seconds, made = _timed(sealed, files.seal_file, plain, sealed, header, key)
        rates["seal a file"].append(seconds)
        seconds, _ = _timed(opened, _open, sealed, opened, header, key, made.digest)
        rates["open a file"].append(seconds)
    usual, least = _medians(rates["AES-GCM from file to file"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, measured in rates.items():
        middle, used = _medians(measured)
        ratios = f"{usual / middle:4.2f} of the reference  processor {used:6.3f} s, {used / least:4.1f} times"
        print(f"{name:<34} {middle:7.3f} s  {mebibytes / middle:7.0f} MiB/s  {ratios}  peak {peak:5.0f} MiB")


def _medians(seconds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return median(wall for wall, _ in seconds), median(used for _, used in seconds)


def _timed(out: Path, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> tuple[tuple[float, float], T]:
    """Wall time and processor time, and what `work` returns. `out`: the file that it makes.

    What it made before is removed only now, so that each work finds as much memory that was just freed. A virtual
    machine may give freed memory back to its host, and a file that is written to new memory then takes several times
    as long.
    """
    out.unlink(missing_ok=True)
    os.sync()
    start, used = time.perf_counter(), time.process_time()
    made = work(*arguments, **named)
    return (time.perf_counter() - start, time.process_time() - used), made


def _reference(plain: Path, sealed: Path, header: Header, key: bytes) -> None:
    cipher = body.Body(key, header)
    with plain.open("rb") as source, sealed.open("wb") as target:

        def one(index: int) -> None:
            start, size = body.segment_span(index, header.length)
            segment = cipher.seal(index, os.pread(source.fileno(), size, start))
            os.pwrite(target.fileno(), segment, index * body.SEALED_SEGMENT)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, range(cipher.segments)))
        os.fsync(target.fileno())


def _open(sealed: Path, opened: Path, header: Header, key: bytes, digest: str) -> None:
    with (
        FileOpener(opened, body.Body(key, header), digest) as opener,
        sealed.open("rb", buffering=0) as file,
    ):
        with ThreadPoolExecutor(PARTS) as pool:
            list(pool.map(partial(_open_part, opener, file.fileno()), opener.missing))
        opener.finish()


def _open_part(opener: FileOpener, descriptor: int, number: int) -> None:
    part, chunk, place = opener.part(number), memoryview(bytearray(1 << 18)), number * body.PART
    end = place + part.missing
    while place < end:
        count = os.preadv(descriptor, [chunk[: end - place]], place)
        place, rest = place + count, chunk[:count]
        while rest:
            rest = rest[part.fill(rest) :]
            if part.full:
                part.open()


def wrap_and_unwrap(times: int) -> None:
    """Wrap a file key for the round, and unwrap it."""
    pair = keys.DecryptionKey.generate()
    context = wrap.update_context("uid", 1, "site-a", "sha256:")
    with timed(f"wrap and unwrap {times} keys", times * 32 / (1 << 20)):
        for _ in range(times):
            wrap.unwrap(wrap.wrap(bytes(32), pair.public, context), pair, context)


def reduce(mebibytes: int, participants: int) -> None:
    """Reduce float32 segments by FedAvg, with a base. Imports numpy here, because the courier's memory has no numpy."""
    import numpy as np

    from wardround.aggregate.slices import Run, SegmentReduction

    run = Run(0, body.SEGMENT, "F32", "Delta")
    segments = [np.random.default_rng(n).normal(size=1 << 18).astype("<f4").tobytes() for n in range(participants + 1)]
    reduction, made = SegmentReduction([run]), memoryview(bytearray(body.SEGMENT))
    with timed(f"reduce {participants} updates", mebibytes * participants):
        for _ in range(mebibytes):
            reduction.restart()
            reduction.add(segments[1:], [1 / participants] * participants)
            reduction.result(b"", segments[0], [made])


def main() -> None:
    """Run all measurements."""
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        seal_and_open(Path(folder), mebibytes, runs)
    wrap_and_unwrap(200)
    reduce(mebibytes, 3)


if __name__ == "__main__":
    main()
