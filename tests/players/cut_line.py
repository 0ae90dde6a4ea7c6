"""A line from clients to a store on loopback, which a test can cut in the middle of an upload. Reads no contents."""

from __future__ import annotations

import asyncio
import dataclasses
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.players.store import Server

# The head of a TLS record: one byte of type, two of version, two of length.
HEAD_BYTES, LENGTH = 5, slice(3, 5)


class CutLine:
    """Passes on whole TLS records. `server`: the store as clients reach it through the line."""

    def __init__(self, upstream: Server, port: int) -> None:
        origin = f"https://127.0.0.1:{port}"
        presigner = dataclasses.replace(upstream.presigner, origin=origin)
        self.server = dataclasses.replace(upstream, origin=origin, presigner=presigner)
        self.cuts = 0
        self._upstream = urlsplit(upstream.origin).port
        self._left: int | None = None

    def cut_after(self, count: int) -> None:
        """Cut one connection: that on which clients have sent so many more bytes."""
        self._left = count

    async def carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One client's connection, until its end."""
        store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        answers = asyncio.create_task(_carry_answers(store_reader, writer))
        try:
            while not self._cuts_after(await _carry_record(reader, store_writer)):
                pass
            # The store reads the end of the connection after a whole record. The client notices the cut only when the
            # store is done with the request, so that no repeated request overtakes it.
            answers.cancel()
            await asyncio.wait((answers,))
            store_writer.write_eof()
            await store_reader.read()
        finally:
            answers.cancel()
            store_writer.transport.abort()
            writer.transport.abort()

    def _cuts_after(self, sent: int) -> bool:
        if self._left is None:
            return False
        self._left -= sent
        if self._left > 0:
            return False
        self._left = None
        self.cuts += 1
        return True


async def _carry_record(reader: StreamReader, writer: StreamWriter) -> int:
    head = await reader.readexactly(HEAD_BYTES)
    record = head + await reader.readexactly(int.from_bytes(head[LENGTH]))
    writer.write(record)
    await writer.drain()
    return len(record)


async def _carry_answers(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def cut_line(upstream: Server) -> AsyncIterator[CutLine]:
    """A line to a store of this machine, until the end of the block."""
    carried: set[asyncio.Task[None]] = set()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carried.add(task)
        with suppress(ConnectionError, IncompleteReadError, asyncio.CancelledError):
            await line.carry(reader, writer)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    line = CutLine(upstream, listener.sockets[0].getsockname()[1])
    try:
        yield line
    finally:
        listener.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried)
        await asyncio.sleep(0.1)  # connections are closed in the background
