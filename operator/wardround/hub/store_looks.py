"""Bounds the time that a look waits for the store, so that a store that hangs never holds all workers. Does no I/O.

A look is one reconcile of a key. The first `LONG_LOOKS` that wait for the store may each wait as long as they ask for.
Further ones wait a short time, and then fail and are tried again. So the other workers go on with the other keys.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wardround.store.errors import TOO_SLOW, StoreError

# Workers of the hub operator.
WORKERS = 8
LONG_LOOKS = WORKERS // 2
# What a look may ask for: its deletions, or one page of a list. Only a look at a pushed file asks for more.
LOOK_SECONDS = 60.0
# Forty keys whose store hangs, each tried again once a minute, then cost the other half of the workers a third of
# their time.
CROWDED_SECONDS = 2.0


class StoreLooks:
    """The looks of one operator that wait for the store. One event loop."""

    def __init__(self) -> None:
        self._long = 0

    @property
    def crowded(self) -> bool:
        """Whether as many looks wait for the store as may wait long."""
        return self._long >= LONG_LOOKS

    @asynccontextmanager
    async def limited(self, until: float | None) -> AsyncIterator[None]:
        """Ends requests to the store at this time of the event loop, or sooner. Then raises StoreError. None: only the
        least rate of the store's client ends them."""
        crowded = self.crowded
        if crowded:
            soon = asyncio.get_running_loop().time() + CROWDED_SECONDS
            until = soon if until is None else min(until, soon)
        limit = asyncio.timeout_at(until)
        self._long += not crowded
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise StoreError(TOO_SLOW) from None
        finally:
            self._long -= not crowded
