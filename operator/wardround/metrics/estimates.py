"""The metrics with their intervals, from the sums of one hospital or from sums over hospitals."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wardround.metrics import bins, digits, intervals, recalibration, registry
from wardround.metrics.bins import Floats
from wardround.metrics.disclosure import too_few, without_largest
from wardround.metrics.intervals import Interval

# A group of the calibration curve holds so many people without the largest hospital, if there are so many. Over 100
# people or fewer, a share of two decimals gives the exact number of positives, and ten such groups would give the exact
# number of all positives.
CURVE_PEOPLE = 200
# The loss of a person whose label has the probability 1e-6.
LARGEST_LOSS = -math.log(bins.LEAST)

Numbers = Mapping[str, npt.NDArray[np.float64]]

_AT_SPECIFICITY = ("sensitivityAtSpecificity", "threshold", "specificityAtThreshold")
_RECALIBRATION = (registry.INTERCEPT, registry.SLOPE)
# The place in `people` of those that a metric is over: with a positive row, with a negative row. Others are over all.
_PEOPLE_PLACE = {
    "sensitivity": 1,
    "sensitivityAtSpecificity": 1,
    "specificity": 2,
    "specificityAtThreshold": 2,
}


@dataclass(frozen=True)
class Estimate:
    """A metric's value, its 95 % interval where it has one, and the number of people that it is over.

    `people_without_largest`: the people without the largest hospital. The digits of a result depend on them.
    `denominator`: the weight of these people's rows by which a share is divided. For other metrics, the people.
    """

    value: float
    low: float | None
    high: float | None
    people: int
    people_without_largest: float
    denominator: float


@dataclass(frozen=True)
class Group:
    """A group of the calibration curve: people with a predicted probability in [start, stop), and the share of
    positives among them. `people_without_largest`: as of `Estimate`."""

    start: float
    stop: float
    people: int
    observed: float
    people_without_largest: float


Hospitals = Sequence[tuple[Numbers, float]]


def estimates(
    numbers: Numbers,
    min_cell: float,
    specificity: float = 0.9,
    names: Collection[str] = tuple(registry.METRICS),
    apart: Hospitals = (),
) -> dict[str, Estimate | None]:
    """Each of the metrics in `names` that these sums allow, by name. None: withheld, or undefined.

    A metric is withheld if its denominator holds fewer than `min_cell` people. Metrics that depend on labels are
    withheld too if a class holds fewer. `specificity`: the least that `sensitivityAtSpecificity` asks for. Sums without
    a histogram have no metric that needs it. `apart`: as of `calibration`.
    """
    made = {name: estimator(numbers) for name, estimator in _ESTIMATORS.items() if name in names}
    for group, joint in _JOINT_ESTIMATORS.items():
        if "histogram" in numbers and any(name in names for name in group):
            together = joint(numbers, min_cell, specificity, apart)
            made |= {name: each for name, each in together.items() if name in names}
    hospitals = [each for each, _ in apart] or [numbers]
    return {
        name: replace(each, people_without_largest=_without_largest(name, hospitals))
        if each is not None and _publishable(name, each, numbers, min_cell)
        else None
        for name, each in made.items()
    }


def _publishable(name: str, each: Estimate, numbers: Numbers, min_cell: float) -> bool:
    """Whether a metric is over enough people. A metric that depends on labels needs enough of each class."""
    too_few_people = too_few(numbers["people"].tolist(), min_cell, classes=registry.METRICS[name].labels)
    return not too_few_people and each.denominator >= _at_least(min_cell)


def allows(numbers: Numbers, name: str) -> bool:
    """Whether these sums allow a metric of this name."""
    known = registry.METRICS.get(name)
    return bool(numbers) and known is not None and (not known.histogram or "histogram" in numbers)


def holds_enough(numbers: Numbers, name: str, min_cell: float) -> bool:
    """Whether a metric that these sums allow is over at least `min_cell` people, in its denominator too.

    The metrics that need the histogram explain each other, so their denominators hold enough people together.
    """
    if too_few(numbers["people"].tolist(), min_cell, classes=registry.METRICS[name].labels):
        return False
    if registry.METRICS[name].histogram:
        return float(numbers["weights"].min()) >= _at_least(min_cell)
    each = _ESTIMATORS[name](numbers)
    return each is not None and each.denominator >= _at_least(min_cell)


def classes_hold_enough(numbers: Numbers, min_cell: float) -> bool:
    """Whether each class of these sums holds at least `min_cell` people, and as much weight.

    A patient with rows of both classes is one of the people of each class, but weighs only a part in each.
    """
    return not too_few([*numbers["people"].tolist(), *numbers["weights"].tolist()], _at_least(min_cell))


def calibration(numbers: Numbers, min_cell: float, apart: Hospitals = ()) -> tuple[Group, ...]:
    """The calibration curve: at most 10 groups, each of at least `min_cell` and CURVE_PEOPLE people. It is one group if
    all people are fewer, and empty if a class holds fewer than `min_cell`.

    `apart`: the sums and the `min_cell` of each hospital. If there are several hospitals, people are counted, and
    hospitals share a group, as in `bins.merge`.
    """
    if too_few(numbers["people"].tolist(), min_cell):
        return ()
    histogram, members = _Histogram.read(numbers), _members(numbers, apart)
    return tuple(
        Group(
            float(bins.EDGES[start]),
            float(bins.EDGES[stop]),
            round(float(histogram.both[start:stop].sum())),
            float(histogram.positives[start:stop].sum() / histogram.both[start:stop].sum()),
            without_largest([float(each.both[start:stop].sum()) for each in members]),
        )
        for start, stop in _curve_groups(numbers, min_cell, apart)
    )


def _members(numbers: Numbers, apart: Hospitals) -> list[_Histogram]:
    """The histogram of each hospital behind these sums."""
    return [_Histogram.read(each) for each in [sums for sums, _ in apart] or [numbers]]


def _curve_groups(numbers: Numbers, min_cell: float, apart: Hospitals) -> list[tuple[int, int]]:
    """The first bin and the end of each group of the calibration curve."""
    everybody = without_largest([float(each.both.sum()) for each in _members(numbers, apart)])
    least = min(max(min_cell, CURVE_PEOPLE), everybody)
    return bins.merge(_Histogram.read(numbers).both, least, bins.MOST_GROUPS, _apart(apart))


def _apart(hospitals: Hospitals) -> list[tuple[Floats, float]]:
    """What `bins.merge` reads of each of several hospitals: weights by bin, and its `min_cell`."""
    return [(_Histogram.read(each).both, least) for each, least in hospitals] if len(hospitals) > 1 else []


def _at_least(min_cell: float) -> float:
    """Sums of weights such as 1/3 are not exact."""
    return min_cell * (1 - 1e-9)


def _over(value: float, interval: Interval | None, people: float, denominator: float) -> Estimate:
    low, high = interval if interval is not None else (None, None)
    return Estimate(float(value), low, high, round(people), people, denominator)


def _mean(name: str, highest: float) -> Callable[[Numbers], Estimate | None]:
    def estimator(numbers: Numbers) -> Estimate | None:
        people = float(numbers["people"][0])
        if people <= 0:
            return None
        total, squares = numbers[name].tolist()
        return _over(total / people, intervals.normal(total, squares, people, highest), people, people)

    return estimator


def _share(hits: float, weight: float, people: float) -> Estimate | None:
    if weight <= 0:
        return None
    value = min(1.0, max(0.0, hits / weight))
    return _over(value, intervals.wilson(value, weight), people, weight)


def _accuracy(numbers: Numbers) -> Estimate | None:
    true_positives, _, true_negatives, _ = numbers["confusion"].tolist()
    return _share(true_positives + true_negatives, float(numbers["weights"].sum()), float(numbers["people"][0]))


def _sensitivity(numbers: Numbers) -> Estimate | None:
    return _share(float(numbers["confusion"][0]), float(numbers["weights"][1]), float(numbers["people"][1]))


def _specificity(numbers: Numbers) -> Estimate | None:
    return _share(float(numbers["confusion"][2]), float(numbers["weights"][0]), float(numbers["people"][2]))


def _ppv(numbers: Numbers) -> Estimate | None:
    true, false = numbers["confusion"].tolist()[:2]
    return _share(true, true + false, true + false)


def _auc(numbers: Numbers) -> Estimate | None:
    pairs, ordered, variance = numbers["pairs"].tolist()
    if pairs <= 0:
        return None
    value = min(1.0, ordered / pairs)
    people = float(numbers["people"][0])
    return _over(value, intervals.area(value, variance / pairs / pairs), people, people)


def _calibration(numbers: Numbers) -> Estimate | None:
    people, observed, expected = (
        float(each) for each in (numbers["people"][0], numbers["weights"][1], numbers["expected"][0])
    )
    if expected <= 0:
        return None
    return _over(observed / expected, intervals.ratio(observed, expected, people), people, people)


def _count(name: str, place: int) -> Callable[[Numbers], Estimate | None]:
    def estimator(numbers: Numbers) -> Estimate | None:
        people = float(numbers["people"][0])
        return _over(float(numbers[name][place]), None, people, people)

    return estimator


_ESTIMATORS: Mapping[str, Callable[[Numbers], Estimate | None]] = {
    "loss": _mean("loss", LARGEST_LOSS),
    "brier": _mean("brier", 1.0),
    "accuracy": _accuracy,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "ppv": _ppv,
    "auc": _auc,
    "calibration": _calibration,
    "people": _count("people", 0),
    "positives": _count("people", 1),
    "rows": _count("rows", 0),
}


@dataclass(frozen=True)
class _Histogram:
    """Weights by bin, and the numbers of people: all, positives, negatives."""

    negatives: Floats
    positives: Floats
    people: Floats

    @classmethod
    def read(cls, numbers: Numbers) -> _Histogram:
        negatives, positives = np.asarray(numbers["histogram"]).reshape(2, -1)
        return cls(negatives, positives, numbers["people"])

    @property
    def both(self) -> Floats:
        return self.negatives + self.positives


def _at_specificity(numbers: Numbers, min_cell: float, least: float, apart: Hospitals) -> dict[str, Estimate | None]:
    """The lowest edge of a merged bin at which the specificity is at least `least`, and the sensitivity there.

    A person is predicted positive from the edge on. `apart`: as of `calibration`. Two values of `least` give two
    edges, and the people between two edges are those of merged bins. So these people are never of one hospital alone.

    `least` is compared with the rounded specificity that a result tells. Otherwise an author of rounds, who chooses
    `least`, could find the exact specificity in a few rounds.
    """
    histogram = _Histogram.read(numbers)
    people, with_positive, with_negative = histogram.people.tolist()
    crowd = _without_largest("specificityAtThreshold", [each for each, _ in apart] or [numbers])
    negatives, positives = float(histogram.negatives.sum()), float(histogram.positives.sum())
    edges = [start for start, _ in bins.merge(histogram.both, min_cell, hospitals=_apart(apart))]
    shares = {edge: _share(_below(histogram.negatives, edge), negatives, with_negative) for edge in edges}
    reached = [edge for edge, share in shares.items() if share is not None and _told_share(share, crowd) >= least]
    if not reached:
        return dict.fromkeys(_AT_SPECIFICITY)
    edge = reached[0]
    caught = positives - _below(histogram.positives, edge)
    return {
        "sensitivityAtSpecificity": _share(caught, positives, with_positive),
        "threshold": _over(float(bins.EDGES[edge]), None, people, people),
        "specificityAtThreshold": shares[edge],
    }


def _recalibration(numbers: Numbers, min_cell: float, _: float, apart: Hospitals) -> dict[str, Estimate | None]:
    """Intercept and slope, fitted to the groups of the calibration curve."""
    histogram, people = _Histogram.read(numbers), float(numbers["people"][0])
    groups = _curve_groups(numbers, min_cell, apart)
    line = recalibration.fit(histogram.both, histogram.positives, groups)
    if line is None:
        return dict.fromkeys(_RECALIBRATION)
    values = zip(_RECALIBRATION, (line.intercept, line.slope), line.errors, strict=True)
    return {
        name: _over(value, (value - intervals.Z * error, value + intervals.Z * error), people, people)
        for name, value, error in values
    }


# Metrics that explain each other are computed together.
_JOINT_ESTIMATORS: Mapping[
    tuple[str, ...], Callable[[Numbers, float, float, Hospitals], dict[str, Estimate | None]]
] = {_AT_SPECIFICITY: _at_specificity, _RECALIBRATION: _recalibration}


def _told_share(share: Estimate, people: float) -> float:
    return float(digits.text(share.value, people))


def _without_largest(name: str, hospitals: Sequence[Numbers]) -> float:
    """The people that a metric is over, without the largest of these hospitals."""
    return without_largest([_people_behind(name, each) for each in hospitals])


def _people_behind(name: str, numbers: Numbers) -> float:
    if name == "ppv":
        return float(numbers["confusion"][:2].sum())
    return float(numbers["people"][_PEOPLE_PLACE.get(name, 0)])


def _below(counts: Floats, edge: int) -> float:
    return float(counts[:edge].sum())
