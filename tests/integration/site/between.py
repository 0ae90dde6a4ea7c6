"""Stands between a courier and a server, passes on what comes, and lets a test answer some of it instead."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Of one connection only: each side has its own.
OWN = ("Connection", "Transfer-Encoding", "Keep-Alive")


class Between:
    """`instead`: an answer of the test's own to a request, or None to pass it on."""

    def __init__(self, upstream: str, trust: ssl.SSLContext) -> None:
        self.instead: Callable[[web.Request], Answer | None] = lambda _: None
        self.dribbling = 0
        self._upstream = upstream
        self._trust = trust

    async def dribble(self, request: web.Request) -> web.StreamResponse:
        """Answers with the requested range, one byte at a time."""
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        headers = {"Content-Range": f"bytes {first}-{last}/*", "Content-Length": str(last - first + 1)}
        response = web.StreamResponse(status=206, headers=headers)
        await response.prepare(request)
        self.dribbling += 1
        try:
            for _ in range(first, last + 1):
                await response.write(b"\0")
                await asyncio.sleep(0.05)
        finally:
            self.dribbling -= 1
        return response

    async def handle(self, request: web.Request) -> web.StreamResponse:
        answer = self.instead(request)
        if answer is not None:
            return await answer(request)
        headers = {name: value for name, value in request.headers.items() if name not in OWN}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                URL(self._upstream + request.raw_path, encoded=True),
                headers=headers,  # with the Host that the client has signed
                data=request.content if request.body_exists else None,
                ssl=self._trust,
                allow_redirects=False,
            ) as reply,
        ):
            passed = {name: value for name, value in reply.headers.items() if name not in OWN}
            response = web.StreamResponse(status=reply.status, headers=passed)
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            return response


@asynccontextmanager
async def between(
    upstream: str, ca: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None
) -> AsyncIterator[Between]:
    """One on `port` of loopback, with TLS as the test gives it or without."""
    proxy = Between(upstream, ssl.create_default_context(cadata=ca))
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{anything:.*}", proxy.handle)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls() if tls else None).start()
    try:
        yield proxy
    finally:
        await runner.cleanup()
        await asyncio.sleep(0.1)  # connections are closed in the background
