"""Writes the pages of an aggregation's list while its round collects. What is listed is decided in plans/round/early.

A page is written once. If the hub operator stops after it has written a page and before it has noted that, it finds the
page there the next time, and writes the same updates onto the next page. The Job counts each update once.

While the round collects, a store that fails does not make the look fail. A later look writes the page, at the latest
the look that closes the round.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wardround.api import names
from wardround.documents import collected_list
from wardround.documents.update_list import planned_update
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.store_looks import LOOK_SECONDS
from wardround.plans.round import early
from wardround.plans.round.counted import attempt, closed_list
from wardround.plans.round.types import EARLY_NUMBER, EarlyList, ListUpdates, Observation
from wardround.ports import Object
from wardround.store.errors import REFUSED, StoreError
from wardround.threads import beside
from wardround.wire import kept_plan
from wardround.wire.codec import Malformed
from wardround.wire.collected import CollectedPage
from wardround.wire.kept_plan import KeptList

# A page that exists was written by this hub operator, which then stopped or got no answer. More of them in one look are
# the fault of the store. The next look goes on after them.
MOST_EXISTING = 16
# The time of one page. Hospitals that still work must not wait for the store.
COLLECTING_SECONDS = 10.0
logger = logging.getLogger(__name__)


def observed(secret: Object | None) -> EarlyList | None:
    """The list of the aggregation that began early, as its Secret says; None if none has begun."""
    return early.noted(vault.noted(secret, names.LISTED)) if secret is not None else None


async def list_updates(hub: Context, seen: Observation, action: ListUpdates) -> None:
    """Write the pages, and note that. Raises ApiError and, if the round closes, StoreError and Malformed."""
    secret = await hub.client.get("Secret", names.aggregation_name(seen.round.metadata.uid, EARLY_NUMBER))
    closes = action.counted is not None
    try:
        listed = kept_plan.read_list(vault.value(secret, "plan.json"))
    except Malformed as error:
        await _give_up(hub, secret, action, error)
        if closes:
            raise  # the next look makes another Job
        return
    contents, pages = _pages(hub, seen, action, listed), Pages(hub, listed, action.before.pages)
    after, failure = action.after, None
    try:
        while (page := await beside(next, contents, None)) is not None:
            await pages.store(page, LOOK_SECONDS if closes else COLLECTING_SECONDS)
    except StoreError as error:
        after, failure = action.before, error
        logger.warning("aggregation %s: the hub operator could not list updates: %s", secret["metadata"]["name"], error)
    if (after := replace(after, pages=pages.number)) != action.before:
        await vault.note(hub.client, secret, _notes(action, after))
    if failure and closes:
        raise failure


def _notes(action: ListUpdates, after: EarlyList) -> dict[str, str]:
    """`after`: the list as it is now."""
    given = {names.GIVEN: " ".join(sorted(map(attempt, action.counted)))} if after.closed and action.counted else {}
    return {names.LISTED: early.note(after), **given}


async def _give_up(hub: Context, secret: Object, action: ListUpdates, error: Malformed) -> None:
    """Another version of the hub operator has made a plan whose list this version does not understand."""
    logger.warning(
        "aggregation %s: the hub operator lists no more updates, because another version has made the plan (%s). The "
        "hub operator starts another aggregation when the round closes",
        secret["metadata"]["name"],
        error,
    )
    await vault.note(hub.client, secret, {names.LISTED: early.note(replace(action.before, given_up=True))})


def _pages(hub: Context, seen: Observation, action: ListUpdates, listed: KeptList) -> Iterator[CollectedPage]:
    seconds, now = collected_list.url_seconds(listed.collects.seconds), hub.clock()
    new = (planned_update(seen, task, hub.internal, now, seconds) for task in action.tasks)
    closed = closed_list(seen, action.counted) if action.counted is not None else None
    return collected_list.contents(new, closed, listed.collects)


@dataclass
class Pages:
    """Writes pages of one list. `number`: of the next page. Pages that exist already have lower numbers."""

    hub: Context
    listed: KeptList
    number: int

    async def store(self, page: CollectedPage, seconds: float) -> None:
        """Store a page under the next number that is free. Raises StoreError, also after `seconds`."""
        hub = self.hub
        async with hub.store_looks.limited(asyncio.get_running_loop().time() + seconds):
            for number in range(self.number, self.number + MOST_EXISTING):
                arguments = (page, number, self.listed, hub.internal, hub.clock())
                upload, data = await beside(collected_list.sealed, *arguments)
                stored = await hub.store.put_bytes(upload.url, upload.headers, data)
                self.number = number + 1
                if stored:
                    return
        raise StoreError(REFUSED)
