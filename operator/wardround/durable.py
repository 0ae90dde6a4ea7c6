"""Gives a file its name once it is whole and on the disk, so that also after a power cut it is all there or not at all.

The one atomic write of Wardround. It knows no format. The trainer image has its own, since it must not import this.
"""

from __future__ import annotations

import os
from pathlib import Path


def partial_of(path: Path) -> Path:
    """Where to write what is to become `path`: beside it, so that a rename is enough."""
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
    """Rename a file or folder whose contents are on the disk already. Raises OSError."""
    partial.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Bring the names in a folder onto the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
