"""What a presigned URL lets its holder do at a real store, and that nothing more is possible."""

from __future__ import annotations

import asyncio
import os
import ssl
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.certificates import certificates
from tests.players.store import Server
from wardround.clock import system_draw
from wardround.presign import Credentials, Presigner
from wardround.store import admin
from wardround.store.errors import StoreError
from wardround.store.transfer import StoreClient
from wardround.wire.digests import CONTENT_MD5, content_md5


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def key() -> str:
    return f"updates/{uuid.uuid4()}/1/site-a/part-00000"


async def raw(server: Server, method: str, url: str, headers: dict[str, str], data: bytes = b"") -> int:
    """What an attacker with any client gets."""
    tls = ssl.create_default_context(cadata=server.ca)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True), headers=headers, data=data, ssl=tls) as response,
    ):
        return response.status


async def listed(server: Server, store: StoreClient, prefix: str) -> list[str]:
    return [key async for key in admin.list_keys(store, server.presigner, prefix, now())]


async def test_the_client_stores_and_reads_an_object_in_pieces(
    server: Server, store: StoreClient, key: str, tmp_path: Path
) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(b"before" + data + b"after")
    upload = server.presigner.put(key, now(), 60, len(data))
    assert await store.put_file(upload.url, upload.headers, tmp_path / "file", 6, len(data))
    url = server.presigner.get(key, now(), 60)
    assert await store.get_bytes(url, len(data)) == data
    assert await store.get_bytes(url, 1000, offset=1_999_999) == data[1_999_999:2_000_999]


async def test_a_replayed_put_does_not_replace_the_object(server: Server, store: StoreClient, key: str) -> None:
    upload = server.presigner.put(key, now(), 60, 5)
    assert await store.put_bytes(upload.url, upload.headers, b"first")
    assert not await store.put_bytes(upload.url, upload.headers, b"other")
    again = server.presigner.put(key, now(), 60, 5)
    assert not await store.put_bytes(again.url, again.headers, b"other")
    assert await store.get_bytes(server.presigner.get(key, now(), 60), 5) == b"first"


async def test_the_store_refuses_a_put_without_the_header_against_overwriting(server: Server, key: str) -> None:
    upload = server.presigner.put(key, now(), 60, 5)
    headers = {name: value for name, value in upload.headers.items() if name != "If-None-Match"}
    assert await raw(server, "PUT", upload.url, headers, b"first") == 403


@pytest.mark.parametrize("length", [4, 6, 5_000_000])
async def test_the_store_refuses_a_put_of_another_length(
    server: Server, store: StoreClient, key: str, length: int
) -> None:
    upload = server.presigner.put(key, now(), 60, 5)
    with pytest.raises(StoreError, match=r"StoreRefused|StoreUnreachable"):  # it hangs up in the middle of a large one
        await store.put_bytes(upload.url, upload.headers, bytes(length))
    assert await listed(server, store, key) == []


async def test_the_store_refuses_other_bytes_than_the_signed_digest_names(
    server: Server, store: StoreClient, key: str
) -> None:
    upload = server.presigner.put_of(b"first", key, now(), 60)
    unnamed = {name: value for name, value in upload.headers.items() if name != CONTENT_MD5}
    other = {**unnamed, CONTENT_MD5: content_md5([b"other"])}
    for headers, data, status in ((unnamed, b"first", 403), (other, b"other", 403), (upload.headers, b"other", 400)):
        assert await raw(server, "PUT", upload.url, dict(headers), data) == status
    assert await listed(server, store, key) == []
    assert await store.put_bytes(upload.url, upload.headers, b"first")


async def test_the_store_refuses_a_body_longer_than_signed(server: Server, store: StoreClient, key: str) -> None:
    # Past our client: the header says 5, and more follows on the connection.
    upload = server.presigner.put(key, now(), 60, 5)
    host, port = URL(server.origin).host, URL(server.origin).port
    reader, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context(cadata=server.ca))
    path = upload.url.removeprefix(server.origin)
    lines = [f"PUT {path} HTTP/1.1", f"Host: {host}:{port}", "If-None-Match: *", "Content-Length: 5", "", ""]
    writer.write("\r\n".join(lines).encode() + b"12345" + b"6" * 100)
    await writer.drain()
    await reader.readline()
    writer.close()
    assert await store.get_bytes(server.presigner.get(key, now(), 60), 5) == b"12345"
    with pytest.raises(StoreError, match="StoreObjectShort"):
        await store.get_bytes(server.presigner.get(key, now(), 60), 6)


