"""The pages of a list that grows while a round collects: one length, one name each, and no word of them in clear."""

from __future__ import annotations

import pytest

from tests.players.kept_list import kept
from tests.unit.documents.test_update_list import LONG, MOST_HOSPITALS, updates_of
from tests.unit.plans_hub.builders import NAMES, NOW, UID
from wardround.documents.collected_list import contents, planned, sealed
from wardround.documents.update_list import planned_update
from wardround.plans.round.counted import max_samples
from wardround.plans.round.parts import LARGEST_MANIFEST
from wardround.plans.round.types import Observation
from wardround.sealing.body import MOST_PARTS, PART
from wardround.sealing.pages import open_named
from wardround.sealing.refused import Refused
from wardround.wire import codec
from wardround.wire.aggregation import PlannedList, PlannedUpdate
from wardround.wire.collected import ClosedList, CollectedPage, identity_of, page_name


def listed(seen: Observation, largest: int = PART, nonce: bytes = b"one try!") -> PlannedList:
    return planned(seen.round.metadata.uid, 0, len(seen.tasks), largest, 600, LONG, NOW, nonce)


def updates(seen: Observation) -> list[PlannedUpdate]:
    return [planned_update(seen, task, LONG, NOW, 600) for task in seen.tasks]


def closed(seen: Observation) -> ClosedList:
    counted = tuple(identity_of(each) for each in updates(seen))
    return ClosedList(counted, max_samples(seen, seen.tasks))


def pages(seen: Observation, growing: PlannedList) -> list[bytes]:
    made = contents(updates(seen), closed(seen), kept(growing).collects)
    return [sealed(each, number, kept(growing), LONG, NOW)[1] for number, each in enumerate(made)]


@pytest.mark.parametrize(("parts", "manifest"), [(1, "x"), (3, '"' * LARGEST_MANIFEST), (MOST_PARTS, "x")])
def test_pages_of_the_largest_round_have_the_length_that_the_plan_says(parts: int, manifest: str) -> None:
    names = tuple(f"{number:03d}".rjust(63, "s") for number in range(MOST_HOSPITALS if parts == 1 else 5))
    seen = updates_of(names, parts * PART, manifest)
    growing = listed(seen, parts * PART)
    assert growing.collects
    sizes = {len(page) for page in pages(seen, growing)}
    assert sizes == {growing.collects.page_bytes}


def test_pages_hold_each_update_once_and_the_last_one_says_what_counts() -> None:
    names = tuple(f"site-{number:03d}" for number in range(40))
    seen = updates_of(names, PART, "x" * LARGEST_MANIFEST)
    growing = listed(seen)
    assert growing.collects
    made = []
    for number, data in enumerate(pages(seen, growing)):
        plain = open_named(growing.key, page_name(growing.collects.location, number), data)
        made.append(codec.read_document(CollectedPage, plain))
        assert f"/lists/0-{growing.collects.location[-16:]}/page-{number + 1:05d}?" in made[-1].next
    assert len(made) > 2
    assert [each.participant for page in made for each in page.updates] == sorted(names)
    assert [page.closed for page in made] == [None] * (len(made) - 1) + [closed(seen)]


def test_the_store_sees_nothing_of_a_page_but_its_length() -> None:
    seen = updates_of(NAMES, PART, "the manifest")
    [page] = pages(seen, listed(seen))
    for secret in (b"the manifest", b"https:", *(name.encode() for name in NAMES)):
        assert secret not in page


def test_a_page_opens_under_its_own_name_and_key_alone() -> None:
    seen = updates_of(NAMES, PART)
    growing, other = listed(seen), listed(seen, nonce=b"another!")
    assert growing.collects
    assert other.collects
    [page] = pages(seen, growing)
    name = page_name(growing.collects.location, 0)
    assert name.startswith(f"updates/{UID}/lists/0-")
    open_named(growing.key, name, page)
    for key, wrong in (
        (other.key, name),
        (growing.key, page_name(growing.collects.location, 1)),
        (growing.key, page_name(other.collects.location, 0)),
    ):
        with pytest.raises(Refused):
            open_named(key, wrong, page)


def test_two_pages_for_one_name_have_different_nonces() -> None:
    """A hub operator that restarts seals another page for a name. The store sees both."""
    seen = updates_of(NAMES, PART)
    growing = listed(seen)
    [first], [second] = pages(seen, growing), pages(seen, growing)
    assert first[:12] != second[:12]


@pytest.mark.parametrize("change", [{"attempt": 2}, {"manifest": "other"}, {"signing_key": b"other"}])
def test_another_manifest_attempt_or_key_makes_another_update(change: dict[str, object]) -> None:
    seen = updates_of(NAMES, PART)
    update = updates(seen)[0]
    assert identity_of(update) != identity_of(PlannedUpdate(**{**vars(update), **change}))
    assert identity_of(update) == identity_of(PlannedUpdate(**{**vars(update), "get": ("another URL",)}))
