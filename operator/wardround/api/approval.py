"""Approval: a person of a hospital approves or denies all tasks of a model's series.

Its spec is immutable, but a person can withdraw it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "Approval"
Decision = Literal["Approve", "Deny"]
# The largest `max_rounds` and `max_evaluations`: room for a sweep of 32 models, whose series have 30 Train rounds and a
# Statistics round, with two attempts of each round.
MOST_TASKS = 2048


@dataclass(frozen=True, kw_only=True)
class ApprovalSpec:
    """`author`: the user who makes it. `terms`: canonical JSON of plans.terms.SeriesTerms or SweepTerms. `max_rounds`:
    of Train and Statistics tasks. `until`: None only in a denial. `withdrawn_by`: the user who has withdrawn it."""

    author: str
    terms: str
    verdict: Decision = "Approve"
    max_rounds: int = 0
    max_evaluations: int = 0
    until: str | None = None
    withdrawn_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalStatus:
    """`round_tasks`, `evaluation_tasks`: the accepted tasks that count, each as `<round UID>/<attempt>/<64 hex>`,
    with the SHA-256 of what the hub has signed. `rounds`, `evaluations`: how many these are."""

    observed_generation: int | None = None
    conditions: Conditions = ()
    rounds: int = 0
    evaluations: int = 0
    round_tasks: tuple[str, ...] = ()
    evaluation_tasks: tuple[str, ...] = ()
    withdrawn_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Approval:
    metadata: Meta
    spec: ApprovalSpec
    status: ApprovalStatus = field(default_factory=ApprovalStatus)


def parse(value: Mapping[str, Any]) -> Approval:
    return codec.parse(Approval, value)
