"""The folders of a task in the workspace that courier and training share; knows names, no meaning.

The training pod mounts `in` and the folders of references read-only, and `update`; never `sealed` or another task's
folder.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from wardround.plans.courier.types import FolderView
from wardround.wire.mounts import INPUT, REFERENCES

UPDATE_DOCUMENT_LIMIT = 1 << 20


class Unsafe(Exception):
    """Training left something that is not a plain file of a sensible size."""


@dataclass(frozen=True)
class TaskFolder:
    root: Path

    @property
    def input(self) -> Path:
        return self.root / INPUT

    @property
    def update(self) -> Path:
        return self.root / "update"

    @property
    def sealed(self) -> Path:
        return self.root / "sealed"

    @property
    def ciphertext(self) -> Path:
        return self.sealed / "ciphertext"

    @property
    def manifest(self) -> Path:
        """The manifest's file. It exists only if the ciphertext beside it is whole and belongs to it."""
        return self.sealed / "manifest.json"

    @property
    def part_md5(self) -> Path:
        """The MD5 of each part of the ciphertext, one a line, as `Content-MD5` has it."""
        return self.sealed / "md5"

    @property
    def sent(self) -> Path:
        """The numbers of the parts of the ciphertext that the store has, one a line."""
        return self.sealed / "sent"

    def sent_parts(self) -> frozenset[int]:
        """The parts of the ciphertext that the store has. After a power cut, it may lack some."""
        try:
            lines = self.sent.read_text("ascii").splitlines(keepends=True)
        except FileNotFoundError:
            return frozenset()
        return frozenset(int(line) for line in lines if line.endswith("\n") and line.strip().isdigit())

    def note_sent(self, part: int) -> None:
        with self.sent.open("a", encoding="ascii") as file:
            file.write(f"{part}\n")

    def make(self) -> None:
        for folder in (self.input, self.update, self.sealed):
            folder.mkdir(parents=True, exist_ok=True)

    def has_update(self) -> bool:
        return os.path.lexists(self.update / "update.json")

    def is_trained(self) -> bool:
        """Whether there is something to send: an update, or one that was sealed before."""
        return self.has_update() or self.manifest.is_file()

    def look(self) -> FolderView:
        folders = [each for each in map(self.root.joinpath, (INPUT, *REFERENCES)) if each.is_dir()]
        files = [f"{folder.name}/{each.name}" for folder in folders for each in folder.iterdir() if each.is_file()]
        return FolderView(frozenset(files), self.is_trained())

    def read_update_document(self) -> bytes:
        """Raises Unsafe. No link is followed: the folder is written by another container."""
        try:
            descriptor = os.open(self.update / "update.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise Unsafe from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > UPDATE_DOCUMENT_LIMIT:
                raise Unsafe
            return os.read(descriptor, UPDATE_DOCUMENT_LIMIT)
        finally:
            os.close(descriptor)

    def update_tensors(self, length: int) -> Path:
        """The update's tensors. Raises Unsafe unless a plain file of exactly this length."""
        path = self.update / "update.safetensors"
        try:
            status = path.lstat()
        except OSError:
            raise Unsafe from None
        if not stat.S_ISREG(status.st_mode) or status.st_size != length:
            raise Unsafe
        return path

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


@dataclass(frozen=True)
class Workspace:
    root: Path

    def task(self, uid: str) -> TaskFolder:
        return TaskFolder(self.root / "tasks" / uid)

    def remove_all_but(self, keep: Collection[str]) -> list[str]:
        """Removes folders of tasks that no longer exist; returns their UIDs."""
        tasks = self.root / "tasks"
        gone = [folder.name for folder in tasks.iterdir() if folder.name not in keep] if tasks.is_dir() else []
        for uid in gone:
            self.task(uid).remove()
        return gone
