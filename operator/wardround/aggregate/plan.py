"""Reads an aggregation Job's plan, and fits its answer into a termination message; combines nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wardround.aggregate import planned_state
from wardround.wire import codec, compression, strategy_terms
from wardround.wire.aggregation import (
    AggregationAnswer,
    AggregationFailure,
    AggregationPlan,
    LeftOut,
)

# Bytes. The kubelet cuts a longer termination message, and half a JSON document cannot be read.
LARGEST_ANSWER = 4096
# The end of each message about contents of the store that have changed.
CHECK_STORE = "So the Job made no result. The hub's administrator has to check who can write to the store."


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
        raise AggregationError(
            "PlanUnreadable", f"{error}. Check that the hub operator and this Job run the same image."
        ) from None
    known = plan.task in ("Train", "Statistics", "Evaluate")
    if not known or plan.weighting != "Samples" or strategy_terms.unknown(plan.strategy, plan.parameters):
        raise AggregationError(
            "PlanUnreadable",
            "The plan has a task, strategy, weighting or parameters that this Job's image does not know. Check that "
            "the hub operator and this Job run the same image.",
        )
    if plan.task != "Train" and plan.strategy != strategy_terms.FEDAVG:
        raise AggregationError(
            "PlanUnreadable",
            f"The plan has the strategy {plan.strategy} for a {plan.task} round. Such a round can have only the "
            "strategy FedAvg.",
        )
    terms = strategy_terms.STRATEGIES[plan.strategy]
    if plan.initial and terms.differences:
        raise AggregationError(
            "PlanUnreadable",
            f"The strategy {plan.strategy} needs a base, but the plan is for an initial round. An initial round has "
            "no base.",
        )
    if problem := compression.impossible(plan.compression, task=plan.task, initial=plan.initial):
        raise AggregationError("PlanUnreadable", problem)
    if plan.reads_twice and (terms.at_once or plan.compression != compression.NONE):
        raise AggregationError(
            "PlanUnreadable",
            f"With the strategy {plan.strategy} and the compression {plan.compression}, the Job has to read the "
            "updates a second time from the scratch volume. But the plan tells the Job to read the updates from the "
            "store twice.",
        )
    if plan.listed.collects and (plan.reads_twice or plan.initial or terms.at_once):
        raise AggregationError(
            "PlanUnreadable",
            "The plan tells this Job to read updates while the round still collects. For this, the round needs a base "
            "and a strategy that reads one update after the other, and the scratch volume needs room for all updates. "
            "This plan lacks one of the three.",
        )
    if plan.gate is not None and not plan.references:
        raise AggregationError(
            "PlanUnreadable", "The plan has a gate but no references. A gate compares a model with references."
        )
    if (plan.base is not None) != (plan.task == "Train" and not plan.initial):
        raise AggregationError(
            "PlanUnreadable",
            "The plan does not fit the round. For a Train round that is no initial round, the plan has to have a base. "
            "For every other round, the plan must have no base.",
        )
    if problem := planned_state.unfit(plan):
        raise AggregationError("PlanUnreadable", problem)
    return plan


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
            "The aggregation left out more hospitals than its answer can name. The log of the aggregation Job names "
            "these hospitals.",
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
