"""Each strategy gives updates the weights of its paper, also where float32 or cancellation would pick another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from wardround.aggregate.distances import between_rows
from wardround.aggregate.rules import RULES
from wardround.aggregate.strategies import Facts, GeometricMedian, Krum, NormBounding, Strategy, strategy
from wardround.tensors import Array
from wardround.wire import strategy_terms

GIVEN = {
    **{"largestNorm": "2", "trimmed": "1", "hostile": "1", "chosen": "2"},
    **{"serverLearningRate": "0.1", "momentum": "0.9", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
}


def parameters(name: str) -> dict[str, str]:
    return {each: GIVEN[each] for each in strategy_terms.STRATEGIES[name].parameters}


def weights(used: Strategy, rows: Any) -> list[float]:
    rows = np.array(rows, np.float64)
    count = len(rows)
    return used.weights(Facts([1 / count] * count, np.linalg.norm(rows, axis=1).tolist(), between_rows(rows)))


def slow_distances(rows: Sequence[Array]) -> Array:
    return np.array([[math.fsum(((one - other) ** 2).tolist()) for other in rows] for one in rows])


def test_every_strategy_of_the_api_has_its_arithmetic() -> None:
    for name in strategy_terms.STRATEGIES:
        used = strategy(name, parameters(name))
        assert used.rules().keys() == RULES.keys()
        assert sum(used.weights(Facts([0.2] * 5, [1.0] * 5, np.ones((5, 5)) - np.eye(5), [1] * 5))) == pytest.approx(1)


def test_fedavg_weighs_by_shares_and_norm_bounding_scales_the_long_ones_down() -> None:
    facts = Facts([0.5, 0.25, 0.25], [1.0, 8.0, 0.0])
    assert strategy("FedAvg", {}).weights(facts) == [0.5, 0.25, 0.25]
    assert NormBounding(2.0).weights(facts) == [0.5, 0.25 * (2.0 / 8.0), 0.25]


def slow_krum(distances: Array, hostile: int, chosen: int) -> list[int]:
    count = len(distances)
    scores = []
    for place in range(count):
        others = sorted(float(distances[place][other]) for other in range(count) if other != place)
        scores.append(sum(others[: count - hostile - 2]))
    return sorted(range(count), key=lambda place: (scores[place], place))[:chosen]


@pytest.mark.parametrize("seed", range(20))
def test_krum_chooses_the_updates_of_a_slow_loop(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows = dice.normal(size=(9, 50)) * dice.choice([1, 1, 1, 30], size=(9, 1))
    for hostile, chosen in ((1, 1), (3, 1), (2, 5)):
        expected = slow_krum(slow_distances(list(rows)), hostile, chosen)
        given = weights(Krum(hostile, chosen), rows)
        assert [place for place, weight in enumerate(given) if weight] == sorted(expected)
        assert sum(given) == pytest.approx(1)


def textbook(rows: Array) -> Array:
    """|a|^2 + |b|^2 - 2ab in float32."""
    gram = rows @ rows.T
    norms = np.diagonal(gram)
    squared: Array = np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0)
    return squared


def test_krum_chooses_the_right_one_of_nearly_equal_updates_where_the_textbook_formula_does_not() -> None:
    dice = np.random.default_rng(0)
    common = dice.normal(size=20_000)
    spread = np.array([1.0, 2.0, 1.5, 1e-3, 2.5, 1.2, 1.8])[:, None] * 1e-4
    rows = (common + spread * dice.normal(size=(7, 20_000))).astype("<f4")
    right = slow_krum(slow_distances(list(rows.astype(np.float64))), 2, 1)
    assert slow_krum(textbook(rows), 2, 1) != right
    assert [place for place, weight in enumerate(weights(Krum(2), rows)) if weight] == right == [3]


def test_one_far_update_does_not_blur_the_distances_of_the_others() -> None:
    """The far one moves the centre away from the others, so that their centred distances cancel too."""
    dice = np.random.default_rng(4)
    rows = np.vstack([dice.normal(size=(4, 1000)) * 1e-7 + 1, np.full((1, 1000), 1e6)])
    np.testing.assert_allclose(between_rows(rows), slow_distances(list(rows)), rtol=1e-10)


def test_equal_updates_have_distance_zero_and_krum_takes_the_first() -> None:
    rows = np.tile(np.arange(6.0), (5, 1))
    assert not between_rows(rows).any()
    assert weights(Krum(1), rows) == [1.0, 0, 0, 0, 0]
    assert weights(GeometricMedian(), rows) == [0.2] * 5


def test_the_geometric_median_of_numbers_is_their_median() -> None:
    rows = np.array([[1.0], [2.0], [4.0], [100.0], [1e6]])
    assert float(weights(GeometricMedian(), rows) @ rows[:, 0]) == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_no_near_point_has_a_smaller_sum_of_distances_than_the_geometric_median(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows = np.vstack([dice.normal(size=(8, 3)), 1000 * dice.normal(size=(2, 3))])

    def cost(point: Array) -> float:
        return float(np.linalg.norm(rows - point, axis=1).sum())

    point = np.array(weights(GeometricMedian(), rows)) @ rows
    for _ in range(200):
        assert cost(point) <= cost(point + 0.05 * dice.normal(size=3)) * (1 + 1e-6)


def test_one_of_three_hospitals_makes_the_geometric_median_the_update_of_another_one() -> None:
    """So the fewest hospitals that make up the result are one. The third one sends minus its own update."""
    dice = np.random.default_rng(1)
    common = dice.normal(size=100)
    longer, shorter, own = (length * common + dice.normal(size=100) / 10 for length in (2.0, 1.0, 1.0))
    made = weights(GeometricMedian(), np.vstack([longer, shorter, -own]))
    assert made[1] > 0.99
    assert strategy_terms.mixes("GeometricMedian", {}, 3) == 1


@pytest.mark.parametrize(
    ("name", "given", "least", "mixed"),
    [
        ("FedAvg", {}, 1, 9),
        ("NormBounding", {"largestNorm": "1"}, 1, 9),
        ("FedAvgM", {"serverLearningRate": "1", "momentum": "0.9"}, 1, 9),
        ("FedNova", {}, 1, 9),
        ("Median", {}, 3, 9),
        ("TrimmedMean", {"trimmed": "2"}, 5, 9),
        ("Krum", {"hostile": "2"}, 7, 1),
        ("MultiKrum", {"hostile": "2", "chosen": "2"}, 7, 2),
        ("MultiKrum", {"hostile": "2", "chosen": "5"}, 9, 5),
        ("GeometricMedian", {}, 3, 1),
    ],
)
def test_a_strategy_says_how_many_updates_it_needs_and_how_many_hospitals_it_mixes(
    name: str, given: dict[str, str], least: int, mixed: int
) -> None:
    assert strategy_terms.fewest(name, given) == least
    assert strategy_terms.mixes(name, given, 9) == mixed
