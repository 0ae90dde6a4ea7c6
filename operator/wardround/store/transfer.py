"""Moves bytes by presigned URL to and from one pinned origin; knows no credentials, keys or meaning of the bytes.

The client follows no redirects, uses only the configured proxy, and ignores the environment. Nothing here logs: a
presigned URL is a key.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from yarl import URL

from wardround.clock import Draw
from wardround.store.errors import MISSING, NOT_PINNED, REFUSED, SHORT, TOO_SLOW, UNREACHABLE, UNTRUSTED, StoreError
from wardround.store.http import aiohttp
from wardround.store.sockets import Sockets
from wardround.threads import beside
from wardround.wire.digests import CONTENT_MD5

T = TypeVar("T")

TRIES = 6
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
_CHUNK = 1 << 18
# Four times a list of 1,000 keys. The store must not fill the hub operator's memory.
LARGEST_ANSWER = 2 << 20
# The least rate: a request that moves fewer bytes in this time ends. A store that sends single bytes never runs into
# a read timeout, and would hold its caller for ever.
LEAST_BYTES = 1 << 20
LEAST_SECONDS = 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
_TOO_MANY_REQUESTS = 429


class _TryAgain(Exception):
    """The store's answer was incomplete, or a server error (5xx) or rate limit (429)."""


class _Pace:
    """Ends a request that is slower than the least rate. Time that this process spends on its own files is excluded."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._limit = limit
        self._bytes = 0

    def moved(self, count: int) -> None:
        self._bytes += count
        if self._bytes >= LEAST_BYTES:
            self.restart()

    def restart(self) -> None:
        self._bytes = 0
        self._end_in(LEAST_SECONDS)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Stops the time while this process reads or writes its own files."""
        until = self._limit.when()
        left = None if until is None else until - asyncio.get_running_loop().time()
        self._end_in(None)
        try:
            yield
        finally:
            self._end_in(left)

    def _end_in(self, seconds: float | None) -> None:
        # aiohttp may still read the body for a moment after the request has ended.
        with suppress(RuntimeError):
            self._limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


