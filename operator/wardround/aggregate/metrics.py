"""The numbers of a result: metrics with intervals over all hospitals that sent sums, and single hospitals'; pure.

No single hospital's number is in the result, unless its Site tells it. A total over one hospital is that hospital's
number. From a total and the numbers of all other hospitals, the last one's follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wardround.aggregate.strategies import scaled
from wardround.metrics import estimates, registry, sums, withheld
from wardround.metrics.digits import text
from wardround.metrics.estimates import Estimate
from wardround.metrics.sums import Sums
from wardround.tensors import Array
from wardround.wire.aggregation import CalibrationGroup, CombinedMetric

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

    def own(self, specificity: float) -> dict[str, Estimate | None]:
        """All numbers of this hospital, by name. None: withheld, or undefined."""
        made: dict[str, Estimate | None] = {
            name: Estimate(value, None, None, self.people) if self.people >= self.min_cell else None
            for name, value in self.reported.items()
        }
        return made | (estimates.estimates(self.sums, self.min_cell, specificity) if self.sums else {})

    def scaled(self) -> Sums:
        return {name: scaled(name, each, self.scale) for name, each in self.sums.items()}


@dataclass(frozen=True)
class Combined:
    """`by_hospital`: the texts of those hospitals whose own numbers may be told, by participant and metric."""

    metrics: Mapping[str, CombinedMetric] = field(default_factory=dict)
    calibration: tuple[CalibrationGroup, ...] = ()
    by_hospital: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def combine(parts: Sequence[Part], declared: tuple[str, ...], specificity: float) -> Combined:
    """Return the declared metrics. A metric without a value, or that may not be told, is left out.

    `parts`: of the hospitals that sent sums. `specificity`: the least that sensitivityAtSpecificity asks for.
    """
    names = registry.with_companions(declared)
    counted = [part for part in parts if part.sums]
    least = max((part.min_cell for part in parts), default=0)
    total = sums.add([part.scaled() for part in counted]) if counted else {}
    computed = estimates.estimates(total, least, specificity) if counted else {}
    metrics: dict[str, CombinedMetric] = {}
    for name in names:
        members = counted if name in computed else [part for part in parts if name in part.reported]
        estimate = computed[name] if name in computed else _mean(name, members, least)
        if estimate is not None and _may_be_told(members):
            metrics[name] = _metric(estimate, len(members))
    curve: tuple[CalibrationGroup, ...] = ()
    if CALIBRATION in declared and "histogram" in total and _may_be_told(counted):
        curve = tuple(_group(each) for each in estimates.calibration(total, least))
    return Combined(metrics, curve, _by_hospital(parts, names, specificity))


def _may_be_told(members: Sequence[Part]) -> bool:
    return len(members) > 1 or all(part.tells for part in members)


def _mean(name: str, members: Sequence[Part], least: int) -> Estimate | None:
    """The mean of a metric that the training code reports, weighted by people. None if it is not finite: the code may
    report the largest float."""
    people = sum(part.people * part.scale for part in members)
    if not members or people < least:
        return None
    value = sum(part.reported[name] * part.people * part.scale for part in members) / people
    return Estimate(value, None, None, round(people)) if math.isfinite(value) else None


def _by_hospital(parts: Sequence[Part], names: Iterable[str], specificity: float) -> dict[str, dict[str, str]]:
    """Decided for each metric alone, because one hospital may have too few people behind one metric."""
    own = {part.participant: part.own(specificity) for part in parts}
    texts: dict[str, dict[str, str]] = {}
    for name in names:
        members = [part for part in parts if name in own[part.participant]]
        hospitals = {
            part.participant: withheld.Counted(part.people, part.tells and own[part.participant][name] is not None)
            for part in members
        }
        for participant in withheld.shown(hospitals):
            estimate = own[participant][name]
            if estimate is not None:
                texts.setdefault(participant, {})[name] = text(estimate.value, estimate.people)
    return texts


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
