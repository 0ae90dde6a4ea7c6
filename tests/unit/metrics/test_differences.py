"""Paired sums: equal to a slow loop over patients, and the difference's interval to one made from the patients."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from tests.unit.metrics.people import Floats, Rows, hospital
from wardround.metrics import sums
from wardround.metrics.differences import LARGEST_DIFFERENCE, difference
from wardround.metrics.digits import text

Z = 1.959963984540054


def another(rows: Rows, seed: int, shift: float = 0.3) -> Floats:
    """The probabilities of another model for the same rows."""
    odds = np.log(rows.probabilities / (1 - rows.probabilities))
    return np.asarray(1 / (1 + np.exp(-(odds + np.random.default_rng(seed).normal(shift, 0.8, len(odds))))))


def counted(rows: Rows, *references: Floats) -> sums.Sums:
    made = sums.count(rows.labels, rows.probabilities, rows.patients)
    return made | sums.compare(rows.labels, rows.probabilities, references, rows.patients)


def slow_losses(rows: Rows, probabilities: Floats) -> dict[int, float]:
    """The mean log loss of each patient, row by row."""
    losses: dict[int, list[float]] = defaultdict(list)
    for label, chance, patient in zip(rows.labels, probabilities, rows.patients, strict=True):
        clipped = min(max(float(chance), 1e-6), 1 - 1e-6)
        losses[int(patient)].append(-math.log(clipped if label else 1 - clipped))
    return {patient: math.fsum(each) / len(each) for patient, each in losses.items()}


def slow_differences(rows: Rows, reference: Floats) -> list[float]:
    model, other = slow_losses(rows, rows.probabilities), slow_losses(rows, reference)
    return [model[patient] - other[patient] for patient in model]


@pytest.mark.parametrize("visits", [1, 4])
@pytest.mark.parametrize("prevalence", [0.02, 0.3])
def test_paired_sums_equal_a_slow_loop_over_patients(visits: int, prevalence: float) -> None:
    rows = hospital(500, prevalence, 1, visits=visits)
    references = another(rows, 2), another(rows, 3, shift=-1.0)
    made = counted(rows, *references)["differences"]
    assert made.shape == (2, 3)
    for row, reference in zip(made.tolist(), references, strict=True):
        differences = slow_differences(rows, reference)
        loss = math.fsum(slow_losses(rows, reference).values())
        assert row == pytest.approx([loss, math.fsum(differences), math.fsum(d * d for d in differences)], abs=1e-9)


def test_probabilities_of_both_models_are_clipped() -> None:
    rows = Rows(np.array([0, 1]), np.array([1.0, 1.0]), np.array([0, 1]))
    loss, total, squares = counted(rows, np.array([0.0, 0.0]))["differences"][0].tolist()
    assert (loss, total) == pytest.approx((LARGEST_DIFFERENCE + 2e-6, 0.0), abs=1e-8)
    assert squares == pytest.approx(2 * LARGEST_DIFFERENCE**2, rel=1e-9)


def test_the_interval_from_sums_is_the_interval_from_the_patients() -> None:
    """Over one hospital, that of all differences. Over several, hospitals' means are weighted by people, and their
    variances are those within each hospital."""
    several = [hospital(people, 0.3, people, visits=3) for people in (120, 400, 60)]
    references = [another(rows, 7, shift=place) for place, rows in enumerate(several)]
    for chosen in ([0], [1], [0, 1, 2]):
        apart = [np.array(slow_differences(several[place], references[place])) for place in chosen]
        people = sum(map(len, apart))
        value = sum(each.sum() for each in apart) / people
        half = Z * math.sqrt(sum((len(each) / people) ** 2 * each.var(ddof=1) / len(each) for each in apart))
        made = difference([counted(several[place], references[place]) for place in chosen], 0, 11)
        assert made is not None
        assert (made.value, made.low, made.high) == pytest.approx((value, value - half, value + half), abs=1e-9)
        assert made.people == people
        positives = [set(several[place].patients[several[place].labels == 1]) for place in chosen]
        assert made.events == sum(map(len, positives))
        losses = [math.fsum(slow_losses(several[place], references[place]).values()) for place in chosen]
        assert made.loss == pytest.approx(sum(losses) / people, abs=1e-9)


def test_each_reference_has_its_own_difference() -> None:
    rows = hospital(300, 0.3, 5)
    first, second = another(rows, 1), another(rows, 2, shift=2.0)
    both, alone = counted(rows, first, second), counted(rows, second)
    assert difference([both], 1, 11) == difference([alone], 0, 11) != difference([both], 0, 11)


def test_a_model_does_not_differ_from_itself() -> None:
    rows = hospital(100, 0.3, 5, visits=2)
    made = difference([counted(rows, rows.probabilities)], 0, 11)
    assert made is not None
    assert (made.value, made.low, made.high) == (0, 0, 0)


@pytest.mark.parametrize(("positives", "negatives"), [(10, 90), (90, 10)])
def test_no_difference_is_told_if_a_class_is_too_small(positives: int, negatives: int) -> None:
    labels = np.repeat([1, 0], [positives, negatives])
    rows = Rows(labels, np.full(100, 0.4), np.arange(100))
    made = counted(rows, np.full(100, 0.6))
    assert difference([made], 0, 11) is None
    assert difference([made], 0, 10) is not None


def test_one_person_of_a_hospital_has_no_variance() -> None:
    one = Rows(np.array([0, 1]), np.array([0.2, 0.7]), np.array([4, 4]))
    rows = hospital(100, 0.3, 5)
    made = difference([counted(one, another(one, 1)), counted(rows, another(rows, 1))], 0, 1)
    assert made is not None
    assert (made.low, made.high, made.people) == (None, None, 101)


def test_an_interval_of_95_percent_holds_the_true_difference_in_95_percent_of_samples() -> None:
    """Two hospitals whose mean differences are far apart: the interval says how much persons vary, not hospitals."""

    def sample(people: int, seed: int) -> list[sums.Sums]:
        made = [hospital(people, prevalence, seed + place, visits=3) for place, prevalence in enumerate((0.2, 0.5))]
        return [counted(rows, another(rows, seed, shift=2.0 * place)) for place, rows in enumerate(made)]

    truth = difference(sample(40_000, 1), 0, 11)
    assert truth is not None
    held = 0
    for seed in range(400):
        made = difference(sample(150, 1000 + 2 * seed), 0, 11)
        assert made is not None
        assert made.low is not None
        assert made.high is not None
        held += made.low <= truth.value <= made.high
    assert 0.91 * 400 <= held <= 0.985 * 400


def test_two_chosen_models_would_tell_one_persons_label_so_references_are_results_alone() -> None:
    """An attack that nobody can make with results of the federation (docs/security.md): the two models differ for one
    person of 300, to whom the model gives the least probability. The told difference is 0 only if this person is
    negative, although it has two decimals."""
    guessed = 0
    for trial in range(1000):
        rows = hospital(300, 0.3, trial)
        chosen = trial % 300
        reference = rows.probabilities.copy()
        reference[chosen] = 0.5
        model = reference.copy()
        model[chosen] = 1e-6
        made = difference([counted(Rows(rows.labels, model, rows.patients), reference)], 0, 11)
        assert made is not None
        guessed += (text(made.value, made.people) != "0") == bool(rows.labels[chosen])
    assert guessed == 1000


def test_two_models_of_one_training_tell_no_single_persons_label() -> None:
    """Both models differ for everybody. An attacker knows all rows but one label, and not how these people are
    labelled. From the sign of the difference, the attacker guesses the label no better than by chance."""
    right = 0
    for trial in range(1000):
        rows = hospital(300, 0.5, trial, separation=0.0)
        made = difference([counted(rows, another(rows, trial, shift=0.0))], 0, 11)
        assert made is not None
        better_if_positive = rows.probabilities[0] > another(rows, trial, shift=0.0)[0]
        right += ((made.value < 0) == better_if_positive) == bool(rows.labels[0])
    assert 430 <= right <= 570
