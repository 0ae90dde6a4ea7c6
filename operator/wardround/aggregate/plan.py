"""Reads an aggregation Job's plan, and fits its answer into a termination message; combines nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wardround.aggregate import planned_state
from wardround.aggregate.advice import CHECK_IMAGE
from wardround.wire import codec, compression, strategy_terms
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
    if problem := _contradiction(plan) or planned_state.unfit(plan):
        raise AggregationError("PlanUnreadable", problem)
    return plan


def _contradiction(plan: AggregationPlan) -> str:
    """A message that says what this Job does not know, or which parts of the plan contradict each other; or nothing."""
    known = plan.task in ("Train", "Statistics", "Evaluate")
    if not known or plan.weighting != "Samples" or strategy_terms.unknown(plan.strategy, plan.parameters):
        return (
            "This Job cannot read its plan: the Job's image does not know the plan's task, strategy, weighting or "
            f"parameters. {CHECK_IMAGE}"
        )
    if plan.task != "Train" and plan.strategy != strategy_terms.FEDAVG:
        return (
            f"This Job cannot use its plan: the plan has the strategy {plan.strategy} for a {plan.task} round, and "
            f"such a round can have only FedAvg. {CHECK_IMAGE}"
        )
    terms = strategy_terms.STRATEGIES[plan.strategy]
    if plan.initial and terms.differences:
        return (
            f"This Job cannot use its plan: the strategy {plan.strategy} needs a base, and the plan's round is an "
            f"initial round, which has no base. {CHECK_IMAGE}"
        )
    if problem := compression.impossible(plan.compression, task=plan.task, initial=plan.initial):
        return f"{problem} {CHECK_IMAGE}"
    if plan.reads_twice and (terms.at_once or plan.compression != compression.NONE):
        return (
            f"This Job cannot use its plan: with the strategy {plan.strategy} and the compression "
            f"{plan.compression}, all updates have to be on the scratch volume, but the plan says to read them from "
            f"the store twice. {CHECK_IMAGE}"
        )
    if plan.listed.collects and (plan.reads_twice or plan.initial or terms.at_once):
        return (
            "This Job cannot use its plan, which says to read updates while the round still collects. For this, the "
            "round needs a base, a strategy that reads one update after the other, and room for all updates on the "
            f"scratch volume. One of the three is missing. {CHECK_IMAGE}"
        )
    if plan.gate is not None and not plan.references:
        return (
            "This Job cannot use its plan: the plan has a gate, which compares a model with references, but no "
            f"references. {CHECK_IMAGE}"
        )
    if (plan.base is not None) != (plan.task == "Train" and not plan.initial):
        return (
            "This Job cannot use its plan: a Train round that is no initial round needs a base, and every other "
            f"round must have none. {CHECK_IMAGE}"
        )
    return ""


def spell(answer: AggregationAnswer) -> bytes:
    """Return the termination message, at most 4096 bytes of JSON.

    What has no room is left out in this order: the longer one of the lists `aggregated` and `uncounted`, which follows
    from the other one and `left_out`; the numbers of each hospital (`by_hospital` is then None) and the names of
    hospitals that a verdict did not see; the calibration curve; the rows that count of each hospital; all other
    numbers, because the model matters more.
    """
    for each in _shorter_and_shorter(answer):
        if len(text := codec.write_document(each)) <= LARGEST_ANSWER:
            return text
    return spell(
        AggregationFailure(
            "TooManyLeftOut",
            "The aggregation left out more hospitals than its answer can name, so it made no result. The hub's "
            "administrator finds their names in the log of the aggregation Job.",
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
    shorter_still = replace(unnamed, by_hospital=None, verdict=verdict)
    yield shorter_still
    yield replace(shorter_still, calibration=())
    yield replace(shorter_still, calibration=(), counted=())
    yield replace(shorter_still, calibration=(), counted=(), metrics={}, differences=())
