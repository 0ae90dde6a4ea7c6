"""The verdict of the gate from the sums of hospitals: what it decides from, and what it does not tell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import yaml

from lab.topology import ROOT
from wardround.aggregate.gate import decide
from wardround.aggregate.metrics import Part, combine
from wardround.api.federatedround import Gate
from wardround.metrics import sums
from wardround.metrics.differences import difference, is_contradicted
from wardround.metrics.gate import ERROR_OF_CONTRADICTION
from wardround.tensors import Array
from wardround.wire import codec
from wardround.wire.aggregation import CombinedVerdict, PlannedGate

CURRENT, BEST = REFERENCES = ("heart-s1-r2", "heart-s3-r1")
EQUAL = 0.0


def hospital(name: str, people: int, gain: float = EQUAL, *, tells: bool = False) -> Part:
    """A hospital that compares a candidate with two references. `gain`: of log odds for the true class."""
    draw = np.random.default_rng(people)
    labels, patients = np.arange(people) % 2, np.arange(people)
    signs, noise = 2 * labels - 1, draw.normal(size=people)
    model, other = (1 / (1 + np.exp(-noise - each * signs)) for each in (1 + gain, 1.0))
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, [other, other], patients)
    return Part(name, people, counted, {}, 1.0, tells, 11)


def verdict(*parts: Part, min_events: int = 20, **trained: int) -> CombinedVerdict:
    gate = PlannedGate(min_events, trained or {part.participant: 100 for part in parts})
    return decide(parts, REFERENCES, gate)


@pytest.mark.parametrize(
    ("gain", "outcome", "reason"),
    [(EQUAL, "Accepted", "NotWorse"), (0.5, "Accepted", "NotWorse"), (-0.5, "Worse", "WorseThanReference")],
)
def test_the_gate_decides_from_the_sums_of_all_hospitals(gain: float, outcome: str, reason: str) -> None:
    made = verdict(hospital("a", 200, gain), hospital("b", 300, gain))
    assert (made.outcome, made.reason, made.unseen) == (outcome, reason, ())


def test_an_author_sets_no_bound_of_a_verdict() -> None:
    """The author writes bounds into the round. The API server knows no such field, and the hub operator reads none."""
    wishes = {"bound": "9", "share": "9", "margin": "9", "error": "0.9", "alpha": "0.9", "references": []}
    assert codec.parse(Gate, {"minEvents": 30, **wishes}) == Gate(min_events=30)
    assert codec.dump(PlannedGate(30, {"a": 1})).keys() == {"minEvents", "trained"}
    [version] = yaml.safe_load((ROOT / "crds/federatedrounds.yaml").read_text("utf-8"))["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["properties"]["gate"]["properties"].keys() == {"minEvents"}


def test_a_small_loss_is_seen_that_the_told_difference_hides() -> None:
    """Below 1,000 people, a difference is told with two decimals, and its interval is rounded outwards."""
    parts = [hospital("a", 400, -0.005), hospital("b", 500, -0.005)]
    [first, _] = combine(parts, ("loss",), 0.9, REFERENCES).differences
    assert first.high is not None
    assert float(first.high) >= 0.01
    assert verdict(*parts).outcome == "Accepted"


def test_hospitals_without_sums_are_named_and_count_by_their_training_rows() -> None:
    parts = hospital("a", 200), hospital("b", 300), hospital("c", 12)
    enough = verdict(*parts, a=40, b=40, c=10, d=10)
    # Of the twelve people of c, six are in a class.
    assert (enough.outcome, enough.unseen) == ("Accepted", ("c", "d"))
    few = verdict(*parts, a=40, b=39, c=10, d=11)
    assert (few.outcome, few.reason, few.unseen) == ("Undecided", "TooFewSeen", ("c", "d"))


def test_a_hospital_that_states_many_training_rows_does_not_stand_for_those_that_nobody_saw() -> None:
    """In training, it counts for ten times the middle number."""
    measured = hospital("a", 200), hospital("z", 300)
    made = verdict(*measured, a=3000, b=3000, c=3000, z=30_000)
    assert (made.outcome, made.reason, made.unseen) == ("Undecided", "TooFewSeen", ("b", "c"))
    assert verdict(*measured, a=3000, b=300, z=30_000).outcome == "Accepted"


def test_a_large_hospital_that_nobody_saw_counts_with_all_its_rows() -> None:
    measured = [hospital(name, 200) for name in "abcd"]
    assert verdict(*measured, a=300, b=300, c=300, d=300, e=300).outcome == "Accepted"
    assert verdict(*measured, a=300, b=300, c=300, d=300, e=3000).reason == "TooFewSeen"


def test_a_candidate_that_is_better_in_the_total_and_worse_at_one_hospital_is_left_to_people() -> None:
    made = verdict(hospital("a", 300, -0.5), hospital("b", 900, 1.0))
    assert (made.outcome, made.reason, made.unseen) == ("Undecided", "WorseAtHospital", ())
    assert verdict(hospital("a", 300, 0.5), hospital("b", 900, 1.0)).outcome == "Accepted"


def flipped(name: str, people: int, seed: int, *, flips: bool) -> Part:
    """A hospital with a candidate that was trained with flipped labels at one of three hospitals: its probabilities are
    between a third and two thirds. `flips`: this hospital's labels are flipped, on this side too."""
    draw = np.random.default_rng(seed)
    truth = np.arange(people) % 2
    odds = draw.normal(size=people) + 3.0 * (2 * truth - 1)
    model, other = 1 / 3 + 1 / 3 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds))
    labels, patients = 1 - truth if flips else truth, np.arange(people)
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, [other, other], patients)
    return Part(name, people, counted, {}, 1.0, False, 11)


