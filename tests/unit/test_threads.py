"""Blocking work in threads: a cancelled caller waits until its thread has ended."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wardround.threads import beside, beside_until_cancelled


async def test_the_event_loop_runs_while_work_blocks() -> None:
    free = threading.Event()
    blocked = asyncio.create_task(beside(free.wait, 30))
    await asyncio.sleep(0)
    free.set()  # only the loop sets it, so the loop must be running
    assert await blocked


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_cancelled_caller_waits_for_its_thread(times: int) -> None:
    begun, free, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        free.wait(30)
        over.set()

    running = asyncio.create_task(beside(work))
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0.05)
    assert not running.done()
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert over.is_set()


async def test_cancelling_sets_the_stop_event_of_long_work() -> None:
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


async def test_results_and_exceptions_reach_the_caller() -> None:
    assert await beside(int, "7", base=8) == 7
    with pytest.raises(ValueError):
        await beside(int, "x")
