"""Jobs that run at once: an error of one is raised at once, also while the next job is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from wardround.parallel import Job, run_all


async def test_an_error_is_raised_while_the_next_job_is_awaited() -> None:
    closed = []

    async def failing() -> None:
        raise OSError("the disk is full")

    async def jobs() -> AsyncIterator[Job]:
        try:
            yield failing
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="disk"):
        await asyncio.wait_for(run_all(jobs(), 2), 5)
    assert closed == [True]


async def test_jobs_run_while_the_next_one_is_awaited_and_at_most_so_many() -> None:
    running, most, ended = 0, 0, []

    async def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        ended.append(running)

    async def jobs() -> AsyncIterator[Job]:
        for _ in range(4):
            yield job
        await asyncio.sleep(0.1)
        assert len(ended) == 4
        yield job

    await run_all(jobs(), 2)
    assert (most, len(ended)) == (2, 5)
