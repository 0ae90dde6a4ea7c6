"""Decides what to do next about a FederatedRound, and its status. Pure: knows no API server and no clock.

A plan is the first rule of RULES that has something to say. "Why is it waiting" is answered there and nowhere else.
"""

from collections.abc import Callable

from wardround.plans.round.base import base_not_ready, schema_not_ready
from wardround.plans.round.collect import beyond_quorum, close, collecting
from wardround.plans.round.combine import aggregated
from wardround.plans.round.delivery import delivery_not_ready
from wardround.plans.round.dispatch import dispatch, never_dispatched, quorum_impossible
from wardround.plans.round.ending import complete, key_lost, over, suspended
from wardround.plans.round.references import references_not_ready
from wardround.plans.round.server_state import state_unusable
from wardround.plans.round.status import status
from wardround.plans.round.strategy import strategy_impossible
from wardround.plans.round.types import Observation, Plan, Ruling
from wardround.plans.round.view import View, view_of

Rule = Callable[[View], Ruling | None]

RULES: tuple[Rule, ...] = (
    over,
    complete,
    quorum_impossible,
    strategy_impossible,
    aggregated,
    key_lost,
    suspended,
    base_not_ready,
    state_unusable,
    schema_not_ready,
    references_not_ready,
    delivery_not_ready,
    never_dispatched,
    dispatch,
    beyond_quorum,
    collecting,
    close,
)


def plan(seen: Observation) -> Plan:
    """The actions, the status afterwards, and `requeue_after`."""
    view = view_of(seen)
    ruling = next(ruling for rule in RULES if (ruling := rule(view)))
    times = [each for each in ruling.requeue_at if each > seen.now]
    after = (min(times) - seen.now).total_seconds() if times else None
    if ruling.course in ("Complete", "Failed"):
        after = 0.0  # the final status comes first; then the rule `over` tidies up
    made = status(view.seen, view.parts, ruling, selected=view.selected, absent=view.absent)
    return Plan(actions=ruling.actions, status=made, requeue_after=after)
