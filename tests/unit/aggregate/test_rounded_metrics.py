"""How many digits the numbers of a result have, and what these digits tell of one person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.aggregate.parts import REFERENCES, combined, comparing, hospital, of_cells, predicting
from wardround.aggregate import counts
from wardround.aggregate.metrics import Part, combine
from wardround.metrics import sums


def test_few_people_have_few_decimals() -> None:
    def decimals(people: int) -> int:
        value = combined(hospital("a", people), hospital("b", people)).metrics["loss"].value
        return len(value.partition(".")[2])

    assert [decimals(each) for each in (40, 200, 1000, 10_000)] == [2, 2, 3, 4]


@pytest.mark.parametrize("metric", ["specificity", "sensitivity", "accuracy", "ppv", "brier"])
def test_a_model_that_treats_one_person_of_many_apart_does_not_tell_this_persons_label(metric: str) -> None:
    """Two hospitals of 50,000 people. The model predicts one person negative, and all others positive."""

    def result(label: int) -> Any:
        labels, predictions = np.arange(50_000) % 2, np.full(50_000, 0.9)
        labels[7], predictions[7] = label, 0.1
        people = np.arange(50_000)
        return combined(
            Part("a", 50_000, sums.count(labels, predictions, people), {}, 1.0, False, 11),
            Part("b", 50_000, sums.count(people % 2, np.full(50_000, 0.9), people), {}, 1.0, False, 11),
            declared=(metric, "people", "positives"),
        )

    assert result(0).metrics[metric].value
    assert result(0) == result(1)


def over_an_edge(others: int, target: float) -> tuple[Part, Part]:
    """Two hospitals of 200 negatives and 200 positives. The model predicts half of them low, and `others` negatives of
    the first hospital more. `target` is the prediction for one more negative."""
    labels, people = np.arange(400) % 2, np.arange(400)
    predictions = np.where(people < 200, 0.3, 0.7)
    moved = predictions.copy()
    moved[200 : 200 + 2 * others : 2] = 0.3
    moved[398] = target
    parts = [
        Part(name, 400, sums.count(labels, each, people), {}, 1.0, False, 11)
        for name, each in (("a", moved), ("b", predictions))
    ]
    return parts[0], parts[1]


def test_no_stated_specificity_tells_more_than_the_rounded_specificity() -> None:
    """An author can ask for many specificities of one model. The answers must not locate the exact share."""
    declared = ("sensitivityAtSpecificity",)
    hidden = 0
    for others in range(20):
        low, high = over_an_edge(others, 0.3), over_an_edge(others, 0.7)
        reached = [combine(each, declared, 0.01).metrics["specificityAtThreshold"].value for each in (low, high)]
        if reached[0] != reached[1]:
            continue
        hidden += 1
        for stated in np.linspace(float(reached[0]) - 0.006, float(reached[0]) + 0.006, 25):
            answers = [combine(each, declared, round(float(stated), 6)).metrics for each in (low, high)]
            assert set(answers[0]) == set(answers[1])
    assert hidden >= 5


def test_the_groups_of_the_curve_do_not_add_up_to_the_exact_number_of_positives() -> None:
    dice, exact = np.random.default_rng(1), 0
    for _ in range(30):
        labels = [(dice.random(300) < 0.3).astype(int) for _ in "ab"]
        predictions = np.array([0.001, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6, 0.8, 0.95, 0.99])[np.arange(300) % 10]
        people = np.arange(300)
        parts = [
            Part(name, 300, sums.count(each, predictions, people), {}, 1.0, False, 11)
            for name, each in zip("ab", labels, strict=True)
        ]
        curve = combined(*parts, declared=("calibration",)).calibration
        exact += sum(round(float(group.observed) * group.people) for group in curve) == sum(map(sum, labels))
    assert exact < 15


def test_the_numbers_of_people_do_not_sharpen_a_share() -> None:
    """The share of true positives times the exact number of predicted positives would be the exact number."""
    made = combined(of_cells("a", 30_000, 5_000, 60_000, 11_873), of_cells("b", 23, 21, 20, 20)).metrics
    assert (made["sensitivity"].people, made["ppv"].people) == (41_920, 35_040)
    assert made["positives"].value == "41920"
    curve = combined(hospital("a", 421), hospital("b", 457)).calibration
    assert all(each.people % 10 == 0 for each in curve if each.people > 100)


def stating(people: int, right: float = 0.9) -> Part:
    """A hospital that states sums of its choice: `right` is the probability that it gives each right label."""
    labels = np.arange(people) % 2
    stated = sums.count(labels, np.where(labels == 1, right, 1 - right), np.arange(people))
    counts.evaluated(stated | {"salt": np.zeros(32)}, people, 11)
    return Part("z", people, stated, {}, 1.0, False, 11)


def decimals(text: str | None) -> int:
    return len((text or "").partition(".")[2])


@pytest.mark.parametrize("honest", [(300, 300), (900, 900), (300, 40, 200)])
@pytest.mark.parametrize("stated", [22, 299, 1000, 9400])
def test_a_hospital_that_states_people_makes_no_number_more_exact(honest: tuple[int, ...], stated: int) -> None:
    """A hospital can subtract its own sums. Over 10,000 people, of whom it states nearly all, four decimals would give
    it the exact number of hits of the others."""
    others = [comparing("h" * (place + 1), people) for place, people in enumerate(honest)]
    liar = Part("z", stated, {**comparing("z", stated).sums, **stating(stated).sums}, {}, 1.0, False, 11)
    names = ("loss", "brier", "accuracy", "sensitivity", "specificity", "auc")
    alone = combine(others, names, 0.9, REFERENCES)
    made = combine([*others, liar], names, 0.9, REFERENCES)
    allowed = 3 if sum(honest) >= 1000 else 2
    for name, metric in made.metrics.items():
        most = 2 if name in ("sensitivity", "specificity") else allowed
        assert max(map(decimals, (metric.value, metric.low, metric.high))) <= most, name
    for difference in made.differences:
        texts = difference.value, difference.low, difference.high, difference.loss
        assert max(map(decimals, texts)) <= allowed
    assert set(made.metrics) == set(alone.metrics) == set(names)
    own = [Part(each.participant, each.people, {}, {"own": 1 / 3}, 1.0, False, 11) for each in (*others, liar)]
    assert decimals(combined(*own, declared=("own",)).metrics["own"].value) <= allowed


PLACES = np.array([0.02, 0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.72, 0.85, 0.95])


def test_people_that_a_hospital_states_do_not_divide_the_curve_of_the_others() -> None:
    """The model puts the people into ten groups of 30. A hospital that states 1,000 people in each of them would read
    the number of positives of each: 10 to 20 such models gave the labels of all people."""
    dice = np.random.default_rng(1)
    labels, groups = (dice.random(300) < 0.3).astype(int), dice.permutation(300) % 10
    parts = [
        Part(name, 150, sums.count(labels[one], PLACES[groups[one]], np.arange(150)), {}, 1.0, False, 11)
        for name, one in (("a", slice(150)), ("b", slice(150, 300)))
    ]
    stated = sums.count(np.arange(10_000) % 2, np.repeat(PLACES, 1000), np.arange(10_000))
    liar = Part("z", 10_000, stated, {}, 1.0, False, 11)
    [group] = combined(*parts, liar, declared=("calibration",)).calibration
    assert (group.people, decimals(group.observed)) == (10_300, 2)
    assert len(combined(hospital("a", 1500), hospital("bb", 1500), liar, declared=("calibration",)).calibration) > 5


def test_people_that_a_hospital_states_do_not_divide_the_people_of_one_other_hospital() -> None:
    """Above 0.5 there are people of one hospital alone, and of the hospital that states people everywhere. Its people
    would make one threshold after another among those of the other hospital."""
    low, high = predicting("b", 400, 0.05, 0.45), predicting("a", 60, 0.8, 0.99)
    everywhere = predicting("z", 5000, 0.01, 0.99)
    for specificity in np.arange(0.8, 1.0, 0.01):
        made = combine([low, high, everywhere], ("sensitivityAtSpecificity",), float(specificity)).metrics
        assert not made or float(made["threshold"].value) < 0.5


def test_a_stated_specificity_is_compared_with_the_specificity_that_the_result_shows() -> None:
    """With more decimals, a hospital that states many people would learn on which side of it the exact share lies."""
    parts = predicting("a", 400, 0.01, 0.8), predicting("bb", 400, 0.3, 0.99), predicting("z", 30_000, 0.01, 0.99)
    names = ("sensitivityAtSpecificity",)
    for asked in np.arange(0.3, 0.7, 0.013):
        metrics = combine(parts, names, float(asked)).metrics
        assert decimals(metrics["specificityAtThreshold"].value) <= 2
        again = combine(parts, names, float(metrics["specificityAtThreshold"].value)).metrics
        assert again == metrics
