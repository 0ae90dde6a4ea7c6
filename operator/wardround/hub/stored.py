"""Deletes objects from the store within the time that one look may take. Decides nothing.

A store that answers slowly, or whose lists do not end, must not hold a worker of the hub operator.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wardround.hub.context import Context
from wardround.store.admin import delete_prefix
from wardround.store.errors import TOO_SLOW, StoreError

# The deletions of one look. A later look deletes the rest.
LOOK_SECONDS = 60.0


def look_ends() -> float:
    """The time of the event loop at which a look that begins now gives up its deletions."""
    return asyncio.get_running_loop().time() + LOOK_SECONDS


@asynccontextmanager
async def time_limit(until: float) -> AsyncIterator[None]:
    """Ends requests to the store at this time of the event loop. Then raises StoreError."""
    limit = asyncio.timeout_at(until)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise StoreError(TOO_SLOW) from None


async def delete_stored(hub: Context, prefix: str, until: float) -> None:
    """Deletes all objects whose names begin with `prefix`. `until`: as `look_ends` says.

    Raises StoreError, also if there is more to delete than the time allows. What was deleted stays deleted.
    """
    async with time_limit(until):
        await delete_prefix(hub.store, hub.internal, prefix, hub.clock())
