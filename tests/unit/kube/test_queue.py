"""The work queue: each key once, one worker a key, failures later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.simulation.virtual import VirtualLoop, play
from wardround.clock import system_draw
from wardround.kube.errors import AlreadyExists, Conflict, Unavailable
from wardround.kube.queue import WorkQueue

Reconcile = Callable[[str], Awaitable[float | None]]


async def until(queue: WorkQueue[str], reconcile: Reconcile, done: asyncio.Event, workers: int = 3) -> None:
    tasks = [asyncio.create_task(queue.work(reconcile)) for _ in range(workers)]
    try:
        await asyncio.wait_for(done.wait(), 60)
        await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_key_that_waits_is_not_added_again() -> None:
    seen: list[str] = []
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    for key in ("a", "a", "b", "a"):
        queue.add(key)

    async def reconcile(key: str) -> None:
        seen.append(key)
        if key == "b":
            done.set()

    await until(queue, reconcile, done)
    assert seen == ["a", "b"]


async def test_a_key_is_never_worked_on_twice_at_once_and_is_worked_on_again_when_it_changed_meanwhile() -> None:
    running: set[str] = set()
    count = 0
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    queue.add("a")

    async def reconcile(key: str) -> None:
        nonlocal count
        assert key not in running
        running.add(key)
        count += 1
        if count == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0.02)
        running.discard(key)
        if count == 2:
            done.set()

    await until(queue, reconcile, done)
    assert count == 2


async def test_a_failure_is_tried_again_and_does_not_end_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    assert await failing(RuntimeError("the store is away"), 1) == 2
    assert "the store is away" in caplog.text


async def test_a_key_behind_comes_after_all_others_and_may_overtake_itself() -> None:
    seen: list[str] = []
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    for key in ("old-1", "old-2", "old-3"):
        queue.add(key, behind=True)
    queue.add("new-1")
    queue.add("old-2")
    queue.add("new-1", behind=True)

    async def reconcile(key: str) -> None:
        seen.append(key)
        if key == "old-1":
            queue.add("new-2")
        if key == "old-3":
            done.set()

    await until(queue, reconcile, done, workers=1)
    assert seen == ["new-1", "old-2", "old-1", "new-2", "old-3"]


async def failing(failure: Exception, times: int) -> int:
    """How often it was tried."""
    tries = 0
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    queue.add("a")

    async def reconcile(key: str) -> None:
        nonlocal tries
        tries += 1
        if tries <= times:
            raise failure
        done.set()

    await until(queue, reconcile, done, workers=1)
    return tries


async def test_somebody_who_wrote_in_between_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    for failure in (Conflict("patch", "409"), AlreadyExists("post", "409")):
        await failing(failure, 2)
    assert caplog.text == ""


async def test_an_api_servers_answer_is_one_line_and_a_fault_of_ours_has_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await failing(Unavailable("get RoundTask site-a/x", "503"), 2)
    assert caplog.text.count("get RoundTask site-a/x: 503; again in") == 2
    assert "Traceback" not in caplog.text
    await failing(RuntimeError("our own"), 2)
    assert caplog.text.count("Traceback") == 1


async def test_a_key_comes_back_when_the_reconcile_asked_for_it() -> None:
    times: list[float] = []
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    queue.add("a")

    async def reconcile(key: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 2:
            done.set()
            return None
        return 0.1

    await until(queue, reconcile, done)
    assert times[1] - times[0] >= 0.09


async def test_the_sooner_of_two_later_times_counts() -> None:
    seen: list[str] = []
    done = asyncio.Event()
    queue: WorkQueue[str] = WorkQueue(draw=system_draw)
    queue.add_after("a", 60)
    queue.add_after("a", 0.05)
    queue.add_after("a", 30)

    async def reconcile(key: str) -> None:
        seen.append(key)
        done.set()

    await until(queue, reconcile, done)
    assert seen == ["a"]


def test_the_newest_answer_says_when_a_key_comes_back() -> None:
    """A round that is over is not looked at again at the deadlines that it had, and nothing is kept for it."""

    async def main(loop: VirtualLoop) -> None:
        answers = {0.0: 3600.0, 1.0: 7200.0, 7201.0: 60.0, 7202.0: None}
        seen: list[float] = []
        queue: WorkQueue[str] = WorkQueue(draw=system_draw)

        async def reconcile(key: str) -> float | None:
            seen.append(loop.time())
            return answers[loop.time()]

        queue.add("a")
        worker = asyncio.create_task(queue.work(reconcile))
        loop.call_at(1, queue.add, "a")
        loop.call_at(7202, queue.add, "a")
        await asyncio.sleep(10_000)
        worker.cancel()
        assert seen == list(answers)

    play(main)
