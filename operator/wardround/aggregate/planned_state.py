"""Decides whether the server state of a plan fits the plan: it belongs to the base, the strategy and its parameters.

Pure. The hub operator has decided the same before. A state of another round must not become part of a model.
"""

from __future__ import annotations

from wardround.aggregate.advice import CHECK_IMAGE
from wardround.sealing.body import SERVER_STATE
from wardround.wire import strategy_terms
from wardround.wire.aggregation import AggregationPlan, PlannedStart
from wardround.wire.models import Header, ModelManifest


def unfit(plan: AggregationPlan) -> str:
    """A sentence that says why the plan's server state does not fit; empty if it does, or if there is rightly none."""
    count, state = strategy_terms.moments(plan.strategy), plan.state
    given = len(state.moments) if state else 0
    if count == 0 or plan.base is None:
        return "" if state is None and count == 0 else _numbers(plan.strategy, count, given)
    if state is None or given != count:
        return _numbers(plan.strategy, count, given)
    base = plan.base.manifest
    if not all(_has_layout(each.header, base) for each in state.moments):
        return (
            "This Job cannot use the server state (the state of the server optimizer) in its plan, because the "
            f"server state has other tensors than the base. {CHECK_IMAGE}"
        )
    return _foreign(plan, state.start, base, count) if state.start is not None else ""


def _numbers(strategy: str, needed: int, given: int) -> str:
    return (
        f"This Job cannot use its plan: the state of the strategy {strategy} has {needed} moments in this round, "
        f"and the plan has {given}. {CHECK_IMAGE}"
    )


def _foreign(plan: AggregationPlan, start: PlannedStart, base: ModelManifest, count: int) -> str:
    """Why the state to go on from is not the one of the base; empty if it is."""
    manifest = start.manifest
    counts = {len(manifest.moments), len(start.data_keys), len(start.gets)}
    mine = (base.digest, plan.strategy, dict(plan.parameters), tuple(sorted(plan.frozen)))
    theirs = (manifest.result_digest, manifest.strategy, dict(manifest.parameters), manifest.frozen)
    headers = [each.header for each in manifest.moments]
    same_round = all(each.round_uid == base.header.round_uid and _has_layout(each, base) for each in headers)
    if counts != {count} or mine != theirs or not same_round:
        return (
            "This Job cannot continue with the server state (the state of the server optimizer) in its plan: the "
            "state was made for another base, another strategy, other parameters or other frozen tensors. "
            f"{CHECK_IMAGE}"
        )
    return ""


def _has_layout(header: Header, base: ModelManifest) -> bool:
    ours = (header.kind, header.schema_digest, header.length)
    return ours == (SERVER_STATE, base.header.schema_digest, base.header.length)
