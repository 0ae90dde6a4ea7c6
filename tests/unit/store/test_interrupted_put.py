"""A PUT that was interrupted and repeated counts as stored only if an earlier request of it has sent all bytes, and the
store compares the bytes with their MD5."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.store.serving import Answer, serving, url

BIG = bytes(64 << 20)
NAMED = {"Content-MD5": "f2FNqTKc066/WbkarcML8A=="}
EXISTS = b"HTTP/1.1 412 X\r\nContent-Length: 0\r\n\r\n"
FAILED = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"


async def refuses_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the head alone, so that it cannot have stored the object."""
    await reader.readuntil(b"\r\n\r\n")


async def loses_its_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(BIG))


async def fails_after_all_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await loses_its_answer(reader, writer)
    writer.write(FAILED)
    await writer.drain()


async def says_that_it_exists(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await loses_its_answer(reader, writer)
    writer.write(EXISTS)
    await writer.drain()


@pytest.mark.parametrize(
    ("first", "headers", "stored"),
    [
        (refuses_at_once, NAMED, False),
        (loses_its_answer, NAMED, True),
        (loses_its_answer, {}, False),
        (fails_after_all_bytes, NAMED, True),
    ],
)
async def test_a_412_counts_as_stored_after_a_request_that_sent_all_bytes(
    tmp_path: Path, first: Answer, headers: dict[str, str], stored: bool
) -> None:
    answers = iter([first, says_that_it_exists])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(answers)(reader, writer)

    async with serving(tmp_path, answer) as store, asyncio.timeout(60):
        assert await store.put_bytes(url(store), headers, BIG) is stored
