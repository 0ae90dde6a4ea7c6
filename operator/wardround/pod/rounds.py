"""Removes what rounds have left in the state volume, a folder a round; opens none of it: researchers' code wrote it."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from wardround.api.names import UID

# Clocks of node and site operator may differ by so much.
SKEW_SECONDS = 300


def sweep(folder: Path, live: Collection[str], at: datetime, newest: int = 0) -> list[str]:
    """Returns the UIDs of the rounds whose folders were removed. Raises OSError.

    `live`: rounds whose folders were needed `at` that time. What was begun since, this list cannot know: a folder that
    changed later is left alone. Of the others, the `newest` that are not empty are kept.
    """
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if UID.fullmatch(path.name) and _is_folder(path)]
    filled = [path for path in found if _is_filled(path)] if newest else []
    filled.sort(key=_changed, reverse=True)
    kept = {*live, *(path.name for path in filled[:newest])}
    stale = [path for path in found if path.name not in kept and _changed(path) < at.timestamp() - SKEW_SECONDS]
    for path in stale:
        _remove(path)
    return [path.name for path in stale]


def remove(folder: Path, uid: str) -> None:
    """A round's folder, if it is there, for one that begins anew. Raises OSError, and ValueError for what is no UID."""
    path = folder / _checked(uid)
    if path.is_dir() and not path.is_symlink():
        _remove(path)


def touch(folder: Path, uid: str) -> None:
    """A round's folder, if it is there, is used again: it counts among the newest. Raises as `remove` does."""
    path = folder / _checked(uid)
    if path.is_dir() and not path.is_symlink():
        os.utime(path)


def _checked(uid: str) -> str:
    if not UID.fullmatch(uid):
        raise ValueError("not a UID")
    return uid


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


def _changed(folder: Path) -> float:
    return folder.lstat().st_mtime


def _is_filled(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except PermissionError:
        return True  # somebody has closed what there is


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
