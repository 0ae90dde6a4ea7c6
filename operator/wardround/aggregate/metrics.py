"""The numbers of a result: metrics with intervals over all hospitals that sent sums, and single hospitals'; pure.

No single hospital's number is in the result, unless its Site tells it. A total over one hospital is that hospital's
number. From a total and the numbers of all other hospitals, the last one's follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wardround.aggregate.strategies import scaled
from wardround.metrics import differences, estimates, registry, sums, withheld
from wardround.metrics.digits import text
from wardround.metrics.estimates import Estimate
from wardround.metrics.sums import Sums
from wardround.tensors import Array
from wardround.wire import layouts
from wardround.wire.aggregation import CalibrationGroup, CombinedDifference, CombinedMetric

CALIBRATION = "calibration"
# The edges of bins are the same in every round, so they tell nothing about people and have four digits.
_EDGE_PEOPLE = 1000


@dataclass(frozen=True)
class Part:
    """What one hospital sent. `sums`: not scaled yet; empty if the target is not binary. `scale`: of the sums.

    `people`: distinct patients of the rows. `reported`: by name, the metrics that the training code reports itself.
    """

    participant: str
    people: int
    sums: Mapping[str, Array]
    reported: Mapping[str, float]
    scale: float
    tells: bool
    min_cell: int

    def own(self, name: str, specificity: float) -> Estimate | None:
        """This hospital's own number. None: its Site does not tell it, or it is withheld or undefined."""
        if not self.tells:
            return None
        if estimates.allows(self.sums, name):
            return estimates.estimates(self.sums, self.min_cell, specificity, (name,))[name]
        enough = self.people >= self.min_cell
        return Estimate(self.reported[name], None, None, self.people) if enough else None

    def scaled(self) -> Sums:
        return {name: scaled(name, each, self.scale) for name, each in self.sums.items()}


@dataclass(frozen=True)
class Combined:
    """`by_hospital`: the texts of those hospitals whose own numbers may be told, by participant and metric."""

    metrics: Mapping[str, CombinedMetric] = field(default_factory=dict)
    calibration: tuple[CalibrationGroup, ...] = ()
    by_hospital: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    differences: tuple[CombinedDifference, ...] = ()


def combine(
    parts: Sequence[Part], declared: tuple[str, ...], specificity: float, references: Sequence[str] = ()
) -> Combined:
    """Return the declared metrics, and the differences from the references. One without a value, or that may not be
    told, is left out.

    `parts`: of the hospitals that sent sums. `specificity`: the least that sensitivityAtSpecificity asks for.
    `references`: names of the rounds that made them. No hospital's own difference is told.
    """
    metrics: dict[str, CombinedMetric] = {}
    texts: dict[str, dict[str, str]] = {}
    for name in registry.with_companions(declared):
        members = _members(name, parts)
        estimate = _total(name, members, specificity) if _may_be_told(members) else None
        if estimate is not None:
            metrics[name] = _metric(estimate, len(members))
        for participant, each in _own_numbers(name, members, specificity).items():
            texts.setdefault(participant, {})[name] = each
    curve = _curve(parts) if CALIBRATION in declared else ()
    return Combined(metrics, curve, texts, _differences(parts, references))


def _members(name: str, parts: Sequence[Part]) -> list[Part]:
    """The hospitals that the metric is over.

    If sums allow the metric, a hospital that only reports its name does not count: it is not in the total, so it
    protects no other hospital's number.
    """
    with_sums = [part for part in parts if estimates.allows(part.sums, name)]
    if with_sums:
        return [part for part in with_sums if estimates.holds_enough(part.sums, name, part.min_cell)]
    return [part for part in parts if name in part.reported and part.people >= part.min_cell]


def _may_be_told(members: Sequence[Part]) -> bool:
    return len(members) > 1 or all(part.tells for part in members)


def _least(members: Sequence[Part]) -> float:
    """The largest `min_cell` of the members, each scaled as its sums are.

    Each member alone has that many people, so a member that names a large `min_cell` hides no number.
    """
    return max(part.min_cell * part.scale for part in members)


def _total(name: str, members: Sequence[Part], specificity: float) -> Estimate | None:
    if not members:
        return None
    if not estimates.allows(members[0].sums, name):
        return _mean(name, members)
    total = sums.add([part.scaled() for part in members])
    return estimates.estimates(total, _least(members), specificity, (name,))[name]


def _mean(name: str, members: Sequence[Part]) -> Estimate | None:
    """The mean of a metric that the training code reports, weighted by people. None if it is not finite: the code may
    report the largest float."""
    people = sum(part.people * part.scale for part in members)
    value = sum(part.reported[name] * part.people * part.scale for part in members) / people
    return Estimate(value, None, None, round(people)) if math.isfinite(value) else None


def _own_numbers(name: str, members: Sequence[Part], specificity: float) -> dict[str, str]:
    """By participant, the text of its own number. Decided for each metric alone, and among the hospitals that the
    metric is over: only their numbers follow from the total by subtraction."""
    own = {part.participant: part.own(name, specificity) for part in members}
    hospitals = {part.participant: withheld.Counted(part.people, own[part.participant] is not None) for part in members}
    shown = {participant: own[participant] for participant in withheld.shown(hospitals)}
    return {participant: text(each.value, each.people) for participant, each in shown.items() if each is not None}


def _curve(parts: Sequence[Part]) -> tuple[CalibrationGroup, ...]:
    members = [part for part in _members(CALIBRATION, parts) if "histogram" in part.sums]
    if not members or not _may_be_told(members):
        return ()
    total = sums.add([part.scaled() for part in members])
    apart = [(part.sums, part.min_cell) for part in members]
    return tuple(_group(each) for each in estimates.calibration(total, _least(members), apart))


def _differences(parts: Sequence[Part], references: Sequence[str]) -> tuple[CombinedDifference, ...]:
    """The difference from each reference. A difference depends on labels, so it is told as such metrics are."""
    members = [part for part in parts if layouts.DIFFERENCES in part.sums]
    if not members or not _may_be_told(members):
        return ()
    scaled = [part.scaled() for part in members]
    made = [(name, differences.difference(scaled, place, _least(members))) for place, name in enumerate(references)]
    return tuple(_difference(name, each, len(members)) for name, each in made if each is not None)


def _difference(reference: str, each: differences.Difference, hospitals: int) -> CombinedDifference:
    def bound(value: float | None) -> str | None:
        return None if value is None else text(value, each.people)

    return CombinedDifference(
        reference=reference,
        value=text(each.value, each.people),
        low=bound(each.low),
        high=bound(each.high),
        loss=text(each.loss, each.people),
        people=each.people,
        events=round(float(text(each.events, each.people))),
        hospitals=hospitals,
    )


def _metric(estimate: Estimate, hospitals: int) -> CombinedMetric:
    def bound(value: float | None) -> str | None:
        return None if value is None else text(value, estimate.people)

    return CombinedMetric(
        value=text(estimate.value, estimate.people),
        low=bound(estimate.low),
        high=bound(estimate.high),
        people=estimate.people,
        hospitals=hospitals,
    )


def _group(group: estimates.Group) -> CalibrationGroup:
    return CalibrationGroup(
        low=text(group.start, _EDGE_PEOPLE),
        high=text(group.stop, _EDGE_PEOPLE),
        people=group.people,
        observed=text(group.observed, group.people),
    )
