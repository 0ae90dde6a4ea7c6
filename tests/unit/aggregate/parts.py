"""Parts of hospitals from which the tests combine the metrics of a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from wardround.aggregate.metrics import Combined, Part, combine
from wardround.metrics import registry, sums

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


def cells(true: int, false: int, negatives: int, missed: int) -> Any:
    """True and false positives, true and false negatives: the sums of such people."""
    sizes = true, false, negatives, missed
    people = np.arange(sum(sizes))
    return sums.count(np.repeat([1, 0, 0, 1], sizes), np.repeat([0.7, 0.7, 0.2, 0.2], sizes), people)


def of_cells(name: str, *sizes: int, tells: bool = False) -> Part:
    return Part(name, sum(sizes), cells(*sizes), {}, 1.0, tells, 11)


def predicting(name: str, people: int, least: float, most: float, *, tells: bool = False) -> Part:
    """A hospital whose predictions lie between two probabilities."""
    labels = np.arange(people) % 2
    counted = sums.count(labels, np.linspace(least, most, people), np.arange(people))
    return Part(name, people, counted, {}, 1.0, tells, 11)


def part_without(name: str, **changes: Any) -> Part:
    return Part(**{**vars(hospital(name)), **changes})


REFERENCES = ("heart-1", "heart-2")
