"""Keeps what signed texts say, by the digest of text and key, up to a total length of the texts. Opens nothing."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Entry(Generic[T]):
    content: T
    characters: int


class OpenedTexts(Generic[T]):
    """The content of the texts that were read last, `most_characters` of text at most. Threads may share it."""

    def __init__(self, most_characters: int) -> None:
        self._most = most_characters
        self._characters = 0
        self._entries: OrderedDict[bytes, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, key: bytes) -> T | None:
        """The content of this text under this key, if it is kept."""
        with self._lock:
            entry = self._entries.get(_digest(text, key))
            if entry is None:
                return None
            self._entries.move_to_end(_digest(text, key))
            return entry.content

    def put(self, text: str, key: bytes, content: T) -> None:
        """Keeps the content, and drops what was read longest ago. A text that is longer than all room is not kept."""
        if len(text) > self._most:
            return
        with self._lock:
            replaced = self._entries.pop(_digest(text, key), None)
            self._characters += len(text) - (replaced.characters if replaced else 0)
            self._entries[_digest(text, key)] = _Entry(content, len(text))
            while self._characters > self._most:
                _, dropped = self._entries.popitem(last=False)
                self._characters -= dropped.characters


def _digest(text: str, key: bytes) -> bytes:
    # A text of the API may hold half of a surrogate pair.
    return hashlib.sha256(hashlib.sha256(key).digest() + text.encode(errors="surrogatepass")).digest()
