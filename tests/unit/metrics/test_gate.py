"""The gate: which candidates replace the current version, in 1,000 trials each at 1, 10 and 40 % prevalence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from wardround.metrics.differences import difference, is_contradicted, surely_worse_by
from wardround.metrics.gate import ERROR_AT_HOSPITALS, ERROR_OF_CONTRADICTION, Evidence, GateVerdict, Paired, judge
from wardround.wire import layouts

Array = npt.NDArray[np.float64]
TRIALS, EVENTS, MIN_EVENTS = 1000, 60, 20
PREVALENCES = (0.01, 0.1, 0.4)
# Standard deviation of the true log odds: an AUC of about 0.85.
SPREAD = 2.0
ROUNDS = 30
# Among which the people of a trial are dealt out.
HOSPITALS = 3
# How hospitals may share the people of a trial: where each but the last one ends.
SPLITS = {"two equal": (0.5,), "three equal": (1 / 3, 2 / 3), "three unequal": (0.51, 0.85), "four to one": (0.8,)}


def probability(odds: Array) -> Array:
    return 1 / (1 + np.exp(-odds))


def losses(predicted: Array, truth: Array) -> Array:
    clipped = np.clip(predicted, 1e-6, 1 - 1e-6)
    return -(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped))


@cache
def centre(prevalence: float) -> float:
    """The mean of the log odds at which so many are positive."""
    spread = np.random.default_rng(0).normal(size=200_000) * SPREAD
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if probability(spread + middle).mean() > prevalence else (middle, high)
    return low


def cohort(draw: np.random.Generator, prevalence: float, events: int = EVENTS) -> tuple[Array, Array]:
    """True log odds of people, and who is positive; about so many are."""
    odds = draw.normal(size=round(events / prevalence)) * SPREAD + centre(prevalence)
    return odds, (draw.random(len(odds)) < probability(odds)).astype(np.float64)


def paired(candidate: Array, reference: Array, truth: Array, name: str = "current") -> Paired:
    """As the aggregation computes it from the sums of all hospitals."""
    measured = losses(reference, truth)
    differences = losses(candidate, truth) - measured
    half = 1.96 * differences.std(ddof=1) / math.sqrt(len(truth))
    hospitals = [
        numbers(each, *parts)
        for each, *parts in zip(
            *(np.array_split(values, HOSPITALS) for values in (truth, measured, differences)), strict=True
        )
    ]
    return Paired(
        reference=name,
        low=float(differences.mean() - half),
        high=float(differences.mean() + half),
        reference_loss=float(measured.mean()),
        people=len(truth),
        events=int(truth.sum()),
        at_one=surely_worse_by(hospitals, 0, ERROR_AT_HOSPITALS),
        contradicted=is_contradicted(hospitals, 0, ERROR_OF_CONTRADICTION),
    )


def numbers(truth: Array, measured: Array, differences: Array) -> dict[str, Array]:
    """The sums of one hospital."""
    people = np.array([len(truth), truth.sum(), len(truth) - truth.sum()])
    sums = [measured.sum(), differences.sum(), np.square(differences).sum()]
    own = measured + differences
    return {
        "people": people,
        "weights": people[:0:-1],
        "loss": np.array([own.sum(), np.square(own).sum()]),
        layouts.DIFFERENCES: np.array([sums]),
    }


def outcome(*against: Paired, coverage: float = 1.0, min_events: int = MIN_EVENTS) -> str:
    return judge(Evidence(paired=against, coverage=coverage), min_events).outcome


def accepted(prevalence: float, candidate: Callable[[Array, np.random.Generator], Array]) -> float:
    """The share of trials in which a candidate passes against the true model."""
    draw, passed = np.random.default_rng(round(1000 * prevalence)), 0
    for _ in range(TRIALS):
        odds, truth = cohort(draw, prevalence)
        passed += outcome(paired(candidate(odds, draw), probability(odds), truth)) == "Accepted"
    return passed / TRIALS


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_a_model_that_knows_only_the_prevalence_does_not_pass(prevalence: float) -> None:
    assert accepted(prevalence, lambda odds, _: np.full(len(odds), prevalence)) < 0.01


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_a_model_with_halved_log_odds_does_not_pass(prevalence: float) -> None:
    assert accepted(prevalence, lambda odds, _: probability(odds / 2)) < 0.01


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_a_model_whose_log_odds_differ_a_little_passes(prevalence: float) -> None:
    assert accepted(prevalence, lambda odds, draw: probability(odds + draw.normal(size=len(odds)) * 0.05)) >= 0.9


def against(hospitals: Sequence[dict[str, Array]]) -> Paired:
    """As the aggregation computes it from the sums of these hospitals."""
    each = difference(hospitals, 0, 1)
    assert each is not None
    assert each.low is not None
    assert each.high is not None
    return Paired(
        reference="current",
        low=each.low,
        high=each.high,
        reference_loss=each.loss,
        people=each.people,
        events=each.events,
        at_one=surely_worse_by(hospitals, 0, ERROR_AT_HOSPITALS),
        contradicted=is_contradicted(hospitals, 0, ERROR_OF_CONTRADICTION),
    )


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_such_a_model_passes_also_without_one_of_several_hospitals(prevalence: float) -> None:
    draw, passed = np.random.default_rng(round(1000 * prevalence)), dict.fromkeys(SPLITS, 0)
    for _ in range(TRIALS):
        odds, truth = cohort(draw, prevalence)
        measured = losses(probability(odds), truth)
        differences = losses(probability(odds + draw.normal(size=len(odds)) * 0.05), truth) - measured
        for name, ends in SPLITS.items():
            cuts = [int(end * len(truth)) for end in ends]
            hospitals = [
                numbers(*each)
                for each in zip(*(np.split(values, cuts) for values in (truth, measured, differences)), strict=True)
            ]
            without_one = [against([*hospitals[:i], *hospitals[i + 1 :]]) for i in range(len(hospitals))]
            evidence = Evidence(paired=[against(hospitals)], coverage=1, without_one=without_one)
            passed[name] += judge(evidence, MIN_EVENTS).outcome == "Accepted"
    assert min(passed.values()) / TRIALS >= 0.95, passed


def lowest(rounds: Array, truth: Array) -> Array:
    """The predictions of the round with the lowest loss on these rows. `rounds`: the log odds of each round."""
    total = np.log1p(np.exp(rounds)).sum(axis=1) - rounds @ truth
    return probability(rounds[total.argmin()])


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_the_best_of_thirty_bad_rounds_on_the_same_rows_does_not_pass(prevalence: float) -> None:
    """Rounds that halve the log odds, and rounds that know only the prevalence."""
    draw, passed = np.random.default_rng(7), {"halved": 0, "prevalence": 0}
    for _ in range(TRIALS):
        odds, truth = cohort(draw, prevalence)
        noise = draw.normal(size=(ROUNDS, len(odds))) * 0.05
        bad = {"halved": odds / 2, "prevalence": np.full(len(odds), math.log(prevalence / (1 - prevalence)))}
        for name, middle in bad.items():
            best = lowest(middle + noise, truth)
            passed[name] += outcome(paired(best, probability(odds), truth)) == "Accepted"
    assert max(passed.values()) / TRIALS < 0.01, passed


def evidence(**changes: float) -> Paired:
    values = {"low": -0.01, "high": 0.001, "reference_loss": 0.2, "people": 1000, "events": 100} | changes
    return Paired(
        reference="current",
        low=values["low"],
        high=values["high"],
        reference_loss=values["reference_loss"],
        people=int(values["people"]),
        events=int(values["events"]),
    )


def test_a_candidate_within_the_bound_is_accepted_and_one_above_it_is_not() -> None:
    assert outcome(evidence(high=0.0099)) == "Accepted"
    assert outcome(evidence(high=0.0101)) == "Undecided"


def test_the_bound_is_a_tenth_of_a_small_gain() -> None:
    """At 10 % the entropy is 0.3251: the reference gains 0.0251 over the prevalence."""
    assert outcome(evidence(reference_loss=0.3, high=0.0024)) == "Accepted"
    assert outcome(evidence(reference_loss=0.3, high=0.0026)) == "Undecided"


def test_a_reference_worse_than_the_prevalence_has_to_be_beaten() -> None:
    assert outcome(evidence(reference_loss=0.4, low=-0.2, high=0.001)) == "Undecided"
    assert outcome(evidence(reference_loss=0.4, low=-0.2, high=-0.05)) == "Accepted"


def test_a_candidate_has_to_pass_against_each_reference() -> None:
    assert outcome(evidence(), evidence(high=0.02)) == "Undecided"
    assert outcome(evidence(), evidence(low=0.001, high=0.02)) == "Worse"


@pytest.mark.parametrize("changes", [{"events": 19}, {"events": 986}, {"events": 0}, {"events": 1000}])
def test_too_few_people_of_a_class_decide_nothing(changes: dict[str, float]) -> None:
    assert outcome(evidence(**changes)) == "Undecided"
    if changes["events"] in (0, 1000):
        assert outcome(evidence(**changes), min_events=0) == "Undecided"


def test_a_total_without_one_hospital_must_not_be_worse() -> None:
    def judged(without: Paired) -> str:
        return judge(Evidence(paired=[evidence()], coverage=1, without_one=[evidence(), without]), MIN_EVENTS).reason

    assert judged(evidence(low=0.001, high=0.0101)) == "WorseWithoutOne"
    assert judged(evidence(low=-0.01, high=0.031)) == "WorseWithoutOne"
    assert judged(evidence(low=-0.01, high=0.029)) == "NotWorse"
    assert judged(evidence(reference_loss=0.4, low=-0.02, high=0.019)) == "NotWorse"


def test_hospitals_that_were_not_seen_decide() -> None:
    assert outcome(evidence(), coverage=0.79) == "Undecided"
    assert outcome(evidence(), coverage=0.8) == "Accepted"


def test_a_candidate_that_is_worse_at_too_few_hospitals_is_left_to_people() -> None:
    """It may be better at the hospitals that nobody saw."""
    worse, at_one = evidence(low=0.001, high=0.02), replace(evidence(), at_one=0.02)
    for pair, seen_enough in ((worse, "WorseThanReference"), (at_one, "WorseAtHospital")):
        assert judge(Evidence(paired=(pair,), coverage=0.79), MIN_EVENTS) == GateVerdict("Undecided", "TooFewSeen")
        assert judge(Evidence(paired=(pair,), coverage=0.8), MIN_EVENTS).reason == seen_enough


def test_a_difference_that_is_sure_and_negligible_is_accepted() -> None:
    assert outcome(evidence(low=0.001, high=0.003)) == "Accepted"


def test_a_missing_measurement_decides_nothing() -> None:
    assert outcome() == "Undecided"


def test_a_verdict_names_the_reference_that_decided() -> None:
    worse = Evidence(paired=(evidence(), replace(evidence(low=0.001, high=0.02), reference="best")), coverage=1)
    assert judge(worse, MIN_EVENTS) == GateVerdict("Worse", "WorseThanReference", "best")


def test_the_number_of_events_counts_as_results_tell_it() -> None:
    """96 to 104 events are told as 100. By the exact number, one evaluation for each minEvents would find it."""
    for events in (100, 104):
        few = evidence(people=300, events=events)
        assert [outcome(few, min_events=number) for number in (95, 96, 104)] == ["Accepted"] + ["Undecided"] * 2


@pytest.mark.parametrize("least", [20, 200])
@pytest.mark.parametrize("people", [*range(20, 260), 995, 1000, 1004, 1005, 10_004])
def test_no_rounding_makes_a_class_large_enough(people: int, least: int) -> None:
    """Of 116 people, 105 have a positive row. A result tells 120 and 100, and the other class has 11."""
    for events in range(max(1, people - 220), people):
        if min(events, people - events) < least:
            assert outcome(evidence(people=people, events=events), min_events=least) == "Undecided"


def test_below_100_people_each_one_counts() -> None:
    assert [outcome(evidence(people=99, events=events)) for events in (19, 20, 79, 80)] == [
        *("Undecided", "Accepted", "Accepted", "Undecided")
    ]
