"""The numbers of a result: metrics with intervals over all hospitals that sent sums, and single hospitals'; pure.

No single hospital's number is in the result, unless its Site tells it. A total over one hospital is that hospital's
number. From a total and the numbers of all other hospitals, anybody could compute the numbers of the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wardround.aggregate.rules import scaled
from wardround.metrics import differences, disclosure, estimates, registry, sums
from wardround.metrics.digits import edge_text, end_text, metric_text, rounded_count, share_ends, text
from wardround.metrics.estimates import Estimate
from wardround.metrics.sums import Sums
from wardround.tensors import Array
from wardround.wire import layouts
from wardround.wire.aggregation import CalibrationGroup, CombinedDifference, CombinedMetric

CALIBRATION, LOSS = "calibration", "loss"
# Nearly the largest number of single precision, in which models train. A reported number beyond it counts in no mean:
# it would leave nothing of the others.
LARGEST_REPORTED = 1e38
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

    @property
    def counted(self) -> bool:
        """Whether metrics are computed from its sums: after scaling, each class still holds `min_cell` people.

        With fewer, this hospital would protect no other one: the total of two hospitals would nearly be that of the
        other.
        """
        return bool(self.sums) and estimates.classes_hold_enough(self.scaled(), self.min_cell)

    def scaled(self) -> Sums:
        return {name: scaled(name, each, self.scale) for name, each in self.sums.items()}


@dataclass(frozen=True)
class Combined:
    """`by_hospital`: the texts of those hospitals whose own numbers may be told, by participant and metric.
    `too_large`: the participants of which a mean lacks a number, because the number is beyond LARGEST_REPORTED."""

    metrics: Mapping[str, CombinedMetric] = field(default_factory=dict)
    calibration: tuple[CalibrationGroup, ...] = ()
    by_hospital: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    differences: tuple[CombinedDifference, ...] = ()
    too_large: tuple[str, ...] = ()


def combine(
    parts: Sequence[Part], declared: tuple[str, ...], specificity: float, references: Sequence[str] = ()
) -> Combined:
    """Return the declared metrics, and the differences from the references. One without a value, or that may not be
    told, is left out.

    `parts`: of the hospitals that sent sums. `specificity`: the least that sensitivityAtSpecificity asks for.
    `references`: names of the rounds that made them. No hospital's own difference is told.
    """
    counted = [part for part in parts if part.counted]
    groups = {name: _group_behind(name, parts, counted) for name in registry.with_companions(declared)}
    totals = {name: _total(name, group, specificity) for name, group in groups.items() if group.may_be_told}
    metrics = {name: _metric(name, estimate, groups[name]) for name, estimate in totals.items() if estimate is not None}
    curve = _curve(counted) if CALIBRATION in declared else ()
    paired = _differences(counted, references, with_loss=LOSS in declared)
    too_large = sorted({each for group in groups.values() for each in group.too_large})
    return Combined(metrics, curve, _own_numbers(groups, specificity), paired, tuple(too_large))


@dataclass(frozen=True)
class _Hospitals:
    """The hospitals that a metric is over. `computed`: whether it is computed from sums, or the code reports it.
    `too_large`: the participants that would be among them with a smaller number."""

    parts: Sequence[Part]
    computed: bool
    too_large: Sequence[str] = ()

    @property
    def may_be_told(self) -> bool:
        return may_be_told(self.parts)

    @property
    def hidden(self) -> set[str]:
        """Hospitals that tell their own numbers, but whose numbers would reveal those of another hospital."""
        shown = disclosure.shown(
            {part.participant: disclosure.Counted(part.people * part.scale, part.tells) for part in self.parts}
        )
        return {part.participant for part in self.parts if part.tells} - set(shown)

    def own(self, part: Part, name: str, specificity: float) -> Estimate | None:
        """The metric of one hospital. None: too few people are behind it, or it is undefined."""
        if self.computed:
            return estimates.estimates(part.sums, part.min_cell, specificity, (name,))[name]
        return Estimate(part.reported[name], None, None, part.people, part.people, part.people)

    def text(self, name: str, value: float, people: float) -> str:
        """At most 32 characters, the most that a FederatedRound takes. A number that training code reports can be any
        float, whatever its name. So it is never written as a count or an edge, without an exponent."""
        return metric_text(name, value, people) if self.computed else text(value, people)


def _group_behind(name: str, parts: Sequence[Part], counted: Sequence[Part]) -> _Hospitals:
    """The hospitals that the metric is over: those of whose sums it is computed, or those whose code reports it.

    Metrics that are computed determine each other. Two of them over different hospitals would give a number of one
    hospital by subtraction, so all of them are over the same hospitals. The majority decides whether a metric is
    computed, so that one hospital alone cannot replace what the others report.
    """
    computing = [part for part in parts if estimates.allows(part.sums, name)]
    reporting = [part for part in parts if name in part.reported and not estimates.allows(part.sums, name)]
    if computing and len(computing) >= len(reporting):
        return _Hospitals(counted, computed=True)
    enough = [part for part in reporting if part.people * part.scale >= part.min_cell]
    fitting = [part for part in enough if abs(part.reported[name]) <= LARGEST_REPORTED]
    too_large = [part.participant for part in enough if abs(part.reported[name]) > LARGEST_REPORTED]
    return _Hospitals(fitting, computed=False, too_large=too_large)


def comparing(parts: Sequence[Part]) -> list[Part]:
    """Hospitals whose sums count, and that compare the model with references."""
    return [part for part in parts if part.counted and layouts.DIFFERENCES in part.sums]


def may_be_told(hospitals: Sequence[Part]) -> bool:
    """Whether a number over these hospitals may be told: one over a single hospital is that hospital's own."""
    return len(hospitals) > 1 or all(part.tells for part in hospitals)


