"""The object store of a simulation: objects in memory, behind the port `Store`. Knows no signature and no expiry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from wardround.presign import Credentials, Presigner
from wardround.store.errors import MISSING, SHORT, StoreError
from wardround.wire.aggregation import StoreAccess

ORIGIN = "memory://store"
ACCESS = StoreAccess(ORIGIN, "")


class Signer(Presigner):
    """Makes URLs without a signature: nobody else reaches this store."""

    def sign(
        self,
        method: str,
        key: str,
        now: datetime,
        seconds: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        return f"{self.origin}/{key}"


SIGNER = Signer(ORIGIN, "", "", Credentials("", ""))


class MemoryStore:
    """Objects by URL. An object is stored once, as in the real store."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        await sink(await self.get_bytes(url, length, offset=offset))

    async def get_bytes(self, url: str, length: int, *, offset: int = 0) -> bytes:
        if url not in self._objects:
            raise StoreError(MISSING, 404)
        data = self._objects[url][offset : offset + length]
        if len(data) != length:
            raise StoreError(SHORT, 416)
        return data

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        with path.open("rb") as file:
            file.seek(offset)
            return await self.put_bytes(url, headers, file.read(length))

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        if url in self._objects:
            return False
        self._objects[url] = data
        return True

    @asynccontextmanager
    async def open(self, origin: str, ca_bundle: str = "", proxy_url: str = "", /) -> AsyncIterator[MemoryStore]:
        """The port `OpenStore`."""
        yield self

    def forget(self, prefix: str) -> None:
        """Remove all objects below a prefix, such as the updates of a round that is over."""
        below = f"{ORIGIN}/{prefix}"
        for url in [each for each in self._objects if each.startswith(below)]:
            del self._objects[url]
