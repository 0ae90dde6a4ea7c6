"""Memory does not grow with the number of participants or the size of a model: by structure, not by measurement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest

from wardround.aggregate.updates import ordered


class Counter:
    """Jobs that finish in reverse order of their number, and how many of their results were held at once."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.held = 0
        self.most = 0

    def __iter__(self) -> Iterator[Callable[[], Awaitable[int]]]:
        for number in range(self.jobs):
            yield lambda number=number: self.run(number)  # type: ignore[misc]

    async def run(self, number: int) -> int:
        self.held += 1
        self.most = max(self.most, self.held)
        await asyncio.sleep(0.001 * (number % 3 == 0))
        return number


@pytest.mark.parametrize(("jobs", "window"), [(100, 4), (1000, 8), (3, 8), (0, 2)])
async def test_results_come_in_order_and_never_more_than_the_window_are_held(jobs: int, window: int) -> None:
    counter = Counter(jobs)
    found = []
    async with aclosing(ordered(counter, window)) as results:
        async for number in results:
            counter.held -= 1
            found.append(number)
    assert found == list(range(jobs))
    assert counter.most <= window


async def test_when_one_fails_the_others_are_not_left_running() -> None:
    ended: list[int] = []

    async def job(number: int) -> int:
        try:
            await asyncio.sleep(0 if number == 0 else 60)
        finally:
            ended.append(number)
        if number == 0:
            raise ValueError
        return number

    jobs = ((lambda number=number: job(number)) for number in range(8))
    async with aclosing(ordered(jobs, 4)) as results:
        with pytest.raises(ValueError):
            await anext(results)
    assert sorted(ended) == [0, 1, 2, 3]
