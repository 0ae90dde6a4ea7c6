"""Reads one page of an S3 list of keys (ListObjectsV2), in little memory whatever a hostile store sends. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from wardround.store.errors import REFUSED, StoreError

_DEEPEST = 8
# expat reads on to the end of a chunk, and keeps all its elements, after we have refused one of them.
_CHUNK = 1 << 16
_KEY = ["Contents", "Key"]
_TOKEN = "NextContinuationToken"  # noqa: S105 - no secret: the name of an element


@dataclass(frozen=True)
class Page:
    """`token`: what to ask the next page with; empty if this page is the last one."""

    keys: tuple[str, ...]
    token: str


def read_page(text: bytes) -> Page:
    """Raises StoreError for a text that is no such page. It has no document type, whose entities could make it grow."""
    # No tree: the elements of a hostile page would take thirty times its bytes.
    reader = _Reader()
    parser = ElementTree.XMLParser(target=reader)  # noqa: S314 - `_Reader` refuses document types
    try:
        for place in range(0, len(text), _CHUNK):
            parser.feed(text[place : place + _CHUNK])
        parser.close()
    except ElementTree.ParseError:
        raise StoreError(REFUSED) from None
    return reader.page()


class _Reader:
    """Keeps keys and token, and drops everything else."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._keys: list[str] = []
        self._token = ""

    def doctype(self, *_: object) -> None:
        raise StoreError(REFUSED)

    def start(self, tag: str, _: dict[str, str]) -> None:
        if len(self._path) == _DEEPEST:
            raise StoreError(REFUSED)
        self._path.append(tag.rpartition("}")[2])
        self._text.clear()

    def data(self, text: str) -> None:
        self._text.append(text)

    def end(self, _: str) -> None:
        path = self._path
        if len(path) == 3 and path[1:] == _KEY:
            self._keys.append("".join(self._text))
        elif len(path) == 2 and path[1] == _TOKEN:
            self._token = "".join(self._text)
        path.pop()
        self._text.clear()

    def page(self) -> Page:
        return Page(tuple(self._keys), self._token)
