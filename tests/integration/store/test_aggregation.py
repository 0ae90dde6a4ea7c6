"""Whole aggregations through a real store: what counts is counted to the last bit, what was touched is named."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.players import courier
from tests.players.hub import Hub
from tests.players.store import Server
from tests.players.stored_round import Round, now
from wardround import tensors
from wardround.aggregate import main as aggregation
from wardround.aggregate.updates import SealedFile
from wardround.metrics import estimates, sums
from wardround.metrics.differences import difference
from wardround.metrics.digits import end_text, text
from wardround.plans.round.scratch import SCRATCH_LIMIT
from wardround.sealing import body, keys, manifests
from wardround.sealing.refused import Refused
from wardround.store.transfer import Store
from wardround.wire import canonical, codec, digests, layouts
from wardround.wire.aggregation import AggregationFailure, AggregationResult

INITIAL, OTHER = digests.digest(b"initial"), digests.digest(b"other")
# An aggregation of evaluations reads its digest alone.
MODEL = Hub().seal_model(b"model", "base").model


@pytest.fixture
def train(server: Server, store: Store, tmp_path: Path) -> Round:
    return Round(server, store, tmp_path)


def weights(seed: int, size: int = 1000) -> dict[str, Any]:
    dice = np.random.default_rng(seed)
    return {
        "layer.weight": dice.normal(size=size).astype("<f4"),
        "input.mean": np.zeros(7, "<f8"),
        "double": dice.normal(size=9),
        "steps": np.zeros(2, "<i8"),
    }


BASE = weights(0) | {"input.mean": np.array([-0.0, 0.1, 2, 3, 4, 5, 6]), "steps": np.array([3, 4], "<i8")}


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


async def test_first_weights_can_be_combined_by_their_median(server: Server, store: Store, tmp_path: Path) -> None:
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
    assert answer["message"] == "Krum with these parameters needs 5 updates, and 4 can be used."
    assert answer["leftOut"] == [{"participant": "site-4", "reason": "UpdateTooLarge"}]


class Counting(Store):
    """A client that counts the bytes that it fetches, by the object's key."""

    def __init__(self, fetched: Counter[str], origin: str, ca_bundle: str) -> None:
        super().__init__(origin, ca_bundle)
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
    path.write_bytes(train.plan())
    scratch.mkdir()
    fetched: Counter[str] = Counter()
    answer = await aggregation.carry_out(
        path, scratch, open_store=lambda origin, ca="", proxy="": Counting(fetched, origin, ca)
    )
    assert isinstance(answer, AggregationResult)
    prefix = f"updates/{train.uid}/1"
    assert {name: fetched[f"{prefix}/{name}/part-00000"] for name in train.sent} == {
        name: times * train.stored_bytes(name) for name in train.sent
    }
    result = await train.result(codec.dump_document(answer))
    base, first, second = (weights(seed, size)["layer.weight"].astype(np.float64) for seed in range(3))
    assert result["layer.weight"].tobytes() == (base + (0.5 * first + 0.5 * second)).astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"assignment": {"round_uid": "other"}}, "WrongRound"),
        ({"assignment": {"attempt": 2}}, "WrongAttempt"),
        ({"assignment": {"participant": "site-a"}}, "WrongParticipant"),
        ({"claims": {"base_digest": OTHER}}, "WrongBase"),
        ({"assignment": {"image_digest": "sha256:other"}}, "WrongImage"),
        ({"claims": {"schema_digest": OTHER}}, "WrongSchema"),
        ({"manifest": {"expires": "2020-01-01T00:00:00Z"}}, "Expired"),
        ({"manifest": {"digest": "sha256:other"}}, "KeyUnusable"),
        ({"manifest": {"wrapped_key": b"x" * 1168}}, "KeyUnusable"),
        ({"signed_by": keys.generate_signing_key()}, "SignatureInvalid"),
        ({"assignment": {"round_public_key": keys.DecryptionKey.generate().public.raw}}, "KeyUnusable"),
    ],
)
async def test_the_aggregation_leaves_out_and_names_an_unexpected_update(
    train: Round, changed: dict[str, Any], reason: str
) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), **changed)
    code, answer = await train.aggregate()
    assert code == 0
    assert answer["aggregated"] == ["site-a"]
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]
    mean = BASE["layer.weight"].astype(np.float64) + weights(1)["layer.weight"].astype(np.float64)
    assert (await train.result(answer))["layer.weight"].tobytes() == mean.astype("<f4").tobytes()


