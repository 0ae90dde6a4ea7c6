"""Removes what rounds have left in the state volume, a folder a round; opens none of it: researchers' code wrote it."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wardround.api.names import UID

# Clocks of node and site operator may differ by so much.
SKEW_SECONDS = 300


@dataclass(frozen=True)
class Swept:
    """UIDs of the rounds whose folders were removed, and of those whose folders could not be removed."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def sweep(folder: Path, live: Collection[str], at: datetime, newest: int = 0) -> Swept:
    """Removes what can be removed. Raises OSError where `folder` cannot be listed.

    `live`: rounds whose folders were needed `at` that time. What was begun since, this list cannot know: a folder that
    changed later is left alone. Of the others, the `newest` that are not empty are kept.
    """
    if not folder.is_dir():
        return Swept()
    found = [path for path in folder.iterdir() if UID.fullmatch(path.name) and _is_folder(path)]
    filled = [path for path in found if _is_filled(path)] if newest else []
    filled.sort(key=_changed, reverse=True)
    kept = {*live, *(path.name for path in filled[:newest])}
    stale = [path for path in found if path.name not in kept and _changed(path) < at.timestamp() - SKEW_SECONDS]
    for path in stale:
        _remove(path)
    left = tuple(path.name for path in stale if os.path.lexists(path))
    return Swept(tuple(path.name for path in stale if path.name not in left), left)


def remove(folder: Path, uid: str) -> bool:
    """Empties a round's folder, if it is there, for a round that begins anew. Returns whether it holds no file now.

    Folders of another owner may stay: the container runtime makes them for an image's VOLUME or WORKDIR, and the code
    of the round cannot write in them. Raises ValueError for what is no UID.
    """
    path = folder / _checked(uid)
    return path.is_symlink() or not path.is_dir() or _remove(path)


def touch(folder: Path, uid: str) -> None:
    """A round's folder, if it is there, is used again: it counts among the newest.

    Raises OSError, and ValueError for what is no UID.
    """
    path = folder / _checked(uid)
    if path.is_dir() and not path.is_symlink():
        os.utime(path)


def _checked(uid: str) -> str:
    if not UID.fullmatch(uid):
        raise ValueError("not a UID")
    return uid


def _remove(folder: Path) -> bool:
    """Removes all that can be removed, and returns whether no file is left. Never through a link.

    However deep it is nested: what lies deeper is first lifted up here, but for what a folder of another owner holds.
    """
    waiting, stuck, emptied = [folder], [], True
    while waiting:
        here = waiting.pop()
        _make_ours(here)
        try:
            found = [(path, _is_folder(path)) for path in here.iterdir()]
        except OSError:
            emptied = False
            continue
        for path, is_folder in found:
            if is_folder:
                waiting.append(path if here == folder else _lifted(path, folder))
            else:
                emptied &= _succeeds(path.unlink)
        if not _succeeds(here.rmdir):
            stuck.append(here)
    # What lies in a stuck folder was looked at later.
    for here in reversed(stuck):
        _succeeds(here.rmdir)
    return emptied


def _lifted(path: Path, folder: Path) -> Path:
    """Where a folder lies after the attempt to move it up into `folder`."""
    _make_ours(path)
    target = folder / str(uuid.uuid4())
    return target if _succeeds(lambda: path.rename(target)) else path


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _make_ours(folder: Path) -> None:
    """Else not even its owner may list or move it. The uppermost belongs to the kubelet, and then is open to us."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)


def _changed(folder: Path) -> float:
    return folder.lstat().st_mtime


def _is_filled(folder: Path) -> bool:
    try:
        return any(not _is_foreign(path) for path in folder.iterdir())
    except PermissionError:
        return True  # somebody has closed what there is


def _is_foreign(path: Path) -> bool:
    """A folder of another owner in which we cannot write. The code of the round runs as our user and cannot either."""
    seen = path.lstat()
    ours = seen.st_uid == os.geteuid() or os.access(path, os.W_OK, effective_ids=True)
    return stat.S_ISDIR(seen.st_mode) and not ours


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
