"""Puts models onto the claim of models: a version's folder is there whole or not at all. Decides nothing.

docs/contracts.md, section 9, has the layout. No other program of Wardround writes there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wardround import durable
from wardround.card import folder
from wardround.card.folder import CARD_FILE, MODEL_FILE, CardTooNew, FolderRefused
from wardround.plans.courier import delivery
from wardround.plans.courier.delivery import OnClaim, Package
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_model
from wardround.sealing.refused import Refused
from wardround.wire import codec, digests, model_folder
from wardround.wire.assignment import Assignment
from wardround.wire.card import ModelCard
from wardround.wire.model_folder import FolderOwner

OWNER_FILE, CURRENT_FILE = "model.json", "current"
# The names of folders that are incomplete, or no longer complete, begin so. No model has such a name.
UNFINISHED = ".unfinished-"
FULL = (errno.ENOSPC, errno.EDQUOT)
CHUNK = 1 << 20
LARGEST_OWNER_FILE = 4096


class ModelsUnusable(Exception):
    """The claim of models is full or does not work. `reason`: of the report."""

    def __init__(self, reason: str, failure: OSError) -> None:
        super().__init__(f"{reason}: {failure}")
        self.reason = reason


def package(assignment: Assignment, hub_key: bytes) -> Package:
    """What a Deliver task puts onto the claim, once the hub's signatures of model and card are verified. `hub_key`: the
    pinned hub's, SPKI DER. Raises Refused."""
    wanted, base = assignment.delivery, assignment.base
    if wanted is None or base is None:
        raise Refused("AssignmentUnreadable")
    manifest = open_model(base.manifest, load_verification_key(hub_key))
    try:
        signed = folder.signed(wanted.card, hub_key)
    except CardTooNew:
        raise Refused("AssignmentNotUnderstood", "delivery.card") from None
    except FolderRefused:
        raise Refused("CardDiffers") from None
    return delivery.package(assignment, wanted, manifest, signed.card, signed.text)


@dataclass(frozen=True)
class ModelsVolume:
    root: Path

    def put(self, wanted: Package, file: Path, stop: threading.Event) -> None:
        """Makes the version the current one of its model. `file`: the model, as the courier has verified it. Ends early
        if `stop` is set. Raises Refused, ModelsUnusable, OSError."""
        with file.open("rb") as model:
            self.put_open(wanted, model, stop)

    def put_open(self, wanted: Package, model: BinaryIO, stop: threading.Event) -> None:
        """The same with an open file."""
        with _as_claim():
            self._sweep()
            seen = self._look(wanted)
        planned = delivery.plan(wanted, seen)
        home = self.root / wanted.owner.name
        version = home / delivery.folder_name(wanted.version)
        with _as_claim():
            home.mkdir(exist_ok=True)
            durable.write(home / OWNER_FILE, model_folder.text(wanted.owner).encode())
            durable.sync(self.root)
            if planned.missing == "Folder":
                self._add(wanted, model, version, stop)
            elif planned.missing == "Card":
                durable.write(version / CARD_FILE, wanted.card.encode())
            durable.write(home / CURRENT_FILE, f"{version.name}\n".encode())
            for old in planned.surplus:
                self._remove(home / delivery.folder_name(old))

    def _sweep(self) -> None:
        """Removes what a courier has left that was killed. The courier delivers one model at a time."""
        for each in self.root.glob(f"{UNFINISHED}*"):
            shutil.rmtree(each)

    def _remove(self, version: Path) -> None:
        """A reader never sees a part of it: first it loses its name."""
        leaving = self.root / f"{UNFINISHED}{version.name}"  # the name of a model may be as long as a file's
        version.rename(leaving)
        shutil.rmtree(leaving)

    def _look(self, wanted: Package) -> OnClaim:
        home = self.root / wanted.owner.name
        if not os.path.lexists(home):
            return OnClaim()
        version = home / delivery.folder_name(wanted.version)
        described, unreadable = _card(version)
        return OnClaim(
            # A courier that was killed, or a claim that was full, can leave a folder without the owner's file.
            exists=not home.is_dir() or home.is_symlink() or any(not _is_partial(each) for each in home.iterdir()),
            owner=_owner(home / OWNER_FILE),
            versions=_versions(home),
            current=_current(home / CURRENT_FILE),
            digest=_digest(version / MODEL_FILE),
            described=described,
            unreadable=unreadable,
        )

    def _add(self, wanted: Package, model: BinaryIO, version: Path, stop: threading.Event) -> None:
        partial = self.root / f"{UNFINISHED}{version.name}"
        partial.mkdir()
        if _copy(model, partial / MODEL_FILE, stop) != wanted.digest:
            shutil.rmtree(partial)
            raise Refused("Altered")
        durable.write(partial / CARD_FILE, wanted.card.encode())
        durable.publish(partial, version)


@contextmanager
def _as_claim() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        reason = "ModelsClaimFull" if failure.errno in FULL else "ModelsClaimUnusable"
        raise ModelsUnusable(reason, failure) from failure


def _owner(file: Path) -> FolderOwner | None:
    """None if the file is not there or is not ours. A courier of another version may have written more fields."""
    if not file.is_file() or file.stat().st_size > LARGEST_OWNER_FILE:
        return None
    try:
        return codec.parse(FolderOwner, json.loads(file.read_bytes()))
    except (ValueError, RecursionError):
        return None


def _card(version: Path) -> tuple[ModelCard | None, bool]:
    """The card of a version, and whether there is one that cannot be read."""
    try:
        return folder.described(version), False
    except FolderRefused:
        return None, True


def _current(file: Path) -> int | None:
    with suppress(FileNotFoundError, UnicodeDecodeError):
        return delivery.version_of(file.read_bytes()[:64].decode("ascii"))
    return None


def _is_partial(file: Path) -> bool:
    return file == durable.partial_of(file.with_name(OWNER_FILE))


def _versions(home: Path) -> list[int]:
    numbers = (delivery.version_of(each.name) for each in home.iterdir()) if home.is_dir() else ()
    return [number for number in numbers if number is not None]


def _digest(model: Path) -> str:
    """Empty if the version is not there. A folder without its file has another digest than every model."""
    if not os.path.lexists(model.parent):
        return ""
    return digests.file_digest(model) if model.is_file() and not model.is_symlink() else "none"


def _copy(reader: BinaryIO, target: Path, stop: threading.Event) -> str:
    """Copies a file durably. Returns its digest."""
    digest = digests.Digest()
    with target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            if stop.is_set():
                raise InterruptedError("the task is over")
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.text
