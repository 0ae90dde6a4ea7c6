"""Runs some jobs at once, beside each other in one event loop. Knows nothing of the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

Job = Callable[[], Awaitable[None]]


async def run_all(jobs: AsyncIterator[Job] | Iterable[Job], most: int) -> None:
    """Start the jobs in their order, at most `most` at once, and take each from `jobs` when it can start.

    Raises the first error of a job, or of `jobs`, also while it waits for the next job. Then the other jobs are
    cancelled, and have ended.
    """
    running: set[asyncio.Future[None]] = set()
    try:
        async with aclosing(_each(jobs, running)) as each_job:
            async for job in each_job:
                running.add(asyncio.ensure_future(_run(job)))
                if len(running) == most:
                    await _first(running)
        await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run(job: Job) -> None:
    await job()


async def _each(
    jobs: AsyncIterator[Job] | Iterable[Job], running: set[asyncio.Future[None]]
) -> AsyncGenerator[Job, None]:
    if not isinstance(jobs, AsyncIterator):
        for job in jobs:
            yield job
        return
    while True:
        coming = asyncio.ensure_future(_next(jobs))
        try:
            while not coming.done():
                await _first(running, coming)
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        following = coming.result()
        if following is None:
            return
        yield following


async def _next(jobs: AsyncIterator[Job]) -> Job | None:
    return await anext(jobs, None)


async def _first(running: set[asyncio.Future[None]], *others: asyncio.Future[Any]) -> None:
    """Wait until a job or one of the others has ended, and forget the jobs that have. Raises the error of a job."""
    await asyncio.wait({*running, *others}, return_when=asyncio.FIRST_COMPLETED)
    ended = {each for each in running if each.done()}
    await asyncio.gather(*ended)
    running -= ended
