"""Publishes the two files that the courier reads: update.safetensors, then update.json; decides nothing about them.

`update.json` appears last, by rename. A reader that sees it sees a whole update. A crash leaves no `update.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wardround import durable
from wardround.tensors import Tensor, Writer
from wardround.wire import codec
from wardround.wire.update import UpdateClaims

TENSORS, DOCUMENT = "update.safetensors", "update.json"


@dataclass(frozen=True)
class Summary:
    """Facts of an update that are known only after its tensors are written."""

    samples: int
    base_digest: str
    min_cell: int
    tells: bool
    withheld: bool = False
    sums: bytes | None = None


def salt_tensor(salt: bytes) -> npt.NDArray[np.float64]:
    """The tensor `salt` of an update of sums, of shape (32,)."""
    return np.frombuffer(salt, np.uint8).astype(np.float64)


def publish(
    folder: Path, tensors: Sequence[Tensor], fill: Callable[[Writer], Summary], length: int | None = None
) -> None:
    """Writes an update into `folder`. `fill` writes all tensors in canonical order. `length`: of a compressed update.
    Raises whatever `fill` raises."""
    folder.mkdir(parents=True, exist_ok=True)
    # An earlier pod of this task may have left files. New tensors must not be read with an old document.
    partial = durable.partial_of(folder / TENSORS)
    for path in (folder / DOCUMENT, folder / TENSORS, partial):
        path.unlink(missing_ok=True)
    with Writer(partial, tensors, length) as writer:
        summary = fill(writer)
        digest = writer.finish()
    durable.publish(partial, folder / TENSORS)
    claims = UpdateClaims(
        samples=summary.samples,
        withheld=summary.withheld,
        tells=summary.tells,
        min_cell=summary.min_cell,
        sums=summary.sums,
        digest=digest,
        schema_digest=writer.layout.schema_digest,
        base_digest=summary.base_digest,
        length=writer.length,
    )
    durable.write(folder / DOCUMENT, codec.write_document(claims))
