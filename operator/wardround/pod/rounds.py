"""Removes folders of rounds from the state volume, one a round. Opens no file there: researchers' code wrote them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wardround.api.names import UID
from wardround.clock import NONCE_BYTES, RandomBytes

# The clocks of the node and of the site operator may differ by this much.
SKEW_SECONDS = 300


@dataclass(frozen=True)
class Removal:
    """UIDs of the rounds whose folders were removed, and of those whose folders could not be removed."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def remove_ended(
    folder: Path, live: Collection[str], at: datetime, random_bytes: RandomBytes, newest: int = 0
) -> Removal:
    """Removes the folders of rounds that are over. Raises OSError if `folder` cannot be listed.

    `live`: UIDs of the rounds that needed their folders at the time `at`. A folder that changed later stays: its round
    may have begun after the list was made. Of the other folders, the `newest` that are not empty stay.
    """
    if not folder.is_dir():
        return Removal()
    folders = [path for path in folder.iterdir() if UID.fullmatch(path.name) and _is_folder(path)]
    filled = [path for path in folders if _is_filled(path)] if newest else []
    filled.sort(key=_changed, reverse=True)
    kept = {*live, *(path.name for path in filled[:newest])}
    stale = [path for path in folders if path.name not in kept and _changed(path) < at.timestamp() - SKEW_SECONDS]
    for path in stale:
        _remove(path, random_bytes)
    left = tuple(path.name for path in stale if os.path.lexists(path))
    return Removal(tuple(path.name for path in stale if path.name not in left), left)


def remove(folder: Path, uid: str, random_bytes: RandomBytes) -> bool:
    """Empties a round's folder, if there is one, before the round starts again. Returns whether no file is left in it.

    Folders of another owner may stay: the container runtime makes them for an image's VOLUME or WORKDIR, and the code
    of the round cannot write in them. Raises ValueError if `uid` is not a UID.
    """
    path = folder / _checked(uid)
    return path.is_symlink() or not path.is_dir() or _remove(path, random_bytes)


def touch(folder: Path, uid: str) -> None:
    """Makes a round's folder, if there is one, the newest, because a round uses it again.

    Raises OSError, and ValueError if `uid` is not a UID.
    """
    path = folder / _checked(uid)
    if path.is_dir() and not path.is_symlink():
        os.utime(path)


def _checked(uid: str) -> str:
    if not UID.fullmatch(uid):
        raise ValueError("not a UID")
    return uid


def _remove(folder: Path, random_bytes: RandomBytes) -> bool:
    """Removes all that can be removed, and returns whether no file is left. Follows no link.

    Folders may be nested deeper than a path may be long, so each is first moved up into `folder`. A folder inside a
    folder of another owner cannot be moved.
    """
    waiting, stuck, emptied = [folder], [], True
    while waiting:
        here = waiting.pop()
        _make_ours(here)
        try:
            entries = [(path, _is_folder(path)) for path in here.iterdir()]
        except OSError:
            emptied = False
            continue
        for path, is_folder in entries:
            if is_folder:
                waiting.append(path if here == folder else _lifted(path, folder, random_bytes))
            else:
                emptied &= _succeeds(path.unlink)
        if not _succeeds(here.rmdir):
            stuck.append(here)
    # A folder's children were visited after it, so the reverse order removes children first.
    for here in reversed(stuck):
        _succeeds(here.rmdir)
    return emptied


def _lifted(path: Path, folder: Path, random_bytes: RandomBytes) -> Path:
    """Tries to move `path` into `folder`, and returns the folder's path afterwards. Code of researchers cannot take the
    new name first, because the name is random."""
    _make_ours(path)
    target = folder / random_bytes(NONCE_BYTES).hex()
    return target if _succeeds(lambda: path.rename(target)) else path


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _make_ours(folder: Path) -> None:
    """Lets the pod's user list and move a folder that researchers' code closed.

    The top folder may belong to the kubelet, which has opened it to the pod's user: then chmod fails and is not needed.
    """
    with contextlib.suppress(OSError):
        folder.chmod(0o700)


def _changed(folder: Path) -> float:
    return folder.lstat().st_mtime


def _is_filled(folder: Path) -> bool:
    try:
        return any(not _is_foreign(path) for path in folder.iterdir())
    except PermissionError:
        return True  # only code that wrote into the folder closes it


def _is_foreign(path: Path) -> bool:
    """Whether `path` is a folder of another owner that the pod's user, and so the round's code, cannot write in."""
    status = path.lstat()
    ours = status.st_uid == os.geteuid() or os.access(path, os.W_OK, effective_ids=True)
    return stat.S_ISDIR(status.st_mode) and not ours


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
