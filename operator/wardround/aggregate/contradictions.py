"""Decides whether an aggregation Job can carry out its plan, whose fields may contradict each other. Pure.

The hub operator writes no plan with a contradiction. Such a plan is of another version, or of a faulty hub operator.
"""

from __future__ import annotations

from collections.abc import Callable

from wardround.aggregate import planned_state
from wardround.aggregate.advice import CHECK_IMAGE
from wardround.wire import compression, strategy_terms
from wardround.wire.aggregation import AggregationPlan


def contradiction(plan: AggregationPlan) -> str:
    """A sentence that says why no Job can carry out the plan; empty if this Job can."""
    return next((problem for rule in _RULES if (problem := rule(plan))), "")


def _unknown_names(plan: AggregationPlan) -> str:
    known = plan.task in ("Train", "Statistics", "Evaluate") and plan.weighting == "Samples"
    if known and not strategy_terms.unknown(plan.strategy, plan.parameters):
        return ""
    return (
        "This Job cannot read its plan: the Job's image does not know the plan's task, strategy, weighting or "
        f"parameters. {CHECK_IMAGE}"
    )


def _strategy_of_sums(plan: AggregationPlan) -> str:
    if plan.task == "Train" or plan.strategy == strategy_terms.FEDAVG:
        return ""
    return (
        f"This Job cannot use its plan: the plan has the strategy {plan.strategy} for a {plan.task} round, and "
        f"such a round can have only FedAvg. {CHECK_IMAGE}"
    )


def _initial_differences(plan: AggregationPlan) -> str:
    if not plan.initial or not strategy_terms.STRATEGIES[plan.strategy].differences:
        return ""
    return (
        f"This Job cannot use its plan: the strategy {plan.strategy} needs a base, and the plan's round is an "
        f"initial round, which has no base. {CHECK_IMAGE}"
    )


def _impossible_compression(plan: AggregationPlan) -> str:
    problem = compression.impossible(plan.compression, task=plan.task, initial=plan.initial)
    return f"{problem} {CHECK_IMAGE}" if problem else ""


def _second_reading(plan: AggregationPlan) -> str:
    at_once = strategy_terms.STRATEGIES[plan.strategy].at_once
    if not plan.reads_twice or (not at_once and plan.compression == compression.NONE):
        return ""
    return (
        f"This Job cannot use its plan: with the strategy {plan.strategy} and the compression "
        f"{plan.compression}, all updates have to be on the scratch volume, but the plan says to read them from "
        f"the store twice. {CHECK_IMAGE}"
    )


def _anticipation(plan: AggregationPlan) -> str:
    can = strategy_terms.anticipating(plan.strategy, plan.compression, task=plan.task, initial=plan.initial)
    if not plan.anticipates or (can and not plan.reads_twice):
        return ""
    return (
        "This Job cannot use its plan, which says to combine updates while the last of them arrive. For this, the "
        "round needs a base, room for all updates on the scratch volume, no compression, and a strategy without server "
        f"state that uses no norms. One of them is missing. {CHECK_IMAGE}"
    )


def _growing_list(plan: AggregationPlan) -> str:
    at_once = strategy_terms.STRATEGIES[plan.strategy].at_once
    if not plan.listed.collects or not (plan.reads_twice or plan.initial or at_once):
        return ""
    return (
        "This Job cannot use its plan, which says to read updates while the round still collects. For this, the "
        "round needs a base, a strategy that reads one update after the other, and room for all updates on the "
        f"scratch volume. One of the three is missing. {CHECK_IMAGE}"
    )


def _gate_without_references(plan: AggregationPlan) -> str:
    if plan.gate is None or plan.references:
        return ""
    return (
        "This Job cannot use its plan: the plan has a gate, which compares a model with references, but no "
        f"references. {CHECK_IMAGE}"
    )


def _base(plan: AggregationPlan) -> str:
    if (plan.base is not None) == (plan.task == "Train" and not plan.initial):
        return ""
    return (
        "This Job cannot use its plan: a Train round that is no initial round needs a base, and every other "
        f"round must have none. {CHECK_IMAGE}"
    )


# The order matters: all rules below `_unknown_names` look up the strategy in the table of known strategies.
_RULES: tuple[Callable[[AggregationPlan], str], ...] = (
    _unknown_names,
    _strategy_of_sums,
    _initial_differences,
    _impossible_compression,
    _second_reading,
    _anticipation,
    _growing_list,
    _gate_without_references,
    _base,
    planned_state.unfit,
)
