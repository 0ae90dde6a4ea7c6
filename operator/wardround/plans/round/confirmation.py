"""Decides which Participants the API server has to confirm before a round's plan is carried out. Pure.

An observation takes its Participants from an index, which may be some seconds old. A plan that acts on a hospital, or
that ends the round, rests on what is true now.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.plans.round.status import is_final, is_over
from wardround.plans.round.types import (
    Action,
    Aggregate,
    Cancel,
    Dispatch,
    Grant,
    ListUpdates,
    MakeRoundKey,
    Observation,
    Plan,
)


@dataclass(frozen=True)
class Confirmation:
    """Participants by name, and by labels: all that have these labels."""

    names: frozenset[str] = frozenset()
    labels: Mapping[str, str] | None = None


def confirmation(seen: Observation, plan: Plan) -> Confirmation:
    """Each participant that an action is about. All participants of the round where it first asks them or ends."""
    concerned = frozenset(name for action in plan.actions for name in _participants(action))
    begins = any(isinstance(each, MakeRoundKey) for each in plan.actions)
    ends = is_final(plan.status) and not is_over(seen.round)
    if not (begins or ends):
        return Confirmation(concerned)
    wanted = seen.round.spec.participants
    asked = {task.metadata.namespace for task in seen.tasks}
    labels = wanted.selector.match_labels if wanted.selector and not asked else None
    return Confirmation(concerned | asked | set(seen.roster) | set(wanted.names or ()), labels)


def _participants(action: Action) -> tuple[str, ...]:
    match action:
        case Dispatch():
            return (action.participant,)
        case Grant() | Cancel():
            return (action.task.metadata.namespace,)
        case Aggregate():
            return tuple(task.metadata.namespace for task in action.tasks)
        case ListUpdates():
            return tuple(task.metadata.namespace for task in (*action.tasks, *(action.counted or ())))
        case _:
            return ()