@pytest.mark.parametrize("place", [0, 1 << 20, -1])
async def test_the_aggregation_leaves_out_an_update_with_one_changed_byte(train: Round, place: int) -> None:
    base = {"w": np.zeros(500_000, "<f4")}
    await train.with_base(base)
    await train.update("site-a", {"w": np.ones(500_000, "<f4")})
    await train.update("site-b", {"w": np.ones(500_000, "<f4") * 9})
    stored = bytearray(train.stored("site-b").read_bytes())
    stored[place] ^= 1
    train.stored("site-b").write_bytes(stored)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "Altered"}]
    assert set((await train.result(answer))["w"].tolist()) == {1.0}


async def test_the_aggregation_leaves_out_a_missing_or_truncated_update(train: Round) -> None:
    await train.with_base(BASE)
    for name in ("site-a", "site-b", "site-c"):
        await train.update(name, weights(1))
    train.stored("site-a").unlink()
    train.stored("site-b").write_bytes(train.stored("site-b").read_bytes()[:-1])
    _, answer = await train.aggregate()
    assert {each["participant"]: each["reason"] for each in answer["leftOut"]} == {
        "site-a": "Missing",
        "site-b": "Altered",
    }


async def test_the_aggregation_leaves_out_an_update_with_a_value_that_is_no_number(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2) | {"input.mean": np.array([0, 0, 0, np.nan, 0, 0, 0])})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "NotFinite"}]


async def test_the_aggregation_leaves_out_an_update_that_would_decide_the_result(train: Round) -> None:
    """One hospital sends the weights that it wants, divided by its share."""
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2))
    await train.update("site-c", {name: 1000 * each for name, each in weights(3).items()})
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a", "site-b"])
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]


def standardised(mean: list[float], deviation: list[float], weight: float = 0.1) -> dict[str, Any]:
    """A model of the built-in trainer over two columns, or a difference of one."""
    return {
        "wardround.input.mean": np.array(mean, "<f4"),
        "wardround.input.std": np.array(deviation, "<f4"),
        "output.weight": np.full(2, weight, "<f4"),
    }


@pytest.mark.parametrize("frozen", [None, (), ("other.*",)], ids=["default", "nothing", "others"])
async def test_one_hospital_cannot_change_frozen_tensors_of_the_result(
    train: Round, frozen: tuple[str, ...] | None
) -> None:
    """Its difference is smaller than the others'. With such a deviation, a model has a threshold in one column."""
    train.frozen = frozen
    await train.with_base(standardised([5, 6], [1, 2]))
    for name in ("site-a", "site-b"):
        await train.update(name, standardised([0, 0], [0, 0], 5))
    await train.update("site-c", standardised([0, 0], [-2.999997, 0]))
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a", "site-b"])
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "FrozenNotZero"}]
    result = await train.result(answer)
    assert result["wardround.input.std"].tolist() == [1.0, 2.0]
    assert result["output.weight"].tolist() == [pytest.approx(5.1)] * 2


async def test_a_round_freezes_the_tensors_that_its_author_names(train: Round) -> None:
    train.frozen = ("input.*",)
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    for name, each in (("site-b", "input.mean"), ("site-c", "steps")):
        change = np.ones_like(weights(2)[each])
        await train.update(name, weights(2) | {each: change})
    _, answer = await train.aggregate()
    # The aggregation ignores integers that are not frozen.
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "FrozenNotZero"}]
    assert (await train.result(answer))["input.mean"].tobytes() == BASE["input.mean"].tobytes()


async def test_an_initial_round_needs_equal_frozen_tensors(server: Server, store: Store, tmp_path: Path) -> None:
    """A hospital can state the digest of the initial weights and send other means and deviations."""
    initial = Round(server, store, tmp_path, initial=True)
    for name in ("site-a", "site-b"):
        await initial.update(name, standardised([14, 654], [3.5, 351]), claims={"base_digest": INITIAL})
    await initial.update("site-c", standardised([67.5, 654], [-20.2, 351]), claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["reason"]) == (65, "InitialWeightsDiffer")
    assert "site-a, site-b" in answer["message"]
    assert "site-c" in answer["message"]


