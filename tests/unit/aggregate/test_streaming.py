"""The reader holds a bounded number of segments, so memory does not grow with participants or model size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest

from wardround.aggregate.reduction import ordered


class Counter:
    """Jobs that finish out of order. `most`: the most results that were held at once."""

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
async def test_results_come_in_order_and_at_most_a_window_is_held(jobs: int, window: int) -> None:
    counter = Counter(jobs)
    numbers = []
    async with aclosing(ordered(counter, window)) as results:
        async for number in results:
            counter.held -= 1
            numbers.append(number)
    assert numbers == list(range(jobs))
    assert counter.most <= window


async def test_a_failed_job_cancels_the_other_jobs() -> None:
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
