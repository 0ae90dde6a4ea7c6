"""A store's lists cannot fill the hub operator's memory, hold it for ever, or delete objects of another round."""

from __future__ import annotations

import asyncio
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.store.serving import serving, url
from wardround.clock import system_draw
from wardround.presign import Credentials, Presigner
from wardround.store import admin, transfer
from wardround.store.admin import delete_prefix, list_keys
from wardround.store.errors import StoreError
from wardround.store.listing import Page, read_page

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRESIGNER = Presigner("https://store.example", "bucket", "region", Credentials("access", "secret"))
PREFIX = "updates/uid-1/"


def page(keys: list[str], token: str = "") -> bytes:
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f'<ListBucketResult xmlns="s3"><Prefix>x</Prefix>{contents}{following}</ListBucketResult>'.encode()


class Pages(transfer.StoreClient):
    """Answers lists with these pages, the last one again and again, and notes all requests."""

    def __init__(self, *pages: bytes) -> None:
        super().__init__(PRESIGNER.origin, draw=system_draw)
        self._pages = pages
        self.requests: list[str] = []

    async def request(self, method: str, url: str) -> bytes:
        lists = sum(each.startswith("GET") for each in self.requests)
        self.requests.append(f"{method} {url.split('?')[0].removeprefix(PRESIGNER.origin)}")
        return self._pages[min(lists, len(self._pages) - 1)] if method == "GET" else b""


async def refused(store: Pages) -> bool:
    with pytest.raises(StoreError) as caught:
        await delete_prefix(store, PRESIGNER, PREFIX, NOW)
    return caught.value.reason == "StoreRefused"


def test_a_page_has_its_keys_and_the_token_of_the_next_page() -> None:
    keys = ["updates/uid-1/a&amp;b", "updates/uid-1/c"]
    assert read_page(page(keys, "next")) == Page(("updates/uid-1/a&b", "updates/uid-1/c"), "next")
    assert read_page(page([])) == Page((), "")


async def test_each_page_is_deleted_before_the_next_one_is_read() -> None:
    store = Pages(page([PREFIX + "a"], "t"), page([PREFIX + "b"]))
    assert await delete_prefix(store, PRESIGNER, PREFIX, NOW) == 2
    path = f"/bucket/{PREFIX}"
    assert store.requests == ["GET /bucket", f"DELETE {path}a", "GET /bucket", f"DELETE {path}b"]


@pytest.mark.parametrize(
    "key",
    [
        "models/other-round/1/part-00000",
        "updates/uid-10/1/part-00000",
        "",
        # A store, or a proxy before it, that resolves dots reaches another round by these.
        "updates/uid-1/../../models/other-round/1/part-00000",
        "updates/uid-1/../uid-2/1/part-00000",
        "updates/uid-1/..",
        "updates/uid-1/./a",
        "updates/uid-1//a",
    ],
)
async def test_the_hub_deletes_nothing_of_a_page_with_a_key_outside_the_prefix(key: str) -> None:
    store = Pages(page([PREFIX + "a", key]))
    assert await refused(store)
    assert store.requests == ["GET /bucket"]


async def test_the_hub_gives_up_a_list_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MOST_PAGES", 5)
    assert await refused(Pages(page([PREFIX + "a"], "always the same")))
    empty = Pages(page([], "always the same"))
    assert await refused(empty)
    assert len(empty.requests) == 5


async def test_only_one_page_of_a_list_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MOST_PAGES", 50)
    store = Pages(page([f"{PREFIX}{each:05}" for each in range(1000)], "always the same"))
    tracemalloc.start()
    with pytest.raises(StoreError):
        async for _ in list_keys(store, PRESIGNER, PREFIX, NOW):
            pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(store.requests) == 50
    assert most < 2 << 20


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not XML",
        b'<!DOCTYPE l [<!ENTITY e "models/">]><l><Contents><Key>&e;</Key></Contents></l>',
        b"<l><Contents><Key>updates/uid-1/a</Key></Contents>",
    ],
    ids=["empty", "no XML", "entities", "cut off"],
)
def test_a_page_that_cannot_be_right_is_refused(text: bytes) -> None:
    with pytest.raises(StoreError, match="StoreRefused"):
        read_page(text)


@pytest.mark.parametrize("element", [b"<a/>", b'<a b=""/>', b"<Contents>", b"<a>text"])
def test_the_largest_page_takes_little_more_memory_than_its_bytes(element: bytes) -> None:
    text = b"<l>" + element * (transfer.LARGEST_ANSWER // len(element))
    tracemalloc.start()
    with pytest.raises(StoreError):
        read_page(text)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 << 20


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(1000):
        writer.write(bytes(1 << 20))
        await writer.drain()


async def test_the_client_reads_no_more_of_an_answer_than_its_limit(tmp_path: Path) -> None:
    async with serving(tmp_path, endless) as store, asyncio.timeout(20):
        with pytest.raises(StoreError) as caught:
            await store.request("GET", url(store))
    assert caught.value.reason == "StoreRefused"


async def test_the_client_reads_an_answer_up_to_its_limit(tmp_path: Path) -> None:
    async def largest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {transfer.LARGEST_ANSWER}\r\n\r\n".encode())
        writer.write(bytes(transfer.LARGEST_ANSWER))
        await writer.drain()

    async with serving(tmp_path, largest) as store, asyncio.timeout(20):
        assert len(await store.request("GET", url(store))) == transfer.LARGEST_ANSWER