def least_cell(hospitals: Sequence[Part]) -> float:
    """The largest `min_cell` of the hospitals. Each class of each of them has so many people by its scaled sums."""
    return max(part.min_cell for part in hospitals)


def _apart(hospitals: Sequence[Part]) -> list[tuple[Sums, float]]:
    return [(part.scaled(), part.min_cell) for part in hospitals]


def _total(name: str, group: _Hospitals, specificity: float) -> Estimate | None:
    """The metric over all these hospitals. None: a hospital among them has too few people for it, or it is undefined.

    Without this hospital it would be a metric over other hospitals than the rest.
    """
    if not group.parts:
        return None
    if not group.computed:
        return _mean(name, group.parts)
    apart = _apart(group.parts)
    if not all(estimates.allows(each, name) and estimates.holds_enough(each, name, least) for each, least in apart):
        return None
    total = sums.add([each for each, _ in apart])
    return estimates.estimates(total, least_cell(group.parts), specificity, (name,), apart)[name]


def _mean(name: str, hospitals: Sequence[Part]) -> Estimate:
    """The mean of a metric that the training code reports, weighted by people."""
    each = [part.people * part.scale for part in hospitals]
    people = sum(each)
    value = sum(part.reported[name] * part.people * part.scale for part in hospitals) / people
    return Estimate(value, None, None, round(people), disclosure.without_largest(each), people)


def _own_numbers(groups: Mapping[str, _Hospitals], specificity: float) -> dict[str, dict[str, str]]:
    """By participant that tells its own numbers, their texts by metric.

    A hospital that is hidden for one metric is hidden for all: its other numbers could give the hidden one.
    """
    hidden = {participant for group in groups.values() for participant in group.hidden}
    texts: dict[str, dict[str, str]] = {}
    for name, group in groups.items():
        for part in group.parts:
            if not part.tells or part.participant in hidden:
                continue
            own = group.own(part, name, specificity)
            if own is not None:
                texts.setdefault(part.participant, {})[name] = group.text(name, own.value, own.people_without_largest)
    return texts


def _curve(counted: Sequence[Part]) -> tuple[CalibrationGroup, ...]:
    if not counted or not may_be_told(counted) or not all("histogram" in part.sums for part in counted):
        return ()
    apart = _apart(counted)
    total = sums.add([each for each, _ in apart])
    return tuple(_group(each) for each in estimates.calibration(total, least_cell(counted), apart))


def _differences(
    parts: Sequence[Part], references: Sequence[str], *, with_loss: bool
) -> tuple[CombinedDifference, ...]:
    """The difference from each reference. A difference depends on labels, so it is told as such metrics are.

    `with_loss`: whether the reference's own loss is told too, because the round declares the loss.
    """
    members = comparing(parts)
    if not members or not may_be_told(members):
        return ()
    scaled = [part.scaled() for part in members]
    made = [(name, differences.difference(scaled, place, least_cell(members))) for place, name in enumerate(references)]
    return tuple(_difference(name, each, len(members), with_loss) for name, each in made if each is not None)


def _difference(reference: str, each: differences.Difference, hospitals: int, with_loss: bool) -> CombinedDifference:
    return CombinedDifference(
        reference=reference,
        value=text(each.value, each.people_without_largest),
        low=None if each.low is None else end_text(each.low, each.people_without_largest, upper=False),
        high=None if each.high is None else end_text(each.high, each.people_without_largest, upper=True),
        loss=text(each.loss, each.people_without_largest) if with_loss else None,
        people=rounded_count(each.people),
        events=rounded_count(each.events),
        hospitals=hospitals,
    )


def _metric(name: str, estimate: Estimate, group: _Hospitals) -> CombinedMetric:
    low, high = _interval(name, estimate, group)
    return CombinedMetric(
        value=group.text(name, estimate.value, estimate.people_without_largest),
        low=low,
        high=high,
        people=rounded_count(estimate.people),
        hospitals=len(group.parts),
    )


def _interval(name: str, estimate: Estimate, group: _Hospitals) -> tuple[str, str] | tuple[None, None]:
    people = estimate.people_without_largest
    if estimate.low is None or estimate.high is None:
        return None, None
    if registry.METRICS[name].interval == "Wilson":
        return share_ends(estimate.value, estimate.denominator, people)
    return group.text(name, estimate.low, people), group.text(name, estimate.high, people)


def _group(group: estimates.Group) -> CalibrationGroup:
    return CalibrationGroup(
        low=edge_text(group.start, _EDGE_PEOPLE),
        high=edge_text(group.stop, _EDGE_PEOPLE),
        people=rounded_count(group.people),
        observed=text(group.observed, group.people_without_largest),
    )
