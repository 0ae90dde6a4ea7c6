"""An aggregation that reads updates while the round collects: the same result, and lists that nobody can bend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.integration.store.updates import BASE, weights
from tests.players.early_round import EarlyRound
from tests.players.stored_round import Round, now
from wardround.api.times import to_seconds
from wardround.sealing.pages import new_page_key, open_named, seal_named
from wardround.wire.collected import page_name
from wardround.wire.compression import Compression

SITES = ("site-a", "site-b", "site-c")
SIZE = 300_000


async def sent(train: Round, *names: str) -> None:
    for name in names:
        await train.update(name, weights(SITES.index(name) + 1, SIZE), samples=100 + SITES.index(name))


async def with_base(train: Round) -> None:
    await train.with_base(BASE | weights(0, SIZE))


@pytest.mark.parametrize("compression", ["None", "Int8"])
async def test_reading_early_gives_the_same_result_to_the_last_bit(train: Round, compression: Compression) -> None:
    train.compression = compression
    train.max_samples = {"site-c": 50}
    await with_base(train)
    early = EarlyRound(train, most=4)
    job = early.start()
    await sent(train, "site-c")
    await early.list_updates("site-c")
    await sent(train, "site-a", "site-b")
    await early.list_updates("site-b")
    await asyncio.sleep(1)
    assert not job.done()
    await early.list_updates("site-a", counted=["site-c", "site-a", "site-b"])
    code, answer = await job
    result = await train.result(answer, 0)
    late_code, late = await train.aggregate()
    assert (code, late_code, answer["aggregated"]) == (0, 0, list(SITES))
    assert (answer["samples"], answer["counted"]) == (late["samples"], late["counted"])
    assert answer["digest"] == late["digest"]
    assert result["layer.weight"].tobytes() == (await train.result(late))["layer.weight"].tobytes()


async def test_an_update_that_the_last_page_does_not_count_is_not_combined(train: Round) -> None:
    await with_base(train)
    await sent(train, *SITES)
    early = EarlyRound(train, most=3)
    job = early.start()
    await early.list_updates(*SITES)
    await early.list_updates(counted=["site-a", "site-c"])
    code, answer = await job
    del train.sent["site-b"]
    _, late = await train.aggregate()
    assert (code, answer["aggregated"], answer["leftOut"]) == (0, ["site-a", "site-c"], [])
    assert answer["digest"] == late["digest"]


async def test_an_update_that_expires_before_the_round_closes_is_not_combined(train: Round) -> None:
    """A person has suspended the round after site-b had sent its update."""
    await with_base(train)
    await sent(train, "site-a")
    soon = now() + timedelta(seconds=3)
    await train.update("site-b", weights(2, SIZE), samples=101, manifest={"expires": to_seconds(soon)})
    early = EarlyRound(train, most=3)
    await early.list_updates("site-a", "site-b")
    job = early.start()
    await asyncio.sleep((soon - now()).total_seconds() + 1)
    await early.list_updates(counted=["site-a", "site-b"])
    code, answer = await job
    assert (code, answer["aggregated"]) == (0, ["site-a"])
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "Expired"}]


async def test_an_update_that_is_listed_again_counts_once(train: Round) -> None:
    """As after a restart of the hub operator that had written a page and not noted it."""
    await with_base(train)
    await sent(train, "site-a", "site-b")
    early = EarlyRound(train, most=3)
    job = early.start()
    await early.list_updates("site-a", "site-b")
    await early.list_updates("site-a", "site-b", counted=["site-a", "site-b"])
    code, answer = await job
    assert (code, answer["aggregated"], answer["samples"]) == (0, ["site-a", "site-b"], 201)


async def test_a_job_whose_round_does_not_close_ends(train: Round) -> None:
    """The store holds the last page back, or collecting lasts longer than the Job may wait."""
    await with_base(train)
    await sent(train, "site-a")
    early = EarlyRound(train, most=3, seconds=1)
    job = early.start()
    await early.list_updates("site-a")
    code, answer = await asyncio.wait_for(job, 30)
    assert (code, answer["reason"]) == (75, "StillCollecting")


Attack = Callable[[EarlyRound], Awaitable[None]]


async def _older_page(early: EarlyRound) -> None:
    """The store answers with page 0 where page 1 was asked for."""
    await early.put(1, early.sealed(early.content(["site-a"], None)[0], 0))


async def _last_page_too_early(early: EarlyRound) -> None:
    """The last page, which has another number."""
    await early.put(1, early.sealed(early.content([], ["site-a"])[0], 2))


async def _another_attempt(early: EarlyRound) -> None:
    """The page of another aggregation of this round, sealed under the same key."""
    other = replace(early.terms, location=early.terms.location.replace("/lists/0-", "/lists/1-"))
    plain = open_named(
        early.listed.key, page_name(early.terms.location, 1), early.sealed(early.content([], ["site-a"])[0], 1)
    )
    await early.put(1, seal_named(early.listed.key, page_name(other.location, 1), plain))


async def _another_round(early: EarlyRound) -> None:
    """The page of another round, which has another key."""
    early.with_key(new_page_key())
    await early.put(1, early.sealed(early.content([], ["site-a"])[0], 1))


async def _altered(early: EarlyRound) -> None:
    page = bytearray(early.sealed(early.content([], ["site-a"])[0], 1))
    page[200] ^= 1
    await early.put(1, bytes(page))


async def _cut(early: EarlyRound) -> None:
    await early.put(1, early.sealed(early.content([], ["site-a"])[0], 1)[:-1])


@pytest.mark.parametrize(
    "attack", [_older_page, _last_page_too_early, _another_attempt, _another_round, _altered, _cut]
)
async def test_a_page_that_is_not_the_next_one_of_this_list_ends_the_job(train: Round, attack: Attack) -> None:
    await with_base(train)
    await sent(train, "site-a", "site-b")
    early = EarlyRound(train, most=3)
    await early.list_updates("site-a", "site-b")
    await attack(early)
    code, answer = await asyncio.wait_for(early.start(), 30)
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


async def test_another_updates_bytes_are_not_combined(train: Round) -> None:
    """The store returns the bytes of site-b for the update of site-a."""
    await with_base(train)
    await sent(train, *SITES)
    train.stored("site-a").write_bytes(train.stored("site-b").read_bytes())
    early = EarlyRound(train, most=3)
    await early.list_updates(*SITES, counted=SITES)
    code, answer = await early.start()
    assert (code, answer["aggregated"]) == (0, ["site-b", "site-c"])
    assert answer["leftOut"] == [{"participant": "site-a", "reason": "Altered"}]


async def test_a_disk_that_is_full_ends_the_job_before_the_round_closes(train: Round) -> None:
    await with_base(train)
    await sent(train, "site-a")
    early = EarlyRound(train, most=3, seconds=600)
    await early.list_updates("site-a")
    folder = train.folder / "early-0" / "scratch"
    job = early.start()
    folder.mkdir(exist_ok=True)
    (folder / "ciphertext").symlink_to("/dev/full")
    code, answer = await asyncio.wait_for(job, 30)
    assert (code, answer["reason"]) == (70, "AggregatorFailed")
