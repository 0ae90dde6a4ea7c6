"""Decides which Participants and RoundTasks the API server has to confirm before a round's plan is carried out. Pure.

An observation takes its Participants and RoundTasks from memory, which may be some seconds old. A plan that acts on a
hospital, or that closes or ends the round, rests on what is true now. A plan that only waits needs no confirmation: the
hub operator looks again when a watch shows more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.api.roundtask import RoundTask
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

# The namespace and the name of a RoundTask.
TaskPlace = tuple[str, str]


@dataclass(frozen=True)
class Confirmation:
    """Participants by name, and by labels: all that have these labels. Single tasks of the round, or all of them."""

    names: frozenset[str] = frozenset()
    labels: Mapping[str, str] | None = None
    tasks: frozenset[TaskPlace] = frozenset()
    all_tasks: bool = False

    def beyond(self, done: Confirmation) -> Confirmation:
        """The part that is not `done`."""
        listed = self.all_tasks or done.all_tasks
        return Confirmation(
            self.names - done.names,
            self.labels if not done.labels else None,
            frozenset() if listed else self.tasks - done.tasks,
            self.all_tasks and not done.all_tasks,
        )

    def joined(self, other: Confirmation) -> Confirmation:
        """What both confirm."""
        return Confirmation(
            self.names | other.names,
            self.labels or other.labels,
            self.tasks | other.tasks,
            self.all_tasks or other.all_tasks,
        )


def confirmation(seen: Observation, plan: Plan) -> Confirmation:
    """Each participant and each task that an action is about. All participants of the round where it first asks them or
    ends. All tasks where it first asks, closes or ends."""
    concerned = frozenset(name for action in plan.actions for name in _participants(action))
    tasks = frozenset(place for action in plan.actions for place in _tasks(action))
    begins = any(isinstance(each, MakeRoundKey) for each in plan.actions)
    ends = is_final(plan.status) and not is_over(seen.round)
    all_tasks = ends or any(_rests_on_all_tasks(each) for each in plan.actions)
    of_actions = Confirmation(concerned, None, tasks, all_tasks)
    return of_actions.joined(_all_participants(seen)) if begins or ends else of_actions


def _all_participants(seen: Observation) -> Confirmation:
    """Those that the round has asked, and those that its spec names or selects."""
    wanted = seen.round.spec.participants
    asked = frozenset(task.metadata.namespace for task in seen.tasks)
    labels = wanted.selector.match_labels if wanted.selector and not asked else None
    return Confirmation(asked | set(seen.roster) | set(wanted.names or ()), labels)


def _rests_on_all_tasks(action: Action) -> bool:
    match action:
        case Dispatch() | Grant() | Cancel():
            return False
        case ListUpdates():
            return action.counted is not None
        case _:
            return True


def _tasks(action: Action) -> tuple[TaskPlace, ...]:
    match action:
        case Dispatch(after=RoundTask() as before):
            concerned: tuple[RoundTask, ...] = (before,)
        case Grant() | Cancel():
            concerned = (action.task,)
        case ListUpdates():
            concerned = action.tasks
        case _:
            concerned = ()
    return tuple((task.metadata.namespace, task.metadata.name) for task in concerned)


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
