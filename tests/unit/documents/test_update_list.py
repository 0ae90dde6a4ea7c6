"""The list of updates that the hub stores for an aggregation Job: sealed, in pages, and as large as it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, NOW, keys, observation, participant, sent
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.update_list import listed_updates
from wardround.api.task import Update, Upload
from wardround.documents import aggregations
from wardround.documents.update_list import PAGE, UpdateList
from wardround.plans.round.parts import LARGEST_MANIFEST
from wardround.plans.round.scratch import Scratch
from wardround.plans.round.types import Aggregate, Observation
from wardround.presign import Credentials
from wardround.sealing import untrusted
from wardround.sealing.body import MOST_PARTS, PART
from wardround.sealing.keys import DecryptionKey
from wardround.simulate.store import ACCESS, SIGNER, MemoryStore, Signer
from wardround.store.put_each import put_each
from wardround.wire.aggregation import PlannedList, PlannedUpdate
from wardround.wire.digests import content_md5

MOST_HOSPITALS = 512
LARGEST_SECRET = 1 << 20
TRY = b"one try"
MANY = tuple(f"site-{number}" for number in range(100))  # with long manifests, more than one page


class LongSigner(Signer):
    """Makes URLs as long as those of a real store, faster."""

    def sign(
        self,
        method: str,
        key: str,
        now: datetime,
        seconds: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        return f"https://{'store' * 20}.example:9000/wardround/{key}?".ljust(700, "x")


LONG = LongSigner("", "", "", Credentials("", ""))


def aggregate(seen: Observation) -> Aggregate:
    return Aggregate(number=1, tasks=seen.tasks, until=NOW, scratch=Scratch(1 << 20, reads_twice=False))


def updates_of(names: tuple[str, ...], size: int, manifest: str = "{}") -> Observation:
    tasks = tuple(sent(name, upload=Upload(bytes=size), update=Update(manifest=manifest, samples=1)) for name in names)
    return observation(tasks=tasks, participants={name: participant(name) for name in names})


async def stored(seen: Observation) -> tuple[MemoryStore, PlannedList]:
    store, updates = MemoryStore(), UpdateList(seen, aggregate(seen), SIGNER, NOW, TRY)
    await put_each(store, updates.objects())
    return store, updates.planned


async def read(store: MemoryStore, listed: PlannedList) -> list[PlannedUpdate]:
    return [each async for each in listed_updates(store, listed)]


async def test_the_job_reads_the_updates_that_the_hub_listed() -> None:
    seen = updates_of(tuple(reversed(NAMES)), PART + 5, "the manifest")
    updates = await read(*await stored(seen))
    assert [each.participant for each in updates] == sorted(NAMES)
    assert (updates[0].attempt, updates[0].manifest) == (1, "the manifest")
    assert updates[0].signing_key == untrusted.decode(keys(min(NAMES)).signing, "x")
    prefix = f"updates/{seen.round.metadata.uid}/1/{min(NAMES)}"
    assert [url.removeprefix(f"{SIGNER.origin}/") for url in updates[0].get] == [
        f"{prefix}/part-00000",
        f"{prefix}/part-00001",
    ]


def test_the_store_holds_no_url_and_no_manifest_in_clear() -> None:
    seen = updates_of(NAMES, PART, "the manifest")
    [(upload, page)] = UpdateList(seen, aggregate(seen), SIGNER, NOW, TRY).objects()
    assert upload.headers == {
        "If-None-Match": "*",
        "Content-Length": str(len(page)),
        "Content-MD5": content_md5([page]),
    }
    assert f"/updates/{seen.round.metadata.uid}/lists/1-" in upload.url
    for secret in (b"memory:", b"the manifest", *(name.encode() for name in NAMES)):
        assert secret not in page


def test_each_try_has_a_place_of_its_own_and_each_list_a_key_of_its_own() -> None:
    seen = updates_of(NAMES, PART)
    made = [UpdateList(seen, aggregate(seen), SIGNER, NOW, nonce) for nonce in (TRY, TRY, b"another")]
    first, again, other = (next(iter(each.objects()))[0].url for each in made)
    assert f"/lists/1-{TRY.hex()}/page-00000" in first
    assert first == again != other
    assert len({each.planned.key for each in made}) == 3


def test_the_largest_round_of_all_has_a_plan_that_a_secret_holds() -> None:
    names = tuple(f"{number:03d}".rjust(63, "s") for number in range(MOST_HOSPITALS))
    seen = updates_of(names, MOST_PARTS * PART, "x" * LARGEST_MANIFEST)
    updates = UpdateList(seen, aggregate(seen), LONG, NOW, TRY)
    sizes = [len(page) for _, page in updates.objects()]
    assert max(sizes) < 2 * PAGE
    assert sum(sizes) > 100 * LARGEST_SECRET
    key = DecryptionKey.generate()
    text = aggregations.plan(
        seen, aggregate(seen), key, None, updates.planned, presigner=LONG, store=ACCESS, now=NOW + timedelta(hours=1)
    )
    base_urls = MOST_PARTS * 710
    assert len(text) + base_urls < LARGEST_SECRET


@pytest.mark.parametrize("fault", ["altered", "swapped", "another key"])
async def test_a_page_that_is_not_the_hubs_ends_the_aggregation(fault: str) -> None:
    store, listed = await stored(updates_of(MANY, PART, "x" * LARGEST_MANIFEST))
    first, second = listed.pages
    changes: dict[str, Any] = {
        "swapped": {"pages": (second, first)},
        "another key": {"key": bytes(32)},
        "altered": {"pages": (replace(first, bytes=first.bytes - 1), second)},
    }
    with pytest.raises(AggregationError) as failure:
        await read(store, replace(listed, **changes[fault]))
    assert failure.value.answer.reason == "StoreInconsistent"


async def test_a_list_without_its_last_page_is_not_the_hubs_list() -> None:
    store, listed = await stored(updates_of(MANY, PART, "x" * LARGEST_MANIFEST))
    with pytest.raises(AggregationError) as failure:
        await read(store, replace(listed, pages=listed.pages[:1]))
    assert failure.value.answer.reason == "PlanUnreadable"
