"""Writes files atomically: after a crash or power cut, a file is complete or absent. Knows no format.

The trainer image has its own copy, because it must not import this package.
"""

from __future__ import annotations

import os
from pathlib import Path


def partial_of(path: Path) -> Path:
    """The path at which to write a file before it is renamed to `path`: in the same folder."""
    return path.with_name(f".{path.name}.partial")


def write(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a small file. `mode` is subject to the umask. Raises OSError."""
    partial = partial_of(path)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    publish(partial, path)


def publish(partial: Path, path: Path) -> None:
    """Rename a file or folder whose contents are synced. Raises OSError."""
    partial.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Sync a folder's entries to disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
