"""Blocking work beside the loop: whoever is cancelled is at rest before it goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wardround.threads import beside, beside_until_cancelled


async def test_the_loop_turns_while_something_blocks() -> None:
    free = threading.Event()
    blocked = asyncio.create_task(beside(free.wait, 30))
    await asyncio.sleep(0)
    free.set()  # by the loop itself: nobody else would
    assert await blocked


async def test_who_is_cancelled_waits_for_what_cannot_be_stopped() -> None:
    begun, free, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        free.wait(30)
        over.set()

    running = asyncio.create_task(beside(work))
    await asyncio.to_thread(begun.wait, 30)
    running.cancel()
    await asyncio.sleep(0.05)
    assert not running.done()
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert over.is_set()


async def test_long_work_is_told_to_stop() -> None:
    begun = threading.Event()

    def work(stop: threading.Event) -> None:
        begun.set()
        assert stop.wait(30)
        raise RuntimeError("stopped")

    running = asyncio.create_task(beside_until_cancelled(work))
    await asyncio.to_thread(begun.wait, 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_results_and_faults_come_through() -> None:
    assert await beside(int, "7", base=8) == 7
    with pytest.raises(ValueError):
        await beside(int, "x")