async def test_frozen_tensors_do_not_hide_large_initial_weights(server: Server, store: Store, tmp_path: Path) -> None:
    """Means of columns are far larger than weights."""
    initial = Round(server, store, tmp_path, initial=True)
    for name, weight in (("site-a", 0.3), ("site-b", 0.2), ("site-c", 1000.0)):
        await initial.update(name, standardised([14, 654], [3.5, 351], weight), claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]
    assert (await initial.result(answer))["wardround.input.mean"].tolist() == [14.0, 654.0]


async def test_a_stated_number_of_samples_raises_neither_the_bound_nor_the_weight_without_limit(train: Round) -> None:
    """Nobody can check the number. A hospital of three states a million."""
    await train.with_base({"w": np.zeros(1)})
    for name, value, samples in (("site-a", 1.0, 239), ("site-b", 2.0, 159), ("site-c", 25.0, 10**6)):
        await train.update(name, {"w": np.array([value])}, samples)
    code, answer = await train.aggregate()
    assert (code, answer["leftOut"], answer["samples"]) == (0, [], 239 + 159 + 10 * 239)
    assert answer["counted"] == [239, 159, 10 * 239]
    expected = (239 * 1.0 + 159 * 2.0 + 2390 * 25.0) / (239 + 159 + 2390)
    assert (await train.result(answer))["w"].tolist() == [pytest.approx(expected, rel=1e-12)]


async def test_an_update_beyond_the_bound_is_left_out_whatever_number_of_samples_it_states(train: Round) -> None:
    await train.with_base({"w": np.zeros(1)})
    for name, value, samples in (("site-a", 1.0, 239), ("site-b", 2.0, 159), ("site-c", 61.0, 10**6)):
        await train.update(name, {"w": np.array([value])}, samples)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]


async def test_an_initial_round_leaves_out_weights_that_would_decide_the_result(
    server: Server, store: Store, tmp_path: Path
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name, factor in (("site-a", 1), ("site-b", 1000)):
        scaled = {key: factor * each for key, each in weights(1).items()}
        await initial.update(name, scaled, claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "UpdateTooLarge"}]


async def test_the_aggregation_leaves_out_a_file_of_another_schema_than_claimed(train: Round) -> None:
    await train.with_base({"w": np.zeros(4, "<f4")})
    good = tensors.canonical_layout([tensors.Tensor("w", "F32", (4,))]).schema_digest
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    await train.update("site-b", {"w": np.ones(8, "<f2")}, claims={"schema_digest": good})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "WrongSchema"}]


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
async def test_the_aggregation_leaves_out_an_update_of_half_precision(
    server: Server, store: Store, tmp_path: Path, dtype: str
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    await initial.update("site-a", weights(1), claims={"base_digest": INITIAL})
    half = tensors.narrow(np.ones(4), dtype)
    await initial.update("site-b", {"w": half}, dtypes={"w": dtype}, claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a"])
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "HalfPrecision"}]


async def test_an_aggregation_without_updates_has_no_result(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1), signed_by=keys.generate_signing_key())
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (65, "NothingToAggregate")
    assert answer["leftOut"] == [{"participant": "site-a", "reason": "SignatureInvalid"}]


async def test_an_initial_round_averages_the_weights(server: Server, store: Store, tmp_path: Path) -> None:
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
    server: Server, store: Store, tmp_path: Path
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name, digest in [("site-a", INITIAL), ("site-b", INITIAL), ("site-c", OTHER)]:
        await initial.update(name, weights(1), claims={"base_digest": digest})
    code, answer = await initial.aggregate()
    assert (code, answer["reason"]) == (65, "InitialWeightsDiffer")
    assert "site-a, site-b" in answer["message"]
    assert "site-c" in answer["message"]


def statistics(rows: float, /, shift: float = 1.0, **changes: Any) -> dict[str, Any]:
    pair = np.array([rows, rows], float)
    made = {
        **{"count": pair, "sum": pair * 2, "squares": pair * 5, "shift": np.array([shift, 0.0])},
        **{"positives": np.array([rows / 2]), "rows": np.array([rows], float), "salt": np.arange(32.0)},
    }
    return made | {name: np.array(values, float) for name, values in changes.items()}


async def test_statistics_are_summed_and_keep_their_centres(server: Server, store: Store, tmp_path: Path) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32))
    _, answer = await round_.aggregate()
    result = await round_.result(answer)
    assert result["sum"].tolist() == [84.0, 84.0]
    assert result["shift"].tolist() == [1.0, 0.0]
    assert result["rows"].tolist() == [42.0]


