"""Reads a list of updates that grows while the round collects, page by page, until the last one; examines nothing.

The hub operator writes the pages, and no page is written twice. A page that the store does not have yet is asked for
again, at longer and longer intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection

from wardround.aggregate.advice import CHECK_IMAGE, CHECK_STORE
from wardround.aggregate.plan import AggregationError
from wardround.ports import Store
from wardround.sealing.pages import open_named
from wardround.sealing.refused import Refused
from wardround.store.errors import MISSING, SHORT, StoreError
from wardround.wire import codec
from wardround.wire.aggregation import AggregationPlan, PlannedCollection, PlannedUpdate
from wardround.wire.collected import ClosedList, CollectedPage, identity_of, page_name

# Seconds between two looks for a page: a fiftieth of the time since the page before, within these bounds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


def pause(waited: float) -> float:
    """Seconds until the next look for a page. `waited`: seconds since the page before came."""
    return min(max(waited / 50, SHORTEST_PAUSE), LONGEST_PAUSE)


def new_updates(page: CollectedPage, known: Collection[str], most: int) -> dict[str, PlannedUpdate]:
    """The updates of a page that no earlier page has, by identity. `known`: the identities of earlier pages.

    Raises AggregationError for more updates than `most` in all, because each takes room in scratch. A hospital that
    writes its manifest again and again causes this. The Job that begins at closing has one update of each hospital.
    """
    new = {name: each for each in page.updates if (name := identity_of(each)) not in known}
    if len(known) + len(new) > most:
        raise AggregationError(
            "PlanUnreadable",
            f"This aggregation Job ends, because the list of updates has more than {most} updates, the most that "
            "the Job's plan allows. Perhaps a hospital writes a new manifest for its update again and again. Nobody "
            "has to act: the hub operator starts another Job when the round closes.",
        )
    return new


def require_complete(closed: ClosedList, listed: dict[str, str]) -> None:
    """Raise AggregationError unless the last page counts updates that a page has, and one of a participant.

    `listed`: by identity, the participant.
    """
    absent = [each for each in closed.counted if each not in listed]
    participants = [listed[each] for each in closed.counted if each in listed]
    if absent or len(set(participants)) != len(participants):
        raise AggregationError(
            "PlanUnreadable",
            "This aggregation Job combines nothing, because the hub operator's list of updates contradicts itself: "
            f"its last page names an update that is on no page, or two updates of one hospital. {CHECK_IMAGE}",
        )


class UpdateCollection:
    """The list of one aggregation. Once the last page has come, `closed` is what it says, and `closed_after` is
    how many seconds after the first look it came."""

    closed_after: float

    def __init__(self, store: Store, plan: AggregationPlan, terms: PlannedCollection) -> None:
        self._store = store
        self._key, self._most = plan.listed.key, plan.listed.updates
        self._terms = terms
        self._listed: dict[str, str] = {}
        self._closed: ClosedList | None = None

    @property
    def closed(self) -> ClosedList:
        """See the class. Before the last page has come, `counted` is None."""
        assert self._closed is not None
        return self._closed

    @property
    def counted(self) -> Collection[str] | None:
        """The identities of the updates that are combined, if the last page has come."""
        return None if self._closed is None else self._closed.counted

    async def updates(self) -> AsyncGenerator[PlannedUpdate, None]:
        """Yield each update when its page is there. Raises AggregationError and StoreError."""
        clock = asyncio.get_running_loop().time
        begun, number, url = clock(), 0, self._terms.first
        came = begun
        while True:
            page = await self._page(number, url)
            if page is None:
                if clock() - begun >= self._terms.seconds:
                    raise AggregationError(
                        "StillCollecting",
                        f"This aggregation Job ends, because it has waited {self._terms.seconds} s for the last "
                        "page of the list of updates. Either the round still collects updates, or the store "
                        "withholds the page. Nobody has to act: the hub operator starts another Job when the round "
                        "closes.",
                    )
                await asyncio.sleep(pause(clock() - came))
                continue
            new = new_updates(page, self._listed, self._most)
            self._listed |= {name: update.participant for name, update in new.items()}
            if page.closed is not None:
                require_complete(page.closed, self._listed)
                self._closed, self.closed_after = page.closed, clock() - begun
            for update in new.values():
                yield update
            if page.closed is not None:
                return
            number, url, came = number + 1, page.next, clock()

    async def _page(self, number: int, url: str) -> CollectedPage | None:
        """Page `number`, or None if the store does not have it yet. Raises AggregationError and StoreError."""
        try:
            sealed = await self._store.get_bytes(url, self._terms.page_bytes)
            plain = open_named(self._key, page_name(self._terms.location, number), sealed)
            return codec.read_document(CollectedPage, plain, "a page of updates")
        except StoreError as error:
            if error.reason == MISSING:
                return None
            if error.reason == SHORT:
                raise _another_page() from None
            raise
        except Refused:
            raise _another_page() from None
        except codec.Malformed as error:
            raise AggregationError("PlanUnreadable", str(error)) from None


def _another_page() -> AggregationError:
    return AggregationError(
        "StoreInconsistent",
        "The store gave the aggregation Job a page of the list of updates that differs from the page that the hub "
        f"operator stored. {CHECK_STORE}",
    )
