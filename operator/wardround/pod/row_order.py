"""Computes the seed that shuffles a hospital's rows, and the salt of its sums. The hub cannot know either.

Both are keyed hashes of the work. Equal work at one hospital gets an equal seed in every round and attempt, so a
stopped training continues from its checkpoint, and equal sums get equal digests. The key is made here on first use. It
lies on the claim `state`, in a folder that only `prepare` mounts.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

from wardround.clock import RandomBytes
from wardround.pod import keys
from wardround.pod.outcome import PodError
from wardround.wire import canonical, digests
from wardround.wire.training import RequestedModel, RequestedTask

FOLDER = "order"


class ViewDigest:
    """Digest of a view: values by side and column, in row order. It does not depend on the batches' sizes."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], Any] = {}

    def add(self, side: str, batch: Any) -> None:
        """Adds the next rows, an Arrow batch of numbers without nulls."""
        for name in batch.schema.names:
            values = batch.column(name).to_numpy()
            column = self._columns.setdefault((side, name), hashlib.sha256(values.dtype.str.encode()))
            column.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())

    def text(self) -> str:
        """`sha256:<hex>`."""
        columns = [[side, name, self._columns[side, name].hexdigest()] for side, name in sorted(self._columns)]
        return digests.digest(canonical.dumps(columns))


def seed(key: bytes, request: RequestedTask, view: str) -> int:
    """From 0 to 2^63 - 1: the first 63 bits of HMAC-SHA256 over the work and the digest of its rows (`view`)."""
    return int.from_bytes(hmac.digest(key, canonical.dumps(_work(request, view)), "sha256")[:8], "big") >> 1


def salt(key: bytes, request: RequestedTask, view: str) -> bytes:
    """32 bytes: HMAC-SHA256 over the work and the digest of its rows, under another name than the seed's.

    The references of an evaluation are part of the work here, because its sums depend on them.
    """
    work = {"purpose": "salt", **_work(request, view)}
    if request.references:
        work["references"] = [_model(each) for each in request.references]
    return hmac.digest(key, canonical.dumps(work), "sha256")


def _work(request: RequestedTask, view: str) -> dict[str, Any]:
    return {"seed": request.seed, **_model(request), "view": view}


def _model(model: RequestedModel) -> dict[str, Any]:
    return {
        "baseDigest": model.base_digest,
        "imageDigest": model.image_digest,
        "parameters": dict(model.parameters),
    }


def hospital_key(folder: Path, random_bytes: RandomBytes) -> bytes:
    """Reads this hospital's key, and makes it if there is none yet. Raises PodError (PodFailed)."""
    try:
        if not (folder / FOLDER).exists():
            keys.make(folder / FOLDER, random_bytes)
        key = (folder / FOLDER / keys.FILE).read_bytes()
    except OSError as error:
        message = (
            f"the folder {folder.name} on the claim `state` cannot be used ({type(error).__name__}): check that "
            "the volume is writable and not full"
        )
        raise PodError("PodFailed", message) from None
    if len(key) != keys.KEY_BYTES:
        message = (
            f"the state volume's {folder.name}/{FOLDER}/{keys.FILE} does not have {keys.KEY_BYTES} bytes: delete "
            f"{folder.name}/{FOLDER}, and the next training pod makes another key"
        )
        raise PodError("PodFailed", message)
    return key
