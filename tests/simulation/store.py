"""The port `Store` on objects in memory, let in by presigned URLs as an S3 store lets in: signature, time, headers.

A signature is right if the hub's own signer makes the same one: that it is S3's is what tests/integration/store shows.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from wardround.clock import Clock
from wardround.presign import Presigner
from wardround.store.errors import MISSING, NOT_PINNED, REFUSED, SHORT, StoreError
from wardround.wire.digests import CONTENT_MD5, content_md5

BUCKET = "wardround"
SIGNED_AT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Let:
    """A request that the store has let in: to one object, or to the bucket where `key` is empty."""

    key: str
    query: Mapping[str, str]


class Objects:
    """One bucket, which all origins lead to. `signer`: of the one who has credentials."""

    def __init__(self, signer: Presigner, clock: Clock) -> None:
        self.stored: dict[str, bytes] = {}
        self.ever: dict[str, bytes] = {}  # also what was deleted: what tests look for secrets in
        self._signer = signer
        self._clock = clock
        self._bucket = False

    def let_in(self, method: str, url: str, headers: Mapping[str, str]) -> Let:
        """Raises StoreError."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = unquote(parts.path).removeprefix(f"/{self._signer.bucket}")
        rest = {name: value for name, value in query.items() if not name.startswith("X-Amz-")}
        try:
            at = datetime.strptime(query["X-Amz-Date"], SIGNED_AT).replace(tzinfo=UTC)
            seconds, signature = int(query["X-Amz-Expires"]), query["X-Amz-Signature"]
            sent = {name.lower(): value for name, value in headers.items()}
            # The host is signed by itself.
            signed = {name: sent[name] for name in query["X-Amz-SignedHeaders"].split(";") if name != "host"}
        except (KeyError, ValueError):
            raise StoreError(REFUSED, 403) from None
        signer = replace(self._signer, origin=f"{parts.scheme}://{parts.netloc}")
        expected = signer.sign(method, path.removeprefix("/"), at, seconds, headers=signed, query=rest)
        wanted = dict(parse_qsl(urlsplit(expected).query))["X-Amz-Signature"]
        if not hmac.compare_digest(signature, wanted) or not at <= self._clock() < at + timedelta(seconds=seconds):
            raise StoreError(REFUSED, 403)
        return Let(path.removeprefix("/"), rest)

    def read(self, key: str) -> bytes:
        if key not in self.stored:
            raise StoreError(MISSING, 404)
        return self.stored[key]

    def write(self, key: str, headers: Mapping[str, str], data: bytes) -> bool:
        """Whether it was stored: a PUT that may not replace finds an object there."""
        if not self._bucket:
            raise StoreError(MISSING, 404)
        if int(headers.get("Content-Length", len(data))) != len(data):
            raise StoreError(REFUSED, 400)
        if headers.get(CONTENT_MD5) not in (None, content_md5([data])):
            raise StoreError(REFUSED, 400)
        if headers.get("If-None-Match") == "*" and key in self.stored:
            return False
        self.stored[key] = self.ever[key] = data
        return True

    def answer(self, method: str, let: Let) -> bytes:
        """Requests without a body: to the bucket, and deletions."""
        if method == "PUT" and not let.key:
            self._bucket = True
        elif not self._bucket:
            raise StoreError(MISSING, 404)
        elif method == "DELETE":
            self.stored.pop(let.key, None)
        elif method == "GET" and not let.key:
            keys = sorted(key for key in self.stored if key.startswith(let.query.get("prefix", "")))
            contents = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
            return f"<ListBucketResult>{contents}</ListBucketResult>".encode()
        elif method != "HEAD":
            raise StoreError(REFUSED, 405)
        return b""


class SimulatedStore:
    """A client of it that is pinned to one origin."""

    def __init__(self, objects: Objects, origin: str, latency: Callable[[], float]) -> None:
        self._objects = objects
        self._origin = origin
        self._latency = latency

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        await sink(await self.get_bytes(url, length, offset=offset))

    async def get_bytes(self, url: str, length: int, *, offset: int = 0) -> bytes:
        data = self._objects.read((await self._let_in("GET", url, {})).key)[offset : offset + length]
        if len(data) != length:
            raise StoreError(SHORT, 416)
        return data

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        data = await asyncio.to_thread(path.read_bytes)
        return await self.put_bytes(url, headers, data[offset : offset + length])

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        sent = {**headers, "Content-Length": str(len(data))}
        return self._objects.write((await self._let_in("PUT", url, sent)).key, sent, data)

    async def request(self, method: str, url: str) -> bytes:
        return self._objects.answer(method, await self._let_in(method, url, {}))

    async def _let_in(self, method: str, url: str, headers: Mapping[str, str]) -> Let:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise StoreError(NOT_PINNED)
        await asyncio.sleep(self._latency())
        return self._objects.let_in(method, url, {"Host": parts.netloc, **headers})


class Opener:
    """The port `OpenStore`."""

    def __init__(self, objects: Objects, latency: Callable[[], float]) -> None:
        self._objects = objects
        self._latency = latency

    @asynccontextmanager
    async def __call__(self, origin: str, ca_bundle: str = "", proxy_url: str = "", /) -> AsyncIterator[SimulatedStore]:
        yield SimulatedStore(self._objects, origin, self._latency)
