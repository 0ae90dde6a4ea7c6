"""Server optimizers equal a slow loop to the last bit, and the formulas of their paper."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.aggregate.updates import TENSORS, file_of, numbers, sealed
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.optimizers import Adagrad, Adam, Momentum, Optimizer, Yogi
from wardround.aggregate.reduction import Moments, Reduction, WeightedFile
from wardround.aggregate.rules import rule_for
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import HashesOnly
from wardround.aggregate.slices import NotFinite, runs
from wardround.aggregate.strategies import ServerOptimizer, strategy
from wardround.tensors import Array, Layout, Tensor

OPTIMIZERS: dict[str, tuple[dict[str, str], Optimizer]] = {
    "FedAvgM": ({"serverLearningRate": "0.7", "momentum": "0.9"}, Momentum(0.7, 0.9)),
    "FedAdagrad": ({"serverLearningRate": "0.1", "beta1": "0", "tau": "0.001"}, Adagrad(0.1, 0.0, 0.001)),
    "FedAdam": (
        {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
        Adam(0.1, 0.9, 0.001, 0.99),
    ),
    "FedYogi": (
        {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
        Yogi(0.1, 0.9, 0.001, 0.99),
    ),
}
SHARES = [0.5, 0.2, 0.3]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_strategy_has_its_optimizer(name: str) -> None:
    parameters, optimizer = OPTIMIZERS[name]
    made = strategy(name, parameters)
    assert isinstance(made, ServerOptimizer)
    assert made.optimizer == optimizer


async def stepped(
    layout: Layout,
    updates: Sequence[bytes],
    base: bytes,
    before: Sequence[bytes],
    optimizer: Optimizer,
    folder: Path,
    *,
    frozen: str = "",
    threads: int = 2,
    fetched: int | None = None,
) -> list[bytes]:
    """The result and the moments as files. `fetched`: None if scratch has the updates."""
    with Scratch(folder) as scratch:
        keeping = scratch if fetched is None else HashesOnly(scratch)
        files = [WeightedFile(await sealed(each, keeping), share) for each, share in zip(updates, SHARES, strict=True)]
        old, kept = await sealed(base, keeping), [await sealed(each, HashesOnly(scratch)) for each in before]
        all_runs = runs(
            layout, lambda name, dtype: "KeepBase" if name == frozen else rule_for("Train", False, name, dtype)
        )
        reduction = Reduction(
            files,
            old,
            layout,
            all_runs,
            Buffers(),
            rules=ServerOptimizer(optimizer).rules(),
            moments=Moments(optimizer.moments, kept),
            threads=threads,
            fetched=fetched,
        )
        made = [list(map(bytes, each)) async for each in reduction.segments()]
        return [b"".join(pieces) for pieces in zip(*made, strict=True)]


def one_step(name: str, total: float, before: Sequence[float], given: dict[str, float]) -> tuple[float, list[float]]:
    """The formulas in Python's floats, in the order of the code."""
    if name == "FedAvgM":
        moment = given["momentum"] * before[0] + total
        return given["serverLearningRate"] * moment, [moment]
    moment, spread, square = before[0], before[1], total * total
    moment = given["beta1"] * moment + (1 - given["beta1"]) * total
    if name == "FedAdagrad":
        spread = spread + square
    elif name == "FedAdam":
        spread = given["beta2"] * spread + (1 - given["beta2"]) * square
    else:
        sign = (spread > square) - (spread < square)
        spread = spread - (1 - given["beta2"]) * square * sign
    return given["serverLearningRate"] * moment / (math.sqrt(spread) + given["tau"]), [moment, spread]


def slow_loop(name: str, rows: Sequence[Array], base: Array, before: Sequence[Array] | None) -> list[Array]:
    given = {key: float(text) for key, text in OPTIMIZERS[name][0].items()}
    first = list(OPTIMIZERS[name][1].first())
    made: list[list[float]] = [[] for _ in range(1 + len(first))]
    for place in range(base.size):
        total = 0.0
        for row, share in zip(rows, SHARES, strict=True):
            total += share * float(row[place])
        step, moments = one_step(name, total, [float(each[place]) for each in before] if before else first, given)
        for numbers_of_file, value in zip(made, [float(base[place]) + step, *moments], strict=True):
            numbers_of_file.append(value)
    result = [np.array(each, base.dtype) for each in made]
    return [np.where(result[0] == base, base, result[0]), *result[1:]]


def ordinary(dice: np.random.Generator, layout: Layout) -> dict[str, Any]:
    """Values whose squares fit into every dtype."""
    return {
        each.name: dice.normal(size=math.prod(each.shape)).astype(tensors.DTYPES[each.dtype]) * (dice.random() < 0.9)
        for each in layout.tensors
    }


LAYOUT = tensors.canonical_layout(
    [
        Tensor("large", "F32", (300_000,)),
        Tensor("wide", "F64", (37, 11)),
        Tensor("scalar", "F32", ()),
        Tensor("empty", "F32", (0, 4)),
        Tensor("counter", "I64", (13,)),
        Tensor("flags", "BOOL", (5,)),
        Tensor("frozen", "F32", (70,)),
    ]
)


def integers(dice: np.random.Generator, arrays: dict[str, Any]) -> dict[str, Any]:
    return arrays | {"counter": dice.integers(0, 100, 13), "flags": dice.integers(0, 2, 5).astype("u1")}


