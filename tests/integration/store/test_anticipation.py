"""An aggregation combines updates while the last of them arrive: with the same result, and nothing leaves too early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players.early_round import EarlyRound
from tests.players.stored_round import Round
from wardround.aggregate import examination, job, main, sealed_file
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.memory import ARRIVING_AT_ONCE
from wardround.aggregate.reduction import SliceReduction
from wardround.aggregate.sealed_result import SealedResult
from wardround.clock import system_clock, system_draw
from wardround.ports import Store
from wardround.sealing.body import SEALED_SEGMENT, SEGMENT, Body
from wardround.store.transfer import StoreClient
from wardround.wire import canonical, codec
from wardround.wire.aggregation import AggregationAnswer, AggregationFailure, AggregationResult, PlannedUploads
from wardround.wire.update import ValidationSums

SIZE = 1_100_000  # five segments
SITES = ("site-a", "site-b", "site-c", "site-d", "site-e")
LAST = "site-e"
# By strategy, its parameters.
ANTICIPATING: dict[str, dict[str, str]] = {
    "FedAvg": {},
    "FedNova": {},
    "Median": {},
    "TrimmedMean": {"trimmed": "1"},
    "Krum": {"hostile": "1"},
    "GeometricMedian": {},
}


class HeldStore(StoreClient):
    """Holds back the end of some participants' updates, by default that of the last one. `held`: one is held back.
    `all_held`: all are. `stored`: the URLs of all files that were stored."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.held, self.all_held, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._holding = 0
        self.stored: list[str] = []
        self.names: Collection[str] = (LAST,)

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        if not any(f"/{name}/" in url for name in self.names) or offset or length < SEALED_SEGMENT:
            await super().get(url, length, sink, offset=offset)
            return
        await super().get(url, length - 1, sink)
        self._holding += 1
        self.held.set()
        if self._holding == len(self.names):
            self.all_held.set()
        await self.go_on.wait()
        await super().get(url, 1, sink, offset=length - 1)

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        self.stored.append(url)
        return await super().put_file(url, headers, path, offset, length)


