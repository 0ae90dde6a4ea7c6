"""Makes the number by which a hospital's rows are put in order for training, so that nobody at the hub can know it.

It is a keyed hash of the work to be done: equal work at one hospital has equal orders, whatever round or attempt asks
for it, so that a stopped one goes on from its checkpoint. The key is made here, on first use, and lies on the claim
`state` in a folder that `prepare` alone mounts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shutil
from pathlib import Path
from typing import Any

from wardround import durable
from wardround.pod.outcome import Failure
from wardround.wire import canonical, digests
from wardround.wire.training import RequestedTask

KEY_BYTES = 32
# A folder of its own, since to put a folder in place is one step that only one of several can win.
FOLDER, FILE = "order", "key"


class ViewDigest:
    """What a view holds: values by side and column, in the order of their rows, however they come in batches."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], Any] = {}

    def add(self, side: str, batch: Any) -> None:
        """The next rows, as an Arrow batch of numbers without gaps."""
        for name in batch.schema.names:
            values = batch.column(name).to_numpy()
            column = self._columns.setdefault((side, name), hashlib.sha256(values.dtype.str.encode()))
            column.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())

    def text(self) -> str:
        """`sha256:<hex>`."""
        columns = [[side, name, self._columns[side, name].hexdigest()] for side, name in sorted(self._columns)]
        return digests.digest(canonical.dumps(columns))


def seed(key: bytes, request: RequestedTask, view: str) -> int:
    """From 0 to 2^63 - 1: HMAC-SHA256 of what is to be done with which rows, its first eight bytes without one bit."""
    work = {
        "seed": request.seed,
        "baseDigest": request.base_digest,
        "imageDigest": request.image_digest,
        "parameters": dict(request.parameters),
        "view": view,
    }
    return int.from_bytes(hmac.digest(key, canonical.dumps(work), "sha256")[:8], "big") >> 1


def key_of(folder: Path) -> bytes:
    """This hospital's key, made if there is none yet. Raises Failure."""
    try:
        if not (folder / FOLDER).exists():
            _make(folder)
        key = (folder / FOLDER / FILE).read_bytes()
    except OSError as error:
        message = f"the state volume's folder {folder.name} cannot be used: {type(error).__name__}"
        raise Failure("PodFailed", message) from None
    if len(key) != KEY_BYTES:
        message = (
            f"the state volume's {folder.name}/{FOLDER}/{FILE} does not have {KEY_BYTES} bytes: delete "
            f"{folder.name}/{FOLDER}, and the next training pod makes another"
        )
        raise Failure("PodFailed", message)
    return key


def _make(folder: Path) -> None:
    """Whole or not at all; of several pods at the same time one is the first, and its key is everybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    draft.mkdir(mode=0o700)
    try:
        durable.write(draft / FILE, secrets.token_bytes(KEY_BYTES), 0o600)
        durable.publish(draft, folder / FOLDER)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        # A folder that is not empty is not replaced: somebody was faster.
        if not (folder / FOLDER).is_dir():
            raise
