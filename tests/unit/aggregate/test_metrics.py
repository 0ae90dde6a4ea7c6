"""A result's numbers are over all hospitals that sent sums, and tell no hospital's that its Site does not tell."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wardround.aggregate import counts
from wardround.aggregate.metrics import Combined, Part, combine
from wardround.metrics import bins, estimates, registry, sums

ALL = registry.EVALUATE


def hospital(
    name: str, people: int = 60, *, shift: float = 0.0, tells: bool = False, min_cell: int = 11, scale: float = 1.0
) -> Part:
    """A hospital with as many positives as negatives. `shift`: of all its predictions, on the scale of logits."""
    dice = np.random.default_rng(len(name) + people)
    labels = np.arange(people) % 2
    logits = dice.normal(size=people) + 1.5 * labels + shift
    counted = sums.count(labels, 1 / (1 + np.exp(-logits)), np.arange(people))
    return Part(name, people, counted, {}, scale, tells, min_cell)


def reporting(name: str, value: float, people: int = 30, *, tells: bool = False, scale: float = 1.0) -> Part:
    """A hospital whose training code reports a metric of its own."""
    return Part(name, people, {}, {"own": value}, scale, tells, 11)


def comparing(name: str, people: int = 60, *, better: float = 0.5, tells: bool = False, scale: float = 1.0) -> Part:
    """A hospital that compares a model with two references. `better`: how much the model separates more than these."""
    dice = np.random.default_rng(people)
    labels = np.arange(people) % 2
    noise = dice.normal(size=people)
    model, *others = (1 / (1 + np.exp(-noise - gain * (2 * labels - 1))) for gain in (1 + better, 1.0, 1 + 2 * better))
    patients = np.arange(people)
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, others, patients)
    return Part(name, people, counted, {}, scale, tells, 11)


def combined(*parts: Part, declared: tuple[str, ...] = ALL) -> Combined:
    return combine(parts, declared, 0.9)


def names_by_hospital(made: Combined) -> dict[str, set[str]]:
    """By hospital, the names of its numbers."""
    return {name: set(each) for name, each in made.by_hospital.items()}


def test_each_declared_metric_is_over_all_hospitals_with_its_interval() -> None:
    made = combined(hospital("a"), hospital("b", 90))
    assert set(made.metrics) == {*ALL} - {"sensitivityAtSpecificity"}
    for name in ("loss", "brier", "accuracy", "auc", "sensitivity"):
        metric = made.metrics[name]
        assert metric.low is not None
        assert metric.high is not None
        assert float(metric.low) < float(metric.value) < float(metric.high)
        assert metric.hospitals == 2
    assert made.metrics["loss"].people == 150
    assert made.metrics["sensitivity"].people == 75
    assert (made.metrics["people"].value, made.metrics["rows"].value) == ("150", "150")
    assert set(combined(hospital("a"), hospital("b"), declared=("auc",)).metrics) == {"auc"}


def test_auc_compares_people_within_a_hospital_alone() -> None:
    """At one hospital all predictions are higher. So pairs of people of different hospitals would be out of order."""
    parts = hospital("a", 200), hospital("b", 200, shift=4.0)
    alike = hospital("a", 200), hospital("b", 200)
    assert combined(*parts).metrics["auc"] == combined(*alike).metrics["auc"]


def test_the_curve_of_calibration_comes_with_the_metric_of_that_name() -> None:
    parts = hospital("a", 1500), hospital("b", 1500)
    groups = combined(*parts).calibration
    assert 6 <= len(groups) <= 7
    assert sum(each.people for each in groups) == pytest.approx(3000, abs=50)
    assert all(each.people >= estimates.CURVE_PEOPLE for each in groups)
    assert float(groups[0].observed) < 0.3 < 0.7 < float(groups[-1].observed)
    assert [each.high for each in groups[:-1]] == [each.low for each in groups[1:]]
    assert len(combined(*parts, hospital("cc", 1500)).calibration) == 9
    without = combined(*parts, declared=("auc", "loss"))
    assert (set(without.metrics), without.calibration) == ({"auc", "loss"}, ())


def test_intercept_and_slope_come_with_calibration_if_the_curve_has_two_groups() -> None:
    made = combined(hospital("a", 1500), hospital("b", 1500), declared=("calibration",)).metrics
    assert set(made) == {"calibration", "calibrationIntercept", "calibrationSlope"}
    # Two normal distributions around 0 and 1.5 give exactly these log odds.
    for name, value in (("calibrationIntercept", -1.125), ("calibrationSlope", 1.5)):
        metric = made[name]
        assert metric.low is not None
        assert metric.high is not None
        assert float(metric.low) < float(metric.value) < float(metric.high)
        assert float(metric.low) < value < float(metric.high)
        assert (metric.people, metric.hospitals) == (3000, 2)
    few = combined(hospital("a", 190), hospital("b", 190), declared=("calibration",))
    assert (set(few.metrics), len(few.calibration)) == ({"calibration"}, 1)
    apart = combined(predicting("a", 2000, 0.5, 0.99), predicting("b", 2000, 0.01, 0.49), declared=("calibration",))
    assert (set(apart.metrics), len(apart.calibration)) == ({"calibration"}, 1)


def test_a_hospital_over_its_maximum_counts_as_that_many_people() -> None:
    """A thousand copies of the same people, scaled to as many as there were, change no value."""
    one, other = hospital("a"), hospital("b", 90)
    copies = {name: each * (1000.0 ** (2 if name == "pairs" else 1)) for name, each in other.sums.items()}
    many = Part("b", 90_000, copies, {}, 1 / 1000, False, 11)
    plain, scaled = combined(one, other).metrics, combined(one, many).metrics
    for name in ("loss", "brier", "accuracy", "auc", "calibration", "people"):
        assert scaled[name].value == plain[name].value, name


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


def test_a_metric_with_too_few_people_at_one_hospital_is_told_of_no_hospital() -> None:
    """At c the model predicts few positives, so no ppv is told. A ppv of a and b would be over other hospitals than the
    sensitivity: the difference of the two would give the small cell of c."""
    parts = [hospital("a", 60, tells=True), hospital("b", 90, tells=True), hospital("c", 80, shift=-3.0, tells=True)]
    made = combined(*parts)
    assert "ppv" in combined(*parts[:2]).metrics
    assert {"ppv", "loss"} & set(made.metrics) == {"loss"}
    names = names_by_hospital(made)
    assert {name for name, each in names.items() if "ppv" in each} == {"a", "b"}
    assert {name for name, each in names.items() if "loss" in each} == {"a", "b", "c"}


def cells(true: int, false: int, negatives: int, missed: int) -> Any:
    """True and false positives, true and false negatives: the sums of such people."""
    sizes = true, false, negatives, missed
    people = np.arange(sum(sizes))
    return sums.count(np.repeat([1, 0, 0, 1], sizes), np.repeat([0.7, 0.7, 0.2, 0.2], sizes), people)


def of_cells(name: str, *sizes: int, tells: bool = False) -> Part:
    return Part(name, sum(sizes), cells(*sizes), {}, 1.0, tells, 11)


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


def predicting(name: str, people: int, least: float, most: float, *, tells: bool = False) -> Part:
    """A hospital whose predictions lie between two probabilities."""
    labels = np.arange(people) % 2
    counted = sums.count(labels, np.linspace(least, most, people), np.arange(people))
    return Part(name, people, counted, {}, 1.0, tells, 11)


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


def rare(positives: int, negatives: int, rows: float) -> dict[str, Any]:
    """Sums in which the positive rows weigh the least that the counts allow. Each prediction is 0.3."""
    people = positives + negatives
    weight = positives / rows
    other, chance = people - weight, 0.3
    histogram = np.zeros((2, bins.BINS))
    histogram[:, bins.indices(np.array([chance]))[0]] = other, weight
    loss, brier = -other * np.log(1 - chance) - weight * np.log(chance), other * 0.09 + weight * 0.49
    made = {
        "people": [people, positives, people],
        "rows": [rows],
        "weights": [other, weight],
        "loss": [loss, loss**2 / people],
        "brier": [brier, brier**2 / people],
        "confusion": [0, 0, other, weight],
        "expected": [people * chance],
        "pairs": [other * weight, other * weight / 2, 0.0],
    }
    return {name: np.array(each, np.float64) for name, each in made.items()} | {"histogram": histogram}


EXTREME_SUMS = [
    (positives, negatives, float(rows * (positives + negatives)))
    for positives, negatives, rows in itertools.product((1, 11, 10**6), (1, 100, 10**6, 10**11), (2, 100, 10_000))
    if positives * 2 <= rows * (positives + negatives)
]


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize(("positives", "negatives", "rows"), EXTREME_SUMS)
def test_no_sums_that_pass_end_the_aggregation(positives: int, negatives: int, rows: float, tells: bool) -> None:
    numbers = rare(positives, negatives, rows)
    people = counts.evaluated(numbers | {"salt": np.zeros(32)}, 1, 1)
    for scale in (1.0, 1 / people):
        extreme = Part("liar", people, numbers, {}, scale, tells, 1)
        for made in (combined(extreme), combined(hospital("a"), hospital("b", 90), extreme)):
            assert all(math.isfinite(float(each.value)) for each in made.metrics.values())


def test_the_largest_least_number_of_people_counts() -> None:
    parts = hospital("a"), hospital("b", 90, min_cell=40)
    assert "ppv" in combined(*parts).metrics
    several = [hospital(name, 900) for name in "ab"]
    strict = [replace(each, min_cell=300) for each in several]
    assert len(combined(*strict).calibration) < len(combined(*several).calibration)
    assert all(each.people >= 600 for each in combined(*strict).calibration)


@pytest.mark.parametrize("name", [*registry.METRICS, "own"])
def test_a_number_of_the_training_code_fits_the_field_of_the_round(name: str) -> None:
    """The API server refuses a longer text, so the round would neither complete nor fail."""
    for value in (1e-300, -1e-300, 1e300, -1e300, 5e-324, 1.7e308, 999_999_999_999.9, 0.1, -0.0):
        for people in (11, 300, 5_000, 10**9):
            made = combined(Part("a", people, {}, {name: value}, 1.0, True, 11), declared=(name,))
            texts = [each.value for each in made.metrics.values()]
            texts += [text for numbers in made.by_hospital.values() for text in numbers.values()]
            assert all(len(text) <= 32 for text in texts)
            assert len(texts) == 2 or not math.isfinite(value * people)


def test_a_metric_of_the_training_code_is_the_mean_over_people() -> None:
    sent = reporting("a", 0.5, 10_000), reporting("b", 0.1, 30_000)
    made = combined(*sent, declared=("own",))
    metric = made.metrics["own"]
    assert (metric.value, metric.low, metric.people, metric.hospitals) == ("0.2", None, 40_000, 2)
    halved = reporting("a", 0.5, 10_000), reporting("b", 0.1, 60_000, scale=0.5)
    assert combined(*halved, declared=("own",)).metrics["own"].value == "0.2"
    assert combined(*sent, declared=("loss",)).metrics == {}
    assert combined(sent[0], declared=("own",)) == Combined()


def test_a_hospital_that_reports_nothing_is_not_in_the_mean() -> None:
    silent = Part("c", 500, {}, {"other": 1.0}, 1.0, False, 11)
    metric = combined(reporting("a", 0.5), reporting("b", 0.1), silent, declared=("own",)).metrics["own"]
    assert (metric.value, metric.people, metric.hospitals) == ("0.3", 60, 2)


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.7976931348623157e308])
def test_a_reported_metric_whose_mean_overflows_is_left_out(value: float) -> None:
    parts = [reporting(name, value, 10**6) for name in "abc"]
    assert combined(*parts, declared=("own",)).metrics == {}


def test_reported_metrics_of_single_hospitals_follow_the_same_rule() -> None:
    parts = reporting("a", 0.5, tells=True), reporting("b", 0.1, 60, tells=True), reporting("c", 0.9, 90)
    assert names_by_hospital(combined(*parts, declared=("own",))) == {"a": {"own"}}
    assert combined(*parts, declared=("own",)).by_hospital["a"] == {"own": "0.5"}


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


def test_scaled_sums_of_a_hospital_do_not_change_its_own_numbers() -> None:
    whole, scaled = hospital("a", tells=True), hospital("a", tells=True, scale=0.5)
    other = hospital("b", 90, tells=True)
    assert combined(whole, other).by_hospital == combined(scaled, other).by_hospital
    assert combined(whole, other).metrics["people"] != combined(scaled, other).metrics["people"]


def part_without(name: str, **changes: Any) -> Part:
    return Part(**{**vars(hospital(name)), **changes})


def test_train_sums_have_no_histogram_and_so_no_threshold() -> None:
    trained = [
        part_without(name, sums={each: value for each, value in hospital(name).sums.items() if each != "histogram"})
        for name in ("a", "b")
    ]
    made = combined(*trained)
    assert set(made.metrics) == set(registry.TRAIN)
    assert made.calibration == ()


REFERENCES = ("heart-1", "heart-2")


def test_a_round_tells_the_difference_from_each_reference_over_all_people() -> None:
    parts = comparing("a", 60), comparing("b", 1200)
    first, second = combine(parts, ("loss",), 0.9, REFERENCES).differences
    assert (first.reference, second.reference) == REFERENCES
    assert (first.people, first.events, first.hospitals) == (1260, 630, 2)
    assert first.low is not None
    assert first.high is not None
    assert float(first.low) < float(first.value) < float(first.high) < 0 < float(second.value)
    loss = combine(parts, ("loss",), 0.9, REFERENCES).metrics["loss"]
    assert first.loss is not None
    assert float(loss.value) - float(first.loss) == pytest.approx(float(first.value), abs=2e-3)
    assert combine(parts, ("loss",), 0.9).differences == ()


def test_the_loss_of_a_reference_is_told_only_if_the_round_declares_the_loss() -> None:
    parts = comparing("a"), comparing("b", 90)
    (with_loss, _), (without, _) = (combine(parts, (name,), 0.9, REFERENCES).differences for name in ("loss", "auc"))
    assert with_loss.loss is not None
    assert without == replace(with_loss, loss=None)


def test_a_hospital_with_few_people_takes_no_interval_from_the_difference_of_the_others() -> None:
    parts = comparing("a"), comparing("b", 90)
    few = [comparing("c", 2), comparing("d", 90, scale=1 / 90)]
    assert combine([*parts, *few], ("loss",), 0.9, REFERENCES) == combine(parts, ("loss",), 0.9, REFERENCES)


@pytest.mark.parametrize(("tells", "number"), [(True, 2), (False, 0)])
def test_a_difference_over_one_hospital_is_that_hospitals_number(tells: bool, number: int) -> None:
    assert len(combine([comparing("a", tells=tells)], ("loss",), 0.9, REFERENCES).differences) == number


def test_no_hospitals_own_difference_is_told_beside_the_total() -> None:
    made = combine([comparing(name, tells=True) for name in "abc"], ("loss",), 0.9, REFERENCES)
    assert len(made.differences) == 2
    assert all(set(each) == {"loss"} for each in made.by_hospital.values())


def test_a_hospital_over_its_maximum_is_as_sure_of_a_difference_as_so_many_people() -> None:
    one, other = comparing("a"), comparing("b", 90)
    copies = {name: each * (1000.0 ** (2 if name == "pairs" else 1)) for name, each in other.sums.items()}
    many = Part("b", 90_000, copies, {}, 1 / 1000, False, 11)
    expected = combine([one, other], ("loss",), 0.9, REFERENCES).differences
    assert combine([one, many], ("loss",), 0.9, REFERENCES).differences == expected


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