class StretchedStore(HeldStore):
    """Holds back the end of the last update, by whole requests. `offsets`: of the requests for updates, in order."""

    def __init__(self, end: int, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._end = end
        self.offsets: list[int] = []

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        if any(f"/{name}/" in url for name in SITES):
            self.offsets.append(offset)
        if f"/{LAST}/" in url and offset == self._end:
            self.held.set()
            await self.go_on.wait()
        await StoreClient.get(self, url, length, sink, offset=offset)


class BaseHeldStore(HeldStore):
    """Holds back the end of the base too, and of all updates."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.names = SITES

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        if length > SEALED_SEGMENT and "/models/" in url:
            await StoreClient.get(self, url, length - 1, sink)
            await self.go_on.wait()
            await StoreClient.get(self, url, 1, sink, offset=length - 1)
            return
        await super().get(url, length, sink, offset=offset)


class Held:
    """An aggregation, up to the last byte of the last update. `segments`: how many the result has so far. `measured`:
    in how many the distances between updates are known. `beginnings`: how many times the Job began to combine.
    `parts_of`: whose updates it combined last."""

    def __init__(self, train: Round, patch: pytest.MonkeyPatch) -> None:
        self.train = train
        self.segments = self.measured = self.beginnings = 0
        self.parts_of: tuple[str, ...] = ()
        combine = job.Aggregation.combine

        async def noted(aggregation: job.Aggregation, confirmed: asyncio.Event) -> job.StoredResult:
            self.beginnings, self.segments = self.beginnings + 1, 0
            self.parts_of = tuple(each.participant for each in aggregation._usable)
            return await combine(aggregation, confirmed)

        patch.setattr(job.Aggregation, "combine", noted)
        append = SealedResult.append

        async def counted(sealed: SealedResult, segment: memoryview) -> None:
            await append(sealed, segment)
            self.segments += 1

        patch.setattr(SealedResult, "append", counted)
        apart = SliceReduction._apart

        async def measured(reduction: SliceReduction, index: int) -> Any:
            distances = await apart(reduction, index)
            self.measured += 1
            return distances

        patch.setattr(SliceReduction, "_apart", measured)
        self.buffers = Buffers()
        patch.setattr(job, "Buffers", lambda: self.buffers)

    async def begin(self, number: int, plan: bytes, store: Callable[..., HeldStore] = HeldStore) -> None:
        self.store = store(self.train.server.origin, self.train.server.ca, draw=system_draw)
        folder = self.train.folder / f"scratch-{number}"
        folder.mkdir()
        (folder / "plan.json").write_bytes(plan)
        self.running = asyncio.create_task(
            main.carry_out(folder / "plan.json", folder, open_store=lambda *_: self.store, clock=system_clock)
        )

    async def has_made(self, segments: int, sites: tuple[str, ...] = ()) -> None:
        """Wait until all but the last byte has arrived, and the result (of these sites) has so many
        segments."""
        async with asyncio.timeout(60):
            await self.store.held.wait()
            while max(self.segments, self.measured) < segments or (sites and sites != self.parts_of):
                assert not self.running.done(), self.running.result()
                await asyncio.sleep(0.01)

    async def end(self) -> AggregationResult:
        answer = await self.ended()
        assert isinstance(answer, AggregationResult), answer
        return answer

    async def ended(self) -> AggregationAnswer:
        self.store.go_on.set()
        return await self.running


async def begun(train: Round, patch: pytest.MonkeyPatch, made: int) -> Held:
    """Wait until the result has this many segments while the last byte is held back."""
    held = Held(train, patch)
    await held.begin(1, await train.plan(1))
    await held.has_made(made)
    return held


async def without_anticipation(train: Round, patch: pytest.MonkeyPatch) -> AggregationResult:
    held = Held(train, patch)
    plan = json.loads(await train.plan(2))
    await held.begin(2, canonical.dumps(plan | {"anticipates": False}))
    return await held.end()


async def compare_with_late(early: AggregationResult, train: Round, patch: pytest.MonkeyPatch) -> None:
    """The same updates give the same result if they are combined when all have come."""
    late = await without_anticipation(train, patch)
    assert (early.digest, early.counted) == (late.digest, late.counted)


async def sent(train: Round, last: Mapping[str, Any] | None = None, *, expired: str = "") -> None:
    """`last`: the update of the last participant, if it is special. `expired`: whose update is too old."""
    await train.with_base(BASE | weights(0, SIZE))
    for number, name in enumerate(SITES):
        reported = ValidationSums(people=40, sums={}, reported={"steps": f"{10 + number}.0"})
        claims = {"sums": codec.write_document(reported)} if train.strategy == "FedNova" else {}
        update = last if last and name == LAST else weights(number + 1, SIZE)
        manifest = {"expires": "2020-01-01T00:00:00Z"} if name == expired else {}
        await train.update(name, update, 100 + number, claims=claims, manifest=manifest)


@pytest.mark.parametrize("strategy", ANTICIPATING)
async def test_updates_are_combined_while_the_last_one_arrives_and_nothing_leaves_before(
    train: Round, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    train.strategy, train.strategy_parameters = strategy, ANTICIPATING[strategy]
    if strategy == "FedNova":
        train.metrics = ("loss", "steps")
    await sent(train)
    held = await begun(train, monkeypatch, made=4)
    assert held.store.stored == []
    early = await held.end()
    assert early.aggregated == SITES
    assert held.segments == 5
    assert held.measured == (5 if strategy in ("Krum", "GeometricMedian") else 0)
    late = await without_anticipation(train, monkeypatch)
    assert (early.digest, early.counted, early.samples) == (late.digest, late.counted, late.samples)
    assert early.header != late.header
    assert held.buffers.bytes <= 18 * SEALED_SEGMENT


async def test_eight_hospitals_take_no_more_buffers_than_the_contract_says(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.strategy = "Median"
    await sent(train)
    for number in range(3):
        await train.update(f"site-0{number}", weights(20 + number, SIZE))
    held, wait_for = Held(train, monkeypatch), SliceReduction._wait_for

    async def late(reduction: SliceReduction, index: int) -> None:
        await held.store.all_held.wait()
        await wait_for(reduction, index)

    monkeypatch.setattr(SliceReduction, "_wait_for", late)
    await held.begin(1, await train.plan(1))
    held.store.names = SITES[-ARRIVING_AT_ONCE:]
    await held.has_made(4)
    assert (await held.end()).left_out == ()
    assert held.buffers.bytes == 18 * SEALED_SEGMENT


@pytest.mark.parametrize("strategy", ["FedAvg", "Median"])
async def test_updates_arrive_side_by_side_stretch_by_stretch(
    train: Round, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    train.strategy = strategy
    await sent(train)
    monkeypatch.setattr(sealed_file, "STRETCH", 2)
    held, end = Held(train, monkeypatch), 4 * SEALED_SEGMENT
    await held.begin(1, await train.plan(1), partial(StretchedStore, end))
    await held.has_made(4)
    assert isinstance(held.store, StretchedStore)
    # The end of no update is asked for before the beginning of all.
    assert held.store.offsets[: len(SITES)] == [0] * len(SITES)
    early = await held.end()
    assert sorted(held.store.offsets) == [part * end // 2 for part in range(3) for _ in SITES]
    await compare_with_late(early, train, monkeypatch)


async def test_a_growing_list_is_read_on_while_as_many_updates_arrive_as_may(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(train)
    early, held = EarlyRound(train, most=len(SITES)), Held(train, monkeypatch)
    await held.begin(0, early.plan())
    held.store.names = SITES[-ARRIVING_AT_ONCE:]
    await early.list_updates(*SITES)
    await early.list_updates(counted=SITES)
    await held.has_made(4)
    assert (await held.end()).aggregated == SITES


async def test_a_growing_list_is_read_on_while_the_base_and_all_updates_arrive(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(train)
    monkeypatch.setattr(examination, "ARRIVING_AT_ONCE", 1 + len(SITES))
    early, held = EarlyRound(train, most=len(SITES)), Held(train, monkeypatch)
    await held.begin(0, early.plan(), BaseHeldStore)
    await early.list_updates(*SITES)
    await early.list_updates(counted=SITES)
    await held.has_made(4)
    assert (await held.end()).aggregated == SITES


async def test_a_whole_result_waits_for_the_examination(train: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last page does not count the update that is held back."""
    await sent(train)
    early, held = EarlyRound(train, most=len(SITES)), Held(train, monkeypatch)
    await held.begin(0, early.plan())
    await early.list_updates(*SITES)
    await early.list_updates(counted=SITES[:-1])
    await held.has_made(5)
    await asyncio.sleep(0.3)
    assert held.store.stored == []
    assert (await held.end()).aggregated == SITES[:-1]
    assert len(held.store.stored) == 1


async def test_no_key_seals_two_results(train: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one key and one nonce, equal segments would have equal ciphertext."""
    await sent(train, too_large())
    bodies: list[Body] = []
    init = SealedResult.__init__

    def noted(result: SealedResult, store: Store, put: PlannedUploads, body: Body, *rest: Any) -> None:
        bodies.append(body)
        init(result, store, put, body, *rest)

    monkeypatch.setattr(SealedResult, "__init__", noted)
    held = await begun(train, monkeypatch, made=4)
    await held.end()
    first, second = (body.seal(0, bytes(SEGMENT)) for body in bodies)
    assert first != second


async def test_an_aggregation_that_begins_early_combines_nothing_before_its_list_is_complete(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(train)
    early, held = EarlyRound(train, most=len(SITES)), Held(train, monkeypatch)
    await held.begin(0, early.plan())
    await early.list_updates(*SITES)
    await held.has_made(0)
    await asyncio.sleep(0.5)
    assert held.segments == 0
    await early.list_updates(counted=SITES)
    await held.has_made(4)
    assert held.store.stored == []
    answer = await held.end()
    await compare_with_late(answer, train, monkeypatch)


def spoil(train: Round, name: str) -> None:
    """Change the last byte of a stored update."""
    path = train.stored(name)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def not_finite() -> dict[str, Any]:
    update = weights(9, SIZE)
    update["layer.weight"][-1] = np.nan
    return update


def too_large() -> dict[str, Any]:
    update = weights(9, SIZE)
    update["layer.weight"][-1000:] *= 1e6
    return update


@pytest.mark.parametrize(
    ("last", "reason"), [(not_finite(), "NotFinite"), (too_large(), "UpdateTooLarge"), (None, "Altered")]
)
@pytest.mark.parametrize("strategy", ["FedAvg", "Median"])
async def test_an_update_whose_last_bytes_are_bad_leaves_nothing_in_the_result(
    train: Round, monkeypatch: pytest.MonkeyPatch, strategy: str, last: dict[str, Any] | None, reason: str
) -> None:
    train.strategy = strategy
    await sent(train, last)
    if last is None:
        spoil(train, LAST)
    held = await begun(train, monkeypatch, made=4)
    early = await held.end()
    assert [(each.participant, each.reason) for each in early.left_out] == [(LAST, reason)]
    assert len(held.store.stored) == 1
    del train.sent[LAST]
    await compare_with_late(early, train, monkeypatch)


async def test_an_update_that_is_refused_while_others_arrive_leaves_time_to_combine_the_others(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(train)
    spoil(train, "site-b")
    held = await begun(train, monkeypatch, made=0)
    await held.has_made(4, sites=(*SITES[:1], *SITES[2:]))
    assert held.store.stored == []
    early = await held.end()
    assert [(each.participant, each.reason) for each in early.left_out] == [("site-b", "Altered")]
    del train.sent["site-b"]
    await compare_with_late(early, train, monkeypatch)


async def test_hospitals_make_the_job_begin_only_a_few_times(train: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are refused, and then no more is combined before the end."""
    monkeypatch.setattr(job, "MOST_BEGINNINGS", 2)
    await sent(train)
    for name in SITES[:3]:
        spoil(train, name)
    held = await begun(train, monkeypatch, made=0)
    await asyncio.sleep(1)
    assert (held.beginnings <= 2, held.parts_of == SITES[3:], held.store.stored) == (True, False, [])
    early = await held.end()
    assert held.parts_of == SITES[3:]
    assert early.aggregated == SITES[3:]


async def test_too_few_updates_after_a_refusal_give_no_result(train: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is held back is one of too few."""
    train.strategy, train.strategy_parameters = "Krum", {"hostile": "1"}
    await sent(train, expired="site-a")
    held = await begun(train, monkeypatch, made=0)
    answer = await held.ended()
    assert isinstance(answer, AggregationFailure)
    assert answer.reason == "TooFewForStrategy"
    assert (held.measured, held.store.stored) == (0, [])


async def test_a_result_that_is_not_finite_counts_only_if_its_updates_do(
    train: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = BASE | weights(0, SIZE)
    base["layer.weight"][0] = np.float32(3e38)
    await train.with_base(base)
    for number, name in enumerate(SITES):
        update = weights(number + 1, SIZE)
        update["layer.weight"][0] = np.float32(1e38)
        await train.update(name, update, 100 + number)
    held = await begun(train, monkeypatch, made=0)
    answer = await held.ended()
    assert isinstance(answer, AggregationFailure)
    assert answer.reason == "ResultNotFinite"
    assert held.store.stored == []


async def test_an_aggregation_that_fails_ends_what_it_began(train: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    await sent(train)
    before = asyncio.all_tasks()
    held = await begun(train, monkeypatch, made=4)
    assert asyncio.all_tasks() > before
    held.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held.running
    assert held.store.stored == []
    assert asyncio.all_tasks() == before
    assert not (train.folder / "scratch-1" / "ciphertext").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "NormBounding", "strategy_parameters": {"largestNorm": "1"}},
        {"strategy": "FedAvgM", "strategy_parameters": {"serverLearningRate": "1", "momentum": "0.9"}},
        {"compression": "Int8"},
        {"scratch_limit": 1 << 20},
    ],
)
async def test_what_the_last_bytes_decide_is_not_anticipated(
    train: Round, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(train, name, value)
    await sent(train)
    held = await begun(train, monkeypatch, made=0)
    await asyncio.sleep(0.5)
    assert (held.segments, held.store.stored) == (0, [])
    await held.end()
    assert held.segments >= 5
