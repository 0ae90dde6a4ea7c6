"""Writes the pages of an aggregation's list while its round collects. What is listed is decided in plans/round/early.

A page is written once. If the hub operator stops after it has written a page and before it has noted that, it finds the
page there the next time, and writes the same updates onto the next page. The Job counts each update once.
"""

from collections.abc import Iterator
from dataclasses import replace

from wardround.api import names
from wardround.documents import aggregations, collected_list
from wardround.documents.update_list import planned_update
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.plans.round import early
from wardround.plans.round.types import EARLY_NUMBER, EarlyList, ListUpdates, Observation
from wardround.ports import Object, Objects
from wardround.store.errors import REFUSED, StoreError
from wardround.threads import beside
from wardround.wire import codec
from wardround.wire.aggregation import AggregationPlan, PlannedCollection, PlannedList
from wardround.wire.collected import ClosedList, CollectedPage, identity_of

# A page that exists was written by this hub operator before it stopped. There are not so many of them.
MOST_EXISTING = 1024


def observed(secrets: Objects, round_uid: str) -> EarlyList | None:
    """The list of the aggregation that began early, as its Secret says; None if none has begun."""
    mine = names.aggregation_name(round_uid, EARLY_NUMBER)
    secret = next((each for each in secrets if each["metadata"]["name"] == mine), None)
    return early.noted((secret["metadata"].get("annotations") or {}).get(names.LISTED, "")) if secret else None


async def list_updates(hub: Context, seen: Observation, action: ListUpdates) -> None:
    """Write the pages, and note that. Raises ApiError and StoreError."""
    secret = await hub.client.get("Secret", names.aggregation_name(seen.round.metadata.uid, EARLY_NUMBER))
    listed, terms = _planned(secret)
    pages, number = _pages(hub, seen, action, terms), action.before.pages
    while (page := await beside(next, pages, None)) is not None:
        number = await _store(hub, page, number, listed, terms)
    await vault.note(hub.client, secret, {names.LISTED: early.note(replace(action.after, pages=number))})


def _planned(secret: Object) -> tuple[PlannedList, PlannedCollection]:
    plan = codec.read_document(AggregationPlan, vault.value(secret, "plan.json"), "plan.json")
    assert plan.listed.collects is not None, "the plan of an aggregation that begins early has a list that grows"
    return plan.listed, plan.listed.collects


def _pages(hub: Context, seen: Observation, action: ListUpdates, terms: PlannedCollection) -> Iterator[CollectedPage]:
    seconds, now = collected_list.url_seconds(terms.seconds), hub.clock()
    new = (planned_update(seen, task, hub.internal, now, seconds) for task in action.tasks)
    closed = None
    if action.counted is not None:
        every = (planned_update(seen, task, hub.internal, now, seconds) for task in action.counted)
        closed = ClosedList(tuple(map(identity_of, every)), aggregations.max_samples(seen, action.counted))
    return collected_list.contents(new, closed, terms)


async def _store(hub: Context, page: CollectedPage, number: int, listed: PlannedList, terms: PlannedCollection) -> int:
    """Store a page under the next number that is free, and return the number that follows."""
    for free in range(number, number + MOST_EXISTING):
        upload, data = await beside(collected_list.sealed, page, free, listed, terms, hub.internal, hub.clock())
        if await hub.store.put_bytes(upload.url, upload.headers, data):
            return free + 1
    raise StoreError(REFUSED)
