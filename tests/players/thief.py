"""A thief of sealed updates and models, who tries to open them with everything that lies in a cluster's objects."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from tests.players.segments import opened
from wardround.ports import Object
from wardround.sealing.body import KEY_BYTES, Body
from wardround.sealing.keys import PRIVATE_BYTES, DecryptionKey
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import Context, unwrap, update_context
from wardround.wire.models import UpdateManifest


def keys_that_open(
    update: UpdateManifest, ciphertext: bytes, objects: Iterable[Object], keys: Iterable[bytes] = ()
) -> list[bytes]:
    """Each text of the objects that opens the update, as the round's private key or as the file's key. `keys`: further
    keys that the person has."""
    return [each for each in _keys(objects, keys) if _opens(each, update, ciphertext)]


def keys_that_unwrap(
    wrapped: bytes, context: Context, objects: Iterable[Object], keys: Iterable[bytes] = ()
) -> list[bytes]:
    """Each text of the objects, and of the further keys, that opens a wrapped secret."""
    privates = (each for each in _keys(objects, keys) if len(each) == PRIVATE_BYTES)
    return [each for each in privates if _unwrapped(wrapped, each, context)]


def _keys(objects: Iterable[Object], keys: Iterable[bytes]) -> set[bytes]:
    texts = (each for item in objects for each in _texts(item) if len(each) in (KEY_BYTES, PRIVATE_BYTES))
    return {*texts, *keys}


def _unwrapped(wrapped: bytes, key: bytes, context: Context) -> bytes:
    """Empty if the key is another one."""
    try:
        return unwrap(wrapped, DecryptionKey.load(key), context)
    except Refused:
        return b""


def _opens(key: bytes, update: UpdateManifest, ciphertext: bytes) -> bool:
    header = update.header
    context = update_context(header.round_uid, header.attempt, header.participant, update.digest)
    file_key = _unwrapped(update.wrapped_key, key, context) if len(key) == PRIVATE_BYTES else key
    try:
        opened(Body(file_key, header), ciphertext)
    except Refused:
        return False
    return True


def _texts(value: Any) -> Iterator[bytes]:
    """All texts in a document, also those inside of other texts."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    if isinstance(value, str):
        yield from _inside(value.encode())


def _inside(text: bytes) -> Iterator[bytes]:
    """The text, the texts of the JSON that it is, and what it is the base64 of."""
    yield text
    with suppress(ValueError, RecursionError):
        yield from _texts(json.loads(text))
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return
    if decoded:
        yield from _inside(decoded)
