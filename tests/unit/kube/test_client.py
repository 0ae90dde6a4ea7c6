"""How the client takes answers that no API server gives: a proxy in front of an API server may answer anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from wardround.clock import system_draw
from wardround.kube.client import Client
from wardround.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from wardround.kube.resources import RESOURCES


@asynccontextmanager
async def answering(body: bytes, code: int = 200) -> AsyncIterator[Client]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=code)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site.name
    try:
        async with Client(server, "", lambda: "token", "site-a", draw=system_draw) as client:
            yield client
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("body", [b"<html>log in", b"[]", b"\xff", b"[" * 100_000, b"{}", b'{"items": [1]}'])
async def test_an_answer_that_is_no_list_counts_as_no_answer(body: bytes) -> None:
    async with answering(body) as client:
        with pytest.raises(Unavailable):
            await client.list("RoundTask")


OURS = {"name": "t-a1", "group": "wardround.io", "kind": "roundtasks"}
KIND = {**OURS, "kind": "RoundTask"}
NAMESPACE_GONE = {"name": "site-a", "kind": "namespaces"}
QUOTA = {"name": "sizes", "kind": "resourcequotas"}


def status(reason: str, details: object = None) -> bytes:
    answer = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason}
    return json.dumps(answer if details is None else {**answer, "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (404, status("NotFound", OURS), NotFound),
        (409, status("AlreadyExists", OURS), AlreadyExists),
        (409, status("Conflict", OURS), Conflict),
        (403, status("Forbidden", OURS), Forbidden),
        (422, status("Invalid", KIND), Invalid),
        (400, status("BadRequest"), Invalid),
        (413, status("RequestEntityTooLarge"), Invalid),
        (401, status("Unauthorized"), Unauthorized),
        (410, status("Expired"), Gone),
        # Of another object, as a namespace that goes or a quota that two count at once.
        (404, status("NotFound", NAMESPACE_GONE), Unavailable),
        (404, status("NotFound", {**OURS, "name": "t-a2"}), Unavailable),
        (409, status("Conflict", QUOTA), Unavailable),
        (409, status("AlreadyExists", {**OURS, "group": "example.org"}), Unavailable),
        (403, status("Forbidden", {"group": "wardround.io", "kind": "roundtasks"}), Unavailable),
        # Of nobody that is known.
        (404, status("NotFound"), Unavailable),
        (404, status("NotFound", []), Unavailable),
        (404, b"404 page not found", Unavailable),
        (404, b"<html>nginx", Unavailable),
        (403, b"<html>who are you?", Unavailable),
        (403, b'{"message": "no", "reason": "Forbidden", "details": {"name": "t-a1"}}', Unavailable),
        (413, b"<html>too large", Unavailable),
        (401, b"proxy authentication", Unavailable),
        (410, b"gone", Unavailable),
        (429, status("TooManyRequests", OURS), Unavailable),
        (503, status("ServiceUnavailable"), Unavailable),
        (500, b"\xff", Unavailable),
        (302, b"", Unavailable),
    ],
)
async def test_an_answer_is_final_only_if_the_api_says_it_of_this_object(
    code: int, body: bytes, expected: type[ApiError]
) -> None:
    task = {"kind": "RoundTask", "metadata": {"name": "t-a1"}}
    async with answering(body, code) as client:
        for call in (client.get("RoundTask", "t-a1"), client.create(task)):
            with pytest.raises(ApiError) as raised:
                await call
            assert type(raised.value) is expected


@pytest.mark.parametrize("body", [b"{}", b'{"metadata": []}', b'{"kind": "RoundTask", "metadata": {"name": 7}}'])
async def test_an_answer_that_is_another_object_counts_as_no_answer(body: bytes) -> None:
    async with answering(body) as client:
        with pytest.raises(Unavailable):
            await client.get("RoundTask", "t-a1")


async def test_a_list_is_forbidden_by_what_names_its_kind() -> None:
    async with answering(status("Forbidden", {"group": "wardround.io", "kind": "roundtasks"}), 403) as client:
        with pytest.raises(Forbidden):
            await client.list("RoundTask")
        with pytest.raises(Unavailable):
            await client.list("SiteTask")


async def test_an_object_that_exists_is_no_fault_and_a_conflict_about_another_object_is_one() -> None:
    event = {"kind": "Event", "metadata": {"name": "e"}}
    async with answering(status("AlreadyExists", {"name": "e", "kind": "events"}), 409) as client:
        assert not await client.create_if_absent(event)
    async with answering(status("Conflict", QUOTA), 409) as client:
        with pytest.raises(Unavailable):
            await client.create_if_absent(event)


async def test_a_client_that_was_closed_reaches_nobody() -> None:
    """A heartbeat may still use the closed client, while a client of another hub takes its place. It must not crash."""
    async with answering(b"{}") as client:
        await client.patch("Lease", "site", {})
        await client.close()
        with pytest.raises(Unavailable):
            await client.patch("Lease", "site", {})


def test_a_name_that_somebody_typed_leads_nowhere_else() -> None:
    path = RESOURCES["SiteTask"].path("../nodes", "a/../../secrets/b?x", "status")
    assert path == "/apis/wardround.io/v1alpha1/namespaces/..%2Fnodes/sitetasks/a%2F..%2F..%2Fsecrets%2Fb%3Fx/status"