class StoreClient:
    """A client for one origin, as an async context manager. Tasks may share it."""

    def __init__(
        self, origin: str, ca_bundle: str = "", proxy_url: str = "", *, tries: int = TRIES, draw: Draw
    ) -> None:
        """Pin `origin` (https) and, unless `ca_bundle` (PEM) is empty, the authority that signs its certificate.

        Raises StoreError if one of them is invalid.
        """
        self._origin = _origin(origin)
        try:
            self._tls = ssl.create_default_context(cadata=ca_bundle or None)
        except (ssl.SSLError, ValueError):
            raise StoreError(UNTRUSTED) from None
        self._proxy = proxy_url or None
        self._tries = tries
        self._draw = draw
        self._session: aiohttp.ClientSession | None = None
        self._sockets = Sockets()

    async def __aenter__(self) -> StoreClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=16, socket_factory=self._sockets.make),
            timeout=_TIMEOUT,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            try:
                await self._session.close()
            finally:
                self._session = None
                await self._sockets.end()

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        """Pass exactly `length` bytes of an object, from `offset`, to `sink`, in order.

        An interrupted transfer continues where it stopped. Raises StoreError, and whatever `sink` raises.
        """
        received = 0

        async def once(pace: _Pace) -> None:
            nonlocal received
            first, last = offset + received, offset + length - 1
            headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
            async with self._request("GET", url, headers) as response:
                if response.status == 416:
                    raise StoreError(SHORT, response.status)
                self._check(response, {206})
                if response.headers.get("Content-Range", "").split("/")[0] != f"bytes {first}-{last}":
                    raise StoreError(SHORT, response.status)
                async for chunk, _ in response.content.iter_chunks():
                    if received + len(chunk) > length:
                        raise StoreError(REFUSED, response.status)
                    pace.moved(len(chunk))
                    async with pace.paused():
                        await sink(chunk)
                    received += len(chunk)
            if received < length:
                raise _TryAgain

        await self._retry(once)

    async def get_bytes(self, url: str, length: int, *, offset: int = 0) -> bytes:
        """Return exactly `length` bytes of an object, from `offset`. Raises StoreError."""
        data = bytearray()

        async def append(chunk: bytes) -> None:
            data.extend(chunk)

        await self.get(url, length, append, offset=offset)
        return bytes(data)

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        """Store `length` bytes of a file, from `offset`, as one object. See `put_bytes`."""
        # aiohttp keeps the body of a request that was given up, so its file would stay open until the next collection.
        with ExitStack() as files:
            return await self._put(url, headers, length, lambda: _read(files, path, offset, length))

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        """Store `data` as one object. Return whether this call stored it.

        False: the object existed before, and was not replaced. A 412 counts as stored after an interrupted request that
        had sent all bytes, if the store compares the body with a Content-MD5: the store may have taken the object, and
        only its answer was lost. Without a Content-MD5, the store may also have kept the beginning of the body alone.
        The object may be of another request. Nobody notices that here, because the URL does not read. So each reader of
        an object has to know its digest or its key. Raises StoreError. If a store refuses a large body and closes the
        connection early, its answer is lost and the reason is StoreUnreachable.
        """
        return await self._put(url, headers, len(data), lambda: _whole(data))

    async def _put(
        self, url: str, headers: Mapping[str, str], length: int, body: Callable[[], AsyncGenerator[bytes]]
    ) -> bool:
        all_sent = False
        sent = {**headers, "Content-Length": str(length), "Content-Type": "application/octet-stream"}

        async def sending(pace: _Pace) -> AsyncGenerator[bytes]:
            nonlocal all_sent
            left = length
            all_sent = all_sent or not left
            async with aclosing(_paced(body(), pace)) as chunks:
                async for chunk in chunks:
                    left -= len(chunk)
                    all_sent = all_sent or not left
                    yield chunk

        async def once(pace: _Pace) -> bool:
            may_be_stored = all_sent and CONTENT_MD5 in headers  # by an earlier request of this call
            async with self._request("PUT", url, sent, sending(pace)) as response:
                if response.status == 412:
                    return may_be_stored
                self._check(response, {200})
                return True

        return await self._retry(once)

    async def request(self, method: str, url: str) -> bytes:
        """Send a request without a body and return its answer, of at most `LARGEST_ANSWER` bytes. Raises StoreError."""

        async def once(_: _Pace) -> bytes:
            answer = bytearray()
            async with self._request(method, url, {}) as response:
                self._check(response, {200, 204})
                async for chunk in response.content.iter_chunked(_CHUNK):
                    answer += chunk
                    if len(answer) > LARGEST_ANSWER:
                        raise StoreError(REFUSED, response.status)
            return bytes(answer)

        return await self._retry(once)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("use the store as an async context manager")
        if _origin(url) != self._origin:
            raise StoreError(NOT_PINNED)
        # encoded=True: the signature holds only for this spelling of the URL.
        return self._session.request(
            method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False, proxy=self._proxy
        )

    @staticmethod
    def _check(response: aiohttp.ClientResponse, good: set[int]) -> None:
        if response.status in good:
            return
        if response.status >= 500 or response.status == _TOO_MANY_REQUESTS:
            raise _TryAgain
        raise StoreError(MISSING if response.status == 404 else REFUSED, response.status)

    async def _retry(self, once: Callable[[_Pace], Awaitable[T]]) -> T:
        reason = UNREACHABLE
        for number in range(self._tries):
            if number:
                # Full jitter: sites that lost the store at the same time must not retry at the same time.
                longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2**number)
                await asyncio.sleep(longest * self._draw())
            limit = asyncio.timeout(LEAST_SECONDS)
            try:
                async with limit:
                    return await once(_Pace(limit))
            except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
                reason = UNTRUSTED
            except (_TryAgain, aiohttp.ClientError, TimeoutError):
                # The exception's text holds the URL, so it must not go further.
                reason = TOO_SLOW if limit.expired() else UNREACHABLE
        raise StoreError(reason)


def _origin(url: str) -> tuple[str, int]:
    try:
        parsed = URL(url, encoded=True)
        host, port = parsed.host, parsed.port
    except ValueError:
        raise StoreError(NOT_PINNED) from None
    if parsed.scheme != "https" or not host or not port or parsed.user or parsed.password:
        raise StoreError(NOT_PINNED)
    return host, port


async def _whole(data: bytes) -> AsyncGenerator[bytes]:
    view = memoryview(data)
    for place in range(0, len(data), _CHUNK):
        yield bytes(view[place : place + _CHUNK])


async def _read(files: ExitStack, path: Path, offset: int, length: int) -> AsyncGenerator[bytes]:
    file = files.enter_context(await beside(path.open, "rb"))
    try:
        await beside(file.seek, offset)
        while length:
            chunk = await beside(file.read, min(_CHUNK, length))
            if not chunk:
                raise ValueError("the file to send is shorter than its manifest claims")
            length -= len(chunk)
            yield chunk
    finally:
        file.close()


async def _paced(body: AsyncGenerator[bytes], pace: _Pace) -> AsyncGenerator[bytes]:
    async with aclosing(body):
        while True:
            async with pace.paused():
                chunk = await anext(body, None)
            if chunk is None:
                # The store may need as long to commit the object as to receive a part of it.
                pace.restart()
                return
            yield chunk
            pace.moved(len(chunk))
