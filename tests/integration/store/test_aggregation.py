"""Whole aggregations through a real store: what counts is counted to the last bit, what was touched is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players.store import Server
from tests.players.stored_round import Round, carried_out
from wardround.aggregate import examination, job, updates
from wardround.aggregate import main as aggregation
from wardround.aggregate.sealed_file import SealedFile
from wardround.clock import system_clock, system_draw
from wardround.plans.round.scratch import SCRATCH_LIMIT
from wardround.sealing import body, keys
from wardround.store.errors import MISSING, StoreError
from wardround.store.transfer import StoreClient
from wardround.tensors import Layout, parse_header
from wardround.wire import codec, digests
from wardround.wire.aggregation import AggregationFailure, AggregationResult

INITIAL, OTHER = digests.digest(b"initial"), digests.digest(b"other")


async def test_a_round_is_fedavg_to_the_last_bit(train: Round) -> None:
    size = 3_000_000  # several segments
    base = BASE | weights(0, size) | {"input.mean": BASE["input.mean"], "steps": BASE["steps"]}
    await train.with_base(base)
    counts = {"site-a": 300, "site-b": 140, "site-c": 60}
    deltas = {name: weights(seed + 1, size) for seed, name in enumerate(counts)}
    for name, count in counts.items():
        await train.update(name, deltas[name], count)
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"], answer["leftOut"]) == (0, sorted(counts), [])
    assert (answer["samples"], answer["metrics"], answer["withheld"]) == (500, {}, 0)
    result = await train.result(answer)
    for name in ("layer.weight", "double"):
        mean = sum(counts[site] / 500 * deltas[site][name].astype(np.float64) for site in counts)
        expected = (base[name].astype(np.float64) + mean).astype(base[name].dtype)
        assert result[name].tobytes() == expected.tobytes()
    assert result["input.mean"].tobytes() == base["input.mean"].tobytes()
    assert result["steps"].tolist() == [3, 4]


async def test_samples_count_up_to_the_maximum_and_shares_up_to_the_cap(train: Round) -> None:
    await train.with_base({"w": np.zeros(1)})
    train.max_samples = {"site-a": 60}
    train.max_share = "0.5"
    for name, value, samples in [("site-a", 1.0, 10**9), ("site-b", 10.0, 30), ("site-c", 100.0, 10)]:
        await train.update(name, {"w": np.array([value])}, samples)
    _, answer = await train.aggregate()
    assert (await train.result(answer))["w"].tolist() == [0.5 + 0.375 * 10 + 0.125 * 100]
    assert answer["samples"] == 100


# Reference results over five hospitals, of which the last one is hostile. They get rows of float64, and norms.
SAMPLES = (10, 20, 30, 30, 10)
ROBUST: dict[str, tuple[dict[str, str], Callable[[Any, Any], Any]]] = {
    "NormBounding": (
        {"largestNorm": "600"},
        lambda rows, norms: sum(
            samples / 100 * min(1, 600 / norm) * row for samples, norm, row in zip(SAMPLES, norms, rows, strict=True)
        ),
    ),
    "Median": ({}, lambda rows, norms: np.sort(rows, axis=0)[2]),
    "TrimmedMean": ({"trimmed": "1"}, lambda rows, norms: sum(np.sort(rows, axis=0)[1:4]) / 3),
    "Krum": ({"hostile": "1"}, lambda rows, norms: rows[1]),
    "MultiKrum": ({"hostile": "1", "chosen": "2"}, lambda rows, norms: 0.5 * rows[1] + 0.5 * rows[2]),
    "GeometricMedian": ({}, lambda rows, norms: np.mean(rows[:4], axis=0)),
}
# Its norms or distances are rounded in another order here, or it is compared with a near point.
TOLERANCE = {"NormBounding": 1e-6, "GeometricMedian": 0.2}


@pytest.mark.parametrize("strategy", ROBUST)
async def test_a_robust_round_is_its_strategy_to_the_last_bit(train: Round, strategy: str) -> None:
    size = 300_000  # two segments, and more slices
    given, expected = ROBUST[strategy]
    train.strategy, train.strategy_parameters = strategy, given
    base = BASE | weights(0, size)
    await train.with_base(base)
    common, rows = weights(1, size), []
    # Krum scores the second one lowest, and then the third one.
    for number, (spread, samples) in enumerate(zip((0.05, 0.01, 0.02, 0.04, 20.0), SAMPLES, strict=True)):
        noise = weights(number + 10, size)
        rows.append(
            {name: (each + spread * noise[name]).astype(each.dtype) for name, each in common.items() if name != "steps"}
        )
        await train.update(f"site-{number}", rows[-1] | {"steps": common["steps"]}, samples)
    code, answer = await train.aggregate()
    assert (code, answer["leftOut"], len(answer["aggregated"])) == (0, [], 5)
    assert answer["samples"] == {"Krum": 20, "MultiKrum": 50}.get(strategy, 100)
    result = await train.result(answer)
    norms = [np.linalg.norm(np.concatenate([values.astype("<f8") for values in each.values()])) for each in rows]
    for name in ("layer.weight", "double"):
        wide = [each[name].astype(np.float64) for each in rows]
        moved = (base[name].astype(np.float64) + expected(wide, norms)).astype(base[name].dtype)
        if strategy in TOLERANCE:
            np.testing.assert_allclose(result[name], moved, atol=TOLERANCE[strategy])
        else:
            assert result[name].tobytes() == moved.tobytes()
    assert result["input.mean"].tobytes() == base["input.mean"].tobytes()
    assert result["steps"].tolist() == base["steps"].tolist()


async def test_first_weights_can_be_combined_by_their_median(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    initial = Round(server, store, tmp_path, initial=True, strategy="Median")
    for name, value in (("site-a", 1.0), ("site-b", 2.0), ("site-c", 20.0)):
        await initial.update(name, {"w": np.array([value, -0.0])}, claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    assert (await initial.result(answer))["w"].tobytes() == np.array([2.0, -0.0]).tobytes()


async def test_a_strategy_that_is_left_with_too_few_updates_gives_no_result(train: Round) -> None:
    train.strategy, train.strategy_parameters = "Krum", {"hostile": "1"}
    await train.with_base(BASE)
    for number in range(4):
        await train.update(f"site-{number}", weights(number))
    await train.update("site-4", {name: 1000 * each for name, each in weights(4).items()})
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (65, "TooFewForStrategy")
    assert answer["message"] == (
        "The aggregation combines nothing: with these parameters, the strategy Krum needs 5 updates, and 4 can be used."
    )
    assert answer["leftOut"] == [{"participant": "site-4", "reason": "UpdateTooLarge"}]


class Counting(StoreClient):
    """A client that counts the bytes that it fetches, by the object's key."""

    def __init__(self, fetched: Counter[str], origin: str, ca_bundle: str) -> None:
        super().__init__(origin, ca_bundle, draw=system_draw)
        self.fetched = fetched

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        self.fetched[urlsplit(url).path.removeprefix("/wardround/")] += length
        await super().get(url, length, sink, offset=offset)


