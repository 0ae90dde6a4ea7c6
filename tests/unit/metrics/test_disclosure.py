"""Whose numbers a result withholds: of few people, of one small class, and of the hospital that subtraction reveals."""

from __future__ import annotations

import pytest

from wardround.metrics import registry
from wardround.metrics.disclosure import Counted, shown, too_few, without_largest


@pytest.mark.parametrize(
    ("people", "expected"),
    [((22, 11, 11), False), ((22, 10, 12), True), ((22, 12, 10), True), ((10, 10, 10), True), ((0, 0, 0), True)],
)
def test_too_few_people_or_one_small_class(people: tuple[int, ...], expected: bool) -> None:
    assert too_few(people, 11) is expected
    assert too_few(people, 11, classes=False) is (people[0] < 11)


@pytest.mark.parametrize(
    ("people", "expected"),
    [((300, 300), 300), ((300, 300, 9400), 600), ((9400, 22, 40), 62), ((60,), 60), ((), 0), ((1e16, 1.0, 2.0), 3.0)],
)
def test_the_largest_hospital_hides_nobody(people: tuple[float, ...], expected: float) -> None:
    assert without_largest(people) == expected


@pytest.mark.parametrize("stated", [0, 1, 299, 300, 301, 10**9])
def test_no_number_of_people_that_a_hospital_states_is_worth_more_than_the_others(stated: int) -> None:
    assert without_largest([300, 200, 60, stated]) <= 560


def hospitals(**tells: bool) -> dict[str, Counted]:
    return {name: Counted(100 * (place + 1), each) for place, (name, each) in enumerate(tells.items())}


@pytest.mark.parametrize(
    ("tells", "expected"),
    [
        ({"a": True, "b": True, "c": True}, ("a", "b", "c")),
        # The numbers of `c` would be the total without those of `a` and `b`.
        ({"a": True, "b": True, "c": False}, ("a",)),
        ({"a": True, "b": False, "c": False}, ("a",)),
        ({"a": True, "b": False}, ()),
        ({"a": False, "b": False}, ()),
        ({}, ()),
    ],
)
def test_no_hospitals_number_follows_from_the_total_and_the_others(
    tells: dict[str, bool], expected: tuple[str, ...]
) -> None:
    assert shown(hospitals(**tells)) == expected


def test_companions_follow_the_metric_that_they_explain() -> None:
    assert registry.with_companions(("auc", "sensitivityAtSpecificity", "mine")) == (
        "auc",
        "sensitivityAtSpecificity",
        "threshold",
        "specificityAtThreshold",
        "mine",
    )
    assert (registry.better("loss"), registry.better("auc"), registry.better("mine")) == ("Lower", "Higher", "")
