"""What tests read off a round's plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wardround.api import conditions
from wardround.api.federatedround import Counts
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Observation, Plan


def then(seen: Observation, made: Plan) -> Plan:
    """The plan that follows once the status of this one is written."""
    return plan(replace(seen, round=replace(seen.round, status=made.status)))


def of_type(made: Plan, kind: type[Any]) -> list[Any]:
    return [action for action in made.actions if isinstance(action, kind)]


def condition_of(made: Plan, kind: str) -> tuple[str, str]:
    condition = conditions.find(made.status.conditions, kind)
    assert condition is not None
    return condition.status, condition.reason


def message_of(made: Plan, kind: str) -> str:
    condition = conditions.find(made.status.conditions, kind)
    assert condition is not None
    return condition.message


def counts(made: Plan) -> Counts:
    assert made.status.participants is not None
    return made.status.participants


def attention_of(made: Plan) -> dict[str, str]:
    return {each.participant: each.reason for each in made.status.attention}
