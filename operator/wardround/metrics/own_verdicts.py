"""Decides for one hospital whether a model is better or worse than each reference on the hospital's own people. Pure.

It decides nothing for the federation: the verdict of the gate does (metrics/gate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from wardround.metrics.differences import deviations
from wardround.metrics.estimates import Numbers
from wardround.wire.outcome import OwnOutcome

# The chance that a model counts as better or worse than one of the references though it equals all of them.
ERROR = 0.01
# The fewest people of each class with which a hospital decides. It is not the gate's minEvents: with a number that the
# hub chooses, each verdict would say whether a class of the hospital has so many people.
FEWEST_EVENTS = 20


def decide(numbers: Numbers, references: int, min_cell: int) -> tuple[OwnOutcome, ...]:
    """The verdict on each reference, in the order of the references."""
    if min(numbers["people"].tolist()[1:]) < max(min_cell, FEWEST_EVENTS):
        return too_few(references)
    return _holm([deviations(numbers, place) for place in range(references)])


def too_few(references: int) -> tuple[OwnOutcome, ...]:
    """The verdict of a hospital that has too few people, on each reference."""
    return tuple("TooFewPeople" for _ in range(references))


def _holm(each: Sequence[float]) -> tuple[OwnOutcome, ...]:
    """Two-sided tests of normal deviates by Holm's method (Scandinavian Journal of Statistics, 1979): the largest one
    is tested as strictly as Bonferroni does, and each further one less strictly, until one is not significant."""
    verdicts: list[OwnOutcome] = ["Undecided"] * len(each)
    for number, place in enumerate(sorted(range(len(each)), key=lambda place: -abs(each[place]))):
        if abs(each[place]) <= NormalDist().inv_cdf(1 - ERROR / (len(each) - number) / 2):
            break
        verdicts[place] = "Better" if each[place] < 0 else "Worse"
    return tuple(verdicts)