@pytest.mark.parametrize(
    "lie",
    [
        {"count": [1e300, 32.0]},
        {"rows": [1e300]},
        {"positives": [1e300]},
        {"squares": [1.7e308, 160.0], "sum": [1e150, 64.0]},
        {"sum": [1e6, 64.0]},
        {"count": [31.5, 32.0]},
        {"positives": [-1.0]},
        # Fewer rows than the samples that its manifest claims.
        {"rows": [9.0], "count": [9.0, 9.0], "positives": [1.0], "sum": [18.0, 18.0], "squares": [45.0, 45.0]},
    ],
)
async def test_the_aggregation_leaves_out_impossible_statistics(
    server: Server, store: Store, tmp_path: Path, lie: dict[str, Any]
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32, **lie))
    await round_.update("site-c", statistics(20))
    code, answer = await round_.aggregate()
    assert (code, answer["leftOut"]) == (0, [{"participant": "site-b", "reason": "CountsInvalid"}])
    result = await round_.result(answer)
    assert {name: values.tolist() for name, values in result.items()} == {
        name: values.tolist() for name, values in statistics(30, salt=2 * np.arange(32.0)).items()
    }


async def test_sums_over_too_many_rows_are_scaled_to_the_maximum(server: Server, store: Store, tmp_path: Path) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics", max_samples={"site-a": 100, "site-b": 100})
    await round_.update("site-a", statistics(2.0**50))
    await round_.update("site-b", statistics(20))
    _, answer = await round_.aggregate()
    assert answer["leftOut"] == []
    result = await round_.result(answer)
    assert result["rows"].tolist() == [120.0]
    assert result["count"].tolist() == [120.0, 120.0]
    assert result["sum"].tolist() == [240.0, 240.0]
    assert result["shift"].tolist() == [1.0, 0.0]


async def test_the_aggregation_leaves_out_statistics_of_other_tensors(
    server: Server, store: Store, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", {"w": np.ones(3)})
    await round_.update("site-c", statistics(10) | {"more": np.zeros(200_000)})  # and more than a segment
    _, answer = await round_.aggregate()
    assert {each["participant"]: each["reason"] for each in answer["leftOut"]} == {
        "site-b": "WrongSchema",
        "site-c": "WrongSchema",
    }


async def test_statistics_with_different_centres_give_no_result(server: Server, store: Store, tmp_path: Path) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32, shift=2.0))
    code, answer = await round_.aggregate()
    assert (code, answer["reason"]) == (65, "SchemasDiffer")


def evaluated(people: int) -> dict[str, Any]:
    """The tensors of an Evaluate update."""
    return {**courier.sums_over(people, seed=people), "salt": np.arange(32.0)}


NOTHING = {name: np.zeros(shape) for name, shape in layouts.EVALUATE.items()}
WITHHELD = {"withheld": True, "samples": 0}


@pytest.fixture
def evaluation(server: Server, store: Store, tmp_path: Path) -> Round:
    return Round(server, store, tmp_path, task="Evaluate", base=MODEL, metrics=("auc", "loss", "people", "rows"))


async def test_an_evaluation_adds_sums_and_tells_what_follows_from_them(evaluation: Round) -> None:
    for name, people in (("site-a", 40), ("site-b", 60)):
        await evaluation.update(name, evaluated(people))
    await evaluation.update("site-c", evaluated(50) | {"people": np.zeros(4)})
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "WrongSchema"}]
    assert (answer["aggregated"], answer["withheld"]) == (["site-a", "site-b"], 0)
    both = sums.add([evaluated(40), evaluated(60)])
    result = await evaluation.result(answer)
    assert {name: each.tolist() for name, each in result.items()} == {
        name: each.tolist() for name, each in both.items()
    }
    expected = estimates.estimates(both, 11)
    for name in evaluation.metrics:
        estimate, told = expected[name], answer["metrics"][name]
        assert estimate is not None
        assert (told["value"], told["people"], told["hospitals"]) == (text(estimate.value, 40), 100, 2)
    assert answer["byHospital"] == {}


def compared(people: int, references: int = 2) -> dict[str, Any]:
    """The tensors of an Evaluate update of a round with references."""
    labels, patients = np.arange(people) % 2, np.arange(people)
    model, *others = np.random.default_rng(people).uniform(0.1, 0.9, (1 + references, people))
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, others, patients)
    return {**counted, "salt": np.arange(32.0)}