@pytest.mark.parametrize(("scratch_limit", "times"), [(SCRATCH_LIMIT, 1), (1, 2)])
async def test_each_update_is_fetched_once_or_twice_without_scratch(
    train: Round, scratch_limit: int, times: int
) -> None:
    size = 3_000_000
    train.scratch_limit = scratch_limit
    await train.with_base(BASE | weights(0, size))
    for seed, name in enumerate(("site-a", "site-b")):
        await train.update(name, weights(seed + 1, size))
    path, scratch = train.folder / "plan.json", train.folder / "scratch"
    path.write_bytes(await train.plan())
    scratch.mkdir()
    fetched: Counter[str] = Counter()
    answer = await aggregation.carry_out(
        path, scratch, open_store=lambda origin, ca="", proxy="": Counting(fetched, origin, ca), clock=system_clock
    )
    assert isinstance(answer, AggregationResult)
    prefix = f"updates/{train.uid}/1"
    assert {name: fetched[f"{prefix}/{name}/part-00000"] for name in train.sent} == {
        name: times * train.stored_bytes(name) for name in train.sent
    }
    result = await train.result(codec.dump_document(answer))
    base, first, second = (weights(seed, size)["layer.weight"].astype(np.float64) for seed in range(3))
    assert result["layer.weight"].tobytes() == (base + (0.5 * first + 0.5 * second)).astype("<f4").tobytes()


