"""Makes a random key on the claim `state`, in the folder that only `prepare` mounts; knows no use of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from wardround import durable
from wardround.clock import NONCE_BYTES, RandomBytes

KEY_BYTES = 32
# A key has its own folder: of several pods that rename a folder into place, exactly one succeeds.
FILE = "key"


def make(folder: Path, random_bytes: RandomBytes) -> None:
    """Makes `folder` with a new key in one step. Of several pods at the same time the first wins, and all use its key.

    Raises OSError.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = durable.draft_of(folder, random_bytes(NONCE_BYTES))
    draft.mkdir(mode=0o700)
    try:
        durable.write(draft / FILE, random_bytes(KEY_BYTES), 0o600)
        durable.publish(draft, folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        # Rename does not replace a folder that is not empty: another pod was faster.
        if not folder.is_dir():
            raise
