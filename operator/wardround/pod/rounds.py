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

# So many folders wait in memory. The rest is met again in the next pass.
MOST_WAITING = 1000
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
    kept, changed_before = {*live, *_newest(folders, newest)}, at.timestamp() - SKEW_SECONDS
    ended = [path for path in folders if path.name not in kept and _changed(path) < changed_before]
    for path in ended:
        _remove(path, random_bytes)
    left = tuple(path.name for path in ended if os.path.lexists(path))
    return Removal(tuple(path.name for path in ended if path.name not in left), left)


def _newest(folders: Collection[Path], count: int) -> list[str]:
    """The names of the folders that changed last, of those that are not empty."""
    if count == 0:
        return []
    filled = sorted(filter(_is_filled, folders), key=_changed, reverse=True)
    return [path.name for path in filled[:count]]


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


@dataclass
class _Pass:
    """What one pass through a folder has reached. `emptied`: no file is left that could not be removed. `changed`:
    something was removed or moved, so another pass may find more."""

    emptied: bool = True
    changed: bool = False

    def note(self, change: Callable[[], object]) -> bool:
        succeeded = _succeeds(change)
        self.changed |= succeeded
        return succeeded

    def unlink(self, path: Path) -> None:
        self.emptied &= self.note(path.unlink)


def _remove(folder: Path, random_bytes: RandomBytes) -> bool:
    """Removes all that can be removed, and returns whether no file is left. Follows no link.

    Code of researchers may have written millions of files and folders, so no list of them is made. Folders may also be
    nested deeper than a path may be long, so each is moved up into `folder` until none has folders inside. A folder
    inside a folder of another owner cannot be moved.
    """
    while True:
        now = _Pass()
        _make_ours(folder)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        _flatten(Path(entry.path), folder, random_bytes, now)
                    else:
                        now.unlink(Path(entry.path))
        except OSError:
            return False
        if not now.changed:
            break
    _succeeds(folder.rmdir)
    return now.emptied


def _flatten(folder: Path, top: Path, random_bytes: RandomBytes, now: _Pass) -> None:
    """Removes the files in `folder`, moves its folders up into `top`, and removes `folder`, as far as possible."""
    # Folders that cannot be moved always wait. They lie in folders of another owner, which the image has named: a few.
    waiting, stuck = [folder], []
    while waiting:
        here = waiting.pop()
        _make_ours(here)
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if not entry.is_dir(follow_symlinks=False):
                        now.unlink(path)
                    elif (moved := _lift(path, top, random_bytes, now)) == path or len(waiting) < MOST_WAITING:
                        waiting.append(moved)
        except OSError:
            now.emptied = False
            continue
        if not now.note(here.rmdir):
            stuck.append(here)
    # A folder's children were visited after it, so the reverse order removes children first.
    for here in reversed(stuck):
        now.note(here.rmdir)


def _lift(path: Path, top: Path, random_bytes: RandomBytes, now: _Pass) -> Path:
    """Tries to move `path` into `top`, and returns the folder's path afterwards. Code of researchers cannot take the
    new name first, because it is random."""
    _make_ours(path)
    target = top / random_bytes(NONCE_BYTES).hex()
    return target if now.note(lambda: path.rename(target)) else path


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
        with os.scandir(folder) as entries:
            return any(not _is_foreign(Path(entry.path)) for entry in entries)
    except PermissionError:
        return True  # only code that wrote into the folder closes it


def _is_foreign(path: Path) -> bool:
    """Whether `path` is a folder of another owner that the pod's user, and so the round's code, cannot write in."""
    status = path.lstat()
    ours = status.st_uid == os.geteuid() or os.access(path, os.W_OK, effective_ids=True)
    return stat.S_ISDIR(status.st_mode) and not ours


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