async def test_an_aggregation_without_updates_has_no_result(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1), signed_by=keys.generate_signing_key())
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (65, "NothingToAggregate")
    assert answer["leftOut"] == [{"participant": "site-a", "reason": "SignatureInvalid"}]


async def test_an_initial_round_averages_the_weights(server: Server, store: StoreClient, tmp_path: Path) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    frozen = np.array([0.1, 1 / 3, -0.0, 1, 2, 3, 4])
    for seed, (name, count) in enumerate([("site-a", 1), ("site-b", 1), ("site-c", 1)]):
        await initial.update(name, weights(seed) | {"input.mean": frozen}, count, claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    result = await initial.result(answer)
    share = 1 / 3
    mean = sum(share * weights(seed)["layer.weight"].astype(np.float64) for seed in range(3))
    assert result["layer.weight"].tobytes() == np.asarray(mean).astype("<f4").tobytes()
    assert result["input.mean"].tobytes() == frozen.tobytes()
    assert answer["header"]["baseDigest"] == ""


async def test_the_aggregation_does_not_settle_different_initial_weights_by_majority(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name, digest in [("site-a", INITIAL), ("site-b", INITIAL), ("site-c", OTHER)]:
        await initial.update(name, weights(1), claims={"base_digest": digest})
    code, answer = await initial.aggregate()
    assert (code, answer["reason"]) == (65, "InitialWeightsDiffer")
    assert "site-a, site-b" in answer["message"]
    assert "site-c" in answer["message"]


async def test_a_result_is_never_written_twice_to_one_place(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    assert (await train.aggregate())[0] == 0
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (70, "ResultExists")


async def test_a_base_replaced_by_a_holder_of_its_key_is_not_used(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    assert train.base is not None
    manifest = train.base.manifest
    part = train.server.folder / "wardround" / manifest.location / "part-00000"
    forged = body.Body(train.base.data_key, manifest.header).seal(0, bytes(manifest.header.length))
    part.write_bytes(forged)
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


@pytest.mark.parametrize("scratch_limit", [SCRATCH_LIMIT, 1])
async def test_a_base_that_changed_behind_its_header_is_not_used(train: Round, scratch_limit: int) -> None:
    train.scratch_limit = scratch_limit
    size = 500_000  # two segments
    await train.with_base(weights(0, size))
    await train.update("site-a", weights(1, size))
    assert train.base is not None
    part = train.server.folder / "wardround" / train.base.manifest.location / "part-00000"
    stored = bytearray(part.read_bytes())
    stored[-1] ^= 1
    part.write_bytes(stored)
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


@pytest.mark.parametrize("lost", ["part-00000", "segments"])
@pytest.mark.parametrize("left", [None, 10])
async def test_a_base_that_the_store_has_lost_is_named(train: Round, lost: str, left: int | None) -> None:
    """The store answers, so the hub operator does not wait for it until the deadline of the round."""
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    assert train.base is not None
    file = train.server.folder / "wardround" / train.base.manifest.location / lost
    if left is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:left])
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")
    assert answer["message"].startswith("The store no longer has the base of this round")


async def test_a_base_that_is_lost_behind_its_header_counts_as_changed(train: Round) -> None:
    """This Job reads the store twice, and the header of the base is all that it has read of it before."""
    train.scratch_limit = 1
    size = 500_000  # two segments
    await train.with_base(weights(0, size))
    await train.update("site-a", weights(1, size))
    assert train.base is not None
    part = train.server.folder / "wardround" / train.base.manifest.location / "part-00000"
    part.write_bytes(part.read_bytes()[: body.SEALED_SEGMENT + 10])
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")
    assert "changed in the store" in answer["message"]


async def test_first_weights_that_are_lost_once_they_are_examined_count_as_changed(
    server: Server, store: StoreClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This Job reads the store twice. Nobody has kept the layout, so it reads the header of an update again."""
    initial = Round(server, store, tmp_path, initial=True, scratch_limit=1)
    await initial.update("site-a", weights(1), claims={"base_digest": INITIAL})

    def agree(*examined: Any, **options: Any) -> None:
        initial.stored("site-a").unlink()
        examination.agree(*examined, **options)

    monkeypatch.setattr(job, "agree", agree)
    code, answer = await initial.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


async def test_the_header_of_first_weights_that_is_read_again_is_not_parsed_again(
    server: Server, store: StoreClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name in ("site-a", "site-b"):
        await initial.update(name, weights(1), claims={"base_digest": INITIAL})
    shared: list[bool] = []

    async def read_layout(file: SealedFile, parse: Callable[[bytes, int], Layout] = parse_header) -> Layout:
        layout = await updates.read_layout(file, parse)
        shared.append(parse(layout.header, layout.length) is layout)
        return layout

    monkeypatch.setattr(job, "read_layout", read_layout)
    code, answer = await initial.aggregate()
    assert (code, answer["aggregated"], shared) == (0, ["site-a", "site-b"], [True])


@pytest.mark.parametrize("upload", ["put_file", "put_bytes"])
async def test_a_store_without_a_place_for_the_result_is_not_taken_for_a_changed_one(
    train: Round, upload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a place later, for example when a gateway before it is there again."""

    async def answer_404(*_: Any) -> bool:
        raise StoreError(MISSING, 404)

    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    plan = await train.plan()
    monkeypatch.setattr(train, "plan", lambda: _ready(plan))
    monkeypatch.setattr(StoreClient, upload, answer_404)
    _, answer = await train.aggregate()
    assert answer["reason"] == "StoreUnreachable"
    assert "StoreRefused (HTTP 404)" in answer["message"]


async def _ready(plan: bytes) -> bytes:
    return plan


async def test_a_full_disk_is_named(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    path, scratch = train.folder / "plan.json", train.folder / "scratch"
    path.write_bytes(await train.plan())
    scratch.mkdir()
    (scratch / "ciphertext").symlink_to("/dev/full")
    answer = await carried_out(path, scratch)
    assert isinstance(answer, AggregationFailure)
    assert (answer.reason, answer.message) == ("AggregatorFailed", aggregation.DISK_FULL)


async def test_the_error_of_an_unreachable_store_contains_no_url(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    path, scratch = train.folder / "plan.json", train.folder / "scratch"
    path.write_bytes((await train.plan()).replace(train.server.origin.encode(), b"https://127.0.0.1:1"))
    scratch.mkdir()
    answer = await carried_out(path, scratch)
    assert isinstance(answer, AggregationFailure)
    assert answer.reason == "StoreUnreachable"
    assert "X-Amz" not in answer.message
    assert "https" not in answer.message


async def test_the_store_holds_no_byte_of_the_tensors(train: Round) -> None:
    marked = {"w": np.frombuffer(b"THE PATIENTS' OWN BYTES " * 4000, "<f4")}
    await train.with_base({"w": np.zeros(24000, "<f4")})
    await train.update("site-a", marked)
    _, answer = await train.aggregate()
    assert (await train.result(answer))["w"].tobytes() == marked["w"].tobytes()
    for path in (train.server.folder / "wardround").rglob("*"):
        if path.is_file():
            assert b"PATIENTS" not in path.read_bytes()
            assert b'"dtype"' not in path.read_bytes()
