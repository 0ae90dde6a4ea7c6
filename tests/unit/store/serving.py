"""A store whose answers a test writes, behind real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.certificates import certificates
from wardround.clock import system_draw
from wardround.store.transfer import StoreClient

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(folder: Path, answer: Answer, tries: int = 2) -> AsyncIterator[StoreClient]:
    """A client of a TLS server that answers each connection with `answer`."""
    ca = certificates(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    busy: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await answer(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        async with StoreClient(
            f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca, tries=tries, draw=system_draw
        ) as store:
            yield store
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy)
        await asyncio.sleep(0.1)  # connections are closed in the background


def url(store: StoreClient) -> str:
    host, port = store._origin
    return f"https://{host}:{port}/wardround/x"
