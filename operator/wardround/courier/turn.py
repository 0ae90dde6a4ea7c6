"""Gives turns to move or seal a model: one task at a time, in the order in which they ask. Knows no models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from wardround.plans.courier.turns import turn_ends


class Turn:
    """One model in memory at a time, however many tasks there are. One loop, no threads."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()  # wakes its waiters in order
        self._waiting = 0
        self._since = 0.0
        self._limit: asyncio.Timeout | None = None

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        """A turn for work that cannot be interrupted and does not wait for the store."""
        self._waiting += 1
        self._hurry()
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()

    async def some(self, work: Callable[[], Awaitable[None]]) -> bool:
        """A turn for work that is cancelled if it takes long while other tasks wait. Returns whether it finished."""
        async with self.whole():
            limit = asyncio.timeout(None)
            try:
                async with limit:
                    self._limit, self._since = limit, asyncio.get_running_loop().time()
                    if self._waiting:
                        self._hurry()
                    await work()
            except TimeoutError:
                if not limit.expired():
                    raise
                return False
            finally:
                self._limit = None
            return True

    def _hurry(self) -> None:
        if self._limit is not None and self._limit.when() is None:
            self._limit.reschedule(turn_ends(self._since, asyncio.get_running_loop().time()))
