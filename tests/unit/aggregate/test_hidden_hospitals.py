"""Which numbers a result leaves out, so that nobody can compute those of one hospital."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.aggregate.parts import (
    ALL,
    cells,
    combined,
    hospital,
    names_by_hospital,
    of_cells,
    part_without,
    predicting,
)
from wardround.aggregate.metrics import Combined, Part, combine
from wardround.metrics import estimates


def test_a_total_over_one_hospital_is_told_only_if_that_hospital_tells() -> None:
    assert combined(hospital("a")) == Combined()
    made = combined(hospital("a", tells=True))
    assert set(made.metrics) >= set(ALL)
    assert made.calibration
    assert made.metrics["loss"].hospitals == 1
    assert combined() == Combined()


@pytest.mark.parametrize(
    ("tells", "shown"),
    [
        ("", ""),
        ("a", "a"),  # two others do not tell
        ("ab", "a"),  # only c does not tell: of a and b, b has more people
        ("bc", "b"),
        ("abc", "abc"),
    ],
)
def test_the_numbers_of_a_hospital_that_does_not_tell_do_not_follow_by_subtraction(tells: str, shown: str) -> None:
    people = {"a": 40, "b": 60, "c": 80}
    made = combined(*(hospital(name, each, tells=name in tells) for name, each in people.items()))
    assert set(made.by_hospital) == set(shown)
    assert made.metrics["loss"].hospitals == 3


def test_a_metric_with_too_few_people_at_one_hospital_has_no_total() -> None:
    """At c the model predicts few positives, so no ppv is told. A ppv of a and b would be over other hospitals than the
    sensitivity: the difference of the two would give the small cell of c."""
    parts = [hospital("a", 60, tells=True), hospital("b", 90, tells=True), hospital("c", 80, shift=-3.0, tells=True)]
    made = combined(*parts)
    assert "ppv" in combined(*parts[:2]).metrics
    assert {"ppv", "loss"} & set(made.metrics) == {"loss"}
    names = names_by_hospital(made)
    assert {name for name, each in names.items() if "ppv" in each} == {"a", "b"}
    assert {name for name, each in names.items() if "loss" in each} == {"a", "b", "c"}


def test_metrics_that_determine_each_other_are_over_the_same_hospitals() -> None:
    """With a ppv of a and c alone, c would not be shown for the sake of a, but its other numbers would give its ppv."""
    parts = [
        of_cells("a", 31, 9, 70, 10),
        of_cells("b", 4, 3, 40, 20, tells=True),
        of_cells("c", 28, 12, 45, 15, tells=True),
    ]
    made = combined(*parts)
    assert {each.hospitals for each in made.metrics.values()} == {3}
    assert "ppv" not in made.metrics
    assert set(made.by_hospital) == {"b"}


def test_the_largest_hospital_that_tells_hides_the_one_that_does_not() -> None:
    """Hidden beside a hospital of 22 people alone, the number of a would be the total without b, to three digits."""
    parts = hospital("a", 9000), hospital("b", 8000, tells=True), hospital("c", 60, tells=True)
    assert set(combined(*parts, declared=("accuracy",)).by_hospital) == {"c"}
    scaled = replace(hospital("b", 8000, tells=True), scale=1 / 200)
    assert set(combined(parts[0], scaled, parts[2], declared=("accuracy",)).by_hospital) == {"b"}


def test_a_hospital_that_is_hidden_for_one_metric_is_hidden_for_all() -> None:
    """Of the reported metric, c is hidden for the sake of a. Of the computed ones, b is."""
    a, b, c = hospital("a", 300), hospital("b", 200, tells=True), hospital("c", 100, tells=True)
    assert set(combined(a, b, c, declared=("loss",)).by_hospital) == {"c"}
    reported = [part_without(each.participant, **{**vars(each), "reported": {"own": 0.5}}) for each in (a, c)]
    made = combined(*reported, b, declared=("loss", "own"))
    assert made.by_hospital == {}
    assert set(made.metrics) == {"loss", "own"}


def test_a_hospital_without_predicted_positives_leaves_no_ppv_of_the_others() -> None:
    """The total would be the number of the other hospital."""
    without = predicting("b", 90, 0.01, 0.4)
    made = combined(predicting("a", 200, 0.1, 0.9), without)
    assert "ppv" not in made.metrics
    assert made.metrics["sensitivity"].hospitals == 2
    telling = combined(predicting("a", 200, 0.1, 0.9, tells=True), without)
    assert "ppv" not in telling.metrics
    assert telling.by_hospital == {}


def test_each_group_of_the_curve_holds_enough_people_of_two_hospitals() -> None:
    """Below 0.5 there are people of one hospital alone, and above 0.5 of the other one."""
    apart = combined(predicting("a", 1000, 0.5, 0.99), predicting("b", 900, 0.01, 0.49)).calibration
    assert [each.people for each in apart] == [1900]
    several = combined(predicting("a", 2000, 0.01, 0.7), predicting("b", 2000, 0.3, 0.99)).calibration
    assert 1 < len(several) < 10
    assert len(combined(predicting("a", 2000, 0.01, 0.7, tells=True)).calibration) == 9


def test_each_side_of_a_threshold_has_enough_people_of_two_hospitals() -> None:
    """Above 0.5 there are people of one hospital alone. Several specificities, asked one after another, would locate
    them one group after the other."""
    low, high = predicting("b", 400, 0.05, 0.45), predicting("a", 60, 0.8, 0.99)
    names = ("sensitivityAtSpecificity",)
    for specificity in np.arange(0.8, 1.0, 0.01):
        assert combine([low, high], names, float(specificity)).metrics == {}
    several = predicting("a", 400, 0.01, 0.8), predicting("b", 400, 0.3, 0.99)
    made = combine(several, names, 0.6).metrics
    assert set(made) == {"sensitivityAtSpecificity", "threshold", "specificityAtThreshold"}
    assert 0.3 < float(made["threshold"].value) < 0.8


def scaled_copies(part: Part, copies: int) -> Part:
    """A hospital with so many times the people, limited to as many as there were."""
    sums_ = {name: each * float(copies) ** (2 if name == "pairs" else 1) for name, each in part.sums.items()}
    return Part(part.participant, part.people * copies, sums_, {}, 1 / copies, part.tells, part.min_cell)


def test_people_are_enough_only_if_they_still_are_after_scaling() -> None:
    """The second hospital has 22 predicted positives. Scaled, they weigh nothing: the total is that of the first."""
    honest = of_cells("a", 33, 9, 70, 10)
    many, few = cells(0, 0, 500, 500), cells(11, 11, 0, 0)
    claimed = {name: many[name] * 10_000.0 + few[name] for name in many if name != "pairs"}
    negatives, positives = claimed["weights"]
    claimed["pairs"] = np.array([negatives * positives, negatives * positives / 2, 0.0])
    people = int(claimed["people"][0])
    liar = Part("z", people, claimed, {}, 1000 / people, False, 11)
    made = combined(honest, liar, declared=("accuracy", "ppv", "calibration"))
    assert set(made.metrics) == {"accuracy", "calibration"}
    assert len(made.calibration) == 1
    assert "ppv" in combined(honest, of_cells("z", 11, 11, 500, 500)).metrics


def test_a_hospital_that_is_scaled_to_few_people_protects_no_other_hospital() -> None:
    """`maxSamples: 1` would make the total of two hospitals that of the other one."""
    limited = Part("b", 90, hospital("b", 90).sums, {"own": 0.5}, 1 / 90, False, 11)
    other = Part("a", 60, hospital("a").sums, {"own": 0.1}, 1.0, False, 11)
    assert combined(other, limited, declared=(*ALL, "own")) == Combined()


def test_one_hospital_does_not_replace_the_metrics_that_all_others_report() -> None:
    honest = [Part(f"h{number}", 500, {}, {"loss": 1.5 + number}, 1.0, False, 11) for number in range(9)]
    alone = combined(*honest, declared=("loss",))
    assert alone.metrics["loss"].hospitals == 9
    for tells in (False, True):
        liar = hospital("z", 22, tells=tells)
        assert combined(*honest, liar, declared=("loss",)) == alone


def test_a_hospital_that_only_reports_a_computed_metric_protects_no_other_hospital() -> None:
    """If it counted as a second hospital that does not tell, the number of c would follow by subtraction."""
    declared = ("loss", "sensitivity", "people")
    parts = hospital("a", tells=True), hospital("c", 80)
    alone = combined(*parts, declared=declared)
    assert alone.by_hospital == {}
    liar = Part("b", 50, {}, dict.fromkeys(declared, 0.0), 1.0, False, 11)
    assert combined(*parts, liar, declared=declared) == alone
    assert combined(parts[1], liar, declared=declared) == Combined()


def test_a_hospital_with_a_huge_smallest_cell_hides_no_metric() -> None:
    parts = hospital("a", 600), hospital("b", 900)
    without = combined(*parts)
    companions = {"threshold", "specificityAtThreshold", "calibrationIntercept", "calibrationSlope"}
    assert set(without.metrics) == {*ALL, *companions}
    reporter = Part("liar", 2**53, {}, {"own": 0.0}, 1e-11, False, 2**53)
    assert combined(*parts, reporter) == without
    limited = replace(scaled_copies(hospital("c", 600), 10**6), min_cell=200_000_000)
    assert combined(*parts, limited) == without


def test_the_numbers_of_a_hospital_that_does_not_tell_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, tuple[str, ...]]] = []
    compute = estimates.estimates

    def recording(numbers: Any, min_cell: float, specificity: float, names: tuple[str, ...], *apart: Any) -> Any:
        asked.append((float(numbers["people"][0]), names))
        return compute(numbers, min_cell, specificity, names, *apart)

    monkeypatch.setattr(estimates, "estimates", recording)
    combined(hospital("a", 60), hospital("c", 70), hospital("b", 90, tells=True), declared=("loss",))
    assert asked == [(220, ("loss",)), (90, ("loss",))]
