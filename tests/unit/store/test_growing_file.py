"""A file is sent while it is still written: its bytes go as they come, and a repeated request waits for all of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.store.serving import serving, url

# More than the buffers of a connection hold.
HALF = 16 << 20
STORED = b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"
ONES, TWOS = b"\x01" * HALF, b"\x02" * HALF


class Growing:
    """A file that another writer filled before. Its first half is written anew, its second half on `complete`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_bytes(ONES + ONES)
        self.whole = asyncio.Event()

    async def ready(self, count: int) -> None:
        if count > HALF:
            await self.whole.wait()

    def complete(self) -> None:
        with self.path.open("r+b") as file:
            file.seek(HALF)
            file.write(TWOS)
        self.whole.set()


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_bytes_are_sent_before_the_file_has_the_last_ones(tmp_path: Path) -> None:
    file = Growing(tmp_path / "file")
    received = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert f"Content-Length: {2 * HALF}".encode() in await head(reader)
        received.append(await reader.readexactly(HALF))
        file.complete()
        received.append(await reader.readexactly(HALF))
        writer.write(STORED)
        await writer.drain()

    async with serving(tmp_path, answer) as store, asyncio.timeout(60):
        assert await store.put_file(url(store), {}, file.path, 0, 2 * HALF, file.ready)
    assert received == [ONES, TWOS]


async def test_a_repeated_request_begins_when_the_file_has_all_bytes(tmp_path: Path) -> None:
    """A store that ended the first request because it waited for long would end the next one too."""
    file = Growing(tmp_path / "file")
    complete_at_head: list[bool] = []

    async def ready(count: int) -> None:
        if complete_at_head and count > HALF:  # the first request is over
            file.complete()
        await file.ready(count)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        complete_at_head.append(file.whole.is_set())
        if len(complete_at_head) == 1:
            return
        await reader.readexactly(2 * HALF)
        writer.write(STORED)
        await writer.drain()

    async with serving(tmp_path, answer) as store, asyncio.timeout(60):
        assert await store.put_file(url(store), {}, file.path, 0, 2 * HALF, ready)
    assert complete_at_head == [False, True]
