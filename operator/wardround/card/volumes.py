"""What a Prediction asks for in a hospital's pod, and its three volumes. An answer is written whole or not at all.

Messages name fields of objects and files that people of the hospital wrote. They never quote a row.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from wardround import durable
from wardround.api import variable_text
from wardround.api.names import UID
from wardround.card.columns import ColumnsDiffer
from wardround.card.folder import FolderRefused
from wardround.pod.outcome import UNREADABLE, PodError, log, run
from wardround.reasons.reason import EXIT_DATA
from wardround.tabular.schema import SchemaInvalid
from wardround.wire import digests, mounts
from wardround.wire import prediction as wire
from wardround.wire.outcome import Outcome
from wardround.wire.training import DATASET_TEXT, SCHEMA_TEXT

# As the kind Prediction takes them.
_MODEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_VERSION = re.compile(r"v[1-9][0-9]{0,8}", re.ASCII)
# The pod's user writes, its group reads, and nobody else, because an answer names patients.
MODE = 0o640

T = TypeVar("T")


class PredictionRefused(Exception):
    """There is no answer. `reason`: a registered one. The message is for the hospital's people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class PredictionRequest:
    """The Prediction, from the pod's environment. `uid`: of the Prediction. `rows`, `answer`: paths on their claims.

    `fingerprint`: of the hub. `dataset`, `schema`: the specs of the Dataset and of its DataSchema.
    """

    uid: str
    model: str
    version: str
    rows: str
    answer: str
    fingerprint: str
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Folders:
    """Where the three volumes are mounted."""

    rows: Path
    models: Path
    answers: Path

    @classmethod
    def from_environment(cls) -> Folders:
        return cls.below(Path(os.environ.get("WARDROUND_ROOT", mounts.ROOT)))

    @classmethod
    def below(cls, root: Path) -> Folders:
        """`root`: /wardround in a pod, anything in a test."""
        return cls(*(root / Path(each).relative_to(mounts.ROOT) for each in (wire.ROWS, wire.MODELS, wire.ANSWERS)))


def main(verb: str, body: Callable[[], Outcome | None]) -> int:
    """Runs a verb of the pod. Returns the exit code."""
    refused = False

    def guarded() -> Outcome | None:
        nonlocal refused
        try:
            return body()
        except PredictionRefused as refusal:
            refused = True
            log(f"{verb}: {refusal.reason}: {refusal}")
            return Outcome(reason=refusal.reason, failure_class="Site", message=str(refusal))

    return run(verb, guarded) or (EXIT_DATA if refused else 0)


@contextmanager
def refusals() -> Iterator[None]:
    """Raises PredictionRefused where a model's folder or a Dataset is unusable."""
    try:
        yield
    except ColumnsDiffer as difference:
        raise PredictionRefused("DatasetDiffersFromModel", str(difference)) from None
    except FolderRefused as refusal:
        raise PredictionRefused("ModelRefused", refusal.fault) from None
    except SchemaInvalid as fault:
        raise PredictionRefused("SchemaInvalid", str(fault)) from None


def read(environment: Mapping[str, str]) -> PredictionRequest:
    """Raises PodError (PodFailed)."""

    def value(name: str, accepts: Callable[[str], Any]) -> str:
        return variable(environment, name, lambda text: text if accepts(text) else None)

    return PredictionRequest(
        uid=value(wire.UID, UID.fullmatch),
        model=value(wire.MODEL, _MODEL.fullmatch),
        version=value(wire.VERSION, lambda text: text == wire.CURRENT or _VERSION.fullmatch(text)),
        rows=value(wire.ROWS_PATH, bool),
        answer=value(wire.ANSWER_PATH, bool),
        fingerprint=value(wire.HUB_FINGERPRINT, digests.DIGEST.fullmatch),
        dataset=variable(environment, DATASET_TEXT, variable_text.load),
        schema=variable(environment, SCHEMA_TEXT, variable_text.load),
    )


def variable(environment: Mapping[str, str], name: str, read: Callable[[str], T | None]) -> T:
    """A variable. `read`: returns None or raises ValueError for a wrong text. Raises PodError (PodFailed)."""
    try:
        value = read(environment.get(name, ""))
    except ValueError:
        value = None
    if value is None:
        raise PodError("PodFailed", f"{name} {UNREADABLE}")
    return value


def known_uid(text: str) -> str | None:
    """The text, if it has the form of a UID."""
    return text if UID.fullmatch(text) else None


def rows_file(folders: Folders, asked: PredictionRequest) -> Path:
    """Raises PredictionRefused, and PodError (DataUnreadable)."""
    rows = inside(folders.rows, asked.rows, "rows")
    if not rows.is_file():
        raise PodError("DataUnreadable", f"the claim has no file {asked.rows} (Prediction.spec.rows)")
    return rows


def version_of(folders: Folders, asked: PredictionRequest) -> str:
    """The version, which the file `current` names if the Prediction asks for the current one.

    Raises PredictionRefused.
    """
    path = folders.models / asked.model
    version = asked.version
    if version == wire.CURRENT:
        try:
            version = (path / wire.CURRENT).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            version = ""
        if not _VERSION.fullmatch(version):
            raise PredictionRefused("ModelNotDelivered", f"the claim of models has no current version of {asked.model}")
    if not (path / version).is_dir():
        raise PredictionRefused("ModelNotDelivered", f"the claim of models has no folder {asked.model}/{version}")
    return version


def inside(root: Path, path: str, place: str) -> Path:
    """Raises PredictionRefused if a link or `..` leads out of the claim."""
    inner = root / path
    if not inner.resolve().is_relative_to(root.resolve()):
        raise PredictionRefused("PathOutside", f"{path} leads out of the claim (Prediction.spec.{place}.path)")
    return inner


def _link(partial: Path, target: Path) -> None:
    """Raises FileExistsError unless the file is the same answer: a pod that was evicted at its very end leaves that."""
    try:
        os.link(partial, target)
    except FileExistsError:
        if target.is_symlink() or not target.is_file() or not filecmp.cmp(partial, target, shallow=False):
            raise


@contextmanager
def whole(target: Path, uid: str, path: str) -> Iterator[TextIO]:
    """A file that becomes `target` at the end, and never takes the place of another one.

    `uid`: of the Prediction. `path`: of the answer, for messages. Raises PredictionRefused.
    """
    # Not as in durable.py: a rename replaces a file, but a link never does. By the UID, a later pod of this Prediction
    # knows the partial file again.
    partial = target.with_name(f".{uid}.partial")
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
        message = f"the claim of answers already has a file {path}, and a Prediction never replaces a file"
        raise PredictionRefused("AnswerExists", message) from None
    except OSError as error:
        name = error.strerror or type(error).__name__
        raise PredictionRefused("AnswerUnwritable", f"{path} cannot be written ({name})") from None