async def test_paired_sums_add_up_to_the_difference_from_each_reference(
    server: Server, store: Store, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1", "heart-2"))
    for name, people in (("site-a", 40), ("site-b", 60)):
        await round_.update(name, compared(people))
    await round_.update("site-c", compared(50, references=1))
    await round_.update("site-d", evaluated(50))
    lie = compared(50)
    lie["differences"][1, 2] /= 100
    await round_.update("site-e", lie)
    nothing = {name: np.zeros(shape) for name, shape in layouts.evaluation(2).items()}
    await round_.update("site-f", nothing, claims=WITHHELD)
    _, answer = await round_.aggregate()
    refused = {each["participant"]: each["reason"] for each in answer["leftOut"]}
    assert refused == {"site-c": "WrongSchema", "site-d": "WrongSchema", "site-e": "CountsInvalid"}
    assert (answer["aggregated"], answer["withheld"]) == (["site-a", "site-b"], 1)
    result = await round_.result(answer)
    assert result["differences"] == pytest.approx(compared(40)["differences"] + compared(60)["differences"], abs=1e-9)
    for place, told in enumerate(answer["differences"]):
        expected = difference([compared(40), compared(60)], place, 11)
        assert expected is not None
        assert told["reference"] == f"heart-{place + 1}"
        assert told["value"] == text(expected.value, 40)
        assert (told["low"], told["high"]) == (
            end_text(expected.low or 0, 40, upper=False),
            end_text(expected.high or 0, 40, upper=True),
        )
        assert (told["people"], told["events"], told["hospitals"]) == (100, 50, 2)
    assert len(answer["differences"]) == 2


async def test_a_gate_decides_inside_the_job_and_only_its_verdict_leaves(
    server: Server, store: Store, tmp_path: Path
) -> None:
    gate = {"minEvents": 20, "trained": {"site-a": 400, "site-b": 600, "site-c": 100}}
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1", "heart-2"), gate=gate)
    for name, people in (("site-a", 40), ("site-b", 60)):
        await round_.update(name, compared(people))
    nothing = {name: np.zeros(shape) for name, shape in layouts.evaluation(2).items()}
    await round_.update("site-c", nothing, claims=WITHHELD)
    _, answer = await round_.aggregate()
    # All three models guess: nobody knows which is better.
    expected = {"outcome": "Undecided", "reason": "NotShown", "reference": "heart-1", "unseen": ["site-c"]}
    assert answer["verdict"] == expected


def rated(people: int, positive: int, model: float, reference: float) -> dict[str, Any]:
    """The tensors of an Evaluate update. `model`, `reference`: the mean log odds that they give to right labels."""
    draw = np.random.default_rng(people)
    labels, patients = (np.arange(people) < positive).astype(int), np.arange(people)
    noise = draw.normal(size=people)
    chances, others = (1 / (1 + np.exp((noise + each) * (1 - 2 * labels))) for each in (model, reference))
    counted = sums.count(labels, chances, patients) | sums.compare(labels, chances, [others], patients)
    return {**counted, "salt": np.arange(32.0)}


@pytest.mark.parametrize(
    ("small", "tells", "limit"),
    [({"site-b": 40, "site-c": 44}, False, None), ({"site-c": 44}, True, None), ({"site-c": 44}, True, 500)],
    ids=["three", "two", "two and maxSamples"],
)
async def test_a_hospital_that_states_few_people_gets_no_candidate_accepted_that_is_worse_at_a_large_one(
    server: Server, store: Store, tmp_path: Path, small: dict[str, int], tells: bool, limit: int | None
) -> None:
    """Sixty of the large hospital's 3,000 people have a positive row. Ten times the middle number are 440 people."""
    gate = {"minEvents": 20, "trained": {"site-a": 3000, "site-b": 40, "site-c": 15000}}
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1",), gate=gate)
    round_.max_samples = {"site-a": limit} if limit else {}
    await round_.update("site-a", rated(3000, 60, 1.0, 2.0))
    for name, people in small.items():
        lie = rated(people, people // 2, 6.0, 1.0)
        await round_.update(name, lie, claims={"tells": tells})
    _, answer = await round_.aggregate()
    assert answer["leftOut"] == []
    assert answer["verdict"]["outcome"] != "Accepted"


async def test_a_large_hospital_counts_with_all_its_people_among_small_ones(evaluation: Round) -> None:
    hospitals = {"site-a": (3000, 60), "site-b": (44, 20), "site-c": (40, 20)}
    for name, (people, positive) in hospitals.items():
        made = rated(people, positive, 2.0, 1.0)
        await evaluation.update(name, {key: each for key, each in made.items() if key != layouts.DIFFERENCES})
    _, answer = await evaluation.aggregate()
    assert {each["hospitals"] for each in answer["metrics"].values()} == {3}
    assert (await evaluation.result(answer))["people"].tolist() == [3084.0, 100.0, 2984.0]


async def test_a_hospital_that_tells_has_numbers_of_its_own(evaluation: Round) -> None:
    for name, people in (("site-a", 40), ("site-b", 60), ("site-c", 50)):
        await evaluation.update(name, evaluated(people), claims={"tells": name == "site-a"})
    _, answer = await evaluation.aggregate()
    assert set(answer["byHospital"]) == {"site-a"}
    assert answer["byHospital"]["site-a"]["people"] == "40"


async def test_a_withheld_evaluation_is_skipped_counted_and_no_failure(evaluation: Round) -> None:
    for name in ("site-a", "site-b"):
        await evaluation.update(name, evaluated(40))
    await evaluation.update("site-c", NOTHING, claims=WITHHELD)
    code, answer = await evaluation.aggregate()
    assert (code, answer["leftOut"], answer["aggregated"]) == (0, [], ["site-a", "site-b"])
    assert (answer["withheld"], answer["uncounted"]) == (1, ["site-c"])
    assert answer["metrics"]["people"]["value"] == "80"
    assert answer["samples"] == 20


async def test_without_any_sums_there_is_no_result_and_the_answer_says_how_many_are_withheld(evaluation: Round) -> None:
    for name in ("site-a", "site-b"):
        await evaluation.update(name, NOTHING, claims=WITHHELD)
    code, answer = await evaluation.aggregate()
    assert (code, answer["reason"], answer["withheld"], answer["leftOut"]) == (65, "NothingToAggregate", 2, [])


@pytest.mark.parametrize("tensor", sorted(layouts.EVALUATE))
async def test_a_withheld_evaluation_with_any_number_is_left_out(evaluation: Round, tensor: str) -> None:
    await evaluation.update("site-a", evaluated(40))
    one = NOTHING[tensor].copy()
    one.flat[-1] = 1.0
    await evaluation.update("site-b", NOTHING | {tensor: one}, claims=WITHHELD)
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]
    assert (answer["aggregated"], answer["withheld"]) == (["site-a"], 0)


@pytest.mark.parametrize(
    "claims",
    [
        {"withheld": True, "samples": 10},  # it would count as samples
        {"withheld": False, "samples": 0},
        {"withheld": False, "sums": courier.validation_sums()},  # only Train sends sums in its manifest
        {"min_cell": 0},
        {"min_cell": 10},  # no Site has less than 11
    ],
)
async def test_claims_that_no_site_makes_of_an_evaluation_leave_it_out(
    evaluation: Round, claims: dict[str, Any]
) -> None:
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", NOTHING if claims.get("withheld") else evaluated(40), claims=claims)
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]


