"""From 250 people on, the shares of one result with their intervals do not give the exact confusion table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from wardround.aggregate.metrics import Part, combine
from wardround.metrics import intervals, sums
from wardround.metrics.digits import rounded_count
from wardround.wire.aggregation import CombinedMetric

# True positives, false positives, true negatives, false negatives.
Table = tuple[int, int, int, int]

DECLARED = ("accuracy", "sensitivity", "specificity", "ppv", "positives", "people", "rows")
SHARES = DECLARED[:4]


def result(table: Table) -> tuple[int, dict[str, CombinedMetric]]:
    """The samples and the metrics of a result over two hospitals, each with half of each cell."""
    halves = [tuple((cell + more) // 2 for cell in table) for more in (0, 1)]
    parts = [part(name, *each) for name, each in zip("ab", halves, strict=True)]
    return rounded_count(sum(table)), dict(combine(parts, DECLARED, 0.9).metrics)


def part(name: str, *cells: int) -> Part:
    labels, probabilities = np.repeat([1, 0, 0, 1], cells), np.repeat([0.7, 0.7, 0.2, 0.2], cells)
    people = sum(cells)
    return Part(name, people, sums.count(labels, probabilities, np.arange(people)), {}, 1.0, False, 11)


def around(table: Table, most: int) -> Iterator[Table]:
    """All tables whose cells differ from those of `table` by at most `most`."""
    for moved in itertools.product(range(-most, most + 1), repeat=4):
        true_positives, false_positives, true_negatives, false_negatives = map(sum, zip(table, moved, strict=True))
        yield true_positives, false_positives, true_negatives, false_negatives


@pytest.mark.parametrize(
    ("table", "least"), [((86, 22, 111, 31), 3), ((112, 38, 214, 36), 8)], ids=["250 people", "400 people"]
)
def test_several_tables_explain_a_result(table: Table, least: int) -> None:
    """With the ends of exact intervals and the exact number of samples, only the true table explains the first one."""
    seen = result(table)
    assert set(seen[1]) == set(DECLARED)
    assert sum(result(each) == seen for each in around(table, 2)) >= least


@pytest.mark.parametrize("table", [(40, 10, 60, 30), (86, 22, 111, 31), (320, 95, 900, 60), (2000, 700, 9000, 90)])
def test_the_interval_of_a_share_holds_the_exact_one_and_is_hardly_wider(table: Table) -> None:
    true_positives, false_positives, true_negatives, false_negatives = table
    exact = {
        "accuracy": (true_positives + true_negatives, sum(table)),
        "sensitivity": (true_positives, true_positives + false_negatives),
        "specificity": (true_negatives, true_negatives + false_positives),
        "ppv": (true_positives, true_positives + false_positives),
    }
    _, metrics = result(table)
    for name in SHARES:
        shown, (hits, people) = metrics[name], exact[name]
        assert shown.low is not None
        assert shown.high is not None
        low, high = intervals.wilson(hits / people, people)
        assert float(shown.low) <= low < high <= float(shown.high)
        assert max(low - float(shown.low), float(shown.high) - high) < 0.025


def test_equal_shares_over_numbers_of_people_that_look_equal_have_equal_intervals() -> None:
    """4/5 of 135 people and of 140: both results show 140 people. The exact intervals begin at 0.72 and at 0.73."""
    _, first = result((108, 30, 120, 27))
    _, second = result((112, 30, 120, 28))
    assert first["sensitivity"] == second["sensitivity"]
