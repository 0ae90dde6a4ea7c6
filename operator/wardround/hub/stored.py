"""Deletes objects from the store within the time that one look may take. Decides nothing.

A store that answers slowly, or whose lists do not end, must not hold a worker of the hub operator.
"""

import asyncio

from wardround.hub.context import Context
from wardround.hub.store_looks import LOOK_SECONDS
from wardround.store.admin import delete_prefix


def look_ends() -> float:
    """The time of the event loop at which a look that begins now gives up its deletions. A later look deletes the
    rest."""
    return asyncio.get_running_loop().time() + LOOK_SECONDS


async def delete_stored(hub: Context, prefix: str, until: float) -> None:
    """Deletes all objects whose names begin with `prefix`. `until`: as `look_ends` says.

    Raises StoreError, also if there is more to delete than the time allows. What was deleted stays deleted.
    """
    async with hub.store_looks.limited(until):
        await delete_prefix(hub.store, hub.internal, prefix, hub.clock())
