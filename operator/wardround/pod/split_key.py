"""Finds the key of a Dataset's split. `prepare` makes it on first use, or it lies beside the data. Reads no row.

With another key, patients who were held out would enter training. So if a fingerprint of the key is known, `prepare`
makes no key and takes no other one: a person decides.
"""

from __future__ import annotations

import hmac

from wardround.clock import RandomBytes
from wardround.pod import keys
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import split

FOLDER = "split"
# A larger file is no key, but perhaps the data.
MOST_BYTES = 1024
_HARM = "With another key, held-out patients would enter training, so this pod read no row"
_OTHER_NAME = "Or accept a new split: apply the Dataset under another name, and train new models from the beginning"


def held(folders: Folders, dataset: str, key_file: str, known: str, random_bytes: RandomBytes) -> bytes:
    """The key of `dataset`, a Dataset's name.

    `key_file`: `split.keyFile` of the Dataset, "" for none. `known`: the key's fingerprint, "" before the first use.
    Raises PodError (SplitKeyLost, SplitKeyChanged, PodFailed).
    """
    if key_file:
        key, place = _beside_data(folders, dataset, key_file)
    else:
        key, place = _on_state(folders, dataset, known, random_bytes)
    if known and not hmac.compare_digest(split.fingerprint(key), known):
        message = (
            f"{place} has another key than the key with which this Dataset was first read: the fingerprint of the key "
            f"differs from status.splitFingerprint. {_HARM}. Restore the former file. {_OTHER_NAME}"
        )
        raise PodError("SplitKeyChanged", message)
    return key


def _on_state(folders: Folders, dataset: str, known: str, random_bytes: RandomBytes) -> tuple[bytes, str]:
    """The key and its place. Makes the key if none was ever known."""
    folder = folders.secrets / FOLDER / dataset
    place = f"{folders.secrets.name}/{FOLDER}/{dataset}/{keys.FILE} on the claim `state`"
    if not known and not folder.exists():
        try:
            keys.make(folder, random_bytes)
        except OSError as error:
            raise PodError("PodFailed", f"{place} cannot be made: {type(error).__name__}") from None
    fault = "is not there"
    try:
        key = (folder / keys.FILE).read_bytes()
        fault = _fault(key)
    except FileNotFoundError:
        pass
    except OSError as error:
        fault = f"cannot be read ({type(error).__name__})"
    if not fault:
        return key, place
    message = f"{place} {fault}. {_HARM}. Restore the file from a backup of the claim. {_OTHER_NAME}"
    raise PodError("SplitKeyLost", message)


def _beside_data(folders: Folders, dataset: str, key_file: str) -> tuple[bytes, str]:
    """The key and its place."""
    place = f"the file {key_file} (Dataset.spec: claimName, split.keyFile)"
    fault = ""
    key = b""
    try:
        if not (folders.raw / key_file).resolve().is_relative_to(folders.raw.resolve()):
            fault = "leads out of the volume"
        elif not (folders.raw / key_file).is_file():
            fault = "is not on the volume"
        else:
            with (folders.raw / key_file).open("rb") as file:
                # An editor may end the file with a line feed.
                content = file.read(MOST_BYTES + 1)
            key = content.strip()
            fault = _fault(key if len(content) <= MOST_BYTES else content)
    except (OSError, RuntimeError) as error:
        fault = f"cannot be read ({type(error).__name__})"
    if fault:
        raise PodError("SplitKeyLost", f"{place} {fault}. {_HARM}. Restore the file")
    return key, place


def _fault(key: bytes) -> str:
    """Why these bytes are no key; empty if they are one."""
    if len(key) < split.LEAST_KEY_BYTES:
        return f"has fewer than {split.LEAST_KEY_BYTES} bytes"
    return f"has more than {MOST_BYTES} bytes, so it is no key" if len(key) > MOST_BYTES else ""
