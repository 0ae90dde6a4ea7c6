"""The threads in which Kopf watches: none is left behind."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

from wardround.clock import system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.operator import Watcher


async def test_a_watch_that_is_given_up_as_it_begins_leaves_no_thread() -> None:
    """As when the hub changes, and changes again: what watched on would do so with the token of the next hub."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, Client(address, "", lambda: "token", "site-a", draw=system_draw) as client:
        watcher = Watcher(
            client, ("RoundTask",), lambda *_: None, namespaces=("site-a",), clock=system_clock, draw=system_draw
        )
        following = asyncio.create_task(watcher._follow(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        [thread] = [each for each in threading.enumerate() if address in each.name]
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        over.set()
        await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()


async def test_an_event_starts_no_thread() -> None:
    """Kopf runs a function in one of many threads, and each of them costs memory. It awaits a coroutine in its loop."""
    async with Client("http://127.0.0.1:1", "", lambda: "token", "site-a", draw=system_draw) as client:
        registry = Watcher(
            client, ("RoundTask", "Job"), lambda *_: None, namespaces=None, clock=system_clock, draw=system_draw
        ).registry(lambda *_: None)
        handlers = [each.fn for each in registry._watching._handlers]
    assert len(handlers) == 2
    assert all(map(inspect.iscoroutinefunction, handlers))
