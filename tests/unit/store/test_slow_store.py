"""The client gives up a store that moves single bytes or none; real TLS on loopback."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.unit.store.serving import Answer, serving, url
from wardround.store import transfer
from wardround.store.errors import StoreError

LENGTH = 100_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "LEAST_BYTES", 10_000)


async def dribble(writer: asyncio.StreamWriter, text: bytes) -> None:
    for place in range(len(text)):
        writer.write(text[place : place + 1])
        await writer.drain()
        await asyncio.sleep(0.02)


def head(first: int = 0) -> bytes:
    last = LENGTH - 1
    length = f"Content-Length: {LENGTH - first}"
    return f"HTTP/1.1 206 X\r\n{length}\r\nContent-Range: bytes {first}-{last}/{LENGTH}\r\n\r\n".encode()


async def body_by_the_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    requested = re.search(rb"bytes=(\d+)-", await reader.readuntil(b"\r\n\r\n"))
    writer.write(head(int(requested[1]) if requested else 0))
    await dribble(writer, bytes(LENGTH))


async def head_by_the_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await dribble(writer, head() * 100)


async def takes_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(60)


@pytest.mark.parametrize("answer", [body_by_the_byte, head_by_the_byte])
async def test_the_client_gives_up_a_store_that_sends_single_bytes(tmp_path: Path, answer: Answer) -> None:
    async with serving(tmp_path, answer) as store, asyncio.timeout(20):
        with pytest.raises(StoreError) as caught:
            await store.get_bytes(url(store), LENGTH)
    assert caught.value.reason == "StoreTooSlow"


def is_open(path: Path) -> bool:
    """Whether this process holds the file open."""
    return any(each.resolve() == path for each in Path("/proc/self/fd").iterdir())


async def test_the_client_gives_up_a_store_that_accepts_no_bytes(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    async with serving(tmp_path, takes_nothing) as store, asyncio.timeout(20):
        with pytest.raises(StoreError) as caught:
            await store.put_file(url(store), {}, big, 0, 64 << 20)
        assert not is_open(big)
    assert caught.value.reason == "StoreTooSlow"


class StillClock:
    """The event loop's time, which only the test advances, so a busy machine cannot use it up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time()

    def __enter__(self) -> StillClock:
        self._moves = pytest.MonkeyPatch()
        self._moves.setattr(self._loop, "time", lambda: self._now)
        return self

    def __exit__(self, *_: object) -> None:
        self._moves.undo()

    def advance(self, seconds: float) -> None:
        self._now += seconds


async def test_a_transfer_above_the_least_rate_may_take_any_time(tmp_path: Path) -> None:
    data = bytes(range(250)) * (LENGTH // 250)
    received = bytearray()
    arrived = asyncio.Condition()

    async def by_the_piece(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head())
        for place in range(0, LENGTH, 10_000):
            async with arrived:
                while len(received) < place:
                    await arrived.wait()
            clock.advance(0.25)
            writer.write(data[place : place + 10_000])

    async def append(chunk: bytes) -> None:
        async with arrived:
            received.extend(chunk)
            arrived.notify_all()

    async with serving(tmp_path, by_the_piece, tries=1) as store:
        with StillClock() as clock:
            await store.get(url(store), LENGTH, append)
    assert received == data


async def test_time_for_local_files_does_not_count_against_the_store(tmp_path: Path) -> None:
    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head() + bytes(LENGTH))
        await writer.drain()
        await asyncio.Event().wait()

    async def slow_disk(_: bytes) -> None:
        clock.advance(5)
        for _turn in range(5):
            await asyncio.sleep(0)  # an expired timer would fire here

    async with serving(tmp_path, at_once, tries=1) as store:
        with StillClock() as clock:
            await store.get(url(store), LENGTH, slow_disk)
