"""Measures the speed and memory of sealing, opening and reducing files on this machine. Asserts nothing.

python bench/sealing.py [MiB]
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wardround.sealing import body, files, keys, wrap


@contextmanager
def timed(name: str, mebibytes: float) -> Iterator[None]:
    """Print seconds, MiB a second, and the process's peak memory."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<34} {seconds:7.3f} s  {mebibytes / seconds:7.0f} MiB/s  peak {peak:5.0f} MiB")


def seal_and_open(folder: Path, mebibytes: int) -> None:
    """Seal a file like a courier that sends an update, and open it like a courier that fetches a base."""
    plain = folder / "plain"
    with plain.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))
    key = body.new_file_key()
    names = {"round_uid": "uid", "participant": "site-a", "base_digest": "", "image_digest": "", "schema_digest": ""}
    header = body.new_header(key, kind=body.UPDATE, attempt=1, length=plain.stat().st_size, **names)
    with timed("seal a file", mebibytes):
        sealed = files.seal_file(plain, folder / "sealed", header, key)
    hashes = b""
    with (folder / "sealed").open("rb") as file:
        while segment := file.read(body.SEALED_SEGMENT):
            hashes += hashlib.sha256(segment).digest()
    listed = f"sha256:{hashlib.sha256(hashes).hexdigest()}"
    arguments = (folder / "opened", body.Body(key, header), hashes, listed, sealed.digest)
    with timed("open a file", mebibytes), files.FileOpener(*arguments) as opener:
        with (folder / "sealed").open("rb") as file:
            while chunk := file.read(1 << 18):
                opener.feed(chunk)
        opener.finish()


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
    with timed(f"reduce {participants} updates", mebibytes * participants):
        for _ in range(mebibytes):
            reduction = SegmentReduction([run])
            reduction.add(segments[1:], [1 / participants] * participants)
            reduction.result(b"", segments[0])


def main() -> None:
    """Run all measurements."""
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    wrap_and_unwrap(200)
    with tempfile.TemporaryDirectory() as folder:
        seal_and_open(Path(folder), mebibytes)
    reduce(mebibytes, 3)


if __name__ == "__main__":
    main()
