"""Which updates of a growing list are new, which last page is complete, and how often the Job asks for a page."""

from __future__ import annotations

import pytest

from wardround.aggregate.collection import LONGEST_PAUSE, SHORTEST_PAUSE, new_updates, pause, require_complete
from wardround.aggregate.plan import AggregationError
from wardround.wire.aggregation import PlannedUpdate
from wardround.wire.collected import ClosedList, CollectedPage, identity_of

FIRST, SECOND = (PlannedUpdate(name, 1, "{}", b"key", ("url",)) for name in ("site-a", "site-b"))
AGAIN = PlannedUpdate("site-a", 2, "{}", b"key", ("url",))


def test_a_page_brings_the_updates_that_no_earlier_page_has() -> None:
    page = CollectedPage((FIRST, SECOND), "next")
    assert list(new_updates(page, {identity_of(FIRST)}, 2).values()) == [SECOND]


def test_a_further_attempt_is_a_new_update() -> None:
    assert list(new_updates(CollectedPage((AGAIN,), "next"), {identity_of(FIRST)}, 2).values()) == [AGAIN]


def test_a_hospital_that_rewrites_its_manifest_does_not_fill_scratch() -> None:
    """Each manifest makes another update, and each update has a place in scratch."""
    many = tuple(PlannedUpdate("site-a", 1, "{}" + " " * number, b"key", ("url",)) for number in range(9))
    assert len(new_updates(CollectedPage(many, "next"), set(), 9)) == 9
    with pytest.raises(AggregationError, match="more than 8 updates"):
        new_updates(CollectedPage(many[4:], "next"), set(map(identity_of, many[:4])), 8)


@pytest.mark.parametrize("counted", [(SECOND,), (FIRST, AGAIN), (FIRST, FIRST)])
def test_a_last_page_counts_listed_updates_and_one_of_a_hospital(counted: tuple[PlannedUpdate, ...]) -> None:
    listed = {identity_of(FIRST): "site-a", identity_of(AGAIN): "site-a"}
    require_complete(ClosedList((identity_of(AGAIN),), {}), listed)
    with pytest.raises(AggregationError, match="PlanUnreadable"):
        require_complete(ClosedList(tuple(map(identity_of, counted)), {}), listed)


def test_the_job_asks_less_often_the_longer_it_waits() -> None:
    assert [pause(waited) for waited in (0, 25, 100, 250, 3600)] == [SHORTEST_PAUSE, 0.5, 2, 5, LONGEST_PAUSE]
