"""Compressed updates at a real store: the result equals the reduction of what they stand for, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players import courier
from tests.players.compressed import compressed, expanded
from tests.players.stored_round import Round
from wardround import tensors
from wardround.wire.compression import NONE, Compression

COMPRESSIONS: tuple[Compression, ...] = ("BFloat16", "Int8")
NAMES = ("site-a", "site-b", "site-c")
SAMPLES = (10, 20, 40)
# Three segments, so blocks and tensors lie across their borders.
SIZE = 600_001
FROZEN = ("input.*",)


def _read(arrays: Mapping[str, Any], compression: Compression) -> dict[str, Any]:
    """The difference that the aggregation reads for one that a hospital has."""
    plain, _ = courier.written(arrays)
    layout = tensors.layout(plain)
    file = expanded(compressed(plain, compression, FROZEN), layout, compression, FROZEN)
    return {
        tensor.name: np.frombuffer(file[start:stop], tensors.DTYPES[tensor.dtype]).reshape(tensor.shape)
        for tensor, start, stop in layout.places
    }


def _base(size: int = SIZE) -> dict[str, Any]:
    return weights(0, size) | {"input.mean": BASE["input.mean"], "steps": BASE["steps"]}


def _slow_mean(base: Mapping[str, Any], updates: list[dict[str, Any]], shares: list[float]) -> dict[str, Any]:
    """Base plus the weighted mean, one participant after another in float64, rounded once."""
    made = {}
    for name, old in base.items():
        if old.dtype.kind != "f":
            made[name] = old
            continue
        total = np.zeros(old.shape)
        for update, share in zip(updates, shares, strict=True):
            total = total + share * update[name].astype(np.float64)
        made[name] = np.where(total == 0, old, (old.astype(np.float64) + total).astype(old.dtype))
    return made


async def _play(train: Round, compression: Compression) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    train.compression, train.frozen = compression, FROZEN
    await train.with_base(_base())
    for number, (name, samples) in enumerate(zip(NAMES, SAMPLES, strict=True), 1):
        await train.update(name, weights(number, SIZE), samples)
    code, answer = await train.aggregate()
    assert (code, answer["leftOut"], answer["aggregated"]) == (0, [], list(NAMES))
    read = [_read(weights(number, SIZE), compression) for number in range(1, 4)]
    return await train.result(answer), read


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_fedavg_of_compressed_updates_equals_a_slow_loop_over_what_they_stand_for(
    train: Round, compression: Compression
) -> None:
    result, read = await _play(train, compression)
    expected = _slow_mean(_base(), read, [each / sum(SAMPLES) for each in SAMPLES])
    assert {name: each.dtype for name, each in result.items()} == {name: each.dtype for name, each in _base().items()}
    for name, each in expected.items():
        assert result[name].tobytes() == each.tobytes(), name
    mean = sum(each / 70 * weights(number, SIZE)["layer.weight"] for number, each in enumerate(SAMPLES, 1))
    error = np.abs(result["layer.weight"] - _base()["layer.weight"] - mean).max()
    assert 0 < error < 0.03


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_the_median_reads_compressed_updates_all_at_once(train: Round, compression: Compression) -> None:
    train.strategy = "Median"
    result, read = await _play(train, compression)
    base = _base()["layer.weight"].astype(np.float64)
    middle = np.median([each["layer.weight"].astype(np.float64) for each in read], axis=0)
    assert result["layer.weight"].tobytes() == (base + middle).astype("<f4").tobytes()


async def test_an_update_has_a_quarter_of_the_bytes(train: Round) -> None:
    sizes: dict[str, int] = {}
    await train.with_base(_base())
    for name, compression in zip(NAMES, (NONE, *COMPRESSIONS), strict=True):
        train.compression = compression
        await train.update(name, weights(1, SIZE))
        sizes[compression] = train.stored_bytes(name)
    assert sizes["None"] / sizes["BFloat16"] == pytest.approx(2, rel=0.001)
    assert sizes["None"] / sizes["Int8"] == pytest.approx(3.98, rel=0.001)


def _block(scale: float, multiple: int = 1) -> bytes:
    """The packed `layer.weight` of one block."""
    return np.array(scale, "<f4").tobytes() + np.full(1000, multiple, np.int8).tobytes()


HOSTILE = {
    "an infinite scale": _block(np.inf),
    "a scale that is no number": _block(np.nan),
    "a negative scale": _block(-0.5),
    "a huge scale": _block(3e38),
    "a scale of too many bits": _block(0.1),
    "a multiple of no scale": _block(0),
    "-128": _block(0.5, -128),
}


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_an_update_with_a_scale_that_no_site_writes_is_left_out(train: Round, hostile: str) -> None:
    train.compression, train.frozen = "Int8", FROZEN
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    plain, schema = courier.written(weights(2))
    sent = compressed(plain, "Int8", FROZEN)
    good = compressed(courier.written({"layer.weight": weights(2)["layer.weight"]})[0], "Int8", FROZEN)[-1004:]
    assert good in sent
    await train.update_of("site-b", sent.replace(good, HOSTILE[hostile]), claims={"schema_digest": schema})
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a"])
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CompressionInvalid"}]


async def test_checks_are_over_the_decompressed_values(train: Round) -> None:
    """The size of the file says nothing of the norm, and a bfloat16 can be infinite."""
    train.compression, train.frozen = "BFloat16", FROZEN
    await train.with_base(BASE)
    for number, name in enumerate(("site-a", "site-b", "site-c"), 1):
        await train.update(name, weights(number))
    await train.update("site-d", {name: 1000 * each for name, each in weights(4).items()})
    await train.update("site-e", weights(5) | {"input.mean": np.full(7, 0.5)})
    plain, schema = courier.written(weights(6))
    infinite = compressed(plain, "BFloat16", FROZEN)[:-2] + b"\x80\x7f"
    await train.update_of("site-f", infinite, claims={"schema_digest": schema})
    # A file that is not compressed has another length.
    await train.update_of("site-g", courier.written(weights(7))[0], claims={"schema_digest": schema})
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a", "site-b", "site-c"])
    left_out = {each["participant"]: each["reason"] for each in answer["leftOut"]}
    assert left_out == {
        "site-d": "UpdateTooLarge",
        "site-e": "FrozenNotZero",
        "site-f": "NotFinite",
        "site-g": "WrongSchema",
    }
