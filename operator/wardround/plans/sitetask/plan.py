"""Decides what a site does about one task of the hub: the first rule that answers, until its end; does no I/O.

Level-triggered: everything is decided anew from what is observed, and the order of writing is: the Dataset, the
SiteTask's status, then actions, then the RoundTask's status. A crash in between repeats, and repeating is harmless.
"""

from __future__ import annotations

import dataclasses

from wardround.api import conditions
from wardround.api.sitetask import CourierReport, SiteTask
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.pod import Job
from wardround.plans.sitetask.rules import RULES
from wardround.plans.sitetask.stages import deadline, overdue
from wardround.plans.sitetask.state import is_accepted, is_final
from wardround.plans.sitetask.status import final_status, status
from wardround.plans.sitetask.types import Action, Observation, Plan, sooner
from wardround.plans.sitetask.view import has_reached, view_of


def plan(seen: Observation) -> Plan:
    """What to do, and how the task stands."""
    found = _after_the_end(seen) if is_final(seen.task) else _before_the_end(seen)
    return dataclasses.replace(found, watched=seen.pod.isolation if seen.pod else None)


def _before_the_end(seen: Observation) -> Plan:
    view = view_of(seen)
    verdict = next(found for rule in RULES if (found := rule(view)) is not None)
    until = deadline(view, verdict)
    if until is not None and until <= seen.now:
        verdict = overdue(verdict)
    prepare = seen.pod.step("prepare") if seen.pod else None
    first_look = prepare is not None and prepare.exit_code is not None and not has_reached(seen, "Prepared")
    return Plan(
        status=status(view, verdict),
        actions=(*_mirror(seen), *verdict.actions),
        again_seconds=sooner(verdict.again_seconds, *view.seconds_to(until)),
        assignment=view.assignment,
        prepared=prepare if first_look else None,
    )


def _after_the_end(seen: Observation) -> Plan:
    """The Job stays for its logs, unless its pod would run on. memory.py says how long Job and task stay."""
    actions: list[Action] = []
    running = seen.job is not None and not seen.job.finished and not (seen.pod is not None and seen.pod.ended)
    opened = seen.task.status.failure is not None and seen.task.status.failure.reason == "NetworkOpen"
    if conditions.is_true(seen.task.status.conditions, "Failed") and seen.job is not None and (running or opened):
        actions.append("DeleteJob")
    gone = seen.hub_reached and seen.round_task is None
    hub_knows = seen.round_task is not None and is_final(seen.round_task)
    every = (seen.task, *seen.others)
    surplus = hub_knows and seen.task in memory.surplus(every)
    if (gone or surplus) and memory.may_be_forgotten(seen.task, memory.issues(every)):
        actions.append("DeleteTask")
    return Plan(status=final_status(seen.task, tidy=not actions), actions=tuple(actions))


def _mirror(seen: Observation) -> tuple[Action, ...]:
    """What the hub may still change of a task: its grants, and that it is cancelled."""
    if seen.round_task is None:
        return ()
    there, here = seen.round_task.spec, seen.task.spec
    return ("Mirror",) if (there.grants, there.cancel) != (here.grants, here.cancel) else ()


def looks_at_others(task: SiteTask, job: Job | None) -> bool:
    """Whether the plan depends on what other tasks there are: to accept one, to give it a place, and to forget it. The
    plan of a task whose input the courier fetches, that trains or whose update is sent does not depend on them."""
    if is_final(task) or not is_accepted(task):
        return True
    courier = task.status.courier or CourierReport()
    return job is None and courier.input == "Ready"
