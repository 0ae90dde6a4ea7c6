"""Answers the kubelet: /healthz while the event loop runs, /readyz once nothing is waited for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

PORT = 8080


@asynccontextmanager
async def health(waiting_for: Callable[[], str], port: int = PORT) -> AsyncIterator[None]:
    """Serves while the context is open. `waiting_for` names what is still missing; empty when ready."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = waiting_for()
        if missing:
            return web.Response(text=f"waiting for {missing}\n", status=503)
        return web.Response(text="ok\n")

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield
    finally:
        await runner.cleanup()
