"""Reads an aggregation Job's plan, and fits its answer into a termination message; combines nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wardround.aggregate.advice import CHECK_IMAGE
from wardround.aggregate.contradictions import contradiction
from wardround.wire import codec
from wardround.wire.aggregation import (
    AggregationAnswer,
    AggregationFailure,
    AggregationPlan,
    LeftOut,
)

# Bytes. The kubelet cuts a longer termination message, and half a JSON document cannot be read.
LARGEST_ANSWER = 4096


class AggregationError(Exception):
    """The aggregation ends without a result."""

    def __init__(self, reason: str, message: str, left_out: tuple[LeftOut, ...] = (), withheld: int = 0) -> None:
        super().__init__(reason, message)
        self.answer = AggregationFailure(reason, message, left_out, withheld)


def parse(data: bytes) -> AggregationPlan:
    """Return the plan. Raises AggregationError("PlanUnreadable")."""
    try:
        plan = codec.read_document(AggregationPlan, data, "plan.json")
    except codec.Malformed as error:
        raise AggregationError("PlanUnreadable", f"{error}. {CHECK_IMAGE}") from None
    if problem := contradiction(plan):
        raise AggregationError("PlanUnreadable", problem)
    return plan


def spell(answer: AggregationAnswer) -> bytes:
    """Return the termination message, at most 4096 bytes of JSON.

    What has no room is left out in this order: the longer one of the lists `aggregated` and `uncounted`, which follows
    from the other one and `left_out`; the numbers of each hospital (`by_hospital` is then None), and the names of
    hospitals that a verdict did not see, or that reported a number which is too large; the calibration curve; the rows
    that count of each hospital; all other numbers, because the model matters more.
    """
    for each in _shorter_and_shorter(answer):
        if len(text := codec.write_document(each)) <= LARGEST_ANSWER:
            return text
    return spell(
        AggregationFailure(
            "TooManyLeftOut",
            "The aggregation left out so many hospitals that it cannot report their names, so it made no result. The "
            "hub's administrator finds the names in the log of this aggregation Job.",
        )
    )


def _shorter_and_shorter(answer: AggregationAnswer) -> Iterator[AggregationAnswer]:
    if isinstance(answer, AggregationFailure):
        answer = replace(answer, message=answer.message[:512])
        yield answer
        yield replace(answer, left_out=())
        return
    yield answer
    shorter = len(str(answer.uncounted)) < len(str(answer.aggregated))
    unnamed = replace(answer, aggregated=()) if shorter else replace(answer, uncounted=())
    yield unnamed
    verdict = replace(answer.verdict, unseen=()) if answer.verdict else None
    shorter_still = replace(unnamed, by_hospital=None, verdict=verdict, numbers_too_large=())
    yield shorter_still
    yield replace(shorter_still, calibration=())
    yield replace(shorter_still, calibration=(), counted=())
    yield replace(shorter_still, calibration=(), counted=(), metrics={}, differences=())