async def test_the_store_refuses_anonymous_requests(server: Server, store: StoreClient, key: str) -> None:
    upload = server.presigner.put(key, now(), 60, 5)
    await store.put_bytes(upload.url, upload.headers, b"first")
    plain = f"{server.origin}/wardround/{key}"
    for method in ("GET", "PUT", "DELETE"):
        assert await raw(server, method, plain, {}, b"other" if method == "PUT" else b"") == 403
    assert await raw(server, "GET", f"{server.origin}/wardround?list-type=2", {}) == 403


async def test_a_url_allows_one_operation_on_one_object(server: Server, store: StoreClient, key: str) -> None:
    upload = server.presigner.put(key, now(), 60, 5)
    await store.put_bytes(upload.url, upload.headers, b"first")
    url = server.presigner.get(key, now(), 60)
    for method, other in [
        ("PUT", url),
        ("DELETE", url),
        ("GET", upload.url),
        ("GET", url.replace("part-00000", "part-00001")),
        ("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
    ]:
        assert await raw(server, method, other, {}) == 403


async def test_a_url_expires(server: Server, store: StoreClient, key: str) -> None:
    url = server.presigner.get(key, now() - timedelta(seconds=120), 60)
    with pytest.raises(StoreError, match="StoreRefused"):
        await store.get_bytes(url, 5)


async def test_the_store_refuses_a_url_signed_with_another_secret(server: Server, store: StoreClient, key: str) -> None:
    forged = Presigner(server.origin, "wardround", "us-east-1", Credentials("test-access", "guessed"))
    with pytest.raises(StoreError, match="StoreRefused"):
        await store.get_bytes(forged.get(key, now(), 60), 5)


async def test_the_error_of_a_missing_object_contains_no_url(server: Server, store: StoreClient, key: str) -> None:
    with pytest.raises(StoreError) as failed:
        await store.get_bytes(server.presigner.get(key, now(), 60), 5)
    assert failed.value.reason == "StoreObjectMissing"
    assert "http" not in str(failed.value)


async def test_a_client_connects_only_to_the_pinned_origin(server: Server, store: StoreClient) -> None:
    for url in (
        "https://127.0.0.1:1/wardround/x",
        "https://elsewhere.example/x",
        server.origin.replace("https", "http") + "/x",
        server.origin.replace("https://", "https://user:word@") + "/x",
        "nonsense",
    ):
        with pytest.raises(StoreError) as failed:
            await store.get_bytes(url, 1)
        assert failed.value.reason == "StoreNotPinned"


async def test_a_store_with_another_certificate_is_not_trusted(server: Server, key: str, tmp_path: Path) -> None:
    async with StoreClient(server.origin, certificates(tmp_path), tries=2, draw=system_draw) as stranger:
        with pytest.raises(StoreError) as failed:
            await stranger.get_bytes(server.presigner.get(key, now(), 60), 5)
    assert failed.value.reason == "StoreUntrusted"


async def test_a_store_that_does_not_answer_is_unreachable(server: Server) -> None:
    origin = "https://127.0.0.1:1"
    async with StoreClient(origin, server.ca, tries=2, draw=system_draw) as store:
        with pytest.raises(StoreError) as failed:
            await store.get_bytes(f"{origin}/x?X-Amz-Signature=secret", 5)
    assert failed.value.reason == "StoreUnreachable"
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_the_client_ignores_the_environments_proxy(
    server: Server, store: StoreClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    upload = server.presigner.put(key, now(), 60, 5)
    assert await store.put_bytes(upload.url, upload.headers, b"first")


async def test_the_hub_lists_and_deletes_below_a_prefix(server: Server, store: StoreClient) -> None:
    prefix = f"updates/{uuid.uuid4()}/"
    for name in ("1/a b/part-00000", "1/site-b/part-00000"):
        upload = server.presigner.put(prefix + name, now(), 60, 1)
        assert await store.put_bytes(upload.url, upload.headers, b"x")
    assert len(await listed(server, store, prefix)) == 2
    assert await admin.delete_prefix(store, server.presigner, prefix, now()) == 2
    assert await listed(server, store, prefix) == []
    with pytest.raises(ValueError):
        await admin.delete_prefix(store, server.presigner, "", now())


async def test_the_hub_deletes_more_objects_than_a_page_lists(
    server: Server, store: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PAGE_KEYS", 2)
    prefix = f"updates/{uuid.uuid4()}/"
    for number in range(7):
        upload = server.presigner.put(f"{prefix}1/site-{number % 2}/part-{number:05}", now(), 60, 1)
        assert await store.put_bytes(upload.url, upload.headers, b"x")
    assert len(set(await listed(server, store, prefix))) == 7
    assert await admin.delete_prefix(store, server.presigner, prefix, now()) == 7
    assert await listed(server, store, prefix) == []
