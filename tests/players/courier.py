"""The courier of `wardround simulate`, for updates that a test leaves in a workspace in the place of `check`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wardround import durable, tensors
from wardround.courier.keys import Identity
from wardround.courier.send import Sealed
from wardround.courier.workspace import TaskFolder
from wardround.metrics import sums
from wardround.metrics.sums import Sums
from wardround.pod import update
from wardround.simulate.courier import Courier
from wardround.wire import codec, digests, layouts
from wardround.wire.assignment import Assignment
from wardround.wire.update import UpdateClaims, ValidationSums

# Of a plaintext that holds no tensors.
SCHEMA_DIGEST = digests.digest(b"schema")


def leave_update(folder: TaskFolder, plain: bytes, **claims: Any) -> None:
    """The tensors, then the document, as `check` leaves them. `claims` are what the document says otherwise."""
    known: dict[str, Any] = {
        "samples": 10,
        "withheld": False,
        "tells": False,
        "min_cell": 11,
        "sums": None,
        "digest": digests.digest(plain),
        "schema_digest": SCHEMA_DIGEST,
        "base_digest": "",
        "length": len(plain),
    }
    (folder.update / update.TENSORS).write_bytes(plain)
    partial = durable.partial_of(folder.update / update.DOCUMENT)
    partial.write_bytes(codec.write_document(UpdateClaims(**{**known, **claims})))
    partial.rename(folder.update / update.DOCUMENT)


def sums_over(people: int, *, seed: int = 0) -> Sums:
    """The sums of a hospital with so many people, half of them positive, and a model that tells something."""
    dice = np.random.default_rng(seed)
    labels = np.arange(people) % 2
    return sums.count(labels, 1 / (1 + np.exp(-dice.normal(size=people) - labels)), np.arange(people))


def validation_sums(reported: Mapping[str, str] | None = None, *, people: int = 40, seed: int = 0) -> bytes:
    """The validation sums of a Train update, as `check` writes them into update.json."""
    counted = sums_over(people, seed=seed)
    elements = {name: tuple(map(repr, counted[name].tolist())) for name in layouts.SUMS}
    return codec.write_document(ValidationSums(people=people, sums=elements, reported=reported or {}))


async def seal(
    assignment: Assignment, identity: Identity, folder: Path, plain: bytes, **claims: Any
) -> tuple[Sealed, Courier]:
    """Leave this update in a fresh workspace and seal it for the round. Return the courier that can send it."""
    courier = Courier(identity, assignment, TaskFolder(folder))
    courier.folder.make()
    leave_update(courier.folder, plain, **claims)
    return await courier.seal(""), courier


def written(arrays: Mapping[str, tensors.Array], dtypes: dict[str, str] | None = None) -> tuple[bytes, str]:
    """A document of these tensors, and the digest of its schema."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "tensors")
        tensors.write(path, dict(arrays), dtypes)
        return path.read_bytes(), tensors.layout(path).schema_digest
