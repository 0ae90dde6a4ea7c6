"""Opens the files that researchers' code wrote, and treats each as hostile; decides nothing about their contents.

The code has ended, but it may have left links out of the folder, pipes that block a reader, or files made to fill
memory or disk.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from wardround.pod.outcome import PodError

MODEL = "model.safetensors"
METRICS = "metrics.json"
PREDICTIONS = "predictions.f64"
VALIDATION = "validation.f64"

ROW_BYTES = 8
OTHER_FILES = 64 << 20  # bytes of metrics, progress, history, logs, and in Train of predictions

JSON_LIMIT = 64 << 10
ENTRIES_LIMIT = 10_000


def inspect(folder: Path, limit_bytes: int) -> None:
    """Raises PodError (OutputLink, OutputTooLarge) unless `folder` holds only plain files and folders, of at most
    `limit_bytes` together."""
    try:
        _inspect(folder, limit_bytes)
    except OSError:
        # The code closed the folder, or nested it deeper than a path may be long. The node is not at fault.
        raise PodError("OutputLink", f"{folder.name}/ holds a folder that cannot be listed") from None


def _inspect(folder: Path, limit_bytes: int) -> None:
    total = entries = 0
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                entries += 1
                if entries > ENTRIES_LIMIT:
                    raise PodError("OutputTooLarge", f"{folder.name}/ holds more than {ENTRIES_LIMIT} files")
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(Path(entry.path))
                    continue
                _refuse_link(status, folder)
                total += status.st_size
                if total > limit_bytes:
                    raise PodError(
                        "OutputTooLarge", f"{folder.name}/ holds more than the {limit_bytes} bytes that are allowed"
                    )


@contextmanager
def opened(folder: Path, name: str, limit_bytes: int) -> Iterator[BinaryIO]:
    """Opens a regular file directly in `folder`, at most `limit_bytes` long. Follows no link and waits for no pipe.

    Raises PodError (OutputMissing, OutputLink, OutputTooLarge).
    """
    try:
        # O_NONBLOCK: without it, opening a pipe waits for its other end.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise PodError("OutputMissing", f"{folder.name}/{name} was not written") from None
    except OSError:
        # ELOOP: a link. ENXIO: a socket. EACCES: a file that its writer closed to others.
        raise PodError("OutputLink", f"{folder.name}/{name} is not a plain readable file") from None
    try:
        status = os.fstat(descriptor)
        _refuse_link(status, folder)
        if status.st_size > limit_bytes:
            message = f"{folder.name}/{name} has more than the {limit_bytes} bytes that are allowed"
            raise PodError("OutputTooLarge", message)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_json(folder: Path, name: str) -> Any:
    """Raises PodError (MetricsInvalid) if the file is not JSON. The message never quotes the file."""
    with opened(folder, name, JSON_LIMIT) as file:
        text = file.read(JSON_LIMIT + 1)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PodError("MetricsInvalid", f"{folder.name}/{name} is not JSON") from None


def read_probabilities(folder: Path, name: str, rows: int) -> npt.NDArray[np.float64]:
    """A probability for each row, of shape (rows,). Raises PodError (PredictionsInvalid, NotFinite, as `opened`).

    The file is raw doubles: the caller mounts labels, so it runs no parser on a file that researchers' code wrote.
    """
    size = ROW_BYTES * rows
    # More is allowed than is right, so that a file of the wrong length gets the message below.
    with opened(folder, name, size + OTHER_FILES) as file:
        data = file.read(size + 1)
    if len(data) != size:
        message = f"{folder.name}/{name}: it must have {size} bytes, {ROW_BYTES} for each of the {rows} rows"
        raise PodError("PredictionsInvalid", message)
    probabilities = np.frombuffer(data, "<f8")
    if not np.isfinite(probabilities).all():
        raise PodError("NotFinite", f"{folder.name}/{name} has values that are NaN or infinite")
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise PodError("PredictionsInvalid", f"{folder.name}/{name}: each value must be a probability between 0 and 1")
    return probabilities


def _refuse_link(status: os.stat_result, folder: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PodError(
            "OutputLink",
            f"{folder.name}/ holds a link, pipe, socket or device: only plain files and folders may be there",
        )
    if status.st_nlink != 1:
        raise PodError("OutputLink", f"{folder.name}/ holds a file with several names (hard links): write copies")
