"""Tasks move models one at a time, and one whose store is slow does not keep the others from theirs."""

from __future__ import annotations

import asyncio

import pytest

from wardround.courier.turn import Turn
from wardround.plans.courier import turns


async def never() -> None:
    """Work that somebody has to cut short."""
    await asyncio.sleep(10)
    raise AssertionError("it kept its turn")


async def nothing() -> None:
    return


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE_SECONDS", 0.05)


async def test_work_that_takes_long_gives_way_to_what_comes_later(short: None) -> None:
    shared = Turn()
    slow = asyncio.create_task(shared.some(never))
    await asyncio.sleep(0)
    assert await shared.some(nothing)
    assert not await slow


async def test_work_that_takes_long_gives_way_to_what_waited_before(short: None) -> None:
    shared = Turn()
    first = asyncio.create_task(shared.some(never))
    second = asyncio.create_task(shared.some(never))
    third = asyncio.create_task(shared.some(nothing))
    assert [await first, await second, await third] == [False, False, True]


async def test_sealing_gets_its_turn_and_keeps_it(short: None) -> None:
    shared = Turn()
    slow = asyncio.create_task(shared.some(never))
    await asyncio.sleep(0)
    async with shared.whole():
        assert not await slow
        waits = asyncio.create_task(shared.some(nothing))
        await asyncio.sleep(0.2)
        assert not waits.done()
    assert await waits


async def test_work_that_nobody_waits_for_takes_as_long_as_it_takes(short: None) -> None:
    async def long() -> None:
        await asyncio.sleep(0.3)

    assert await Turn().some(long)


async def test_a_task_that_is_cancelled_while_it_waits_or_works_gives_up_its_turn() -> None:
    shared = Turn()
    at_work, waiting = asyncio.create_task(shared.some(never)), asyncio.create_task(shared.some(never))
    await asyncio.sleep(0)
    for each in (waiting, at_work):
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each
    assert await shared.some(nothing)


async def test_a_fault_of_the_work_is_passed_on() -> None:
    async def broken() -> None:
        raise TimeoutError("its own")

    shared = Turn()
    with pytest.raises(TimeoutError, match="its own"):
        await shared.some(broken)
    assert await shared.some(nothing)
