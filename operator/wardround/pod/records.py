"""Reads and writes what `prepare` remembers of a Dataset on the claim `state`, in a folder that only `prepare` mounts.

The newest reading's record counts. Knows no meaning of a record.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wardround import durable
from wardround.clock import NONCE_BYTES, RandomBytes
from wardround.pod.folders import Folders
from wardround.wire import canonical


def place(folders: Folders, folder: str, name: str) -> Path:
    """The file of a Dataset's record."""
    return folders.secrets / folder / f"{name}.json"


def words(record: Path) -> str:
    """The file, as people find it."""
    return f"secrets/{record.parent.name}/{record.name} on the claim `state`"


def read(record: Path) -> Any:
    """The record as JSON; None before the first reading. Raises OSError, ValueError."""
    try:
        return json.loads(record.read_bytes())
    except FileNotFoundError:
        return None


def write(record: Path, document: object, random_bytes: RandomBytes) -> None:
    """Raises OSError. Of several pods, the last one's record counts."""
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = durable.draft_of(record, random_bytes(NONCE_BYTES))
    try:
        durable.write(draft, canonical.dumps(document), 0o600)
        durable.publish(draft, record)
    finally:
        draft.unlink(missing_ok=True)
