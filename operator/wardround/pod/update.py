"""Publishes the one thing that the courier reads: update.safetensors, then update.json; decides nothing about them.

`update.json` appears last and by rename, so that whoever sees it sees a whole update; a crash leaves none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wardround.pod.metrics import Disclosure
from wardround.tensors import Tensor, Writer

TENSORS, DOCUMENT = "update.safetensors", "update.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Claims:
    """What the site says of an update."""

    samples: int
    disclosure: Disclosure
    base_digest: str


def publish(folder: Path, tensors: Sequence[Tensor], fill: Callable[[Writer], Claims]) -> None:
    """`fill` writes all tensors in canonical order and returns what is known only then. What it raises goes through."""
    folder.mkdir(parents=True, exist_ok=True)
    # Of an earlier pod of the same task: a new update must not be read under an old document.
    for name in (DOCUMENT, TENSORS, TENSORS + PARTIAL, DOCUMENT + PARTIAL):
        (folder / name).unlink(missing_ok=True)
    with Writer(folder / (TENSORS + PARTIAL), tensors) as writer:
        claims = fill(writer)
        digest = writer.finish()
    (folder / (TENSORS + PARTIAL)).rename(folder / TENSORS)
    document = {
        "samples": claims.samples,
        "metrics": dict(claims.disclosure.metrics),
        "suppressed": list(claims.disclosure.suppressed),
        "digest": digest,
        "schemaDigest": writer.layout.schema_digest,
        "baseDigest": claims.base_digest,
        "length": writer.layout.length,
    }
    with (folder / (DOCUMENT + PARTIAL)).open("w", encoding="utf-8") as file:
        json.dump(document, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    (folder / (DOCUMENT + PARTIAL)).rename(folder / DOCUMENT)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
