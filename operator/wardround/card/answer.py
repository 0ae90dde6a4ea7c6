"""Answers a Prediction in a hospital's pod: reads model and rows, and writes the answer whole or not at all.

Messages name fields of objects and files that people of the hospital wrote. They never quote a row.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from wardround import durable
from wardround.api import variable_text
from wardround.api.names import UID
from wardround.card import folder, predict, table
from wardround.card.folder import FolderRefused
from wardround.pod.outcome import UNREADABLE, Failure, log, run
from wardround.reasons.reason import EXIT_DATA
from wardround.tabular.schema import SchemaInvalid
from wardround.wire import digests, mounts
from wardround.wire import prediction as wire
from wardround.wire.outcome import Outcome, Predicted
from wardround.wire.training import DATASET_TEXT

# As the kind Prediction takes them.
_MODEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_VERSION = re.compile(r"v[1-9][0-9]{0,8}", re.ASCII)
# Only the pod's user and its group, because an answer names patients.
MODE = 0o660


class Refused(Exception):
    """There is no answer. `reason`: a registered one. The message is for the hospital's people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The Prediction, from the pod's environment. `uid`: of the Prediction. `rows`, `answer`: paths on their claims.

    `fingerprint`: of the hub. `dataset`: the spec of the Dataset.
    """

    uid: str
    model: str
    version: str
    rows: str
    answer: str
    fingerprint: str
    dataset: Mapping[str, Any]


@dataclass(frozen=True)
class Folders:
    """The three claims."""

    rows: Path
    models: Path
    answers: Path

    @classmethod
    def below(cls, root: Path) -> Folders:
        """`root`: /wardround in a pod, anything in a test."""
        return cls(*(root / Path(each).relative_to(mounts.ROOT) for each in (wire.ROWS, wire.MODELS, wire.ANSWERS)))


def main(argv: Sequence[str]) -> int:
    refused = False

    def body() -> Outcome:
        nonlocal refused
        try:
            asked = read(os.environ)
            return Outcome(prediction=answer(Folders.below(Path(os.environ.get("WARDROUND_ROOT", mounts.ROOT))), asked))
        except Refused as refusal:
            refused = True
            log(f"answer: {refusal.reason}: {refusal}")
            return Outcome(reason=refusal.reason, failure_class="Site", message=str(refusal))

    return run("answer", body) or (EXIT_DATA if refused else 0)


def read(environment: Mapping[str, str]) -> Asked:
    """Raises Failure (PodFailed)."""

    def value(name: str, accepts: Callable[[str], Any]) -> str:
        text = environment.get(name, "")
        if not accepts(text):
            raise Failure("PodFailed", f"{name} {UNREADABLE}")
        return text

    try:
        dataset = variable_text.load(environment.get(DATASET_TEXT, ""))
    except ValueError as error:
        raise Failure("PodFailed", f"{DATASET_TEXT} {UNREADABLE}") from error
    return Asked(
        uid=value(wire.UID, UID.fullmatch),
        model=value(wire.MODEL, _MODEL.fullmatch),
        version=value(wire.VERSION, lambda text: text == wire.CURRENT or _VERSION.fullmatch(text)),
        rows=value(wire.ROWS_PATH, bool),
        answer=value(wire.ANSWER_PATH, bool),
        fingerprint=value(wire.HUB_FINGERPRINT, digests.DIGEST.fullmatch),
        dataset=dataset,
    )


def answer(folders: Folders, asked: Asked) -> Predicted:
    """Writes the file. Raises Refused, and Failure (ColumnMissing, DataUnreadable, DataReplaced)."""
    version = _version(folders, asked)
    rows = _inside(folders.rows, asked.rows, "rows")
    if not rows.is_file():
        raise Failure("DataUnreadable", f"the claim has no file {asked.rows} (Prediction.spec.rows)")
    target = _inside(folders.answers, asked.answer, "answer")
    try:
        loaded = folder.load(folders.models / asked.model / version, asked.fingerprint)
        with _whole(target, asked) as file:
            written = table.write(predict.answers(loaded, asked.dataset, rows), file)
    except FolderRefused as refusal:
        raise Refused("ModelRefused", str(refusal)) from None
    except SchemaInvalid as fault:
        raise Refused("SchemaInvalid", str(fault)) from None
    return Predicted(
        version=version,
        digest=loaded.card.model.digest,
        answered=written.answered,
        outside=written.outside,
        notes=predict.notes(loaded.card),
    )


def _version(folders: Folders, asked: Asked) -> str:
    """The version, which the file `current` names if the Prediction asks for the current one. Raises Refused."""
    path = folders.models / asked.model
    version = asked.version
    if version == wire.CURRENT:
        try:
            version = (path / wire.CURRENT).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            version = ""
        if not _VERSION.fullmatch(version):
            raise Refused("ModelNotDelivered", f"the claim of models has no current version of {asked.model}")
    if not (path / version).is_dir():
        raise Refused("ModelNotDelivered", f"the claim of models has no folder {asked.model}/{version}")
    return version


def _inside(root: Path, path: str, place: str) -> Path:
    """Raises Refused if a link or `..` leads out of the claim."""
    found = root / path
    if not found.resolve().is_relative_to(root.resolve()):
        raise Refused("PathOutside", f"{path} leads out of the claim (Prediction.spec.{place}.path)")
    return found


def _link(partial: Path, target: Path) -> None:
    """Raises FileExistsError unless the file is the same answer: a pod that was evicted at its very end leaves that."""
    try:
        os.link(partial, target)
    except FileExistsError:
        if target.is_symlink() or not target.is_file() or not filecmp.cmp(partial, target, shallow=False):
            raise


@contextmanager
def _whole(target: Path, asked: Asked) -> Iterator[TextIO]:
    """A file that becomes `target` at the end, and never takes the place of another one. Raises Refused."""
    partial = target.with_name(f".{asked.uid}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A pod of this Prediction that was evicted at its end has left both, which are then the same file.
        if partial.exists() and target.exists() and partial.samefile(target):
            target.unlink()
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _link(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        durable.sync(target.parent)
    except FileExistsError:
        message = f"the claim of answers already has a file {asked.answer}, and a Prediction never replaces a file"
        raise Refused("AnswerExists", message) from None
    except OSError as error:
        name = error.strerror or type(error).__name__
        raise Refused("AnswerUnwritable", f"{asked.answer} cannot be written ({name})") from None
