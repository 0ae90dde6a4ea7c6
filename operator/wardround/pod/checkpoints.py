"""Removes the checkpoints of rounds that are over here; opens none of them: researchers' code has written them."""

from __future__ import annotations

import contextlib
import re
import stat
import uuid
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# Clocks of node and site operator may differ by so much.
SKEW_SECONDS = 300


def sweep(folder: Path, live: Collection[str], at: datetime) -> list[str]:
    """Returns the UIDs of the rounds whose folders were removed. Raises OSError.

    `live`: rounds that had something to come `at` that time. What was begun since, this list cannot know: a folder
    that changed later is left alone.
    """
    if not folder.is_dir():
        return []
    removed = []
    for path in list(folder.iterdir()):
        stale = UID.fullmatch(path.name) and path.name not in live and _is_folder(path)
        if stale and path.lstat().st_mtime < at.timestamp() - SKEW_SECONDS:
            _remove(path)
            removed.append(path.name)
    return removed


def _remove(folder: Path) -> None:
    """However deep it is nested: what lies deeper is first lifted up here. Never through a link."""
    _make_ours(folder)
    while found := list(folder.iterdir()):
        for path in found:
            if not _is_folder(path):
                path.unlink()
                continue
            _make_ours(path)
            for inner in list(path.iterdir()):
                if _is_folder(inner):
                    _make_ours(inner)
                    inner.rename(folder / str(uuid.uuid4()))
                else:
                    inner.unlink()
            path.rmdir()
    folder.rmdir()


def _make_ours(folder: Path) -> None:
    """Else not even its owner may list or move it. The uppermost belongs to the kubelet, and then is open to us."""
    with contextlib.suppress(PermissionError):
        folder.chmod(0o700)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