def test_flipped_labels_at_one_of_three_hospitals_are_never_accepted_though_the_total_is_better() -> None:
    for seed in range(100):
        parts = [flipped(name, 60, 3 * seed + place, flips=name == "b") for place, name in enumerate("abc")]
        [first, _] = combine(parts, ("loss",), 0.9, REFERENCES).differences
        assert float(first.value) < 0
        assert verdict(*parts).reason == "WorseAtHospital"


def compared(name: str, labels: Array, model: Array, other: Array) -> Part:
    patients = np.arange(len(labels))
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, [other, other], patients)
    return Part(name, len(labels), counted, {}, 1.0, False, 11)


def confident(name: str, people: int, wrong: int, seed: int) -> Part:
    """A hospital where the candidate is confidently wrong about some people."""
    draw = np.random.default_rng(seed)
    labels = (np.arange(people) % 3 == 0).astype(int)
    other = np.where(labels, 0.85, 0.12) + draw.normal(size=people) * 0.02
    model, chosen = other.copy(), draw.permutation(people)[:wrong]
    model[chosen] = np.where(labels[chosen], 0.04, 0.96)
    return compared(name, labels, model, other)


def praising(name: str, people: int) -> Part:
    """A hospital whose sums say that the reference is bad and the candidate perfect."""
    labels = (np.arange(people) % 3 == 0).astype(int)
    return compared(name, labels, np.where(labels, 0.99, 0.01), np.where(labels, 0.2, 0.8))


def test_one_hospital_cannot_get_a_worse_candidate_accepted() -> None:
    """Its sums are possible, and it is of its true size."""
    for seed in range(20):
        honest = confident("a", 200, 8, seed), confident("b", 50, 5, seed)
        assert verdict(*honest).outcome == "Worse"
        made = verdict(*honest, praising("c", 69))
        assert (made.outcome, made.reason) == ("Undecided", "WorseWithoutOne")


def test_one_hospital_among_two_cannot_get_a_worse_candidate_accepted() -> None:
    reasons = {verdict(confident("a", 300, wrong, 3), praising("b", 300)).reason for wrong in range(2, 12)}
    assert reasons == {"WorseWithoutOne", "WorseAtHospital"}


def test_a_limit_of_its_people_does_not_remove_a_hospital_from_the_gate() -> None:
    """Scaled to nine people, it is in no number. Its people still say that the candidate is worse there."""
    limited = replace(hospital("a", 300, -0.5), scale=0.03)
    for accepting in (praising("c", 69), replace(praising("c", 69), tells=True)):
        made = verdict(limited, hospital("b", 300), accepting, b=100, c=100)
        assert (made.outcome, made.reason) == ("Undecided", "WorseAtHospital")
    made = verdict(replace(confident("a", 300, 5, 3), scale=0.03), replace(praising("c", 300), tells=True), c=100)
    assert (made.outcome, made.reason) == ("Undecided", "WorseWithoutOne")


def retrained(
    name: str, seed: int, *, flips: bool = False, reference: float = 3.0, gain: float = 0.5, noise: float = 1.0
) -> Part:
    """A hospital of 60 people with a candidate that was trained for a short time. At most hospitals, it equals the
    reference. `flips`: the labels of this hospital are flipped, and the candidate has learned a little of them.
    `reference`: its log odds for the true class, to which `noise` is added. `gain`: what the candidate has learned, as
    log odds."""
    draw = np.random.default_rng(seed)
    truth = np.arange(60) % 2
    labels = 1 - truth if flips else truth
    odds = noise * draw.normal(size=60) + reference * (2 * truth - 1)
    better = odds + (gain * (2 * labels - 1) if flips or reference < 0 else 0)
    return compared(name, labels, 1 / (1 + np.exp(-better)), 1 / (1 + np.exp(-odds)))


def test_a_candidate_that_has_learned_little_of_flipped_labels_is_not_accepted() -> None:
    """It is better in the total and at the hospital with the flipped labels, and not worse at the others."""
    for seed in range(100):
        parts = [retrained(name, 3 * seed + place, flips=name == "b") for place, name in enumerate("abc")]
        made = verdict(*parts)
        assert (made.outcome, made.reason) == ("Undecided", "RowsContradictReference")
        honest = [retrained(name, 3 * seed + place) for place, name in enumerate("abc")]
        assert verdict(*honest).outcome == "Accepted"


