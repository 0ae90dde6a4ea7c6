"""Reads the list of updates from the store, page by page; examines nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from wardround.aggregate.advice import CHECK_IMAGE, CHECK_STORE
from wardround.aggregate.plan import AggregationError
from wardround.ports import Store
from wardround.sealing.pages import open_page
from wardround.sealing.refused import Refused
from wardround.wire import codec
from wardround.wire.aggregation import ListPage, PlannedList, PlannedUpdate


async def listed_updates(store: Store, listed: PlannedList) -> AsyncGenerator[PlannedUpdate, None]:
    """Yield the updates in the order of their participants. Memory holds one page. Raises AggregationError and
    StoreError."""
    count, last = 0, ""
    for index, page in enumerate(listed.pages):
        sealed = await store.get_bytes(page.url, page.bytes)
        try:
            document = codec.read_document(ListPage, open_page(listed.key, index, sealed), "a page of updates")
        except Refused:
            raise AggregationError(
                "StoreInconsistent",
                "The store gave the aggregation Job a list of updates that differs from the list that the hub operator "
                f"stored. {CHECK_STORE}",
            ) from None
        except codec.Malformed as error:
            raise AggregationError("PlanUnreadable", str(error)) from None
        del sealed
        for update in document.updates:
            if update.participant <= last:
                raise AggregationError(
                    "PlanUnreadable",
                    "This Job cannot use the list of updates, because the list is not sorted by the names of the "
                    f"participants. {CHECK_IMAGE}",
                )
            last, count = update.participant, count + 1
            yield update
    if count != listed.updates:
        raise AggregationError(
            "PlanUnreadable",
            f"This Job cannot use the list of updates: the list names {count} updates, and the plan says "
            f"{listed.updates}. {CHECK_IMAGE}",
        )
