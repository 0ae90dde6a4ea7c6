"""The verdict of the gate, from the unrounded sums of the hospitals. Pure.

The differences that people see are too coarse for the gate's bound. So this process decides, and only the verdict
leaves it. A verdict over one hospital says something about that hospital. So the same rules decide whether a verdict
and a difference may be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from wardround.aggregate.metrics import Part, comparing, least_cell, may_be_told
from wardround.metrics.differences import difference, is_contradicted, surely_worse_by
from wardround.metrics.gate import ERROR_AT_HOSPITALS, ERROR_OF_CONTRADICTION, Evidence, Paired, judge
from wardround.wire.aggregation import CombinedVerdict, PlannedGate


def decide(parts: Sequence[Part], references: Sequence[str], gate: PlannedGate) -> CombinedVerdict:
    """The verdict over the hospitals that sent sums. `references`: names of the rounds that made them."""
    compared = comparing(parts)
    # A limit of the hub's administrator says how much a hospital counts in totals. Its sums still say how it fares.
    unscaled = comparing([replace(part, scale=1.0) for part in parts])
    seen = {part.participant for part in compared}
    evidence = Evidence(
        paired=_paired(compared, unscaled, references),
        coverage=_coverage(gate.trained, seen),
        without_one=tuple(_without_one(unscaled, references)),
    )
    verdict = judge(evidence, gate.min_events)
    unseen = tuple(sorted(gate.trained.keys() - seen))
    return CombinedVerdict(outcome=verdict.outcome, reason=verdict.reason, reference=verdict.reference, unseen=unseen)


def _paired(compared: Sequence[Part], unscaled: Sequence[Part], references: Sequence[str]) -> tuple[Paired, ...]:
    """The model against each reference; empty if one difference may not be told, or has no interval.

    `unscaled`: the hospitals that compare, each with all of its people, also those whose scaled sums do not count.
    """
    if not may_be_told(compared):
        return ()
    single = [part.sums for part in unscaled]
    return tuple(
        replace(
            each,
            at_one=surely_worse_by(single, place, ERROR_AT_HOSPITALS),
            contradicted=is_contradicted(single, place, ERROR_OF_CONTRADICTION),
        )
        for place, each in enumerate(_against(compared, references))
    )


def _against(compared: Sequence[Part], references: Sequence[str]) -> tuple[Paired, ...]:
    """The model against each reference, over these hospitals; empty if one difference has no interval, or is over too
    few people."""
    if not compared:
        return ()
    scaled = [part.scaled() for part in compared]
    differences = []
    for place, name in enumerate(references):
        each = difference(scaled, place, least_cell(compared))
        if each is None or each.low is None or each.high is None:
            return ()
        paired = Paired(
            reference=name,
            low=each.low,
            high=each.high,
            reference_loss=each.loss,
            people=each.people,
            events=each.events,
        )
        differences.append(paired)
    return tuple(differences)


def _without_one(unscaled: Sequence[Part], references: Sequence[str]) -> Iterator[Paired]:
    """The model against each reference, over all hospitals but one, for each of them. The hospitals that are left need
    not agree that this is told: a verdict tells no more of it than one of its reasons. Without both classes, there is
    nothing to compare."""
    for left_out in unscaled:
        others = [part for part in unscaled if part is not left_out]
        yield from (each for each in _against(others, references) if 0 < each.events < each.people)


def _coverage(trained: Mapping[str, int], seen: Collection[str]) -> float:
    """The share of the training rows that the hospitals `seen` hold, also if the largest hospital has only as many rows
    as the second largest. Nobody can check a number of rows, so no hospital alone reaches a large share by stating one.
    """
    second = sorted(trained.values())[-2:][:1]
    limited = {name: min(count, *second) for name, count in trained.items()}
    return min(_share(trained, seen), _share(limited, seen))


def _share(rows: Mapping[str, int], seen: Collection[str]) -> float:
    total = sum(rows.values())
    return sum(count for name, count in rows.items() if name in seen) / total if total else 0.0
