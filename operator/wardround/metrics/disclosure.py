"""Decides which numbers stay untold, and behind how many people a number hides one of them. No numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def too_few(people: Sequence[float], min_cell: float, *, classes: bool = True) -> bool:
    """Whether a hospital withholds its sums, or a result its metrics.

    `people`: counts of people: all, with a positive row, with a negative row. Suppressing single metrics would not be
    enough: the log loss alone reveals how many people have a positive row. `classes`: whether the target has two
    classes; else only the first count matters.
    """
    return min(people if classes else people[:1]) < min_cell


def without_largest(people: Sequence[float]) -> float:
    """The people of a number without the hospital that has the most of them. All people if there is one hospital.

    This count decides how exact a number may be. A hospital can state any number of people, and it can subtract its own
    sums from a total. So its people do not hide a person of another hospital. Whichever hospital does this, the others
    have at least as many people as this count.
    """
    return math.fsum(sorted(people)[:-1] or people)


@dataclass(frozen=True)
class Counted:
    """A hospital whose sums are in the total. `tells`: its Site allows the result to show this hospital's numbers."""

    people: float
    tells: bool


def shown(hospitals: Mapping[str, Counted]) -> tuple[str, ...]:
    """The names of the hospitals whose own numbers a result may show beside the total, sorted.

    If exactly one hospital does not tell, its numbers would follow by subtraction from the total. Then the telling
    hospital with the most people is not shown either. With a small one instead, the numbers would nearly follow.
    """
    telling = sorted((each for each in hospitals if hospitals[each].tells), key=lambda each: hospitals[each].people)
    if len(hospitals) - len(telling) == 1:
        telling = telling[:-1]
    return tuple(sorted(telling))