@pytest.mark.parametrize(
    "lie",
    [
        {"people": [1e300, 20.0, 20.0]},
        {"people": [40.0, -20.0, 60.0]},
        {"people": [40.0, 20.5, 19.5]},
        {"people": [40.0, 20.0, float("nan")]},
        {"rows": [2.0**53 + 2]},
        {"loss": [1e300, 1.0]},
        {"pairs": [400.0, 401.0, 0.0]},
    ],
)
async def test_an_evaluation_is_not_moved_by_sums_that_no_people_give(evaluation: Round, lie: dict[str, Any]) -> None:
    for name in ("site-a", "site-c"):
        await evaluation.update(name, evaluated(40))
    lying = {name: np.array(elements, float) for name, elements in lie.items()}
    await evaluation.update("site-b", evaluated(40) | lying)
    _, answer = await evaluation.aggregate()
    reason = "NotFinite" if any(np.isnan(each).any() for each in lie.values()) else "CountsInvalid"
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]
    assert answer["metrics"]["people"]["value"] == "80"


async def test_a_hospital_whose_class_is_below_its_least_number_of_people_is_left_out(evaluation: Round) -> None:
    """An honest one withholds its sums."""
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", evaluated(40), claims={"min_cell": 21})
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]


async def test_an_evaluation_counts_a_participants_people_up_to_its_maximum(evaluation: Round) -> None:
    evaluation.max_samples = {"site-b": 40}
    powers = {"pairs": 2, "salt": 0}
    copies = {name: each * 1000.0 ** powers.get(name, 1) for name, each in evaluated(40).items()}
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", copies)
    _, answer = await evaluation.aggregate()
    assert answer["metrics"]["people"]["value"] == "80"
    result = await evaluation.result(answer)
    assert result["pairs"][:2].tolist() == pytest.approx((2 * evaluated(40)["pairs"][:2]).tolist())
    assert result["people"].tolist() == [80.0, 40.0, 40.0]