@pytest.mark.parametrize("name", OPTIMIZERS)
async def test_three_rounds_equal_a_slow_loop_to_the_last_bit(tmp_path: Path, name: str) -> None:
    dice = np.random.default_rng(5)
    layout = tensors.canonical_layout([each for each in LAYOUT.tensors if each.name != "large"])
    base = integers(dice, ordinary(dice, layout))
    optimizer, before = OPTIMIZERS[name][1], list[bytes]()
    kept: list[dict[str, Array]] = []
    for _ in range(3):
        sent = [integers(dice, ordinary(dice, layout)) for _ in SHARES]
        files = [file_of(layout, each) for each in sent]
        made = await stepped(layout, files, file_of(layout, base), before, optimizer, tmp_path, frozen="frozen")
        assert all(each[: len(layout.header)] == layout.header for each in made)
        for tensor, start, stop in layout.places:
            old = base[tensor.name].reshape(-1)
            if tensor.dtype in tensors.FLOATS and tensor.name != "frozen":
                rows = [each[tensor.name].reshape(-1) for each in sent]
                expected = slow_loop(name, rows, old, [each[tensor.name] for each in kept] or None)
            else:
                expected = [old, *(np.zeros_like(old) for _ in range(optimizer.moments))]
            for file, array in zip(made, expected, strict=True):
                assert file[start:stop] == np.asarray(array, tensors.DTYPES[tensor.dtype]).tobytes(), tensor.name
        [base, *kept] = [
            {
                tensor.name: np.frombuffer(each[start:stop], tensors.DTYPES[tensor.dtype])
                for tensor, start, stop in layout.places
            }
            for each in made
        ]
        before = made[1:]


@pytest.mark.parametrize("name", ["FedAvgM", "FedYogi"])
async def test_blocks_and_threads_change_no_bit(tmp_path: Path, name: str) -> None:
    dice = np.random.default_rng(3)
    updates = [file_of(LAYOUT, integers(dice, ordinary(dice, LAYOUT))) for _ in SHARES]
    base = file_of(LAYOUT, integers(dice, ordinary(dice, LAYOUT)))
    optimizer = OPTIMIZERS[name][1]
    first = await stepped(LAYOUT, updates, base, [], optimizer, tmp_path)
    made = {
        tuple(
            await stepped(
                LAYOUT, updates, base, first[1:], optimizer, tmp_path, threads=threads, fetched=fetched, frozen="frozen"
            )
        )
        for threads, fetched in itertools.product((1, 2, 3), (None, 1, 2, 100))
    }
    assert len(made) == 1


def test_fedadam_is_that_of_the_paper() -> None:
    """Algorithm 2 of Reddi et al., written down anew: x += eta m / (sqrt(v) + tau), no bias correction, v = tau^2."""
    dice = np.random.default_rng(1)
    point = x = dice.normal(size=1000)
    moments: Sequence[Array] = [np.zeros(1000), np.full(1000, 1e-6)]
    m, v = np.zeros(1000), np.full(1000, 0.001**2)
    for _ in range(20):
        pseudo_gradient = dice.normal(size=1000)
        m = 0.9 * m + 0.1 * pseudo_gradient
        v = 0.99 * v + 0.01 * pseudo_gradient**2
        x = x + 0.1 * m / (np.sqrt(v) + 0.001)
        step, moments = OPTIMIZERS["FedAdam"][1].step(pseudo_gradient, moments)
        point = point + step
    np.testing.assert_allclose(point, x, rtol=1e-12)


def test_yogi_changes_less_than_adam_after_one_large_difference() -> None:
    """The reason for Yogi: where the square is far above v, both grow; where it is far below, Yogi forgets slowly."""
    spread, square = np.array([1.0]), np.array([1e-4])
    adam, yogi = Adam(1, 0.9, 0.001, 0.9), Yogi(1, 0.9, 0.001, 0.9)
    assert adam.second(spread, square) == pytest.approx(0.9, rel=1e-3)
    assert yogi.second(spread, square) == pytest.approx(1.0, rel=1e-3)


def test_momentum_of_zero_and_a_rate_of_one_is_fedavg() -> None:
    difference = np.random.default_rng(2).normal(size=100)
    step, _ = Momentum(1.0, 0.0).step(difference, [np.full(100, 5.0)])
    assert step.tobytes() == difference.tobytes()


async def test_a_moment_beyond_the_dtype_gives_no_result(tmp_path: Path) -> None:
    layout = tensors.canonical_layout([Tensor("w", "F32", (2,))])
    large, zero = file_of(layout, {"w": np.array([1.0, 1e30])}), file_of(layout, {"w": np.zeros(2)})
    with pytest.raises(NotFinite):
        await stepped(layout, [large] * 3, zero, [], OPTIMIZERS["FedAdam"][1], tmp_path)


async def test_adversarial_magnitudes_give_a_finite_result_or_none(tmp_path: Path) -> None:
    dice = np.random.default_rng(9)
    layout = tensors.canonical_layout([each for each in TENSORS if each.dtype not in tensors.HALF_PRECISION])
    made = [{each.name: numbers(dice, each) for each in layout.tensors} for _ in range(4)]
    *updates, base = [file_of(layout, each) for each in made]
    with pytest.raises(NotFinite):
        await stepped(layout, updates, base, [], OPTIMIZERS["FedAdagrad"][1], tmp_path)
