"""Runs some jobs at once, beside each other in one event loop. Knows nothing of the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

Job = Callable[[], Awaitable[None]]


async def run_all(jobs: AsyncIterator[Job] | Iterable[Job], most: int) -> None:
    """Start the jobs in their order, at most `most` at once, and take each from `jobs` when it can start.

    Raises the first error of a job, or of `jobs`. Then the other jobs are cancelled, and have ended.
    """
    running: set[asyncio.Future[None]] = set()
    try:
        async for job in _each(jobs):
            running.add(asyncio.ensure_future(_run(job)))
            if len(running) == most:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*done)
        await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run(job: Job) -> None:
    await job()


async def _each(jobs: AsyncIterator[Job] | Iterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterator):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job