async def test_train_tells_the_numbers_of_the_base_over_validation_people(train: Round) -> None:
    train.metrics = ("loss", "auc", "own")
    await train.with_base(BASE)
    for seed, (name, people) in enumerate({"site-a": 40, "site-b": 60, "site-c": 50}.items()):
        sent = courier.validation_sums({"own": repr(float(seed))}, people=people, seed=seed)
        await train.update(name, weights(seed + 1), people, claims={"sums": sent, "tells": True})
    # Too few validation people: its weights count, and it has no sums.
    await train.update("site-d", weights(9), 20, claims={"withheld": True})
    _, answer = await train.aggregate()
    assert (answer["aggregated"], answer["leftOut"]) == (["site-a", "site-b", "site-c", "site-d"], [])
    assert (answer["withheld"], answer["uncounted"], answer["samples"]) == (1, [], 170)
    both = sums.add([courier.sums_over(people, seed=seed) for seed, people in enumerate((40, 60, 50))])
    expected = estimates.estimates(both, 11)
    for name in ("loss", "auc"):
        estimate, told = expected[name], answer["metrics"][name]
        assert estimate is not None
        assert (told["value"], told["people"], told["hospitals"]) == (text(estimate.value, 90), 150, 3)
    assert answer["metrics"]["own"]["value"] == text((0 * 40 + 60 + 2 * 50) / 150, 40 + 50)
    assert set(answer["byHospital"]) == {"site-a", "site-b", "site-c"}
    assert "threshold" not in answer["metrics"]


async def test_train_counts_validation_people_up_to_the_maximum(train: Round) -> None:
    train.metrics, train.max_samples = ("people",), {"site-b": 40}
    await train.with_base(BASE)
    for name, people in (("site-a", 40), ("site-b", 80)):
        await train.update(name, weights(1), 10, claims={"sums": courier.validation_sums(people=people)})
    _, answer = await train.aggregate()
    assert answer["metrics"]["people"]["value"] == "80"


def with_sums(**changes: Any) -> bytes:
    document = json.loads(courier.validation_sums())
    return canonical.dumps(document | changes)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"withheld": True, "sums": courier.validation_sums()}, "CountsInvalid"),
        ({"sums": with_sums(people=41)}, "CountsInvalid"),
        ({"sums": with_sums(reported={"loss": "nan"})}, "CountsInvalid"),
        ({"sums": with_sums(reported={"loss": "low"})}, "CountsInvalid"),
        ({"sums": with_sums(sums={"people": ["40.0", "20.0", "20.0"]})}, "CountsInvalid"),
        ({"sums": courier.validation_sums(people=20)}, "CountsInvalid"),  # ten in a class, and minCell is 11
    ],
)
async def test_validation_sums_that_no_site_sends_leave_the_update_out(
    train: Round, claims: dict[str, Any], reason: str
) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), claims=claims)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]


async def test_sums_that_were_sealed_for_another_update_leave_the_update_out(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1), claims={"sums": courier.validation_sums()})
    sent = train.sent["site-a"].status.update
    assert sent is not None
    theirs = manifests.open_update(sent.manifest, train.hospitals["site-a"].signing.public_key()).sealed_sums
    await train.update("site-b", weights(2), manifest={"sealed_sums": theirs})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "Altered"}]


async def test_an_update_without_samples_does_not_count_for_the_quorum(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), samples=0)
    _, answer = await train.aggregate()
    assert (answer["aggregated"], answer["leftOut"]) == (
        ["site-a"],
        [{"participant": "site-b", "reason": "CountsInvalid"}],
    )


