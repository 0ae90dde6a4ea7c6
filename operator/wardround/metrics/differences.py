"""The difference in log loss between a model and a reference, with its interval, from paired sums of hospitals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from wardround.metrics import bins, intervals
from wardround.metrics.bound import entropy
from wardround.metrics.disclosure import too_few, without_largest
from wardround.metrics.estimates import LARGEST_LOSS, Numbers
from wardround.metrics.intervals import Interval
from wardround.wire import layouts

# The least log loss of a person, and the largest difference of two.
LEAST_LOSS = -math.log(bins.MOST)
LARGEST_DIFFERENCE = LARGEST_LOSS - LEAST_LOSS


@dataclass(frozen=True)
class Difference:
    """Mean log loss of the model minus that of the reference. Below 0, the model is better.

    `low`, `high`: its two-sided 95 % interval, None where a hospital has one person. `loss`: mean log loss of the
    reference. `events`: people with a positive row. `people_without_largest`: the people without the largest hospital.
    The digits of a result depend on them.
    """

    value: float
    low: float | None
    high: float | None
    loss: float
    people: int
    events: int
    people_without_largest: float


def difference(hospitals: Sequence[Numbers], reference: int, min_cell: float) -> Difference | None:
    """The difference over all people of these hospitals. None: too few people are in a class of the total.

    `reference`: its place in the round's list, from 0 on. Each person counts once, so a hospital counts by its people.
    The interval is normal. Its variance is that of persons within each hospital, added over hospitals (a stratified
    mean; Cochran, Sampling Techniques, 1977, section 5.3). The means of hospitals may differ: another draw of people
    would come from the same hospitals.
    """
    counts = np.sum([each["people"] for each in hospitals], axis=0)
    if too_few(counts.tolist(), min_cell * (1 - 1e-9)):
        return None
    people = float(counts[0])
    sums = [_sums(each, reference) for each in hospitals]
    value = sum(each.total for each in sums) / people
    low, high = _interval(value, sums, people) or (None, None)
    return Difference(
        value=value,
        low=low,
        high=high,
        loss=sum(each.loss for each in sums) / people,
        people=round(people),
        events=round(float(counts[1])),
        people_without_largest=without_largest([float(each["people"][0]) for each in hospitals]),
    )


def surely_worse_by(hospitals: Sequence[Numbers], reference: int, error: float) -> float:
    """By how much the model is surely worse than the reference at one of these hospitals at least: the largest of the
    hospitals' lower bounds. Negative if it is at none.

    `error`: the chance that a hospital where it is equal counts as worse, over all hospitals together (Bonferroni's
    correction, the first step of Holm's: Scandinavian Journal of Statistics, 1979). A hospital of one person has no
    bound.
    """
    distance = NormalDist().inv_cdf(1 - error / len(hospitals))
    sums = [_sums(each, reference) for each in hospitals]
    bounds = [(each.total - distance * math.sqrt(each.variance)) / each.people for each in sums if each.people > 1]
    return max(bounds, default=-LARGEST_DIFFERENCE)


def deviations(numbers: Numbers, reference: int) -> float:
    """By how many standard errors the mean difference of one hospital is above 0. Infinite if all differences are
    equal, and not 0. 0 for fewer than two people."""
    sums = _sums(numbers, reference)
    if sums.people <= 1 or sums.total == 0:
        return 0.0
    return sums.total / math.sqrt(sums.variance) if sums.variance > 0 else math.copysign(math.inf, sums.total)


def is_contradicted(hospitals: Sequence[Numbers], reference: int, error: float) -> bool:
    """Whether the rows of one hospital contradict the reference. There, its probabilities fit the labels surely worse
    than the hospital's prevalence does. But over the other hospitals, it is better than a model that knows only their
    prevalence.

    `error`: the largest chance that a hospital counts as such although the reference states the right probabilities at
    each of them (Bonferroni).
    """
    least = math.log(len(hospitals) / error)
    return any(
        _evidence_for_prevalence(each, reference) > least
        and _gain([other for other in hospitals if other is not each], reference) > 0
        for each in hospitals
    )


def _evidence_for_prevalence(numbers: Numbers, reference: int) -> float:
    """The logarithm of a ratio: the likelihood of one hospital's labels by their prevalence over that by the reference.

    Nobody knows the prevalence, so its likelihood is the mean over all values from 0 to 1. If the reference is right,
    the mean of the ratio is at most 1. So the chance that the ratio is above k is at most 1 / k (Markov's inequality),
    however few people there are (Grünwald et al., Safe Testing, JRSS B 2024). Rows of one patient are one observation:
    the geometric mean of their likelihoods keeps the mean of the ratio at most at 1 (Hölder's inequality).
    """
    negative, positive = numbers["weights"].tolist()
    likelihood = math.lgamma(positive + 1) + math.lgamma(negative + 1) - math.lgamma(positive + negative + 2)
    return likelihood + _sums(numbers, reference).loss


def _gain(hospitals: Sequence[Numbers], reference: int) -> float:
    """How much lower the reference's mean log loss is than that of a model that knows only the prevalence of these
    hospitals. 0 without hospitals."""
    people = sum(float(each["people"][0]) for each in hospitals)
    if not people:
        return 0.0
    share = sum(float(each["people"][1]) for each in hospitals) / people
    return entropy(share) - sum(_sums(each, reference).loss for each in hospitals) / people


@dataclass(frozen=True)
class _Sums:
    """Over the people of one hospital: the reference's loss, the differences and their squares."""

    people: float
    loss: float
    total: float
    squares: float

    @property
    def variance(self) -> float:
        """The variance of the sum of differences over so many people, by their sample variance."""
        deviations = max(0.0, self.squares - self.total * self.total / self.people)
        return self.people / (self.people - 1) * deviations


def _sums(numbers: Numbers, reference: int) -> _Sums:
    loss, total, squares = numbers[layouts.DIFFERENCES].reshape(-1, layouts.PER_REFERENCE)[reference].tolist()
    return _Sums(float(numbers["people"][0]), loss, total, squares)


def _interval(value: float, sums: Sequence[_Sums], people: float) -> Interval | None:
    if any(each.people <= 1 for each in sums):
        return None
    half = intervals.Z * math.sqrt(sum(each.variance for each in sums)) / people
    return max(-LARGEST_DIFFERENCE, value - half), min(LARGEST_DIFFERENCE, value + half)