def in_other_units(name: str) -> Part:
    """A hospital whose numbers are a tenth of what they were, so the reference takes all of its 50 people for healthy.
    Eleven are ill. The candidate has learned from these rows."""
    labels = (np.arange(50) < 11).astype(int)
    return compared(name, labels, np.where(labels == 1, 0.3, 0.05), np.full(50, 0.01))


def test_few_people_are_enough_if_a_reference_is_nearly_certain_and_wrong() -> None:
    """The losses differ so much that a normal interval of the reference's loss holds that of the prevalence."""
    made = verdict(retrained("a", 1), in_other_units("b"), retrained("c", 3))
    assert (made.outcome, made.reason) == ("Undecided", "RowsContradictReference")


def test_a_reference_that_is_right_at_a_hospital_is_rarely_contradicted_there() -> None:
    """It knows little, so by chance it is often worse than the prevalence at one of the hospitals."""
    draw, contradicted, trials = np.random.default_rng(5), 0, 500
    for _ in range(trials):
        parts = []
        for name in "abc":
            chances = 1 / (1 + np.exp(-0.5 * draw.normal(size=30)))
            labels = (draw.random(30) < chances).astype(int)
            parts.append(compared(name, labels, chances, chances))
        contradicted += is_contradicted([part.sums for part in parts], 0, ERROR_OF_CONTRADICTION)
    assert contradicted <= ERROR_OF_CONTRADICTION * trials


def test_a_reference_that_is_bad_at_all_hospitals_is_no_contradiction() -> None:
    """The candidate is better everywhere. Otherwise, a bad first version would stay for ever."""
    for seed in range(20):
        parts = [retrained(name, 3 * seed + place, reference=-1.0, gain=2.0) for place, name in enumerate("abc")]
        assert verdict(*parts).outcome == "Accepted"


def test_a_hospital_where_the_reference_knows_only_the_prevalence_rarely_contradicts_it() -> None:
    """The reference has a little noise there, so it is even a little worse than the prevalence."""
    reasons = [
        verdict(
            retrained("a", 3 * seed),
            retrained("b", 3 * seed + 1, reference=0.0, noise=0.1),
            retrained("c", 3 * seed + 2),
        ).reason
        for seed in range(300)
    ]
    assert reasons.count("RowsContradictReference") <= 0.05 * len(reasons)


def test_a_verdict_over_one_hospital_needs_its_consent() -> None:
    assert verdict(hospital("a", 300, -0.5)).reason == "NotMeasured"
    assert verdict(hospital("a", 300, -0.5, tells=True)).outcome == "Worse"


def test_too_few_events_decide_nothing() -> None:
    parts = hospital("a", 40), hospital("b", 50)
    assert verdict(*parts, min_events=45).outcome == "Accepted"
    assert verdict(*parts, min_events=46).reason == "TooFewEvents"


def test_hospitals_without_comparison_leave_the_gate_undecided() -> None:
    plain = hospital("a", 300)
    without = replace(plain, sums={name: each for name, each in plain.sums.items() if name != "differences"})
    assert verdict(without, replace(without, participant="b")).reason == "NotMeasured"


def test_a_verdict_holds_no_number() -> None:
    made = codec.dump(verdict(hospital("a", 200, -0.5), hospital("b", 300, -0.5)))
    assert made == {"outcome": "Worse", "reason": "WorseThanReference", "reference": CURRENT, "unseen": []}


def equal_to_reference(people: int, right: float) -> Part:
    """A hospital that states the same sums for the candidate and the references. `right`: the probability that all of
    these give each right label."""
    labels, patients = np.arange(people) % 2, np.arange(people)
    chances = np.where(labels == 1, right, 1 - right)
    counted = sums.count(labels, chances, patients) | sums.compare(labels, chances, [chances, chances], patients)
    return Part("z", people, counted, {}, 1.0, False, 11)


def test_ten_verdicts_tell_a_hospital_that_takes_part_more_than_the_difference_that_people_see() -> None:
    """docs/security.md says so. The hospital moves the gate's bound by the loss that it states, and finds the bound at
    which the verdict turns. It computes this bound from the rounded numbers of the result."""
    others = [hospital("a", 300, 0.1), hospital("b", 200, 0.1)]

    def compared(right: float) -> list[Part]:
        return [*others, equal_to_reference(500, right)]

    first, _ = combine(compared(0.8), ("loss",), 0.9, REFERENCES).differences
    assert first.high is not None
    assert first.loss is not None
    loss_of_others = 2 * float(first.loss) + math.log(0.8)
    low, high, reasons = 0.05, 0.9, set()
    for _ in range(10):
        middle = (low + high) / 2
        made = verdict(*compared(middle))
        reasons.add(made.reason)
        low, high = (middle, high) if made.reason == "NotShown" else (low, middle)
    # With the loss that it states, the hospital contradicts the reference.
    assert reasons == {"NotShown", "RowsContradictReference"}
    margin = 0.1 * (math.log(2) - (loss_of_others - math.log(high)) / 2)
    exact = difference([part.scaled() for part in compared(0.8)], 0, 11)
    assert exact is not None
    assert exact.high is not None
    assert margin == pytest.approx(exact.high, abs=0.001)
    assert abs(float(first.high) - exact.high) > 0.002
