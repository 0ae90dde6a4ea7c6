"""Writes files atomically: after a crash or power cut, a file is complete or absent. Knows no format.

The trainer image has its own copy, because it must not import this package.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# sync_file_range(2), which Linux alone has.
WRITE_BACK = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def partial_of(path: Path) -> Path:
    """The path at which to write a file before it is renamed to `path`: in the same folder."""
    return path.with_name(f".{path.name}.partial")


def draft_of(path: Path, nonce: bytes) -> Path:
    """Like `partial_of`, for one of several processes that write `path` at the same time. `nonce`: of this process."""
    return path.with_name(f".{nonce.hex()}")


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


def begin_write_back(descriptor: int, start: int, length: int) -> bool:
    """Let the kernel begin to write these bytes of a file to disk, so that a later fsync has less to wait for. Return
    whether it did. Only the fsync tells of errors."""
    return _sync_file_range is not None and _sync_file_range(descriptor, start, length, WRITE_BACK) == 0
