"""Opens what researchers' code left behind, treating every file as hostile; decides nothing about its contents.

The code that wrote it has ended, but it may have left links out of the folder, pipes that block a reader, or files
made to fill memory or disk.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wardround.pod.outcome import Failure

MODEL = "model.safetensors"
METRICS = "metrics.json"
PREDICTIONS = "predictions.f64"

JSON_LIMIT = 64 << 10
ENTRIES_LIMIT = 10_000


def inspect(folder: Path, limit_bytes: int) -> None:
    """Refuses a folder with anything but plain files and folders in it, or with more than `limit_bytes`."""
    try:
        _inspect(folder, limit_bytes)
    except OSError:
        # Closed by its writer, or deeper than a path may be long: that is the code's doing, and no fault of the node.
        raise Failure("OutputLink", "out/ holds a folder that cannot be looked into") from None


def _inspect(folder: Path, limit_bytes: int) -> None:
    total = entries = 0
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                entries += 1
                if entries > ENTRIES_LIMIT:
                    raise Failure("OutputTooLarge", f"out/ holds more than {ENTRIES_LIMIT} files")
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(Path(entry.path))
                    continue
                _refuse_link(found)
                total += found.st_size
                if total > limit_bytes:
                    raise Failure("OutputTooLarge", f"out/ holds more than the {limit_bytes} bytes that are allowed")


@contextmanager
def opened(folder: Path, name: str, limit_bytes: int) -> Iterator[BinaryIO]:
    """A regular file directly in `folder`, at most `limit_bytes` long. Follows no link and waits for no pipe."""
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end for ever.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Failure("OutputMissing", f"{folder.name}/{name} was not written") from None
    except OSError:
        # ELOOP for a link, ENXIO for a socket, EACCES for a file that its writer closed to others.
        raise Failure("OutputLink", f"{folder.name}/{name} is no plain readable file") from None
    try:
        found = os.fstat(descriptor)
        _refuse_link(found)
        if found.st_size > limit_bytes:
            message = f"{folder.name}/{name} has more than the {limit_bytes} bytes that are allowed"
            raise Failure("OutputTooLarge", message)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_json(folder: Path, name: str) -> Any:
    """Raises Failure (MetricsInvalid) for what is no JSON; the text of it is never quoted."""
    with opened(folder, name, JSON_LIMIT) as file:
        text = file.read(JSON_LIMIT + 1)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Failure("MetricsInvalid", f"{folder.name}/{name} is no JSON") from None


def _refuse_link(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Failure(
            "OutputLink", "out/ holds a link, pipe, socket or device: only plain files and folders may be there"
        )
    if found.st_nlink != 1:
        raise Failure("OutputLink", "out/ holds a file with several names (hard links): write copies")