async def test_the_aggregation_leaves_out_an_update_whose_samples_are_no_count(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    for name, samples in (("site-b", -1), ("site-c", 2**63), ("site-d", "10"), ("site-e", True)):
        await train.update(name, weights(2), manifest={"samples": samples})
    _, answer = await train.aggregate()
    assert answer["aggregated"] == ["site-a"]
    assert {each["reason"] for each in answer["leftOut"]} == {"ManifestUnreadable"}


async def test_the_aggregation_leaves_out_a_file_with_another_header(train: Round) -> None:
    await train.with_base({"w": np.zeros(4, "<f4")})
    good = tensors.canonical_layout([tensors.Tensor("w", "F32", (4,))]).schema_digest
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    await train.update("site-b", {"v": np.ones(4, "<f4")}, claims={"schema_digest": good})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "WrongSchema"}]


async def test_the_aggregation_leaves_out_tensors_without_a_canonical_order(
    server: Server, store: Store, tmp_path: Path
) -> None:
    """In canonical order the empty tensors come last: longer offsets make the header longer than headers are."""
    initial = Round(server, store, tmp_path, initial=True)
    await initial.update("site-a", {"w": np.ones(4, "<f4")}, claims={"base_digest": INITIAL})
    empty = {f"{number:x}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(150_000)}
    big = {"w": {"dtype": "F32", "shape": [250_000], "data_offsets": [0, 1_000_000]}}
    text = json.dumps(empty | big, separators=(",", ":")).encode()
    assert len(text) < tensors.LARGEST_HEADER < len(text) + 12 * len(empty)
    plain = len(text).to_bytes(8, "little") + text + bytes(1_000_000)
    await initial.update_of("site-b", plain, claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["leftOut"]) == (0, [{"participant": "site-b", "reason": "WrongSchema"}])


async def test_the_aggregation_leaves_out_a_second_update_in_the_place_of_the_first(train: Round) -> None:
    """A site knows its file's key: with the store's help it would show one to the check and another to the sum."""
    await train.with_base({"w": np.zeros(4, "<f4")})
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    url = train.server.presigner.get(f"updates/{train.uid}/1/site-a/{body.part_name(0)}", now(), 600)
    text, key = train.sent["site-a"].status.update, train.hospitals["site-a"].signing.public_key()
    assert text is not None
    sealer = train.hub.opener(manifests.open_update(text.manifest, key))
    opened = SealedFile(store=train.store, urls=(url,), body=sealer)
    first = await opened.segment(0)
    part = train.stored("site-a")
    part.write_bytes(sealer.seal(0, first[:-16] + b"\x7f" * 16))
    with pytest.raises(Refused, match="Altered"):
        await opened.segment(0)


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


async def test_a_full_disk_is_named(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    path, scratch = train.folder / "plan.json", train.folder / "scratch"
    path.write_bytes(train.plan())
    scratch.mkdir()
    (scratch / "ciphertext").symlink_to("/dev/full")
    answer = await aggregation.carry_out(path, scratch)
    assert isinstance(answer, AggregationFailure)
    assert (answer.reason, answer.message) == ("AggregatorFailed", aggregation.DISK_FULL)


async def test_the_error_of_an_unreachable_store_contains_no_url(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    gone = "https://127.0.0.1:1"
    presigner = dataclasses.replace(train.server.presigner, origin=gone)
    train.server = dataclasses.replace(train.server, origin=gone, presigner=presigner)
    code, answer = await train.aggregate()
    assert (code, answer["reason"]) == (75, "StoreUnreachable")
    assert "X-Amz" not in answer["message"]
    assert "https" not in answer["message"]


async def test_the_store_holds_no_byte_of_the_tensors(train: Round) -> None:
    marked = {"w": np.frombuffer(b"THE PATIENTS' OWN BYTES " * 4000, "<f4")}
    await train.with_base({"w": np.zeros(24000, "<f4")})
    await train.update("site-a", marked)
    _, answer = await train.aggregate()
    assert (await train.result(answer))["w"].tobytes() == marked["w"].tobytes()
    for path in (train.server.folder / "wardround").rglob("*"):
        if path.is_file():
            assert b"PATIENTS" not in path.read_bytes()
            assert b"F32" not in path.read_bytes()[:200]
