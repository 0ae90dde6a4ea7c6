"""Remembers on the claim `state` how a Dataset splits its patients, and refuses a Dataset of its name that splits
otherwise. Reads no row.

People and GitOps tools can delete a Dataset and apply another one under its name. Its status is then empty, but the
claim is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wardround import durable
from wardround.clock import NONCE_BYTES, RandomBytes
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import split
from wardround.tabular.split import Split
from wardround.wire import canonical

FOLDER = "split-records"
# What each entry of a record means to the people who wrote the Dataset.
_FIELDS = {
    "column": "spec.identifier.column",
    "type": "spec.identifier.type",
    "test": "spec.split.test",
    "validation": "spec.split.validation",
    "fingerprint": "the key of the split",
}
_HARM = "Held-out patients would enter training, so this pod read no row"
_WAYS = (
    "Apply the Dataset as it was before. Or apply the Dataset under another name: it then gets a new split, and the "
    "authors of rounds have to train new models from the beginning"
)


def hold(folders: Folders, name: str, dataset: Mapping[str, Any], sides: Split, random_bytes: RandomBytes) -> None:
    """Compares the split with the one that the Dataset of this name had first, and records the first one.

    `dataset`: its spec. Raises PodError (SplitChanged, SplitKeyLost, PodFailed).
    """
    place = folders.secrets / FOLDER / f"{name}.json"
    now = _record(dataset, sides)
    try:
        first = _read(place) or _write(place, now, random_bytes)
    except OSError as error:
        raise PodError("PodFailed", f"{_named(place)} cannot be used: {type(error).__name__}") from None
    except ValueError:
        raise PodError(
            "SplitKeyLost", f"{_named(place)} is damaged. {_HARM}. Restore this file from a backup"
        ) from None
    changed = [words for entry, words in _FIELDS.items() if first.get(entry) != now[entry]]
    if changed:
        message = f"Dataset {name} was read before with another split: {', '.join(changed)} differs. {_HARM}. {_WAYS}"
        raise PodError("SplitChanged", message)


def _record(dataset: Mapping[str, Any], sides: Split) -> dict[str, str]:
    return {
        "column": dataset["identifier"]["column"],
        "type": dataset["identifier"]["type"],
        # As positions, so that 0.2 and 0.20 are the same.
        "test": str(sides.test_below),
        "validation": str(sides.validation_below - sides.test_below),
        "fingerprint": split.fingerprint(sides.key),
    }


def _read(place: Path) -> dict[str, str] | None:
    """The record; None if there is none. Raises OSError, ValueError."""
    try:
        record = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(record, dict) or set(record) != set(_FIELDS):
        raise ValueError("no record")
    return record


def _write(place: Path, record: dict[str, str], random_bytes: RandomBytes) -> dict[str, str]:
    """Writes the record if there is none. Returns the record that is there: of several pods, the first one's. Raises
    OSError, ValueError."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = durable.draft_of(place, random_bytes(NONCE_BYTES))
    durable.write(draft, canonical.dumps(record), 0o600)
    try:
        os.link(draft, place)
        durable.sync(place.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(place) or record


def _named(place: Path) -> str:
    return f"secrets/{FOLDER}/{place.name} on the claim `state`"
